import type { DryRunResult } from "../migrate/index.js";
import type { Output } from "./output.js";

/** Writes the result of a dry run as SQL, with what would fail as comments. Returns the exit code. */
export function showDryRun(output: Output, result: DryRunResult): number {
  output.result(result, () => {
    for (const { tag, sql, problems } of result.migrations) {
      output.line(`-- ${tag}`);
      for (const line of sql.flatMap((statement) => `${statement};`.split("\n"))) output.line(line);
      for (const { constraint, table, rows, statement } of problems) {
        const what = `${constraint} of ${table}: ${rows} ${rows === 1 ? "row" : "rows"}`;
        output.line(`-- would fail: ${what}, in ${statement}`, "red");
      }
    }
    if (result.migrations.length === 0) output.line("-- nothing to do");
  });
  return result.migrations.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

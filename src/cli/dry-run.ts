import { droppedBy } from "../migrate/dropped-tables.js";
import { type DryRunResult, MigrationError } from "../migrate/index.js";
import type { CommandContext } from "./command.js";
import { inCommandWords } from "./command-words.js";
import type { Output } from "./output.js";
import { toCount } from "./text.js";

/** Writes the result of a dry run as SQL, with what it drops and what would fail as comments. Returns the exit code. */
export async function showDryRun(
  { output, url }: Pick<CommandContext, "output" | "url">,
  trial: Promise<DryRunResult>,
): Promise<number> {
  try {
    const result = await trial;
    output.result(result, () => show(output, result));
    return result.migrations.some(({ problems }) => problems.length > 0) ? 1 : 0;
  } catch (error) {
    if (!output.isJson && error instanceof MigrationError && error.tried !== undefined) {
      show(output, error.tried);
      output.line(`-- would fail: ${inCommandWords(error.message, url)}`, "red");
    }
    throw error;
  }
}

function show(output: Output, { migrations }: DryRunResult): void {
  for (const migration of migrations) {
    const { tag, sql, problems } = migration;
    output.line(`-- ${tag}`);
    for (const line of sql.flatMap((statement) => `${statement};`.split("\n"))) output.line(line);
    for (const { table, rows } of droppedBy(migration))
      output.line(`-- drops ${table} with ${toCount(rows, "row")}`, "yellow");
    for (const { constraint, table, rows, statement } of problems) {
      output.line(`-- would fail: ${constraint} of ${table}: ${toCount(rows, "row")}, in ${statement}`, "red");
    }
  }
  if (migrations.length === 0) output.line("-- nothing to do");
}

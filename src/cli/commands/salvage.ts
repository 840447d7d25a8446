import { type SalvagedArea, salvage } from "../../maintenance/salvage.js";
import { OWN_MIGRATIONS } from "../../schema/own-migrations.js";
import type { CliCommand } from "../command.js";

export const salvageCommand: CliCommand = {
  usage: "salvage <source> <destination>",
  summary: "copy what can be read of a damaged file into a new one; the damaged file stays unchanged",
  example: "salvage ./data/app.db ./data/app-salvaged.db",
  copiesAll: true,
  opensDatabase: false,
  async run(context, { args }) {
    const { output } = context;
    const result = await salvage(args[0]!, args[1]!, context.longCall("No file was written"));
    output.result(result, () => {
      const own = result.tables.filter(({ table }) => OWN_MIGRATIONS.ownTables?.includes(table) !== true);
      output.table(
        ["what", "saved", "lost"],
        [
          ...result.areas.map(({ area, ...rows }) => [area, ...counts(rows)]),
          ...own.map(({ table, ...rows }) => [`table ${table}`, ...counts(rows)]),
        ],
      );
      for (const { name, reason } of result.notSaved) output.line(`${name} is not in the new file: ${reason}`);
      output.line(`salvaged to ${result.path}`);
    });
    return 0;
  },
};

/** With words, since the lines of a pipe have no headings. */
function counts({ saved, ...lost }: Omit<SalvagedArea, "area">): string[] {
  return [`${saved} saved`, `${lostText(lost)} lost`];
}

function lostText({ lost, lostAtMost }: Pick<SalvagedArea, "lost" | "lostAtMost">): string {
  if (lostAtMost === lost) return String(lost);
  if (lostAtMost !== null) return `${lost} to ${lostAtMost}`;
  return lost === 0 ? "unknown number" : `at least ${lost}`;
}

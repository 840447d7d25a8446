import { salvage } from "../../maintenance/salvage.js";
import type { CliCommand } from "../command.js";

export const salvageCommand: CliCommand = {
  usage: "salvage <source> <destination>",
  summary: "copy what can be read of a damaged file into a new one; the damaged one stays as it is",
  example: "salvage ./data/app.db ./data/app-salvaged.db",
  async run(context, { args }) {
    const { output } = context;
    const result = await salvage(args[0]!, args[1]!, context.longCall());
    output.result(result, () => {
      output.table(
        ["area", "saved", "lost"],
        result.areas.map(({ area, saved, lost }) => [area, String(saved), String(lost)]),
      );
      for (const { name, reason } of result.notSaved) output.line(`${name} is not in the new file: ${reason}`);
      output.line(`salvaged to ${result.path}`);
    });
    return 0;
  },
};

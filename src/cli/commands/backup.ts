import type { CliCommand } from "../command.js";
import { readOnlyFor, requireFile, withStorage } from "../target.js";
import { toSize } from "../text.js";

export const backupCommand: CliCommand = {
  usage: "backup <dest>",
  summary: "copy the database to a new file, verified, while others read and write",
  example: "backup ./backups/app.db --url ./data/app.db",
  async run(context, { args }) {
    requireFile(context);
    return withStorage(context, { migrate: "skip", ...readOnlyFor(context) }, async (storage) => {
      const result = await storage.backup(args[0]!, context.longCall());
      context.output.result(result, () => context.output.line(`${result.path}  ${toSize(result.bytes)}`));
      return 0;
    });
  },
};

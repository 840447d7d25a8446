import { restore } from "../../maintenance/restore.js";
import { StorageError } from "../../shared/errors.js";
import type { CliCommand } from "../command.js";
import { fileOf, urlOf } from "../target.js";

export const restoreCommand: CliCommand = {
  usage: "restore <backup>",
  summary: "replace the database with a verified backup; the old file is renamed",
  example: "restore ./backups/app.db --url ./data/app.db",
  copiesAll: true,
  async run(context, { args }) {
    const target = fileOf(context);
    if (target === undefined) {
      throw new StorageError(
        "NOT_SUPPORTED",
        `${urlOf(context)} is not a file. Restore it where its server runs, or \`export\` the backup and \`import\` it here`,
      );
    }
    const result = await restore(args[0]!, target, context.longCall("The database was not changed"));
    context.output.result({ ...result, setAside: result.setAside ?? null }, () => {
      context.output.line(`restored ${result.path}`);
      if (result.setAside !== undefined) context.output.line(`the old file is ${result.setAside}`);
      for (const file of result.setAsideFiles) if (file !== result.setAside) context.output.line(`with ${file}`);
    });
    return 0;
  },
};

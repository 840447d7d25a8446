import { rm } from "node:fs/promises";
import type { BackupResult } from "../../maintenance/backup.js";
import type { Storage } from "../../storage/storage.js";
import type { CliCommand } from "../command.js";
import { withReadable } from "../target.js";
import { toSize } from "../text.js";

export const backupCommand: CliCommand = {
  usage: "backup <dest>",
  summary: "copy the database to a new file, verified, while others read and write",
  example: "backup ./backups/app.db --url ./data/app.db",
  async run(context, { args }) {
    let made: BackupResult | undefined;
    const copy = async (storage: Storage) => {
      // The copy of the first run, during which the file was changed.
      if (made !== undefined) await rm(made.path);
      const result = await storage.backup(args[0]!, context.longCall("No backup was made"));
      made = result;
      return () => context.output.result(result, () => context.output.line(`${result.path}  ${toSize(result.bytes)}`));
    };
    return withReadable(context, copy, { migrate: "skip" });
  },
};

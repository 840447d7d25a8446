import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { BackupResult } from "../../maintenance/backup.js";
import { StorageError } from "../../shared/errors.js";
import { shellWord } from "../../shared/shell-word.js";
import type { Storage } from "../../storage/storage.js";
import type { CliCommand } from "../command.js";
import { withReadable } from "../target.js";
import { toSize } from "../text.js";

export const backupCommand: CliCommand = {
  usage: "backup <dest>",
  summary: "copy the database to a new file, verified, while others read and write",
  example: "backup ./backups/app.db --url ./data/app.db",
  copiesAll: true,
  isCopy: true,
  async run(context, { args }) {
    const [destination] = args as [string];
    if (context.url === undefined && existsSync(destination)) {
      throw new StorageError(
        "EXISTS",
        `Expected the path of the new file, and ${destination} exists already. To back it up, run \`holdfast backup DEST --url ${shellWord(destination)}\``,
      );
    }
    let made: BackupResult | undefined;
    const copy = async (storage: Storage) => {
      // The copy of the first run, during which the file was changed.
      if (made !== undefined) await rm(made.path);
      const result = await storage.backup(destination, context.longCall("No backup was made"));
      made = result;
      return () => context.output.result(result, () => context.output.line(`${result.path}  ${toSize(result.bytes)}`));
    };
    return withReadable(context, copy, { migrate: "skip" });
  },
};

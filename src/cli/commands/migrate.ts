import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { migrate } from "../../migrate/index.js";
import { assertRunnableOnEmpty } from "../../migrate/migrate.js";
import { KEPT_MIGRATION_BACKUPS } from "../../storage/options.js";
import { parseCount } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { showDryRun } from "../dry-run.js";
import { addSetOptions, setOf } from "../migration-set.js";
import { fileOf, withStorage, withUnchanged } from "../target.js";
import { waitingLogger } from "../waiting-logger.js";

export const migrateCommand: CliCommand = {
  usage: "migrate",
  summary: "apply pending migrations; creates the database if it is missing",
  example: "migrate --url ./data/app.db",
  options(command) {
    addSetOptions(command);
    command.option("--allow-out-of-order", "also apply migrations that were merged late");
    command.option(
      "--dry-run",
      "only print the SQL, and the rows that would make it fail; exit code 1 if there are any",
    );
    command.option(
      "--keep-backups <n>",
      "how many backups from before migrations to keep; the oldest are removed",
      parseCount,
      KEPT_MIGRATION_BACKUPS,
    );
  },
  async run(context, { options }) {
    const set = setOf(options);
    const allowOutOfOrder = options.allowOutOfOrder === true;
    if (options.dryRun === true) {
      const logger = waitingLogger(context.output);
      const tried = { ...set, allowOutOfOrder, logger, dryRun: true } as const;
      return showDryRun(
        context,
        withUnchanged(context, (client) => migrate(client, tried)),
      );
    }
    const path = fileOf(context);
    if (path !== undefined && !existsSync(path)) assertRunnableOnEmpty({ ...set, allowOutOfOrder });
    return withStorage(context, { migrate: "skip" }, async ({ client }) => {
      const result = await migrate(client, {
        ...set,
        allowOutOfOrder,
        keepBackups: options.keepBackups as number,
        backupTo: path === undefined ? undefined : join(dirname(path), "backups"),
        logger: waitingLogger(context.output),
      });
      context.output.result({ ...result, from: result.from ?? null, to: result.to ?? null }, () => {
        for (const tag of result.applied) context.output.line(`applied ${tag}`);
        if (result.applied.length === 0) context.output.line(`up to date at ${result.to ?? "no migration"}`);
        if (result.backup !== undefined) context.output.line(`backup ${result.backup}`);
      });
      return 0;
    });
  },
};

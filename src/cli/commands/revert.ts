import { dirname, join } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import { droppedBy } from "../../migrate/dropped-tables.js";
import { revert } from "../../migrate/index.js";
import { parseCount } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { showDryRun } from "../dry-run.js";
import { addSetOptions, assertMeant, setOf } from "../migration-set.js";
import { fileOf, requireFile, withStorage, withUnchanged } from "../target.js";
import { toCount } from "../text.js";
import { waitingLogger } from "../waiting-logger.js";

export const revertCommand: CliCommand = {
  usage: "revert",
  summary: "undo migrations with their down files, after a backup",
  example: "revert --steps 1 --url ./data/app.db",
  options(command) {
    addSetOptions(command);
    command.addOption(
      new Option("--steps <n>", "how many to undo, the last one first").argParser(parseCount).conflicts("to"),
    );
    command.option("--to <tag>", "the migration that stays applied; all later ones are undone");
    command.option(
      "--dry-run",
      "only print the SQL, and the rows that would make it fail; exit code 1 if there are any",
    );
  },
  async run(context, { options }) {
    const { steps, to } = options as { steps?: number; to?: string };
    if (steps === undefined && to === undefined) throw new InvalidArgumentError("Expected --steps or --to.");
    const set = setOf(options);
    requireFile(context);
    if (options.dryRun === true) {
      const tried = { ...set, steps, to, logger: waitingLogger(context.output), dryRun: true } as const;
      const result = withUnchanged(context, async (client) => {
        await assertMeant(client, options);
        return revert(client, tried);
      });
      return showDryRun(context, result);
    }
    const path = fileOf(context);
    return withStorage(context, { migrate: "skip" }, async ({ client }) => {
      await assertMeant(client, options);
      const result = await revert(client, {
        ...set,
        steps,
        to,
        backupTo: path === undefined ? undefined : join(dirname(path), "backups"),
        logger: waitingLogger(context.output),
      });
      context.output.result({ ...result, from: result.from ?? null, to: result.to ?? null }, () => {
        for (const tag of result.reverted) context.output.line(`reverted ${tag}`);
        for (const { table, rows } of droppedBy(result)) {
          context.output.line(`dropped ${table} with ${toCount(rows, "row")}`, "yellow");
        }
        context.output.line(`now at ${result.to ?? "no migration"}`);
        if (result.backup !== undefined) context.output.line(`backup ${result.backup}`);
      });
      return 0;
    });
  },
};

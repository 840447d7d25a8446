import { status } from "../../migrate/index.js";
import { findOtherLedgers } from "../../migrate/other-ledgers.js";
import { OWN_MIGRATIONS } from "../../schema/own-migrations.js";
import type { Storage } from "../../storage/storage.js";
import type { CliCommand } from "../command.js";
import { addSetOptions, setOf } from "../migration-set.js";
import { withReadable } from "../target.js";

export const statusCommand: CliCommand = {
  usage: "status",
  summary: "show which migrations are applied, pending, changed or unknown, and other ledgers",
  example: "status --url ./data/app.db",
  options: addSetOptions,
  async run(context, { options }) {
    const set = setOf(options);
    const read = async ({ client }: Storage) => {
      const found = await status(client, set);
      const { applied, pending, changed, unknown } = found;
      const ledgers = set === OWN_MIGRATIONS ? await findOtherLedgers(client) : [];
      return () =>
        context.output.result(set === OWN_MIGRATIONS ? { ...found, ledgers } : found, () => {
          context.output.table(
            ["state", "migration"],
            [
              ...applied.map((tag) => ["applied", tag]),
              ...changed.map((tag) => ["changed", tag]),
              ...pending.map((tag) => ["pending", tag]),
              ...unknown.map(({ hash, when }) => ["unknown", `${hash} of ${new Date(when).toISOString()}`]),
              ...ledgers.map(({ table, entries }) => [
                "ledger",
                `${table}, ${entries} applied: see \`holdfast status --folder DIR --table ${table}\``,
              ]),
            ],
          );
        });
    };
    return withReadable(context, read, { migrate: "skip" });
  },
};

import { status } from "../../migrate/index.js";
import { loadJournal } from "../../migrate/journal.js";
import { resolveJournalOptions } from "../../migrate/options.js";
import { findOtherLedgers } from "../../migrate/other-ledgers.js";
import { OWN_MIGRATIONS } from "../../schema/own-migrations.js";
import { shellWord } from "../../shared/shell-word.js";
import type { Storage } from "../../storage/storage.js";
import type { CliCommand } from "../command.js";
import { inCommandWords } from "../command-words.js";
import { addSetOptions, setOf } from "../migration-set.js";
import type { Cell } from "../table.js";
import { withReadable } from "../target.js";

export const statusCommand: CliCommand = {
  usage: "status",
  summary: "show which migrations are applied, pending, changed or unknown, and other ledgers",
  example: "status --url ./data/app.db",
  options(command) {
    addSetOptions(command);
    command.option("--exit-code", "exit with 1 unless all migrations are applied, unchanged and known");
  },
  async run(context, { options }) {
    const set = setOf(options);
    let isUpToDate = true;
    const read = async ({ client }: Storage) => {
      const found = await status(client, set);
      const { applied, pending, changed, unknown } = found;
      isUpToDate = pending.length + changed.length + unknown.length === 0;
      const tags = loadJournal(resolveJournalOptions("status", set)).map(({ tag }) => tag);
      const stateOf = (tag: string): Cell => {
        if (applied.includes(tag)) return "applied";
        return changed.includes(tag) ? [{ text: "changed", style: "red" }] : [{ text: "pending", style: "yellow" }];
      };
      const ledgers = set === OWN_MIGRATIONS ? await findOtherLedgers(client) : [];
      return () =>
        context.output.result(set === OWN_MIGRATIONS ? { ...found, ledgers } : found, () => {
          context.output.table(
            ["state", "migration"],
            [
              ...tags.map((tag) => [stateOf(tag), tag] as const),
              ...unknown.map(
                ({ hash, when }) =>
                  [[{ text: "unknown", style: "red" }], `${hash} of ${new Date(when).toISOString()}`] as const,
              ),
              ...ledgers.map(({ table, entries }) => [
                "ledger",
                inCommandWords(
                  `${table}, ${entries} applied: see \`holdfast status --folder DIR --table ${shellWord(table)}\``,
                  context.url,
                ),
              ]),
            ],
          );
        });
    };
    await withReadable(context, read, { migrate: "skip" });
    return options.exitCode === true && !isUpToDate ? 1 : 0;
  },
};

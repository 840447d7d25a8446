import { status } from "../../migrate/index.js";
import type { Storage } from "../../storage/storage.js";
import type { CliCommand } from "../command.js";
import { addSetOptions, setOf } from "../migration-set.js";
import { withReadable } from "../target.js";

export const statusCommand: CliCommand = {
  usage: "status",
  summary: "show which migrations are applied, pending, changed or unknown",
  example: "status --url ./data/app.db",
  options: addSetOptions,
  async run(context, { options }) {
    const set = setOf(options);
    const read = async ({ client }: Storage) => {
      const found = await status(client, set);
      const { applied, pending, changed, unknown } = found;
      return () =>
        context.output.result(found, () => {
          context.output.table(
            ["state", "migration"],
            [
              ...applied.map((tag) => ["applied", tag]),
              ...changed.map((tag) => ["changed", tag]),
              ...pending.map((tag) => ["pending", tag]),
              ...unknown.map(({ hash, when }) => ["unknown", `${hash} of ${new Date(when).toISOString()}`]),
            ],
          );
        });
    };
    return withReadable(context, read, { migrate: "skip" });
  },
};

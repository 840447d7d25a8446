import { InvalidArgumentError } from "commander";
import { baseline } from "../../migrate/index.js";
import type { CliCommand } from "../command.js";
import { addSetOptions, requiredSetOf } from "../migration-set.js";
import { requireFile, withStorage } from "../target.js";

export const baselineCommand: CliCommand = {
  usage: "baseline",
  summary: "mark migrations as applied on a database that has their schema already",
  example: "baseline --folder ./drizzle --table app_migrations --to 0003_tags --url ./data/app.db",
  options(command) {
    addSetOptions(command);
    command.option("--to <tag>", "the last migration to mark");
  },
  async run(context, { options }) {
    const { to } = options as { to?: string };
    if (to === undefined) throw new InvalidArgumentError("Expected --to.");
    const set = requiredSetOf(options);
    requireFile(context);
    return withStorage(context, { migrate: "skip" }, async ({ client }) => {
      const result = await baseline(client, { ...set, to });
      context.output.result({ ...result, from: result.from ?? null, to: result.to ?? null }, () => {
        for (const tag of result.applied) context.output.line(`marked ${tag}`);
        if (result.applied.length === 0) context.output.line(`up to date at ${result.to ?? "no migration"}`);
      });
      return 0;
    });
  },
};

import { InvalidArgumentError } from "commander";
import { accept } from "../../migrate/index.js";
import type { CliCommand } from "../command.js";
import { addSetOptions, requiredSetOf } from "../migration-set.js";
import { requireFile, withStorage } from "../target.js";

export const acceptCommand: CliCommand = {
  usage: "accept",
  summary: "accept the text of an applied migration that was edited",
  example: "accept --folder ./drizzle --table app_migrations --tag 0003_tags --url ./data/app.db",
  options(command) {
    addSetOptions(command);
    command.option("--tag <tag>", "the migration that was edited");
  },
  async run(context, { options }) {
    const { tag } = options as { tag?: string };
    if (tag === undefined) throw new InvalidArgumentError("Expected --tag.");
    const set = requiredSetOf(options);
    requireFile(context);
    return withStorage(context, { migrate: "skip" }, async ({ client }) => {
      const result = await accept(client, { ...set, tag });
      context.output.result(result, () =>
        context.output.line(result.changed ? `accepted ${tag}` : `${tag} has not changed`),
      );
      return 0;
    });
  },
};

import { InvalidArgumentError } from "commander";
import { adopt } from "../../migrate/index.js";
import type { CliCommand } from "../command.js";
import { requireFile, withStorage } from "../target.js";

export const adoptCommand: CliCommand = {
  usage: "adopt",
  summary: "rename the ledger of an existing Drizzle application, so that Holdfast can share its database",
  example: "adopt --table app_migrations --url ./data/app.db",
  options(command) {
    command.option("--table <name>", "the ledger that the application's migrations get");
    command.option("--from <ledger>", "the ledger that they have (default: __drizzle_migrations)");
  },
  async run(context, { options }) {
    const { table, from } = options as { table?: string; from?: string };
    if (table === undefined) throw new InvalidArgumentError("Expected --table.");
    requireFile(context);
    return withStorage(context, { migrate: "skip" }, async ({ client }) => {
      const result = await adopt(client, { table, from });
      context.output.result(result, () =>
        context.output.line(`${result.from} is now ${table}, with ${result.entries} applied`),
      );
      return 0;
    });
  },
};

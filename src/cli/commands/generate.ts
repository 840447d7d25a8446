import { InvalidArgumentError } from "commander";
import { type GeneratedMigration, generate } from "../../migrate/generate/generate.js";
import type { CliCommand } from "../command.js";
import type { Output } from "../output.js";

export const generateCommand: CliCommand = {
  usage: "generate",
  summary: "write the next migration with the project's drizzle-kit, repaired, with a tested down file",
  example: "generate --folder ./drizzle --schema ./src/schema.ts --name add_tags",
  opensDatabase: false,
  options(command) {
    command.option("--folder <dir>", "the folder of the migrations");
    command.option("--schema <file>", "the Drizzle schema (default: drizzle-kit's config file)");
    command.option("--config <file>", "the config file of drizzle-kit, whose `out` is the folder");
    command.option("--name <name>", "the name of the migration, as in add_tags");
    command.option("--custom", "an empty migration, for SQL of your own");
  },
  async run({ output }, { options }) {
    const { folder, schema, config, name, custom } = options as Record<string, string | undefined>;
    if (folder === undefined) throw new InvalidArgumentError("Expected --folder.");
    if (schema !== undefined && config !== undefined) throw new InvalidArgumentError("Expected --schema or --config.");
    // drizzle-kit writes the journal before it fails to write a file of such a name.
    if (name !== undefined && !/^[\p{L}\p{N}_.-]+$/u.test(name)) {
      throw new InvalidArgumentError("Expected --name to be letters, digits, _, - and dots, as in add_tags.");
    }
    const generated = await generate({ folder, schema, config, name, custom: custom !== undefined });
    output.result({ generated }, () => {
      if (generated.length === 0) output.line(`no changes in ${folder}`);
      for (const one of generated) show(output, one);
    });
    return 0;
  },
};

function show(output: Output, { path, repaired, added, differences, down }: GeneratedMigration): void {
  output.line(`generated ${path}`);
  for (const note of repaired) output.line(`  ${note}`);
  for (const sql of added) output.line(`  added ${sql}`);
  for (const difference of differences) output.line(`  differs from the schema: ${difference}`);
  output.line(`${down.state === "unfinished" ? "to be written" : down.state} ${down.path}`);
  for (const note of down.notes) output.line(`  ${note}`);
}

import { InvalidArgumentError } from "commander";
import { hasConfig } from "../../migrate/generate/config.js";
import { type GeneratedMigration, generate } from "../../migrate/generate/generate.js";
import type { CliCommand } from "../command.js";
import type { Output } from "../output.js";

export const generateCommand: CliCommand = {
  usage: "generate",
  summary: "write the next migration with the project's drizzle-kit, repaired, with a tested down file",
  example: "generate --folder ./drizzle --schema ./src/schema.ts --name add_tags",
  opensDatabase: false,
  options(command) {
    command.option("--folder <dir>", "the folder of the migrations (default: the `out` of the config file)");
    command.option("--schema <file>", "the Drizzle schema (default: drizzle-kit's config file)");
    command.option("--config <file>", "the config file of drizzle-kit (default: drizzle.config.ts, .js or .json)");
    command.option("--name <name>", "the name of the migration, as in add_tags");
    command.option("--custom", "an empty migration, for SQL of your own");
    command.option("--drop-all", "accept a schema without tables, which drops all of them");
  },
  async run({ output }, { options }) {
    const { folder, schema, config, name, custom, dropAll } = options as Record<string, string | undefined>;
    if (folder === undefined && schema !== undefined) {
      throw new InvalidArgumentError("Expected --folder with --schema.");
    }
    if (folder === undefined && config === undefined && !hasConfig(process.cwd())) {
      throw new InvalidArgumentError(
        "Expected --folder and --schema, or a drizzle.config.ts, .js or .json in this folder.",
      );
    }
    if (schema !== undefined && config !== undefined) throw new InvalidArgumentError("Expected --schema or --config.");
    // drizzle-kit writes the journal before it fails to write a file of such a name.
    if (name !== undefined && !/^[\p{L}\p{N}_.-]+$/u.test(name)) {
      throw new InvalidArgumentError("Expected --name to be letters, digits, _, - and dots, as in add_tags.");
    }
    const isCustom = custom !== undefined;
    const result = await generate({ folder, schema, config, name, custom: isCustom, dropAll: dropAll !== undefined });
    const { generated } = result;
    output.result({ generated }, () => {
      if (generated.length === 0) output.line(`no changes in ${folder ?? result.folder}`);
      for (const one of generated) show(output, one);
    });
    return 0;
  },
};

function show(output: Output, { path, dropped, repaired, added, differences, down }: GeneratedMigration): void {
  output.line(`generated ${path}`);
  for (const table of dropped) output.line(`  drops the table ${table} with its rows`, "yellow");
  for (const note of repaired) output.line(`  ${note}`);
  for (const sql of added) output.line(`  added ${sql}`);
  for (const difference of differences) output.line(`  differs from the schema: ${difference}`);
  output.line(`${down.state === "unfinished" ? "to be written" : down.state} ${down.path}`);
  for (const note of down.notes) output.line(`  ${note}`);
}

import { type Command, InvalidArgumentError } from "commander";
import type { JournalOptions } from "../migrate/index.js";
import { OWN_MIGRATIONS } from "../schema/own-migrations.js";

type Options = Readonly<Record<string, unknown>>;

/** Declares the options that name migrations of your own. */
export function addSetOptions(command: Command): void {
  command.option("--folder <dir>", "migrations of your own, as drizzle-kit writes them");
  command.option("--table <name>", "their ledger");
}

/** The migrations that a command works on: those of the folder, or Holdfast's own. */
export function setOf(options: Options): JournalOptions {
  const { folder, table } = options as { folder?: string; table?: string };
  if (folder === undefined && table === undefined) return OWN_MIGRATIONS;
  return requiredSetOf(options);
}

/** The migrations of the folder. Holdfast's own are not for such a command. */
export function requiredSetOf(options: Options): JournalOptions {
  const { folder, table } = options as { folder?: string; table?: string };
  if (folder === undefined || table === undefined) throw new InvalidArgumentError("Expected --folder and --table.");
  return { folder, table };
}

import type { Client } from "@libsql/client";
import { type Command, InvalidArgumentError } from "commander";
import { type JournalOptions, readJournal } from "../migrate/index.js";
import { DEFAULT_TABLE } from "../migrate/options.js";
import { findOtherLedgers } from "../migrate/other-ledgers.js";
import { OWN_MIGRATIONS } from "../schema/own-migrations.js";
import { StorageError } from "../shared/errors.js";
import { shellWord } from "../shared/shell-word.js";

type Options = Readonly<Record<string, unknown>>;

/** Declares the options that name migrations of your own. */
export function addSetOptions(command: Command): void {
  command.option("--folder <dir>", "migrations of your own, as drizzle-kit writes them");
  command.option("--table <name>", "their ledger");
}

/** The migrations that a command works on: those of the folder, or Holdfast's own. */
export function setOf(options: Options): JournalOptions {
  const { folder, table } = options as { folder?: string; table?: string };
  if (folder === undefined && (table === undefined || table === DEFAULT_TABLE)) return OWN_MIGRATIONS;
  return requiredSetOf(options);
}

/** The migrations of the folder. Holdfast's own are not for such a command. */
export function requiredSetOf(options: Options): JournalOptions {
  const { folder, table } = options as { folder?: string; table?: string };
  if (folder === undefined || table === undefined) throw new InvalidArgumentError("Expected --folder and --table.");
  // A folder that is missing or malformed must not leave a new database behind.
  readJournal(folder);
  return { folder, table };
}

/** The migrations of the folder for a check, whose ledger may have the name that drizzle-kit gives it. */
export function checkedSetOf(options: Options): JournalOptions | undefined {
  const { folder, table } = options as { folder?: string; table?: string };
  if (folder === undefined && table !== undefined) throw new InvalidArgumentError("Expected --folder with --table.");
  return folder === undefined ? undefined : { folder, table };
}

/**
 * Throws FOREIGN_LEDGER if nothing names the migrations to revert, and the file has those of an application too: they
 * are probably meant, and Holdfast's tables would lose their rows.
 */
export async function assertMeant(client: Client, options: Options): Promise<void> {
  if (options.folder !== undefined || options.table !== undefined) return;
  const [other] = await findOtherLedgers(client);
  if (other === undefined) return;
  throw new StorageError(
    "FOREIGN_LEDGER",
    `The database also has the migrations of the ledger ${other.table}. Nothing was changed. To revert those, add --folder DIR --table ${shellWord(other.table)}; to revert Holdfast's own, add --table ${DEFAULT_TABLE}`,
  );
}

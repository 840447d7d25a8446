import type { Client } from "@libsql/client";
import { asStorageErrors } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { HOLDFAST_MIGRATIONS } from "../shared/holdfast-migrations.js";
import { expectArguments } from "./arguments.js";
import { commandOn } from "./command.js";
import { lookUp, type Standing } from "./decision.js";
import { type Journal, loadJournal } from "./journal.js";
import { clientQuery, type LedgerRow } from "./ledger.js";
import { type JournalOptions, type ResolvedJournalOptions, resolveJournalOptions } from "./options.js";
import { assertOurs, assertUnchanged, listTags } from "./plan.js";

/** The state of each migration, by tag, in the order of the journal. Each migration is in one of the lists. */
export interface MigrationStatus {
  readonly applied: string[];
  readonly pending: string[];
  /** Applied, and edited since. */
  readonly changed: string[];
  /** In the ledger, but not in the folder: from newer code, another branch or another program. */
  readonly unknown: LedgerRow[];
}

/** Compares the folder with the file. Changes nothing, and takes no lock. */
export async function status(client: Client, options: JournalOptions): Promise<MigrationStatus> {
  const { comparison } = await readStanding(client, readJournalOf("status", client, options));
  const tags = (migrations: Journal) => migrations.map(({ tag }) => tag);
  const { applied, pending, changed, unknown } = comparison;
  return { applied: tags(applied), pending: tags(pending), changed: tags(changed), unknown: [...unknown] };
}

/**
 * Resolves if the file has exactly the migrations of the folder. Changes nothing.
 *
 * Rejects with FOREIGN_LEDGER, MIGRATION_UNKNOWN, MIGRATION_CHANGED or MIGRATION_PENDING, checked in this order.
 */
export async function verify(client: Client, options: JournalOptions): Promise<void> {
  const source = readJournalOf("verify", client, options);
  const { comparison, hasOwnTables } = await readStanding(client, source);
  assertOurs(comparison, { ...source.resolved, hasOwnTables });
  assertUnchanged(comparison, source.resolved);
  const { pending } = comparison;
  if (pending.length === 0) return;
  const some = pending.length > 3 ? `${pending.length} migrations, from ${pending[0]!.tag} on,` : listTags(pending);
  const are = pending.length === 1 ? "is" : "are";
  throw new StorageError("MIGRATION_PENDING", `${some} ${are} not applied yet. ${advice(source.resolved)}`);
}

function advice(set: ResolvedJournalOptions): string {
  // The process of a check has a copy.
  if (set.migrations?.[0]?.sql === HOLDFAST_MIGRATIONS[0].sql) return "Run migrate() or `holdfast migrate`";
  const command = commandOn(set, "migrate");
  return command === undefined ? "Run migrate()" : `Run migrate(), ${command} or drizzle-kit migrate`;
}

/** Resolves to the tag of the last applied migration, in the order of the journal; undefined if none is applied. */
export async function currentVersion(client: Client, options: JournalOptions): Promise<string | undefined> {
  const { comparison } = await readStanding(client, readJournalOf("currentVersion", client, options));
  return comparison.last?.tag;
}

interface Source {
  readonly resolved: ResolvedJournalOptions;
  readonly journal: Journal;
}

function readJournalOf(name: string, client: Client, options: JournalOptions): Source {
  expectArguments(name, client, options);
  const resolved = resolveJournalOptions(name, options);
  return { resolved, journal: loadJournal(resolved) };
}

async function readStanding(client: Client, { resolved, journal }: Source): Promise<Standing> {
  return asStorageErrors(async () => {
    return await lookUp(clientQuery(client), journal, resolved);
  });
}

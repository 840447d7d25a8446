import type { Client } from "@libsql/client";
import { openMemoryClient } from "../client/local/open-local.js";
import { quoteName } from "../client/sql/quote.js";
import { asStorageErrors } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { expectKeys } from "../shared/known-keys.js";
import { expectArguments } from "./arguments.js";
import { commandOn } from "./command.js";
import { lookUp, type MigrateResult } from "./decision.js";
import { findDifferences } from "./differences.js";
import { migrationFailed } from "./failure.js";
import { loadJournal } from "./journal.js";
import { describeLacking, findLacking } from "./lacking.js";
import { clientQuery, createLedgerSql, hasNames, insertLedgerSql, readLedger } from "./ledger.js";
import { migrate } from "./migrate.js";
import {
  DEFAULT_TABLE,
  expectTable,
  type JournalOptions,
  type ResolvedJournalOptions,
  resolveJournalOptions,
} from "./options.js";
import { assertOurs, assertUnchanged, indexOf, isHoldfasts } from "./plan.js";
import { fold, SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import { readScript } from "./script.js";

/** The options of `adopt`. */
export interface AdoptOptions {
  /** The ledger that the application's migrations get. */
  readonly table: string;
  /** The ledger that they have. @default "__drizzle_migrations" */
  readonly from?: string | undefined;
}

/** The ledger that was taken over. */
export interface AdoptResult {
  readonly table: string;
  readonly from: string;
  /** How many applied migrations it has. */
  readonly entries: number;
}

/**
 * Takes over the ledger of an existing application: gives it another name, so that the application's migrations and
 * Holdfast's can share a file. Set the same name as `migrations.table` in drizzle.config.ts.
 *
 * Rejects with NOT_FOUND if there is no ledger `from`, EXISTS if there is a table `table`, FOREIGN_LEDGER if the ledger
 * is Holdfast's, and INVALID if it is not a ledger.
 */
export async function adopt(client: Client, options: AdoptOptions): Promise<AdoptResult> {
  expectArguments("adopt", client, options);
  expectKeys("adopt", options, ["table", "from"]);
  const { table, from = DEFAULT_TABLE } = options;
  expectTable("table", table);
  expectTable("from", from);
  const query = clientQuery(client);
  return asStorageErrors(async () => {
    const ledger = await readLedger(query, from);
    if (ledger === undefined) {
      throw new StorageError(
        "NOT_FOUND",
        `There is no ledger ${from} to adopt. Name the ledger of the application with \`from\``,
      );
    }
    if (isHoldfasts(ledger)) {
      throw new StorageError(
        "FOREIGN_LEDGER",
        `The ledger ${from} is Holdfast's, which keeps its name. Nothing was changed. Name the ledger of the application with \`from\``,
      );
    }
    const names = toSchema(await query(SCHEMA_QUERY)).map(({ name }) => fold(name));
    if (names.includes(fold(table))) {
      throw new StorageError(
        "EXISTS",
        `There is a table ${table} already. Nothing was changed. Choose another \`table\``,
      );
    }
    // A RENAME would fail because of any view that is broken.
    const withNames = await hasNames(query, from);
    const create = createLedgerSql(table, withNames).replace("IF NOT EXISTS ", "");
    const columns = withNames ? "hash, created_at, name, applied_at" : "hash, created_at";
    const copy = `INSERT INTO ${quoteName(table)} (${columns}) SELECT ${columns} FROM ${quoteName(from)} ORDER BY rowid`;
    await client.batch([create, copy, `DROP TABLE ${quoteName(from)}`], "write");
    return { table, from, entries: ledger.length };
  });
}

/**
 * Marks migrations as applied, up to `to`, on a database that has their schema already, and runs none of them.
 *
 * Rejects with MIGRATION_FAILED, and names what is missing or different, if the database lacks a table, column, index,
 * trigger or view that they create, or has it otherwise: another type, default or key, another foreign key or check, or
 * more columns. More tables do not matter. If the migrations cannot be applied to an empty database, only names count.
 */
export async function baseline(
  client: Client,
  options: JournalOptions & { readonly to: string },
): Promise<MigrateResult> {
  expectArguments("baseline", client, options);
  const resolved = resolveJournalOptions("baseline", options, ["to"]);
  const journal = loadJournal(resolved);
  const { table, folder } = resolved;
  const due = journal.slice(0, indexOf(journal, options.to, folder) + 1);
  const query = clientQuery(client);
  return asStorageErrors(async () => {
    const found = await lookUp(query, journal, resolved);
    assertOurs(found.comparison, { ...resolved, hasOwnTables: found.hasOwnTables });
    assertUnchanged(found.comparison, resolved);
    const schema = toSchema(await query(SCHEMA_QUERY));
    const scripts = due.map((migration) => readScript(migration));
    const refuse = (what: string, all: readonly string[], advice: string) => {
      const why = `the database ${what} ${all.slice(0, 5).join(", ")}${all.length > 5 ? ", …" : ""}. Nothing was changed. ${advice}`;
      throw migrationFailed({ migration: due.at(-1)! }, "cannot be marked as applied", { why });
    };
    const command = commandOn(resolved, "migrate");
    const missing = (await findLacking(query, schema, scripts)).map(describeLacking);
    if (missing.length > 0)
      refuse(
        "lacks",
        missing,
        `Choose an earlier migration, or apply them with migrate()${command === undefined ? "" : ` or ${command}`}`,
      );
    const pending = found.comparison.pending.filter((migration) => due.includes(migration));
    const last = journal.findLast((one) => one === found.comparison.last || due.includes(one));
    const wanted = pending.length === 0 ? undefined : await schemaAt(last!.tag, resolved);
    const differences = wanted === undefined ? [] : findDifferences(wanted, schema);
    if (differences.length > 0) {
      refuse("differs from the migrations in", differences, "Choose another migration, or change the database");
    }
    const withNames = await hasNames(query, table);
    await client.batch(
      [createLedgerSql(table), ...pending.map((migration) => insertLedgerSql(table, migration, withNames))],
      "write",
    );
    const to = journal.findLast((one) => one === found.comparison.last || pending.includes(one));
    return { applied: pending.map(({ tag }) => tag), from: found.comparison.last?.tag, to: to?.tag };
  });
}

/** The schema that the migrations build. Undefined if they cannot be applied to an empty database. */
async function schemaAt(to: string, { folder, migrations, table }: ResolvedJournalOptions) {
  const client = openMemoryClient();
  try {
    await migrate(client, { ...(migrations === undefined ? { folder } : { migrations }), table, to });
    return toSchema(await clientQuery(client)(SCHEMA_QUERY)).filter(({ name }) => fold(name) !== fold(table));
  } catch {
    // They may need tables of another set, or rows.
    return undefined;
  } finally {
    await client.close();
  }
}

/** The migration whose text was accepted. */
export interface AcceptResult {
  readonly tag: string;
  /** Whether the ledger had another checksum. */
  readonly changed: boolean;
}

/**
 * Accepts the text of an applied migration that was edited: gives the ledger its checksum, and runs nothing.
 *
 * Rejects with NOT_FOUND if there is no such migration, or it is not applied.
 */
export async function accept(
  client: Client,
  options: JournalOptions & { readonly tag: string },
): Promise<AcceptResult> {
  expectArguments("accept", client, options);
  const resolved = resolveJournalOptions("accept", options, ["tag"]);
  const journal = loadJournal(resolved);
  const { tag } = options;
  const migration = journal[indexOf(journal, tag, resolved.folder)]!;
  return asStorageErrors(async () => {
    const { comparison, hasOwnTables } = await lookUp(clientQuery(client), journal, resolved);
    if (comparison.isForeign) assertOurs(comparison, { ...resolved, hasOwnTables });
    const row = comparison.rowOf.get(migration);
    if (row === undefined) {
      throw new StorageError(
        "NOT_FOUND",
        `${tag} is not applied, so there is no checksum to accept. Nothing was changed`,
      );
    }
    if (row.hash === migration.hash) return { tag, changed: false };
    await client.execute({
      sql: `UPDATE ${quoteName(resolved.table)} SET hash = ? WHERE hash = ? AND created_at = ?`,
      args: [migration.hash, row.hash, row.when],
    });
    return { tag, changed: true };
  });
}

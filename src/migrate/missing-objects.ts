import type { Client } from "@libsql/client";
import { quoteName } from "../client/sql/quote.js";
import { poolOf } from "../client/storage-client.js";
import { toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { lookUp } from "./decision.js";
import { dependentIndexes, isFullText } from "./full-text.js";
import { type Journal, type Migration, readJournal } from "./journal.js";
import { clientQuery, type Query } from "./ledger.js";
import { lockedTurn } from "./lock.js";
import { fold, LostObjects, SCHEMA_QUERY, type SchemaObject, toSchema } from "./lost-objects.js";
import { guardMigrationLogger, type JournalOptions, type MigrateOptions, resolveJournalOptions } from "./options.js";
import { probes } from "./run-script.js";
import { readScript, type Script } from "./script.js";

/**
 * A trigger, full-text table or scratch table of triggers that applied migrations created and that is missing in the
 * file.
 */
export interface MissingObject {
  readonly type: "trigger" | "table";
  readonly name: string;
  /** The table that it belongs to, or indexes. */
  readonly table: string;
}

/**
 * Finds the triggers, full-text tables and scratch tables that the applied migrations created and that are missing in
 * the file. A table rebuild by another migrator drops triggers, and the full-text index then becomes stale without an
 * error. Changes nothing.
 */
export async function findMissingObjects(client: Client, options: JournalOptions): Promise<MissingObject[]> {
  const resolved = resolveJournalOptions("findMissingObjects", options);
  try {
    const { missing } = await compare(clientQuery(client), readJournal(resolved.folder), resolved);
    return missing.map(({ type, name, table }) => ({ type: type as MissingObject["type"], name, table }));
  } catch (error) {
    throw toStorageError(error);
  }
}

/**
 * Creates the missing objects again, and fills the full-text indexes that missed changes, in one transaction. It checks
 * again under the write lock. Resolves to the objects that were missing. A file without missing objects costs one read.
 *
 * Rejects with INVALID if a missing object no longer fits its table.
 */
export async function restoreMissingObjects(
  client: Client,
  options: JournalOptions & Pick<MigrateOptions, "lockTimeoutMs" | "logger">,
): Promise<MissingObject[]> {
  const resolved = resolveJournalOptions("restoreMissingObjects", options, ["lockTimeoutMs", "logger"]);
  const { lockTimeoutMs = 600_000 } = options;
  const logger = guardMigrationLogger(options.logger);
  const journal = readJournal(resolved.folder);
  try {
    const found = await compare(clientQuery(client), journal, resolved);
    if (found.missing.length === 0) return [];
    const pool = poolOf(client);
    let made = found;
    if (pool === undefined) await client.batch(repairs(found), "write").catch((error) => refuse(error, found));
    else {
      const purpose = `re-create ${list(found)}`;
      made = await lockedTurn(pool, [], { lockTimeoutMs, logger, purpose }, async (connection) => {
        const now = await compare((sql) => connection.query(sql), journal, resolved);
        try {
          for (const sql of repairs(now)) await connection.execOffThread(sql);
          for (const object of now.missing) for (const sql of probes(connection, object)) connection.exec(sql);
          connection.commit();
        } catch (error) {
          refuse(error, now);
        }
        return now;
      });
    }
    if (made.missing.length > 0) logger?.info(`Re-created objects that another migrator had lost: ${list(made)}`);
    return made.missing.map(({ type, name, table }) => ({ type: type as MissingObject["type"], name, table }));
  } catch (error) {
    throw toStorageError(error);
  }
}

/** A DELETE of all rows. The condition keeps SQLite from taking the shortcut that does not count changes. */
const EMPTIES = /\bDELETE\s+FROM\s+(["`]?\w+["`]?)\s*(?:WHERE\s+row_id\s+IS\s+NOT\s+NULL\s*)?;/gi;

interface Comparison {
  readonly schema: readonly SchemaObject[];
  readonly missing: readonly SchemaObject[];
}

async function compare(
  query: Query,
  journal: Journal,
  options: ReturnType<typeof resolveJournalOptions>,
): Promise<Comparison> {
  const { comparison } = await lookUp(query, journal, options);
  const schema = toSchema(await query(SCHEMA_QUERY));
  return { schema, missing: missingFrom(schema, comparison.applied) };
}

/** Follows the text of the migrations. Objects of a table that is gone do not count as missing. */
function missingFrom(schema: readonly SchemaObject[], applied: readonly Migration[]): SchemaObject[] {
  const objects = new LostObjects([]);
  const made = new Map<string, SchemaObject>();
  for (const { statements } of applied.map((migration) => ddlOf(migration))) {
    for (const statement of statements) {
      objects.note(statement);
      const { ddl, sql } = statement;
      if (ddl?.action === "drop" && ddl.type === "table") made.delete(fold(ddl.name));
      if (ddl?.action === "create" && ddl.type === "table") {
        made.set(fold(ddl.name), { type: "table", name: ddl.name, table: ddl.name, sql });
      }
    }
  }
  const tables = new Set(schema.filter(({ type }) => type === "table").map(({ name }) => fold(name)));
  const lost = objects.lost(schema).filter(({ type }) => type === "trigger");
  const triggers = [...schema.filter(({ type }) => type === "trigger"), ...lost];
  const missing = [...made.values()].filter(
    ({ name, sql }) => !tables.has(fold(name)) && (isFullText(sql) || isScratch(name, triggers)),
  );
  return [...missing, ...lost];
}

/**
 * Whether a trigger empties the table, so that its content lasts only for a statement. Such a table may be created
 * again.
 */
function isScratch(name: string, triggers: readonly SchemaObject[]): boolean {
  return triggers.some(({ sql }) =>
    [...sql.matchAll(EMPTIES)].some(([, table]) => fold(table!.replace(/["`]/g, "")) === fold(name)),
  );
}

const scripts = new Map<string, Script>();

/** Parsed once per process, by hash: the text of an applied migration does not change. */
function ddlOf(migration: Migration): Script {
  const known = scripts.get(migration.hash);
  if (known !== undefined) return known;
  const script = readScript(migration);
  scripts.set(migration.hash, script);
  return script;
}

function repairs({ schema, missing }: Comparison): string[] {
  const stale = dependentIndexes([...schema, ...missing.filter(({ type }) => type === "table")], missing);
  return [
    ...missing.map(({ sql }) => sql),
    ...stale.map((name) => `INSERT INTO ${quoteName(name)}(${quoteName(name)}) VALUES('rebuild')`),
  ];
}

function refuse(error: unknown, { missing }: Pick<Comparison, "missing">): never {
  throw new StorageError(
    "INVALID",
    `The file has lost ${list({ missing })}, and it cannot be created again: ${(error as Error).message}. Drop or replace it in a migration`,
    { cause: error },
  );
}

function list({ missing }: Pick<Comparison, "missing">): string {
  return missing.map(({ type, name }) => `the ${type} ${name}`).join(", ");
}

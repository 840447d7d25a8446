import type { Client } from "@libsql/client";
import { quoteName } from "../client/sql/quote.js";
import { poolOf } from "../client/storage-client.js";
import { asStorageErrors, toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { HOLDFAST_MIGRATIONS, HOLDFAST_OBJECTS } from "../shared/holdfast-migrations.js";
import { LruCache } from "../shared/lru-cache.js";
import { expectArguments } from "./arguments.js";
import { findBroken } from "./compile.js";
import { completeOn } from "./complete.js";
import { lookUp } from "./decision.js";
import { contentOf, dependentIndexes, fillSql, isFullText } from "./full-text.js";
import { type Journal, loadJournal, type Migration } from "./journal.js";
import { clientQuery, type Query } from "./ledger.js";
import { lockedTurn } from "./lock.js";
import { MemorySchema } from "./memory-schema.js";
import { guardMigrationLogger, type JournalOptions, type MigrateOptions, resolveJournalOptions } from "./options.js";
import { fold, keyOf, mentions, relations, SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";
import { readScript, type Script } from "./script.js";

/**
 * A trigger, full-text table or table that triggers write to, which applied migrations created and which is missing in
 * the file.
 */
export interface MissingObject {
  readonly type: "trigger" | "table";
  readonly name: string;
  /** The table that it belongs to, or indexes. */
  readonly table: string;
  /** Set if it cannot be created again: a later migration has removed what it needs. */
  readonly unfit?: {
    readonly why: string;
    /** Its CREATE statement. */
    readonly sql: string;
  };
}

/**
 * Finds the triggers, full-text tables and tables of triggers that the applied migrations created and that are missing
 * in the file. A table rebuild by another migrator drops triggers, and the full-text index then becomes stale without an
 * error. Changes nothing.
 */
export async function findMissingObjects(client: Client, options: JournalOptions): Promise<MissingObject[]> {
  expectArguments("findMissingObjects", client, options);
  const resolved = resolveJournalOptions("findMissingObjects", options);
  return asStorageErrors(async () => {
    const { missing, unfit } = await compare(clientQuery(client), loadJournal(resolved), resolved);
    return [
      ...missing.map(toMissing),
      ...unfit.map(({ object, why }) => ({ ...toMissing(object), unfit: { why, sql: object.sql } })),
    ];
  });
}

/**
 * Creates the missing objects again, and fills the full-text indexes that missed changes, in one transaction. It checks
 * again under the write lock. Resolves to the objects that it created. A file without missing objects costs one read.
 *
 * Leaves out what no longer fits its table, because a migration removed a column that it uses: `findMissingObjects`
 * and the log say why. A migration that drops or replaces such an object settles it.
 */
export function restoreMissingObjects(
  client: Client,
  options: JournalOptions & Pick<MigrateOptions, "lockTimeoutMs" | "logger">,
): Promise<MissingObject[]> {
  return restoreObjects(client, options);
}

/** The statements that follow in the transaction that creates `made`, if the file then has the tables that `has` knows. */
type AlsoRun = (made: readonly MissingObject[], has: (table: string) => boolean) => readonly string[];

/** As `restoreMissingObjects`. */
export async function restoreObjects(
  client: Client,
  options: Parameters<typeof restoreMissingObjects>[1],
  alsoRun: AlsoRun = () => [],
): Promise<MissingObject[]> {
  expectArguments("restoreMissingObjects", client, options);
  const resolved = resolveJournalOptions("restoreMissingObjects", options, ["lockTimeoutMs", "logger"]);
  const { lockTimeoutMs = 600_000 } = options;
  const logger = guardMigrationLogger(options.logger);
  const journal = loadJournal(resolved);
  return asStorageErrors(async () => {
    const found = await compare(clientQuery(client), journal, resolved);
    for (const { object, why } of found.unfit) {
      logger?.info(`${unfitMessage(toMissing(object), why)}. It was: ${object.sql}`);
    }
    if (found.missing.length === 0) return [];
    const pool = poolOf(client);
    let made = found;
    if (pool === undefined) await client.batch(repairs(found, alsoRun), "write").catch((error) => refuse(error, found));
    else {
      const purpose = `re-create ${list(found)}`;
      made = await lockedTurn(pool, { lockTimeoutMs, logger, purpose }, async (connection) => {
        const now = await compare((sql) => connection.query(sql), journal, resolved);
        try {
          for (const sql of repairs(now, alsoRun)) await connection.execOffThread(sql);
          connection.commit();
        } catch (error) {
          refuse(error, now);
        }
        return now;
      });
    }
    if (made.missing.length > 0) logger?.info(`Re-created objects that another migrator had lost: ${list(made)}`);
    return made.missing.map(toMissing);
  });
}

/** A DELETE of all rows. The condition keeps SQLite from taking the shortcut that does not count changes. */
const EMPTIES = /\bDELETE\s+FROM\s+(["`]?\w+["`]?)\s*(?:WHERE\s+row_id\s+IS\s+NOT\s+NULL\s*)?;/gi;

/** Says about a missing object that it was not created again, why, and what to do. */
export function unfitMessage({ type, name, table }: MissingObject, why: string): string {
  return `The ${type} ${name} of ${table} is missing, and no longer fits: ${why}. Another migrator lost it in a rebuild. Create it in its new form, or drop it (DROP ${type.toUpperCase()} IF EXISTS), in a migration`;
}

interface Comparison {
  readonly schema: readonly SchemaObject[];
  /** The missing objects that can be created again. */
  readonly missing: readonly SchemaObject[];
  readonly unfit: readonly { readonly object: SchemaObject; readonly why: string }[];
}

async function compare(
  query: Query,
  journal: Journal,
  options: ReturnType<typeof resolveJournalOptions>,
): Promise<Comparison> {
  const { comparison } = await lookUp(query, journal, options);
  const schema = toSchema(await query(SCHEMA_QUERY));
  const missing = missingFrom(schema, comparison.applied);
  const unfit = findUnfit(schema, missing);
  const isFit = (object: SchemaObject) => !unfit.some((one) => one.object === object);
  return { schema, missing: missing.filter(isFit), unfit };
}

/**
 * The missing objects that SQLite would refuse, and triggers that write to the same full-text index as one of them: an
 * index that only some of its triggers keep becomes malformed.
 */
function findUnfit(schema: readonly SchemaObject[], missing: readonly SchemaObject[]): Comparison["unfit"] {
  const unfit = new Map<SchemaObject, string>();
  if (missing.length === 0) return [];
  const indexes = [...schema, ...missing].filter(({ type, sql }) => type === "table" && isFullText(sql));
  for (let size = -1; size !== unfit.size; ) {
    size = unfit.size;
    const left = missing.filter((object) => !unfit.has(object));
    const broken = findBroken(withMissing(schema, left));
    for (const object of left) {
      const found = broken.find((one) => one.type !== "foreign key" && keyOf(one) === keyOf(object));
      const partners = [...unfit.keys()];
      const index = indexes.find(
        ({ name }) => mentions(object.sql, name) && partners.some(({ sql }) => mentions(sql, name)),
      );
      if (found !== undefined) unfit.set(object, found.why);
      else if (object.type === "trigger" && index !== undefined) {
        unfit.set(object, `it writes to ${index.name}, as does another trigger that no longer fits`);
      }
    }
  }
  return [...unfit].map(([object, why]) => ({ object, why }));
}

/** The schema with missing objects, in place of those that have lost their content. */
function withMissing(schema: readonly SchemaObject[], missing: readonly SchemaObject[]): SchemaObject[] {
  const replaced = new Set(missing.map(keyOf));
  return [...schema.filter((object) => !replaced.has(keyOf(object))), ...missing];
}

function toMissing({ type, name, table }: SchemaObject): MissingObject {
  return { type: type as MissingObject["type"], name, table };
}

/**
 * Compares the file with the result of the applied migrations. Objects of a table that is gone do not count as missing.
 */
function missingFrom(schema: readonly SchemaObject[], applied: readonly Migration[]): SchemaObject[] {
  if (!isSuspect(schema, applied)) return [];
  const expected = expectedSchema(schema, applied.map(ddlOf));
  const present = new Set(schema.map(keyOf));
  const triggers = expected.filter((object) => object.type === "trigger" && !present.has(keyOf(object)));
  const all = [...schema, ...triggers].filter(({ type }) => type === "trigger");
  const isOwn = applied[0]?.sql === HOLDFAST_MIGRATIONS[0].sql;
  const tables = expected.filter((object) => {
    if (object.type !== "table") return false;
    const own = schema.find((one) => keyOf(one) === keyOf(object));
    if (own !== undefined) return hasLostContent(schema, own);
    return isFullText(object.sql) || isScratch(object.name, all) || (isOwn && HOLDFAST_DERIVED.has(fold(object.name)));
  });
  const stands = relations([...schema, ...tables]);
  return [...tables, ...triggers.filter(({ table }) => stands.has(fold(table)))];
}

/**
 * Tables of this package that follow from others: their triggers fill them again, and `noteMissed` has all rows indexed
 * again.
 */
const HOLDFAST_DERIVED: ReadonlySet<string> = new Set(["search_backlog", "vector_versions"]);

/** Whether an object that the text of the migrations creates is not in the file. Every open asks this. */
function isSuspect(schema: readonly SchemaObject[], applied: readonly Migration[]): boolean {
  const present = new Set(schema.map(keyOf));
  const named = areHoldfasts(applied) ? HOLDFAST_OBJECTS : [...namedBy(applied)];
  return named.some((key) => !present.has(key)) || schema.some((object) => hasLostContent(schema, object));
}

function areHoldfasts(applied: readonly Migration[]): boolean {
  const isOwn = ({ sql }: Migration, index: number) => sql === HOLDFAST_MIGRATIONS[index]?.sql;
  return applied.length === HOLDFAST_MIGRATIONS.length && applied.every(isOwn);
}

/** The tables and triggers that migrations leave, by their text. */
function namedBy(applied: readonly Migration[]): Set<string> {
  const named = new Set<string>();
  for (const { statements } of applied.map(ddlOf)) {
    for (const { ddl } of statements) {
      if (ddl?.action === "create" && (ddl.type === "trigger" || ddl.type === "table")) named.add(keyOf(ddl));
      if (ddl?.action === "drop") named.delete(keyOf(ddl));
      // The last step of a rebuild.
      if (ddl?.action === "rename" && named.delete(`table ${fold(ddl.from)}`)) named.add(`table ${fold(ddl.to)}`);
    }
  }
  return named;
}

/** Whether a full-text table names a content table that was renamed. */
function hasLostContent(schema: readonly SchemaObject[], { type, sql }: SchemaObject): boolean {
  if (type !== "table" || !isFullText(sql)) return false;
  const content = contentOf(sql);
  return content !== "" && !relations(schema).has(content);
}

interface ExpectedObject extends SchemaObject {
  /** The columns of a table. */
  readonly columns: readonly string[];
}

const expectations = new LruCache<readonly ExpectedObject[]>({ max: 8 });

/**
 * The objects that the applied migrations create if nothing is lost. They run in memory, next to the tables of the file
 * that they do not create, so that SQLite follows their renames.
 */
export function expectedSchema(schema: readonly SchemaObject[], scripts: readonly Script[]): readonly ExpectedObject[] {
  const created = scripts
    .flatMap(({ statements }) => statements)
    .flatMap(({ ddl, sql }) => {
      if (ddl?.action === "rename") return [{ name: fold(ddl.to), isFullText: false }];
      return ddl?.action === "create" ? [{ name: fold(ddl.name), isFullText: isFullText(sql) }] : [];
    });
  const isCreated = ({ name }: SchemaObject) =>
    created.some((one) => one.name === fold(name) || (one.isFullText && fold(name).startsWith(`${one.name}_`)));
  const others = schema.filter((object) => (object.type === "table" || object.type === "view") && !isCreated(object));
  const key = [...scripts.map(({ migration }) => migration.hash), ...others.map(({ sql }) => sql)].join("\0");
  const known = expectations.get(key);
  if (known !== undefined) return known;
  const memory = new MemorySchema(others);
  for (const script of scripts) {
    for (const _ of completeOn(memory, script, { judge: () => "drop" })) {
      // Runs on `memory` while it is read.
    }
  }
  const expected = memory.read().map((object) => ({ ...object, columns: columnsOf(memory, object) }));
  memory.close();
  expectations.set(key, expected);
  return expected;
}

function columnsOf(memory: MemorySchema, { type, name }: SchemaObject): string[] {
  if (type !== "table") return [];
  return memory.query(`PRAGMA table_xinfo(${quoteName(name)})`).map((row) => String(row[1]));
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

function repairs({ schema, missing }: Comparison, alsoRun: AlsoRun): string[] {
  const replaced = new Set(missing.map(keyOf));
  const made = withMissing(schema, missing);
  return [
    ...schema
      .filter((object) => replaced.has(keyOf(object)))
      .map(({ type, name }) => `DROP ${type.toUpperCase()} ${quoteName(name)}`),
    ...missing.map(({ sql }) => sql),
    ...dependentIndexes(made, missing).map(fillSql),
    ...alsoRun(missing.map(toMissing), (table) => relations(made).has(table)),
  ];
}

function refuse(error: unknown, { missing }: Pick<Comparison, "missing">): never {
  const failure = toStorageError(error);
  if (failure instanceof StorageError) throw failure;
  throw new StorageError(
    "INVALID",
    `The file has lost ${list({ missing })}, and it cannot be created again: ${(error as Error).message}. Drop or replace it in a migration`,
    { cause: error },
  );
}

function list({ missing }: Pick<Comparison, "missing">): string {
  return missing.map(({ type, name }) => `the ${type} ${name}`).join(", ");
}

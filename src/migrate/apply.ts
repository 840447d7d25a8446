import { mayCreateTemporary } from "../client/bound-statement.js";
import type { Connection } from "../client/connection.js";
import { rollBackAfter } from "../client/connection.js";
import type { ConnectionPool } from "../client/connection-pool.js";
import { backUpLocked, holdsRows } from "./backup.js";
import { decide, type MigrateResult, resultOf } from "./decision.js";
import { migrationFailed } from "./failure.js";
import { findViolations, newViolations, type Violation } from "./foreign-keys.js";
import { rebuildIndexesSql } from "./full-text.js";
import { type Journal, type Migration, readSnapshotIndexes } from "./journal.js";
import { createLedgerSql, insertLedgerSql, quoteName } from "./ledger.js";
import { waitForLock } from "./lock.js";
import { fold, LostObjects, SCHEMA_QUERY, type SchemaObject, toSchema } from "./lost-objects.js";
import type { ResolvedMigrateOptions } from "./options.js";
import { listTags } from "./plan.js";
import type { MigrationStatement, Script } from "./script.js";

/**
 * Applies what is pending to a local file, in one transaction, as a turn of its writer.
 *
 * The ledger is read with the write lock held: of many processes one applies, and the others find it done.
 * `scripts` holds everything that may turn out to be pending, in order. A failure leaves file and ledger as before.
 */
export function applyLocally(
  pool: ConnectionPool,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult> {
  return pool.writer.turn(async (connection) => {
    const restoreSettings = keepSettings(connection, ["foreign_keys", ...scripts.flatMap(({ settings }) => settings)]);
    // Within a transaction this does nothing, and with it on, the DROP of a rebuild deletes all cascade children.
    connection.exec("PRAGMA foreign_keys = OFF");
    try {
      const purpose = listTags(scripts.map(({ migration }) => migration));
      await waitForLock(pool, connection, { timeoutMs: options.lockTimeoutMs, logger: options.logger, purpose });
      return await applyLocked(pool, connection, journal, scripts, options);
    } finally {
      rollBackAfter(connection);
      restoreSettings();
    }
  });
}

async function applyLocked(
  pool: ConnectionPool,
  connection: Connection,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult> {
  const { logger, table, folder } = options;
  const decision = await decide((sql) => connection.query(sql), journal, options);
  const due = scripts.filter(({ migration }) => decision.pending.includes(migration));
  const first = due[0];
  if (first === undefined) return resultOf(journal, decision, []);
  const backup = await backUpIfDue(pool, connection, first.migration, options);
  const pending = due.map(({ migration }) => migration);
  await options.before({ pending: pending.map(({ tag }) => tag), backup });
  connection.exec(createLedgerSql(table));
  const start = performance.now();
  const violations = findViolations(connection);
  for (const script of due) {
    await applyScript(connection, script, { folder, violations });
    connection.exec(insertLedgerSql(table, script.migration));
  }
  commit(connection, due.at(-1)!.migration);
  pool.noteTemporaryTables(
    connection,
    pending.some(({ sql }) => mayCreateTemporary(sql)),
  );
  pool.writer.countCommit();
  logger?.info(`Applied ${listTags(pending)} to ${pool.options.path} in ${Math.round(performance.now() - start)} ms`);
  return { ...resultOf(journal, decision, pending), ...(backup === undefined ? {} : { backup }) };
}

async function backUpIfDue(
  pool: ConnectionPool,
  connection: Connection,
  { tag }: Migration,
  { backupTo, logger }: ResolvedMigrateOptions,
): Promise<string | undefined> {
  if (backupTo === undefined || pool.options.isMemory || !holdsRows(connection)) return undefined;
  try {
    const backup = await backUpLocked(pool, backupTo, tag);
    logger?.info(`Backed up ${pool.options.path} to ${backup} before ${tag}`);
    return backup;
  } catch (error) {
    throw migrationFailed(tag, `was not applied, since the backup to ${backupTo} failed`, { cause: error });
  }
}

interface ScriptContext {
  readonly folder: string;
  /** What `foreign_key_check` said before; brought up to date by each script. */
  readonly violations: Violation[];
}

async function applyScript(connection: Connection, script: Script, context: ScriptContext): Promise<void> {
  const { tag } = script.migration;
  const objects = new LostObjects(readSchema(connection));
  for (const statement of script.statements) {
    try {
      for (const sql of objects.note(statement)) connection.exec(sql);
      await runStatement(connection, statement);
    } catch (error) {
      throw migrationFailed(tag, "failed", { at: statement, cause: error });
    }
    if (!connection.inTransaction)
      throw migrationFailed(tag, "ended the transaction that it runs in", { at: statement });
  }
  restoreLost(connection, tag, objects.lost(readSchema(connection)), context.folder);
  const schema = readSchema(connection);
  for (const sql of rebuildIndexesSql(schema, objects.rebuilt(schema))) {
    await connection.execOffThread(sql).catch((error) => {
      throw migrationFailed(tag, `leaves a full-text index that does not fit its table (${sql})`, { cause: error });
    });
  }
  checkForeignKeys(connection, script, context.violations, objects.touched);
}

async function runStatement(connection: Connection, { sql, ddl }: MigrationStatement): Promise<void> {
  // What only writes the schema is done sooner than a thread is found for it.
  const isQuick = ddl?.action === "create" && ddl.type !== "index" && !/\bAS\b/i.test(sql);
  if (isQuick) connection.exec(sql);
  else await connection.execOffThread(sql);
}

/** Makes again what rebuilds lost, and proves that it still fits its tables: SQLite itself looks only when it is used. */
function restoreLost(connection: Connection, tag: string, lost: readonly SchemaObject[], folder: string): void {
  const hasIndexes = lost.some(({ type }) => type === "index");
  // drizzle-kit drops an index by not making it again after the rebuild, so those of its own are no loss.
  const managed = hasIndexes ? readSnapshotIndexes(folder) : new Set<string>();
  const wanted = lost.filter(({ type, name }) => type !== "index" || !managed.has(fold(name)));
  const attempt = ({ type, name }: SchemaObject, sql: string) => {
    try {
      connection.exec(sql);
    } catch (error) {
      const what = `loses the ${type} ${name} by rebuilding a table, and it does not fit any more; drop or replace it in the migration`;
      throw migrationFailed(tag, what, { cause: error });
    }
  };
  for (const object of wanted) attempt(object, object.sql);
  for (const object of wanted) for (const sql of probes(connection, object)) attempt(object, sql);
}

/** Statements that compile an object without running it. */
function probes(connection: Connection, { type, name, table }: SchemaObject): string[] {
  if (type === "view") return [`EXPLAIN SELECT * FROM ${quoteName(name)}`];
  if (type !== "trigger") return [];
  const target = quoteName(table);
  const isTable = readSchema(connection).some((object) => object.type === "table" && fold(object.name) === fold(table));
  if (!isTable) return [];
  const columns = connection.query(`PRAGMA table_xinfo(${target})`).filter((column) => column[6] === 0n);
  const assignments = columns.map((column) => `${quoteName(String(column[1]))} = ${quoteName(String(column[1]))}`);
  return [
    `EXPLAIN INSERT INTO ${target} DEFAULT VALUES`,
    `EXPLAIN UPDATE ${target} SET ${assignments.join(", ")}`,
    `EXPLAIN DELETE FROM ${target}`,
  ];
}

function checkForeignKeys(
  connection: Connection,
  { migration, statements }: Script,
  violations: Violation[],
  touched: ReadonlySet<string>,
): void {
  const renames = statements.flatMap(({ ddl }) => (ddl?.action === "rename" ? [ddl] : []));
  const now = findViolations(connection);
  const added = newViolations(violations, now, touched, renames);
  if (added.length > 0) {
    const list = added.map(({ table, rows }) => `${rows} ${rows === 1 ? "row" : "rows"} of ${table}`).join(", ");
    throw migrationFailed(migration.tag, `would leave ${list} without the row that a foreign key refers to`);
  }
  violations.splice(0, violations.length, ...now);
}

function commit(connection: Connection, { tag }: Migration): void {
  try {
    connection.exec("COMMIT");
  } catch (error) {
    throw migrationFailed(tag, "could not be committed", { cause: error });
  }
}

function readSchema(connection: Connection): SchemaObject[] {
  return toSchema(connection.query(SCHEMA_QUERY));
}

/** Remembers settings of the connection; the returned function puts them back, outside of a transaction. */
function keepSettings(connection: Connection, names: readonly string[]): () => void {
  const values = [...new Set(names)].map((name) => [name, connection.query(`PRAGMA ${name}`)[0]?.[0]] as const);
  return () => {
    // One that could not even roll back is replaced at the end of the turn.
    if (connection.isClosed || connection.inTransaction) return;
    for (const [name, value] of values) connection.exec(`PRAGMA ${name} = ${value}`);
  };
}

import type { Connection } from "../client/local/connection.js";
import { quoteName } from "../client/sql/quote.js";
import { migrationFailed } from "./failure.js";
import { findViolations, newViolations, type Violation } from "./foreign-keys.js";
import { rebuildIndexesSql } from "./full-text.js";
import { readSnapshotIndexes } from "./journal.js";
import { fold, LostObjects, SCHEMA_QUERY, type SchemaObject, toSchema } from "./lost-objects.js";
import type { MigrationStatement, Script } from "./script.js";

export interface ScriptContext {
  readonly folder: string;
  /** The result of `foreign_key_check` before the script. Each script updates it. */
  readonly violations: Violation[];
}

/**
 * Runs a migration or a down file within the open transaction of the connection, and repairs what it breaks: re-creates
 * lost triggers, views and indexes, and fills the full-text indexes of rebuilt tables.
 *
 * Throws MIGRATION_FAILED also if the script would leave a foreign key without its row.
 */
export async function runScript(connection: Connection, script: Script, context: ScriptContext): Promise<void> {
  const objects = new LostObjects(readSchema(connection));
  for (const statement of script.statements) {
    try {
      for (const sql of objects.note(statement)) connection.exec(sql);
      await runStatement(connection, statement);
    } catch (error) {
      throw migrationFailed(script, "failed", { at: statement, cause: error });
    }
    if (!connection.inTransaction) throw migrationFailed(script, "ended its own transaction", { at: statement });
  }
  restoreLost(connection, script, objects.lost(readSchema(connection)), context.folder);
  const schema = readSchema(connection);
  for (const sql of rebuildIndexesSql(schema, objects.rebuilt(schema))) {
    await connection.execOffThread(sql).catch((error) => {
      throw migrationFailed(script, `leaves a full-text index that does not match its table (${sql})`, {
        cause: error,
      });
    });
  }
  checkForeignKeys(connection, script, context.violations, objects.touched);
}

async function runStatement(connection: Connection, { sql, ddl }: MigrationStatement): Promise<void> {
  // A statement that only writes the schema takes less time than handing it to another thread.
  const isQuick = ddl?.action === "create" && ddl.type !== "index" && !/\bAS\b/i.test(sql);
  if (isQuick) connection.exec(sql);
  else await connection.execOffThread(sql);
}

/**
 * Re-creates objects that rebuilds lost, and checks that they still fit their tables, because SQLite checks only on
 * use.
 */
function restoreLost(connection: Connection, script: Script, lost: readonly SchemaObject[], folder: string): void {
  const hasIndexes = lost.some(({ type }) => type === "index");
  // drizzle-kit drops an index by not re-creating it after the rebuild, so an index that it manages is not lost.
  const managed = hasIndexes ? readSnapshotIndexes(folder) : new Set<string>();
  const wanted = lost.filter(({ type, name }) => type !== "index" || !managed.has(fold(name)));
  const attempt = ({ type, name }: SchemaObject, sql: string) => {
    try {
      connection.exec(sql);
    } catch (error) {
      const what = `loses the ${type} ${name} by rebuilding a table, and the ${type} no longer fits the new table; drop or replace it in the migration`;
      throw migrationFailed(script, what, { cause: error });
    }
  };
  for (const object of wanted) attempt(object, object.sql);
  for (const object of wanted) for (const sql of probes(connection, object)) attempt(object, sql);
}

/** Statements that compile an object without running it. */
export function probes(connection: Connection, { type, name, table }: SchemaObject): string[] {
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
  script: Script,
  violations: Violation[],
  touched: ReadonlySet<string>,
): void {
  const renames = script.statements.flatMap(({ ddl }) => (ddl?.action === "rename" ? [ddl] : []));
  const now = findViolations(connection);
  const added = newViolations(violations, now, touched, renames);
  if (added.length > 0) {
    const list = added.map(({ table, rows }) => `${rows} ${rows === 1 ? "row" : "rows"} of ${table}`).join(", ");
    throw migrationFailed(script, `would leave ${list} without the row that a foreign key refers to`);
  }
  violations.splice(0, violations.length, ...now);
}

function readSchema(connection: Connection): SchemaObject[] {
  return toSchema(connection.query(SCHEMA_QUERY));
}

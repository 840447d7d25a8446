import type { Connection } from "../client/local/connection.js";
import { Cascades } from "./cascades.js";
import type { ScriptResult } from "./compile.js";
import { MigrationError, migrationFailed } from "./failure.js";
import { findViolations, type NewViolations, newViolations, type Renames, type Violation } from "./foreign-keys.js";
import { type Addition, Rebuilds } from "./rebuilds.js";
import { SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";
import type { MigrationStatement, Script } from "./script.js";
import type { IndexJudge } from "./snapshots.js";

export interface ScriptContext {
  readonly judge: IndexJudge;
  /** The result of `foreign_key_check` before the script. Each script updates it. */
  readonly violations: Violation[];
  /** Called with each statement before it runs, the added ones too. */
  readonly onRun?: (sql: string) => void;
  /** Called instead of failing if rows would be left without the row that a foreign key refers to. */
  readonly onOrphans?: (orphans: readonly NewViolations[]) => void;
}

/**
 * Runs a migration or a down file within the open transaction of the connection, and keeps what its rebuilds and
 * renames would lose: triggers, views, indexes, full-text contents and the counters of AUTOINCREMENT.
 *
 * Throws MIGRATION_FAILED also if the script would leave a foreign key without its row. Whether everything still
 * compiles is for the caller to check with the result.
 */
export async function runScript(connection: Connection, script: Script, context: ScriptContext): Promise<ScriptResult> {
  const { judge, onRun } = context;
  const query = (sql: string) => connection.query(sql);
  const rebuilds = rebuildsOf(script, judge, query);
  const cascades = new Cascades(query);
  const { statements } = script;
  for (const [index, statement] of statements.entries()) {
    try {
      for (const { sql } of cascades.before(statement)) run(sql);
      for (const { sql } of rebuilds.before(statements, index)) run(sql);
      onRun?.(statement.sql);
      await runStatement(connection, statement);
      for (const { sql } of rebuilds.after()) run(sql);
    } catch (error) {
      if (error instanceof MigrationError) throw error;
      throw migrationFailed(script, "failed", { at: statement, cause: error });
    }
    if (!connection.inTransaction) throw migrationFailed(script, "ended its own transaction", { at: statement });
  }
  for (const { sql } of cascades.end()) run(sql);
  for (const addition of rebuilds.end()) {
    onRun?.(addition.sql);
    await connection.execOffThread(addition.sql).catch((error) => {
      throw lossFailed(script, addition, error);
    });
  }
  const renames = renamesOf(script);
  checkForeignKeys(connection, script, context, rebuilds.touched, renames);
  return { script, schema: toSchema(query(SCHEMA_QUERY)), restored: rebuilds.restored, renames };

  function run(sql: string): void {
    onRun?.(sql);
    connection.exec(sql);
  }
}

/** The table renames of a script. */
export function renamesOf({ statements }: Script): Renames {
  return statements.flatMap(({ ddl }) => (ddl?.action === "rename" ? [ddl] : []));
}

/** The rebuilds of a script. They refuse to guess whether an index that a rebuild does not re-create should exist. */
export function rebuildsOf(script: Script, judge: IndexJudge, query: (sql: string) => unknown[][]): Rebuilds {
  const refuse = ({ name, table }: SchemaObject): never => {
    throw migrationFailed(
      script,
      `drops the index ${name} by rebuilding ${table}, and nothing tells whether it should exist afterwards: the migrations come without snapshots. Ship drizzle-kit's meta folder with them (in code: \`snapshot\`), or say it in the migration: CREATE INDEX after the rebuild to keep it, DROP INDEX before the rebuild to drop it`,
    );
  };
  return new Rebuilds({ query, judge: (index) => judge(index, script), refuse });
}

/** The failure of a statement that was added to keep an object. */
export function lossFailed(script: Script, { sql, object }: Addition, cause: unknown): MigrationError {
  const { type, name } = object;
  const what =
    type === "table"
      ? `leaves a full-text index that does not match its table (${sql})`
      : `loses the ${type} ${name} by rebuilding a table, and the ${type} no longer fits the new table; drop or replace it in the migration`;
  return migrationFailed(script, what, { cause });
}

async function runStatement(connection: Connection, { sql, ddl }: MigrationStatement): Promise<void> {
  // A statement that only writes the schema takes less time than handing it to another thread.
  const isQuick = ddl?.action === "create" && ddl.type !== "index" && !/\bAS\b/i.test(sql);
  if (isQuick) connection.exec(sql);
  else await connection.execOffThread(sql);
}

function checkForeignKeys(
  connection: Connection,
  script: Script,
  { violations, onOrphans }: ScriptContext,
  touched: ReadonlySet<string>,
  renames: Renames,
): void {
  const now = findViolations(connection);
  const added = newViolations(violations, now, touched, renames);
  if (added.length > 0 && onOrphans !== undefined) onOrphans(added);
  else if (added.length > 0) {
    const list = added.map(({ table, rows }) => `${rows} ${rows === 1 ? "row" : "rows"} of ${table}`).join(", ");
    throw migrationFailed(script, `would leave ${list} without the row that a foreign key refers to`);
  }
  violations.splice(0, violations.length, ...now);
}

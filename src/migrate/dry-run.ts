import { type Client, LibsqlError } from "@libsql/client/sqlite3";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { tokens, unquote } from "../client/sql/parse.js";
import { quoteName, quoteText } from "../client/sql/quote.js";
import { poolOf } from "../client/storage-client.js";
import { assertCompiles, type ScriptResult } from "./compile.js";
import { countDropped, withDropped } from "./dropped-tables.js";
import type { DryRunProblem, DryRunResult } from "./dry-run-result.js";
import { CANNOT_ADD, MigrationError } from "./failure.js";
import { findViolations } from "./foreign-keys.js";
import type { Journal } from "./journal.js";
import { clientQuery, type Query } from "./ledger.js";
import { lockedTurn } from "./lock.js";
import type { ResolvedMigrateOptions } from "./options.js";
import { listTags } from "./plan.js";
import { complete } from "./remote.js";
import { runScript } from "./run-script.js";
import { SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import type { Script } from "./script.js";
import { indexJudge } from "./snapshots.js";

const SAMPLE_ROWS = 3;

type LockOptions = Pick<ResolvedMigrateOptions, "lockTimeoutMs" | "logger">;
type Entry = DryRunResult["migrations"][number] & { sql: string[]; problems: DryRunProblem[] };

/**
 * Runs migrations or down files in a transaction that is rolled back. What follows the first problem is listed, and not
 * tried.
 */
export async function dryRun(
  client: Client,
  journal: Journal,
  scripts: readonly Script[],
  options: LockOptions,
): Promise<DryRunResult> {
  if (scripts.length === 0) return { migrations: [] };
  const pool = poolOf(client);
  return pool === undefined ? dryRunRemotely(client, journal, scripts) : dryRunLocally(pool, journal, scripts, options);
}

function dryRunLocally(
  pool: ConnectionPool,
  journal: Journal,
  scripts: readonly Script[],
  options: LockOptions,
): Promise<DryRunResult> {
  const purpose = `try out ${listTags(scripts.map(({ migration }) => migration))}`;
  return lockedTurn(pool, { ...options, purpose }, async (connection) => {
    const query = (sql: string) => connection.query(sql);
    const before = toSchema(query(SCHEMA_QUERY));
    const context = { judge: indexJudge(journal), violations: findViolations(connection) };
    const migrations: Entry[] = [];
    const results: ScriptResult[] = [];
    for (const script of scripts) {
      const entry: Entry = { tag: script.migration.tag, sql: [], problems: [] };
      migrations.push(entry);
      if (migrations.some(({ problems }) => problems.length > 0)) {
        entry.sql.push(...script.statements.map(({ sql }) => sql));
        continue;
      }
      const dropped = await countDropped(query, script);
      try {
        const result = await runScript(connection, script, {
          ...context,
          onRun: (sql) => entry.sql.push(sql),
          onOrphans: (orphans) => {
            for (const { table, rows } of orphans) {
              const rowids = findViolations(connection).filter((one) => one.table === table && one.rowid !== null);
              const sample = rowids.slice(-SAMPLE_ROWS).map(({ rowid, parent }) => ({ rowid: Number(rowid), parent }));
              const statement = entry.sql.findLast((sql) => mentionsTable(sql, table)) ?? entry.sql.at(-1)!;
              entry.problems.push({ statement, constraint: "FOREIGN KEY", table, rows, sample });
            }
          },
        });
        results.push(result);
        withDropped(entry, await dropped());
      } catch (error) {
        if (!(error instanceof MigrationError)) throw error;
        const { statement, cause } = error;
        if (statement === undefined || !isAboutRows(cause)) {
          error.tried = { migrations };
          throw error;
        }
        entry.problems.push(await explain(query, statement, (cause as Error).message));
        const at = script.statements.findIndex(({ sql }) => sql === statement);
        entry.sql.push(...script.statements.slice(at + 1).map(({ sql }) => sql));
      }
    }
    try {
      if (migrations.every(({ problems }) => problems.length === 0)) assertCompiles(before, results);
    } catch (error) {
      if (error instanceof MigrationError) error.tried = { migrations };
      throw error;
    }
    return { migrations };
  });
}

/** The same on a server, where foreign keys stay on in a transaction, and so are not checked. */
async function dryRunRemotely(client: Client, journal: Journal, scripts: readonly Script[]): Promise<DryRunResult> {
  const schema = toSchema(await clientQuery(client)(SCHEMA_QUERY));
  const entries = scripts.map((script) => ({ script, ledgerSql: "" }));
  const migrations: Entry[] = scripts.map(({ migration }) => ({
    tag: migration.tag,
    sql: [],
    problems: [],
  }));
  const transaction = await client.transaction("write");
  const query: Query = async (text) => (await transaction.execute(text)).rows;
  let isStopped = false;
  try {
    await transaction.execute("PRAGMA defer_foreign_keys = ON");
    const dropped = await Promise.all(scripts.map((script) => countDropped(query, script)));
    for (const { sql, script, check } of complete(schema, entries, journal)) {
      if (check !== undefined || sql === "") continue;
      const entry = migrations[scripts.indexOf(script!)]!;
      entry.sql.push(sql);
      if (isStopped) continue;
      try {
        await transaction.execute(sql);
      } catch (error) {
        if (!isAboutRows(error) || /FOREIGN KEY/.test((error as Error).message)) throw error;
        entry.problems.push(await explain(query, sql, (error as Error).message));
        isStopped = true;
      }
    }
    if (!isStopped) for (const [index, gone] of dropped.entries()) withDropped(migrations[index]!, await gone());
  } finally {
    await transaction.rollback();
    transaction.close();
  }
  return { migrations };
}

/** Whether rows of the database made a statement fail: on others, it may succeed. */
function isAboutRows(error: unknown): boolean {
  return error instanceof LibsqlError && (error.code.startsWith("SQLITE_CONSTRAINT") || CANNOT_ADD.test(error.message));
}

/** Counts the rows that break a constraint, where the statement copies or indexes rows. */
async function explain(query: Query, statement: string, message: string): Promise<DryRunProblem> {
  if (CANNOT_ADD.test(message)) return explainAdd(query, statement, message);
  const [, constraint = "CONSTRAINT", failed = ""] =
    /(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?/.exec(message) ?? [];
  const names = failed.split(", ").map((name) => name.slice(name.lastIndexOf(".") + 1));
  const target = failed.includes(".") ? failed.slice(0, failed.indexOf(".")) : "";
  const table = target.replace(/^__new_/, "");
  const rows = await sourceOf(query, statement, target);
  const unknown = { statement, constraint, table, rows: 1, sample: [] };
  if (rows === undefined || (constraint !== "UNIQUE" && constraint !== "NOT NULL")) return unknown;
  const columns = names.map(quoteName);
  const list = columns.join(", ");
  const isBroken =
    constraint === "NOT NULL"
      ? columns.map((column) => `${column} IS NULL`).join(" OR ")
      : `(${list}) IN (SELECT ${list} FROM r GROUP BY ${list} HAVING count(*) > 1)`;
  const [counted] = await query(`${rows.with} SELECT count(*) FROM r WHERE ${isBroken}`);
  const found = await query(`${rows.with} SELECT * FROM r WHERE ${isBroken} LIMIT ${SAMPLE_ROWS}`);
  const sample = found.map((row) => Object.fromEntries(rows.columns.map((name, index) => [name, plain(row[index])])));
  return { ...unknown, rows: Math.max(Number(counted![0]), 1), sample };
}

/** An ALTER TABLE that SQLite refuses if the table has any rows. */
async function explainAdd(query: Query, statement: string, message: string): Promise<DryRunProblem> {
  const table = unquote([...tokens(statement)][2]!);
  const constraint = /STORED/i.test(message) ? "STORED" : /NOT NULL/i.test(message) ? "NOT NULL" : "DEFAULT";
  const [counted] = await query(`SELECT count(*) FROM ${quoteName(table)}`);
  return { statement, constraint, table, rows: Number(counted![0]), sample: [] };
}

/** The rows that a statement would write or index, as `r`. */
async function sourceOf(query: Query, statement: string, table: string) {
  const columnsOf = async (name: string) =>
    (await query(`SELECT name FROM pragma_table_xinfo(${quoteText(name)}) WHERE hidden = 0`)).map((row) =>
      String(row[0]),
    );
  const all = [...tokens(statement)];
  const word = (index: number) => all[index]?.text.toUpperCase();
  if (word(0) === "CREATE") {
    const columns = await columnsOf(table);
    return { columns, with: `WITH r AS (SELECT ${columns.map(quoteName).join(", ")} FROM ${quoteName(table)})` };
  }
  const select = all.findIndex(({ text }) => /^SELECT$/i.test(text));
  if (word(0) !== "INSERT" || word(1) !== "INTO" || select < 0) return undefined;
  const listed = all.slice(4, select - 1).filter(({ text }) => text !== ",");
  const columns = word(3) === "(" ? listed.map(unquote) : await columnsOf(table);
  return { columns, with: `WITH r(${columns.map(quoteName).join(", ")}) AS (${statement.slice(all[select]!.start)})` };
}

function plain(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

function mentionsTable(sql: string, table: string): boolean {
  return sql.toLowerCase().includes(table.toLowerCase());
}

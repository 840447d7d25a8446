import type { LibsqlError } from "@libsql/client";
import type { Connection } from "../client/local/connection.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { parseStatement } from "../client/sql/parse.js";
import { FILE_REPLACED } from "../files/file-identity.js";
import { backUpLocked, holdsRows } from "./backup.js";
import { assertCompiles, type ScriptResult } from "./compile.js";
import { decide, type MigrateResult, resultOf, stillDue } from "./decision.js";
import { asRolledBack, migrationFailed } from "./failure.js";
import { findViolations } from "./foreign-keys.js";
import type { Journal } from "./journal.js";
import { createLedgerSql, hasNames, insertLedgerSql } from "./ledger.js";
import { lockedTurn } from "./lock.js";
import type { ResolvedMigrateOptions } from "./options.js";
import { listTags } from "./plan.js";
import { runScript } from "./run-script.js";
import { SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import type { Script } from "./script.js";
import { indexJudge } from "./snapshots.js";

/**
 * Applies pending migrations to a local file, in one transaction on its writer.
 *
 * It reads the ledger while it holds the write lock, so one of several processes applies the migrations and the others
 * find them applied. `scripts` holds the migrations that were pending, in order. Resolves to undefined if more of them
 * are pending by now. A failure leaves the file and the ledger unchanged.
 */
export function applyLocally(
  pool: ConnectionPool,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult | undefined> {
  const purpose = `apply ${listTags(scripts.map(({ migration }) => migration))}`;
  return lockedTurn(pool, { ...options, purpose }, (connection) =>
    applyLocked(pool, connection, journal, scripts, options),
  );
}

async function applyLocked(
  pool: ConnectionPool,
  connection: Connection,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult | undefined> {
  const { logger, table } = options;
  const decision = await decide((sql) => connection.query(sql), journal, options);
  const due = stillDue(decision, scripts);
  if (due === undefined) return undefined;
  const first = due[0];
  if (first === undefined) return resultOf(journal, decision, []);
  const backup = await backUpIfDue(pool, connection, first, options).catch((error: unknown) => {
    throw asRolledBack(error, decision.comparison.last?.tag);
  });
  const pending = due.map(({ migration }) => migration);
  await options.before({ pending: pending.map(({ tag }) => tag), backup });
  connection.exec(createLedgerSql(table));
  const withNames = await hasNames((sql) => connection.query(sql), table);
  const start = performance.now();
  try {
    const context = { judge: indexJudge(journal), violations: findViolations(connection) };
    const before = toSchema(connection.query(SCHEMA_QUERY));
    const results: ScriptResult[] = [];
    for (const script of due) {
      results.push(await runScript(connection, script, context));
      connection.exec(insertLedgerSql(table, script.migration, withNames));
    }
    assertCompiles(before, results);
    commit(connection, due.at(-1)!);
  } catch (error) {
    throw asRolledBack(error, decision.comparison.last?.tag);
  }
  pool.noteTemporaryTables(
    connection,
    due.some(({ statements }) => statements.some(({ sql }) => parseStatement(sql).mayCreateTemporary)),
  );
  logger?.info(`Applied ${listTags(pending)} to ${pool.options.path} in ${Math.round(performance.now() - start)} ms`);
  return { ...resultOf(journal, decision, pending), ...(backup === undefined ? {} : { backup }) };
}

/** Makes the backup that is due before `script` changes anything. The caller holds the write lock. */
export async function backUpIfDue(
  pool: ConnectionPool,
  connection: Connection,
  script: Script,
  { backupTo, logger }: Pick<ResolvedMigrateOptions, "backupTo" | "logger">,
): Promise<string | undefined> {
  if (backupTo === undefined || pool.options.isMemory || !holdsRows(connection)) return undefined;
  const { tag } = script.migration;
  const name = `before-${script.isDown ? "revert-" : ""}${tag}`;
  try {
    const backup = await backUpLocked(pool, backupTo, name);
    logger?.info(`Backed up ${pool.options.path} to ${backup} before ${script.isDown ? "reverting " : ""}${tag}`);
    return backup;
  } catch (error) {
    if ((error as LibsqlError).code === FILE_REPLACED) throw error;
    throw migrationFailed(script, `was not run, because the backup to ${backupTo} failed`, { cause: error });
  }
}

export function commit(connection: Connection, script: Script): void {
  try {
    connection.commit();
  } catch (error) {
    if ((error as LibsqlError).code === FILE_REPLACED) throw error;
    throw migrationFailed(script, "could not be committed", { cause: error });
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { type Client, LibsqlBatchError, LibsqlError } from "@libsql/client";
import { decide, type MigrateResult, resultOf } from "./decision.js";
import { migrationFailed } from "./failure.js";
import { rebuildIndexesSql } from "./full-text.js";
import { type Journal, readSnapshotIndexes } from "./journal.js";
import { clientQuery, createLedgerSql, insertLedgerSql, quoteName } from "./ledger.js";
import { fold, LostObjects, SCHEMA_QUERY, toSchema } from "./lost-objects.js";
import type { ResolvedMigrateOptions } from "./options.js";
import type { MigrationStatement, Script } from "./script.js";

interface Step {
  readonly sql: string;
  /** Of a migration's own statements: whose, and which. */
  readonly origin?: { readonly tag: string; readonly statement: MigrationStatement };
}

/**
 * Applies what is pending through a client of @libsql/client, without a pool: a server, or an embedded replica.
 *
 * All goes as one `client.migrate`, which switches foreign keys off around its transaction (in an interactive one
 * they stay on, and a rebuild would delete all cascade children). Its first statement fails if the ledger has changed
 * since it was read; then all is decided anew. What a rebuild lost is made again in a second transaction.
 */
export async function applyRemotely(
  client: Client,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult> {
  const query = clientQuery(client);
  const start = performance.now();
  for (;;) {
    const decision = await decide(query, journal, options);
    const due = scripts.filter(({ migration }) => decision.pending.includes(migration));
    if (due.length === 0) return resultOf(journal, decision, []);
    const pending = due.map(({ migration }) => migration);
    await options.before({ pending: pending.map(({ tag }) => tag), backup: undefined });
    const objects = new LostObjects(toSchema(await query(SCHEMA_QUERY)));
    const steps = [{ sql: guardSql(options.table, decision) }, ...stepsOf(due, objects, options.table)];
    try {
      await client.migrate(steps.map(({ sql }) => sql));
    } catch (error) {
      if (!(error instanceof LibsqlError)) throw error;
      const failed = error instanceof LibsqlBatchError ? error.statementIndex : 0;
      const { origin } = steps[failed] ?? {};
      const isRace = error.code === "SQLITE_BUSY" || (failed === 0 && (await hasMoved(decision.ledgerCount)));
      if (isRace && performance.now() - start < options.lockTimeoutMs) {
        await sleep(Math.random() * 50);
        continue;
      }
      const at = origin === undefined ? {} : { at: origin.statement };
      throw migrationFailed(origin?.tag ?? pending[0]!.tag, "failed", { ...at, cause: error });
    }
    await restoreLost(client, objects, options.folder);
    return resultOf(journal, decision, pending);
  }

  async function hasMoved(ledgerCount: number): Promise<boolean> {
    return (await decide(query, journal, options)).ledgerCount !== ledgerCount;
  }
}

/** Fails unless the ledger is as it was read; without a ledger, that is making it. */
function guardSql(table: string, { hasLedger, ledgerCount }: { hasLedger: boolean; ledgerCount: number }): string {
  if (!hasLedger) return createLedgerSql(table).replace("IF NOT EXISTS ", "");
  const isSame = `(SELECT count(*) FROM ${quoteName(table)}) = ${ledgerCount}`;
  return `SELECT CASE WHEN ${isSame} THEN 1 ELSE json('the ledger has changed') END`;
}

function stepsOf(due: readonly Script[], objects: LostObjects, table: string): Step[] {
  return due.flatMap(({ migration, statements }) => [
    ...statements.flatMap((statement): Step[] => [
      ...objects.note(statement).map((sql) => ({ sql })),
      { sql: statement.sql, origin: { tag: migration.tag, statement } },
    ]),
    { sql: insertLedgerSql(table, migration) },
  ]);
}

async function restoreLost(client: Client, objects: LostObjects, folder: string): Promise<void> {
  const schema = toSchema(await clientQuery(client)(SCHEMA_QUERY));
  const lost = objects.lost(schema);
  const managed = lost.some(({ type }) => type === "index") ? readSnapshotIndexes(folder) : new Set<string>();
  const wanted = lost.filter(({ type, name }) => type !== "index" || !managed.has(fold(name)));
  const repairs = [
    ...wanted.map(({ sql }) => sql),
    ...rebuildIndexesSql([...schema, ...wanted], objects.rebuilt(schema)),
  ];
  if (repairs.length > 0) await client.batch(repairs, "write");
}

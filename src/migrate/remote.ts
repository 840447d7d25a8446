import { setTimeout as sleep } from "node:timers/promises";
import { type Client, LibsqlBatchError, LibsqlError } from "@libsql/client/sqlite3";
import { quoteName } from "../client/sql/quote.js";
import { decide, type MigrateResult, resultOf, type Standing } from "./decision.js";
import { asRolledBack, migrationFailed } from "./failure.js";
import { rebuildIndexesSql } from "./full-text.js";
import { type Journal, readSnapshotIndexes } from "./journal.js";
import { clientQuery, createLedgerSql, insertLedgerSql, readLedger } from "./ledger.js";
import { fold, LostObjects, SCHEMA_QUERY, toSchema } from "./lost-objects.js";
import type { ResolvedJournalOptions, ResolvedMigrateOptions } from "./options.js";
import type { MigrationStatement, Script } from "./script.js";

interface Step {
  readonly sql: string;
  /** For a statement of a migration: its script and the statement. */
  readonly origin?: { readonly script: Script; readonly statement: MigrationStatement };
}

/**
 * Applies pending migrations through a client of @libsql/client without a pool: a server, or an embedded replica.
 *
 * Sends all of them in one `client.migrate`, which switches foreign keys off around its transaction. (In an interactive
 * transaction they stay on, and a rebuild would delete all cascade children.) The first statement fails if the ledger
 * has changed since it was read; then everything is decided again. A second transaction re-creates the objects that a
 * rebuild lost.
 */
export async function applyRemotely(
  client: Client,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult> {
  const query = clientQuery(client);
  return retryOnRace(options.lockTimeoutMs, async () => {
    const decision = await decide(query, journal, options);
    const due = scripts.filter(({ migration }) => decision.pending.includes(migration));
    if (due.length === 0) return resultOf(journal, decision, []);
    const pending = due.map(({ migration }) => migration);
    await options.before({ pending: pending.map(({ tag }) => tag), backup: undefined });
    const entries = due.map((script) => ({ script, ledgerSql: insertLedgerSql(options.table, script.migration) }));
    try {
      await runRemotely(client, entries, decision, options);
    } catch (error) {
      throw asRolledBack(error, decision.comparison.last?.tag);
    }
    return resultOf(journal, decision, pending);
  });
}

/** A script to run, and the statement that updates its ledger in the same transaction. */
export interface RemoteEntry {
  readonly script: Script;
  readonly ledgerSql: string;
}

/** Another process has changed the ledger since it was read. */
class Race extends Error {}

/** Runs `attempt` again while other processes change the ledger first, for at most `timeoutMs`. */
export async function retryOnRace<T>(timeoutMs: number, attempt: () => Promise<T>): Promise<T> {
  const start = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Race)) throw error;
      if (performance.now() - start >= timeoutMs) throw error.cause;
      await sleep(Math.random() * 50);
    }
  }
}

/**
 * Runs scripts in one transaction if the ledger is as `found`; otherwise throws an error that makes `retryOnRace`
 * retry.
 */
export async function runRemotely(
  client: Client,
  entries: readonly RemoteEntry[],
  found: Standing,
  { table, folder }: ResolvedJournalOptions,
): Promise<void> {
  const query = clientQuery(client);
  const objects = new LostObjects(toSchema(await query(SCHEMA_QUERY)));
  const steps = [{ sql: guardSql(table, found) }, ...stepsOf(entries, objects)];
  try {
    await client.migrate(steps.map(({ sql }) => sql));
  } catch (error) {
    if (!(error instanceof LibsqlError)) throw error;
    const failed = error instanceof LibsqlBatchError ? error.statementIndex : 0;
    const { origin } = steps[failed] ?? {};
    const script = origin?.script ?? entries[0]!.script;
    const failure = migrationFailed(script, "failed", {
      ...(origin === undefined ? {} : { at: origin.statement }),
      cause: error,
    });
    const isRace = error.code === "SQLITE_BUSY" || (failed === 0 && (await hasMoved()));
    throw isRace ? new Race("The ledger has changed", { cause: failure }) : failure;
  }
  await restoreLost(client, objects, folder);

  async function hasMoved(): Promise<boolean> {
    return ((await readLedger(query, table))?.length ?? 0) !== found.ledgerCount;
  }
}

/**
 * Fails if the ledger has changed since it was read. If there was no ledger, creates it, which fails if another process
 * did.
 */
function guardSql(table: string, { hasLedger, ledgerCount }: { hasLedger: boolean; ledgerCount: number }): string {
  if (!hasLedger) return createLedgerSql(table).replace("IF NOT EXISTS ", "");
  const isSame = `(SELECT count(*) FROM ${quoteName(table)}) = ${ledgerCount}`;
  return `SELECT CASE WHEN ${isSame} THEN 1 ELSE json('the ledger has changed') END`;
}

function stepsOf(entries: readonly RemoteEntry[], objects: LostObjects): Step[] {
  return entries.flatMap(({ script, ledgerSql }) => [
    ...script.statements.flatMap((statement): Step[] => [
      ...objects.note(statement).map((sql) => ({ sql })),
      { sql: statement.sql, origin: { script, statement } },
    ]),
    { sql: ledgerSql },
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

import { setTimeout as sleep } from "node:timers/promises";
import { type Client, LibsqlBatchError, LibsqlError } from "@libsql/client/sqlite3";
import { quoteName } from "../client/sql/quote.js";
import { assertCompiles, type ScriptResult } from "./compile.js";
import { completeOn } from "./complete.js";
import { decide, type MigrateResult, resultOf, type Standing, stillDue } from "./decision.js";
import { asRolledBack, MigrationError, migrationFailed } from "./failure.js";
import type { Journal } from "./journal.js";
import { clientQuery, createLedgerSql, hasNames, insertLedgerSql, readLedger } from "./ledger.js";
import { MemorySchema } from "./memory-schema.js";
import type { ResolvedJournalOptions, ResolvedMigrateOptions } from "./options.js";
import type { Addition } from "./rebuilds.js";
import { beginChecks, type CheckStatement, checkOrphans, endChecks } from "./remote-foreign-keys.js";
import { lossFailed, renamesOf } from "./run-script.js";
import { SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";
import type { MigrationStatement, Script } from "./script.js";
import { indexJudge } from "./snapshots.js";

interface Step {
  readonly sql: string;
  /** The script that the statement belongs to. */
  readonly script?: Script;
  /** The statement of the migration. Undefined if Holdfast added the step. */
  readonly statement?: MigrationStatement | undefined;
  /** Set if the statement is part of the comparison of foreign keys. */
  readonly check?: CheckStatement;
  /** The object that the statement keeps, if the statement was added. */
  readonly addition?: Addition | undefined;
}

/**
 * Applies pending migrations through a client of @libsql/client without a pool: a server, or an embedded replica.
 *
 * Sends all of them in one `client.migrate`, which switches foreign keys off around its transaction. (In an interactive
 * transaction they stay on, and a rebuild would delete all cascade children.) The first statement fails if the ledger
 * has changed since it was read; then everything is decided again. Resolves to undefined if more than `scripts` is
 * pending by then.
 */
export async function applyRemotely(
  client: Client,
  journal: Journal,
  scripts: readonly Script[],
  options: ResolvedMigrateOptions,
): Promise<MigrateResult | undefined> {
  const query = clientQuery(client);
  return retryOnRace(options.lockTimeoutMs, async () => {
    const decision = await decide(query, journal, options);
    const due = stillDue(decision, scripts);
    if (due === undefined) return undefined;
    if (due.length === 0) return resultOf(journal, decision, []);
    const pending = due.map(({ migration }) => migration);
    await options.before({ pending: pending.map(({ tag }) => tag), backup: undefined });
    const withNames = await hasNames(query, options.table);
    const entries = due.map((script) => ({
      script,
      ledgerSql: insertLedgerSql(options.table, script.migration, withNames),
    }));
    try {
      await runRemotely(client, entries, decision, journal, options);
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
  journal: Journal,
  { table }: ResolvedJournalOptions,
): Promise<void> {
  const query = clientQuery(client);
  const schema = toSchema(await query(SCHEMA_QUERY));
  const steps: Step[] = [{ sql: guardSql(table, found) }];
  try {
    steps.push(...complete(schema, entries, journal));
  } catch (error) {
    // The schema may be that of another process, which was faster.
    if (error instanceof MigrationError && (await hasMoved()))
      throw new Race("The ledger has changed", { cause: error });
    throw error;
  }
  try {
    await client.migrate(steps.map(({ sql }) => sql));
  } catch (error) {
    if (!(error instanceof LibsqlError)) throw error;
    const failed = error instanceof LibsqlBatchError ? error.statementIndex : Math.max(findUnparsable(steps), 0);
    const step = steps[failed] ?? steps[0]!;
    const failure = failureOf({ script: entries[0]!.script, ...step }, error);
    const isRace = error.code === "SQLITE_BUSY" || (failed === 0 && (await hasMoved()));
    throw isRace ? new Race("The ledger has changed", { cause: failure }) : failure;
  }

  async function hasMoved(): Promise<boolean> {
    return ((await readLedger(query, table))?.length ?? 0) !== found.ledgerCount;
  }
}

/**
 * Returns the statements of all scripts, and statements that keep the objects they would lose. A batch cannot query the
 * database between statements, so a copy of its schema in memory finds them and compiles the result. With `compiles`,
 * the statements that read or write rows are compiled too.
 */
export function complete(
  schema: readonly SchemaObject[],
  entries: readonly RemoteEntry[],
  journal: Journal,
  { compiles = false }: { readonly compiles?: boolean } = {},
): Step[] {
  const memory = new MemorySchema(schema);
  const judge = indexJudge(journal);
  const steps: Step[] = [];
  const results: ScriptResult[] = [];
  const checks = entries.some(({ script }) => mayViolate(script));
  const check = (statements: readonly CheckStatement[], script: Script) => {
    if (checks) steps.push(...statements.map((one) => ({ sql: one.sql, script, check: one })));
  };
  try {
    check(beginChecks(schema), entries[0]!.script);
    for (const { script, ledgerSql } of entries) {
      let orphans: CheckStatement[] = [];
      const completed = completeOn(memory, script, {
        judge,
        compiles,
        onEnd({ restored, touched }) {
          const renames = renamesOf(script);
          const after = memory.read();
          results.push({ script, schema: after, restored, renames });
          orphans = mayViolate(script) ? checkOrphans(after, touched, renames) : [];
        },
        onFailure(statement, cause) {
          // The server may have objects that the copy lacks.
          if (memory.skipped.length === 0) throw migrationFailed(script, "failed", { at: statement, cause });
        },
      });
      for (const step of completed) steps.push({ ...step, script });
      check(orphans, script);
      steps.push({ sql: ledgerSql, script });
    }
    check(endChecks(), entries.at(-1)!.script);
    assertCompiles(schema, results);
  } finally {
    memory.close();
  }
  return steps;
}

function failureOf({ script, statement, addition, check }: Step & { readonly script: Script }, cause: Error) {
  if (addition !== undefined) return lossFailed(script, addition, cause);
  if (check?.child !== undefined && /malformed JSON/.test(cause.message)) {
    return migrationFailed(script, `would leave rows of ${check.child} without the row that a foreign key refers to`);
  }
  return migrationFailed(script, "failed", { ...(statement === undefined ? {} : { at: statement }), cause });
}

/** The place of the first statement that is not SQL: a server then refuses the batch, and does not say which one. */
function findUnparsable(steps: readonly Step[]): number {
  const memory = new MemorySchema();
  try {
    return steps.findIndex(({ sql }) => {
      try {
        memory.exec(`EXPLAIN ${sql}`);
        return false;
      } catch (error) {
        return /syntax error|unrecognized token|incomplete input/.test((error as Error).message);
      }
    });
  } finally {
    memory.close();
  }
}

/** Whether a script may do more than create objects. */
function mayViolate({ statements }: Script): boolean {
  return statements.some(({ ddl }) => ddl?.action !== "create");
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

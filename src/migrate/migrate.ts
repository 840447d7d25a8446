import type { Client } from "@libsql/client";
import { poolOf } from "../client/storage-client.js";
import { asStorageErrors } from "../client/storage-error.js";
import { applyLocally } from "./apply.js";
import { expectArguments } from "./arguments.js";
import { removeOldBackups } from "./backup.js";
import { assertNoClash } from "./clash.js";
import { type Decision, decide, type MigrateResult, resultOf } from "./decision.js";
import { dryRun } from "./dry-run.js";
import type { DryRunResult } from "./dry-run-result.js";
import { asRolledBack } from "./failure.js";
import { type Journal, loadJournal } from "./journal.js";
import { clientQuery } from "./ledger.js";
import { type MigrateOptions, type ResolvedMigrateOptions, resolveDryRun, resolveMigrateOptions } from "./options.js";
import { compareWithLedger, planMigrations } from "./plan.js";
import { assertKeepsLedger, assertRunnable } from "./refusals.js";
import { applyRemotely, complete } from "./remote.js";
import { SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import { readScript, type Script } from "./script.js";

/**
 * Applies the migrations of a folder to a database, up to the last one or up to `to`.
 *
 * Applies all pending migrations in one transaction. If many processes start at the same time, one of them applies the
 * migrations, and the others wait and find them applied. A file that is up to date costs one read.
 *
 * Rejects with MIGRATION_FAILED, MIGRATION_CHANGED, MIGRATION_UNKNOWN, MIGRATION_OUT_OF_ORDER or FOREIGN_LEDGER, and
 * with BUSY if another process kept the write lock for all of `lockTimeoutMs`. After a rejection, the file is
 * unchanged.
 *
 * With `dryRun`, changes nothing, and resolves to the SQL that it would run and the rows that would make it fail.
 */
export function migrate(client: Client, options: MigrateOptions & { readonly dryRun: true }): Promise<DryRunResult>;
export function migrate(client: Client, options: MigrateOptions & { readonly dryRun?: false }): Promise<MigrateResult>;
export async function migrate(
  client: Client,
  options: MigrateOptions & { readonly dryRun?: boolean },
): Promise<MigrateResult | DryRunResult> {
  expectArguments("migrate", client, options);
  const isTrial = resolveDryRun(options);
  const resolved = resolveMigrateOptions(options);
  const journal = loadJournal(resolved);
  return asStorageErrors(async () => {
    if (isTrial) {
      const { scripts } = await prepare(client, journal, resolved);
      return await dryRun(client, journal, scripts, resolved);
    }
    const pool = poolOf(client);
    const result = await apply(client, journal, resolved);
    if (pool === undefined || result.backup === undefined) return result;
    await removeOldBackups(resolved.backupTo!, pool.options.path, resolved.keepBackups, [result.backup]);
    if (resolved.keepBackups > 0) return result;
    const { backup: _, ...rest } = result;
    return rest;
  });
}

/** Applies the pending migrations; plans again if another process has reverted some in between. */
async function apply(client: Client, journal: Journal, options: ResolvedMigrateOptions): Promise<MigrateResult> {
  const pool = poolOf(client);
  for (;;) {
    const { decision, scripts } = await prepare(client, journal, options);
    if (decision.pending.length === 0) return resultOf(journal, decision, []);
    const result = await (pool === undefined
      ? applyRemotely(client, journal, scripts, options)
      : applyLocally(pool, journal, scripts, options));
    if (result !== undefined) return result;
  }
}

/**
 * Throws the error with which `migrate` would refuse these migrations on an empty database, before it runs one. Opens no
 * database, so a refusal leaves no new file behind.
 */
export function assertRunnableOnEmpty(options: MigrateOptions): void {
  const resolved = resolveMigrateOptions(options);
  const journal = loadJournal(resolved);
  const comparison = compareWithLedger(journal, []);
  readScripts(
    { pending: planMigrations(journal, comparison, { ...resolved, hasOwnTables: false }), comparison },
    resolved,
  );
}

/** Throws the error with which `migrate` would refuse the file before changing anything. Only reads. */
export async function assertApplicable(client: Client, options: MigrateOptions): Promise<void> {
  const resolved = resolveMigrateOptions(options);
  return asStorageErrors(async () => {
    await prepare(client, loadJournal(resolved), resolved);
  });
}

/**
 * Throws the error with which `migrate` would refuse the file, as far as it can be told without running anything: that
 * of `assertApplicable`, and MIGRATION_FAILED for a statement that does not compile on the schema, or leaves something
 * that does not. Only reads.
 */
export async function assertFits(client: Client, options: MigrateOptions): Promise<void> {
  const resolved = resolveMigrateOptions(options);
  const journal = loadJournal(resolved);
  return asStorageErrors(async () => {
    const { scripts } = await prepare(client, journal, resolved);
    if (scripts.length === 0) return;
    const schema = toSchema(await clientQuery(client)(SCHEMA_QUERY));
    const entries = scripts.map((script) => ({ script, ledgerSql: "" }));
    complete(schema, entries, journal, { compiles: true });
  });
}

/** Finds the pending migrations, and refuses those that must not run before it takes the lock. */
async function prepare(
  client: Client,
  journal: Journal,
  options: ResolvedMigrateOptions,
): Promise<{ decision: Decision; scripts: Script[] }> {
  const query = clientQuery(client);
  const decision = await decide(query, journal, options);
  const scripts = readScripts(decision, options);
  try {
    await assertNoClash(query, decision, scripts);
  } catch (error) {
    // Another process may be applying them at this moment.
    const now = await decide(query, journal, options);
    if (now.pending.length < decision.pending.length) return { decision: now, scripts: readScripts(now, options) };
    throw asRolledBack(error, decision.comparison.last?.tag);
  }
  return { decision, scripts };
}

function readScripts(
  { pending, comparison }: Pick<Decision, "pending" | "comparison">,
  { table }: ResolvedMigrateOptions,
): Script[] {
  try {
    return pending.map((migration) => {
      const script = readScript(migration);
      assertRunnable(script);
      assertKeepsLedger(script, table);
      return script;
    });
  } catch (error) {
    throw asRolledBack(error, comparison.last?.tag);
  }
}

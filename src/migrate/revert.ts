import type { Client } from "@libsql/client";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { poolOf } from "../client/storage-client.js";
import { asStorageErrors } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { backUpIfDue, commit } from "./apply.js";
import { expectArguments } from "./arguments.js";
import { assertCompiles } from "./compile.js";
import { lookUp, type Standing } from "./decision.js";
import { readDown } from "./down.js";
import { countDropped, type DroppedTable, withDropped } from "./dropped-tables.js";
import { dryRun } from "./dry-run.js";
import type { DryRunResult } from "./dry-run-result.js";
import { MigrationError, standing } from "./failure.js";
import { findViolations } from "./foreign-keys.js";
import { type Journal, loadJournal, type Migration } from "./journal.js";
import { clientQuery, deleteLedgerSql, type LedgerRow, type Query } from "./ledger.js";
import { lockedTurn } from "./lock.js";
import { type ResolvedRevertOptions, type RevertOptions, resolveDryRun, resolveRevertOptions } from "./options.js";
import { listTags, planRevert } from "./plan.js";
import { assertKeepsLedger } from "./refusals.js";
import { retryOnRace, runRemotely } from "./remote.js";
import { runScript } from "./run-script.js";
import { SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import type { Script } from "./script.js";
import { indexJudge } from "./snapshots.js";

/** The migrations that a run reverted, by tag. */
export interface RevertResult {
  /** In the order in which they were reverted, from the last applied one backwards. */
  readonly reverted: string[];
  /** The last applied migration before and after the run. Undefined if there is none. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** The path of the backup, if one was made. */
  readonly backup?: string;
}

/**
 * Reverts a database to the migration `to`, or by `steps` migrations, with down files (`0003_name.down.sql`).
 *
 * Each migration is reverted in a separate transaction, together with its ledger entry. If the process is killed or a
 * down file fails half-way, the file stands at one of the migrations, and the same call continues from there. With
 * `backupTo`, a local file that has rows is first copied there and verified.
 *
 * Rejects before it changes anything: with IRREVERSIBLE if one of the migrations has no down file, with NOT_FOUND if
 * `to` is unknown or not applied, and with FOREIGN_LEDGER, MIGRATION_UNKNOWN or MIGRATION_CHANGED. MIGRATION_FAILED
 * rolls back the migration that failed, and its message says where the file stands. BUSY means that another process
 * kept the lock.
 *
 * With `dryRun`, changes nothing, and resolves to the SQL that it would run and the rows that would make it fail.
 */
export function revert(client: Client, options: RevertOptions & { readonly dryRun: true }): Promise<DryRunResult>;
export function revert(client: Client, options: RevertOptions & { readonly dryRun?: false }): Promise<RevertResult>;
export async function revert(
  client: Client,
  options: RevertOptions & { readonly dryRun?: boolean },
): Promise<RevertResult | DryRunResult> {
  expectArguments("revert", client, options);
  const resolved = resolveRevertOptions(options);
  const journal = loadJournal(resolved);
  const isTrial = resolveDryRun(options);
  return asStorageErrors(async () => {
    if (isTrial) return await dryRun(client, journal, await new Run(client, journal, resolved).plan(), resolved);
    return await new Run(client, journal, resolved).toEnd();
  });
}

/** The ledger's values for an applied migration. The hash may be that of an equivalent text. */
function entryOf({ comparison }: Standing, migration: Migration): LedgerRow {
  return { hash: comparison.rowOf.get(migration)?.hash ?? migration.hash, when: migration.when };
}

class Run {
  readonly #client: Client;
  readonly #journal: Journal;
  readonly #options: ResolvedRevertOptions;
  readonly #query: Query;
  /**
   * The migrations to keep. Decided while the first step holds the lock, so that of two runs of one step, each reverts
   * one; then fixed, so that this run reverts no fewer if another process migrates between its steps.
   */
  #kept: ReadonlySet<Migration> = new Set();
  readonly #scripts = new Map<Migration, Script>();
  readonly #reverted: Migration[] = [];
  readonly #dropped: DroppedTable[] = [];
  #last: Migration | undefined;
  #from: string | undefined;
  #backup: string | undefined;

  constructor(client: Client, journal: Journal, options: ResolvedRevertOptions) {
    this.#client = client;
    this.#journal = journal;
    this.#options = options;
    this.#query = clientQuery(client);
  }

  async toEnd(): Promise<RevertResult> {
    const due = await this.plan();
    while (due.length > 0 && (await this.#step())) {
      // Repeats until no migration above the kept ones is left.
    }
    const backup = this.#backup === undefined ? {} : { backup: this.#backup };
    const reverted = this.#reverted.map(({ tag }) => tag);
    return withDropped({ reverted, from: this.#from, to: this.#last?.tag, ...backup }, this.#dropped);
  }

  /** Reads all down files before the first one runs. */
  async plan(): Promise<readonly Script[]> {
    this.#plan(await lookUp(this.#query, this.#journal, this.#options));
    return [...this.#scripts.values()];
  }

  /** Decides what to revert, and reads the down files of that. */
  #plan(found: Standing): void {
    const due = planRevert(this.#journal, found.comparison, { ...this.#options, ...found });
    for (const migration of due) this.#scriptOf(migration);
    this.#kept = new Set(found.comparison.applied.filter((migration) => !due.includes(migration)));
    this.#last = found.comparison.last;
    this.#from = this.#last?.tag;
  }

  /** Reverts the next one; false if there is none. */
  async #step(): Promise<boolean> {
    const pool = poolOf(this.#client);
    const start = performance.now();
    let script: Script | undefined;
    try {
      script = await (pool === undefined ? this.#stepRemotely() : this.#stepLocally(pool));
    } catch (error) {
      throw this.#explain(error);
    }
    if (script === undefined) return false;
    this.#reverted.push(script.migration);
    const took = Math.round(performance.now() - start);
    this.#options.logger?.info(`Reverted ${script.migration.tag} in ${took} ms; ${standing(this.#last?.tag)}`);
    return true;
  }

  #stepLocally(pool: ConnectionPool): Promise<Script | undefined> {
    const { table, before } = this.#options;
    const purpose = `revert ${listTags([...this.#scripts.keys()])}`;
    return lockedTurn(pool, { ...this.#options, purpose }, async (connection) => {
      const found = await lookUp((sql) => connection.query(sql), this.#journal, this.#options);
      const script = this.#next(found);
      if (script === undefined) return undefined;
      if (this.#reverted.length === 0) {
        this.#backup ??= await backUpIfDue(pool, connection, script, this.#options);
      }
      await before({ pending: [script.migration.tag], backup: this.#backup });
      const schema = toSchema(connection.query(SCHEMA_QUERY));
      const dropped = await countDropped((sql) => connection.query(sql), script);
      const context = { judge: indexJudge(this.#journal), violations: findViolations(connection) };
      assertCompiles(schema, [await runScript(connection, script, context)]);
      connection.exec(deleteLedgerSql(table, entryOf(found, script.migration)));
      const gone = await dropped();
      commit(connection, script);
      this.#dropped.push(...gone);
      this.#noteLast(found, script);
      return script;
    });
  }

  #stepRemotely(): Promise<Script | undefined> {
    const { table, before, lockTimeoutMs } = this.#options;
    return retryOnRace(lockTimeoutMs, async () => {
      const found = await lookUp(this.#query, this.#journal, this.#options);
      const script = this.#next(found);
      if (script === undefined) return undefined;
      await before({ pending: [script.migration.tag], backup: undefined });
      const entry = { script, ledgerSql: deleteLedgerSql(table, entryOf(found, script.migration)) };
      const dropped = await countDropped(this.#query, script);
      await runRemotely(this.#client, [entry], found, this.#journal, this.#options);
      this.#dropped.push(...(await dropped()));
      this.#noteLast(found, script);
      return script;
    });
  }

  #next(found: Standing): Script | undefined {
    if (this.#reverted.length === 0) this.#plan(found);
    // The ledger may have changed since the first read, so its rules are checked again.
    const due = planRevert(this.#journal, found.comparison, {
      ...this.#options,
      ...found,
      to: undefined,
      steps: undefined,
    });
    this.#last = found.comparison.last;
    const next = due.find((migration) => !this.#kept.has(migration));
    return next === undefined ? undefined : this.#scriptOf(next);
  }

  #noteLast({ comparison }: Standing, { migration }: Script): void {
    this.#last = comparison.applied.filter((applied) => applied !== migration).at(-1);
  }

  #scriptOf(migration: Migration): Script {
    const known = this.#scripts.get(migration);
    if (known !== undefined) return known;
    const script = readDown(migration);
    assertKeepsLedger(script, this.#options.table);
    this.#scripts.set(migration, script);
    return script;
  }

  #explain(error: unknown): unknown {
    const isOurs = error instanceof MigrationError || (error instanceof StorageError && error.code === "BUSY");
    if (!isOurs) return error;
    const done =
      this.#reverted.length === 0
        ? ""
        : `${listTags(this.#reverted)} ${this.#reverted.length === 1 ? "was" : "were"} already reverted; `;
    if (error instanceof MigrationError) {
      return error.withState(`It was rolled back: ${done}${standing(this.#last?.tag)}`);
    }
    if (done === "") return error;
    const message = `${error.message}. This concerns the current step: ${done}${standing(this.#last?.tag)}`;
    return new StorageError(error.code, message, { cause: error, retryable: error.retryable });
  }
}

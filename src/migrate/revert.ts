import type { Client } from "@libsql/client";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import type { PooledClient } from "../client/pooled-client.js";
import { toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { backUpIfDue, commit } from "./apply.js";
import { lookUp, type Standing } from "./decision.js";
import { readDown } from "./down.js";
import { MigrationError, standing } from "./failure.js";
import { findViolations } from "./foreign-keys.js";
import { type Journal, type Migration, readJournal } from "./journal.js";
import { clientQuery, deleteLedgerSql, type Query } from "./ledger.js";
import { lockedTurn } from "./lock.js";
import { type ResolvedRevertOptions, type RevertOptions, resolveRevertOptions } from "./options.js";
import { listTags, planRevert } from "./plan.js";
import { retryOnRace, runRemotely } from "./remote.js";
import { runScript } from "./run-script.js";
import type { Script } from "./script.js";

/** What a run reverted, by tag. */
export interface RevertResult {
  /** In the order in which they were reverted: the last one applied comes first. */
  readonly reverted: string[];
  /** The last one applied before and after; undefined where there is none. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Path of the backup, where one was made. */
  readonly backup?: string;
}

/**
 * Takes a database back to the migration `to`, or by `steps` migrations, by their down files (`0003_name.down.sql`).
 *
 * Each is undone in a transaction of its own, together with its entry in the ledger: whoever is killed or fails
 * half-way leaves a file that stands at one of the migrations, and the same call goes on from there. With `backupTo`,
 * a local file that holds rows is copied there first, and verified.
 *
 * Rejects before anything is touched with IRREVERSIBLE where one of them has no down file, with NOT_FOUND where `to` is
 * unknown or not applied, and with FOREIGN_LEDGER, MIGRATION_UNKNOWN or MIGRATION_CHANGED. MIGRATION_FAILED rolls back
 * the one that failed, and says where the file stands; BUSY is for a lock that another process kept.
 */
export async function revert(client: Client, options: RevertOptions): Promise<RevertResult> {
  const resolved = resolveRevertOptions(options);
  const journal = readJournal(resolved.folder);
  try {
    return await new Run(client, journal, resolved).toEnd();
  } catch (error) {
    throw toStorageError(error);
  }
}

class Run {
  readonly #client: Client;
  readonly #journal: Journal;
  readonly #options: ResolvedRevertOptions;
  readonly #query: Query;
  /** What is to stay, settled by the first look: a process that migrates meanwhile does not make this run shorter. */
  #kept: ReadonlySet<Migration> = new Set();
  readonly #scripts = new Map<Migration, Script>();
  readonly #reverted: Migration[] = [];
  #last: Migration | undefined;
  #backup: string | undefined;

  constructor(client: Client, journal: Journal, options: ResolvedRevertOptions) {
    this.#client = client;
    this.#journal = journal;
    this.#options = options;
    this.#query = clientQuery(client);
  }

  async toEnd(): Promise<RevertResult> {
    const found = await lookUp(this.#query, this.#journal, this.#options);
    const from = found.comparison.last?.tag;
    this.#last = found.comparison.last;
    const due = planRevert(this.#journal, found.comparison, { ...this.#options, ...found });
    // All ways back are read before the first one is taken.
    for (const migration of due) this.#scriptOf(migration);
    this.#kept = new Set(found.comparison.applied.filter((migration) => !due.includes(migration)));
    while (due.length > 0 && (await this.#step())) {
      // Until nothing is left above what stays.
    }
    const backup = this.#backup === undefined ? {} : { backup: this.#backup };
    return { reverted: this.#reverted.map(({ tag }) => tag), from, to: this.#last?.tag, ...backup };
  }

  /** Reverts the next one; false when there is none. */
  async #step(): Promise<boolean> {
    const { pool } = this.#client as Partial<PooledClient>;
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
    const { folder, table, before } = this.#options;
    const scripts = [...this.#scripts.values()];
    const purpose = `revert ${listTags(scripts.map(({ migration }) => migration))}`;
    return lockedTurn(pool, scripts, { ...this.#options, purpose }, async (connection) => {
      const found = await lookUp((sql) => connection.query(sql), this.#journal, this.#options);
      const script = this.#next(found);
      if (script === undefined) return undefined;
      if (this.#reverted.length === 0) {
        this.#backup ??= await backUpIfDue(pool, connection, script, this.#options);
      }
      await before({ pending: [script.migration.tag], backup: this.#backup });
      await runScript(connection, script, { folder, violations: findViolations(connection) });
      connection.exec(deleteLedgerSql(table, script.migration));
      commit(connection, script);
      this.#noteLast(found, script);
      pool.writer.countCommit();
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
      const entry = { script, ledgerSql: deleteLedgerSql(table, script.migration) };
      await runRemotely(this.#client, [entry], found, this.#options);
      this.#noteLast(found, script);
      return script;
    });
  }

  #next(found: Standing): Script | undefined {
    // The ledger may have changed since the first look, so its rules are asked again.
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
    this.#scripts.set(migration, script);
    return script;
  }

  #explain(error: unknown): unknown {
    const isOurs = error instanceof MigrationError || (error instanceof StorageError && error.code === "BUSY");
    if (!isOurs) return error;
    const done = this.#reverted.length === 0 ? "" : `${listTags(this.#reverted)} had been reverted before; `;
    if (error instanceof MigrationError) {
      return error.withState(`It was rolled back: ${done}${standing(this.#last?.tag)}`);
    }
    if (done === "") return error;
    const message = `${error.message}. That holds for this step: ${done}${standing(this.#last?.tag)}`;
    return new StorageError(error.code, message, { cause: error, retryable: error.retryable });
  }
}

import { AsyncLocalStorage } from "node:async_hooks";
import type { Readable } from "node:stream";
import type { TransactionMode } from "@libsql/client";
import { LRUCache } from "lru-cache";
import { expectProject } from "../areas/arguments.js";
import { ClientExecutor } from "../areas/client-executor.js";
import type { AreaChange, RepositoryContext } from "../areas/context.js";
import { asStorageErrors } from "../areas/executor.js";
import { GraphCache } from "../areas/graph/cache.js";
import { AREAS, openRepositories, type Repositories } from "../areas/registry.js";
import { forStored, toRepair } from "../areas/repair.js";
import { StoryHubs } from "../areas/stories/hub.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import type { Access, ClientStats, EngineClient, RemoteStats, StorageClient } from "../client/storage-client.js";
import { toStorageError } from "../client/storage-error.js";
import { describePlace } from "../files/file-place.js";
import { lazyModule } from "../files/load-module.js";
import {
  type BackupResult,
  type BackupsOptions,
  type BackupsResult,
  backUp,
  rotateBackups,
} from "../maintenance/backup.js";
import { type CheckOptions, checkStorage } from "../maintenance/check.js";
import type { MaintenanceContext } from "../maintenance/context.js";
import { Eraser } from "../maintenance/erase.js";
import { type ExportOptions, exportStorage } from "../maintenance/export.js";
import type { CheckResult, Finding } from "../maintenance/findings.js";
import type { ImportOptions, ImportResult } from "../maintenance/import.js";
import { type PrunePolicy, type PruneResult, pruneStorage } from "../maintenance/prune.js";
import { type ReindexResult, type RepairResult, reindexStorage, repairStorage } from "../maintenance/reindex.js";
import { withRoom } from "../maintenance/room.js";
import * as tables from "../schema/index.js";
import { callSafely, guardProgress } from "../shared/callbacks.js";
import { StorageError } from "../shared/errors.js";
import { expectFunction, expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import type { LongCallOptions } from "../shared/long-call.js";
import type { TextSource } from "../shared/text-lines.js";
import { drizzleInScope, drizzleOnClient, type StorageDatabase } from "./drizzle-scope.js";
import { type Change, EventHub, type StorageEvents } from "./events.js";
import { type FileStats, type Health, readFileStats, readHealth } from "./health.js";
import { asOpenError, bringUpToDate, migrationSets, openClient } from "./open.js";
import { countStorage } from "./open-storages.js";
import { type ResolvedStorageOptions, resolveStorageOptions, type StorageOptions } from "./options.js";
import { countProjects, DEFAULT_PROJECT, type ProjectCount, purgeProject } from "./projects.js";
import {
  type HandleParts,
  type ProjectTransaction,
  projectTransaction,
  type StorageTransaction,
  storageTransaction,
} from "./transaction.js";
import { type ScopeContext, TransactionScope } from "./transaction-scope.js";

const loadImport = lazyModule(() => import("../maintenance/import.js"));

/** One project. Nothing in it can read or change another project. */
export interface Project extends Repositories {
  readonly name: string;
  /** Works like `Storage.transaction`, but its `tx` has this project only. */
  transaction<T>(work: (tx: ProjectTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
}

export interface TransactionOptions {
  /** @default "write" */
  readonly mode?: TransactionMode | undefined;
}

export interface StorageStats extends FileStats {
  /** Statistics of the pool on the local file. Undefined for a server. */
  readonly client: ClientStats | undefined;
  /** Statistics of the requests to a server. Undefined for a local file. */
  readonly remote: RemoteStats | undefined;
}

/**
 * Opens a storage. Creates the file and its folder if they are missing, and updates the schema.
 *
 * `target` is a path, a URL or options. Without it, `openStorage` tries `HOLDFAST_URL`, `HOLDFAST_DATA_DIR` and the
 * platform's data folder, in this order.
 *
 * Rejects with `NOT_A_DATABASE`, `CORRUPT` or `CANNOT_OPEN` and does not change the file, with the `MIGRATION_*` codes
 * if the schema does not fit, and with TypeError or RangeError on wrong options.
 */
export async function openStorage(target?: string | URL | StorageOptions): Promise<Storage> {
  return openResolved(resolveStorageOptions(target));
}

/** @internal Works like `openStorage`, with options that are already checked. */
export async function openResolved(options: ResolvedStorageOptions): Promise<Storage> {
  const opened = await openClient(options);
  const { client, path } = opened;
  try {
    await bringUpToDate(opened, options);
    const place = path === undefined ? undefined : describePlace(path);
    if (place !== undefined) options.logger?.warn(place);
    return new Storage(client, options, path);
  } catch (error) {
    await client.close();
    throw asOpenError(error, path ?? options.client.url);
  }
}

/** The repositories of project `"default"`. */
export interface Storage extends Repositories {}

/** An open storage: the repositories of its projects, transactions across them, and the database. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the static block defines a getter for each repository.
export class Storage {
  static {
    for (const { name } of AREAS) {
      Object.defineProperty(Storage.prototype, name, {
        get(this: Storage) {
          return this.#outer[name];
        },
      });
    }
  }

  /** The client of the database. Inside a callback of `transaction`, its writes reject with `WRONG_HANDLE`. */
  readonly client: StorageClient;
  /**
   * Drizzle on that client. Inside a callback of its `transaction`, writes through the storage reject, as in the
   * storage's own.
   */
  readonly db: StorageDatabase;
  readonly #client: EngineClient;
  readonly #options: ResolvedStorageOptions;
  readonly #path: string | undefined;
  readonly #executor: ClientExecutor;
  readonly #events = new EventHub();
  readonly #context: ScopeContext = new AsyncLocalStorage();
  readonly #projects = new LRUCache<string, Project>({ max: 1000 });
  readonly #stories: RepositoryContext["stories"];
  readonly #eraser: Eraser;
  readonly #outer: Project;
  readonly #graphs: GraphCache;
  readonly #handleParts: HandleParts = {
    repositories: (project, scope) => {
      const context = this.#repositoryContext(project, scope, (change) => scope.announce(change));
      return openRepositories({ ...context, afterCommit: (task) => scope.afterCommit(task) });
    },
    db: (scope) => drizzleInScope(scope, { ...tables, ...this.#options.schema }),
  };
  readonly #noteClosed: () => void;
  #openTransactions = 0;
  #lastError: unknown;

  /** @internal Use `openStorage`. */
  constructor(client: EngineClient, options: ResolvedStorageOptions, path: string | undefined) {
    this.client = client;
    this.#client = client;
    this.db = drizzleOnClient(client, { ...tables, ...options.schema }, (work) =>
      this.#transaction(work, {}, (error) => error),
    );
    this.#options = options;
    this.#path = path;
    this.#graphs = new GraphCache(options.graphCacheBytes);
    this.#executor = new ClientExecutor(client, (error) => this.#noteError(error));
    client.guard = (access) => this.#assertOutside(access);
    if (options.onError !== undefined) this.#events.on("error", options.onError);
    this.#eraser = new Eraser(client);
    const { box, stories } = options;
    this.#stories = { hubs: new StoryHubs(stories), box, historyLimit: stories.historyLimit };
    this.#outer = this.project(DEFAULT_PROJECT);
    const isFile = path !== undefined && path !== ":memory:";
    this.#noteClosed = isFile ? countStorage(path, options.logger) : () => undefined;
  }

  /** The project with this name: 1 to 200 characters, compared exactly. A project without records exists too. */
  project(name: string): Project {
    expectProject(name);
    const known = this.#projects.get(name);
    if (known !== undefined) return known;
    const context = this.#repositoryContext(name, this.#executor, (change) => this.#announce(change));
    const project: Project = {
      name,
      ...openRepositories(context),
      transaction: async (work, options) => {
        expectFunction("work", work);
        return this.#transaction((scope) => work(projectTransaction(this.#handleParts, scope, name)), options);
      },
    };
    this.#projects.set(name, project);
    return project;
  }

  /**
   * The projects that have records, and the number of their records. The largest is first; equal ones are sorted by
   * name.
   */
  projects(): Promise<ProjectCount[]> {
    return countProjects(this.#executor);
  }

  /** Permanently removes all records of a project. Resolves to the number of records removed. */
  async purgeProject(name: string): Promise<number> {
    expectProject(name);
    return purgeProject(this.#maintenance, name);
  }

  /**
   * Runs `work` in one transaction. Stores all of its writes if it resolves, and none if it rejects; then rejects with
   * the same error.
   *
   * `tx` has the same repositories. Inside the callback, a write through the storage itself rejects with
   * `WRONG_HANDLE`, and a read through it sees the state before the transaction (on `:memory:` it rejects too).
   */
  async transaction<T>(work: (tx: StorageTransaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    expectFunction("work", work);
    return this.#transaction((scope) => work(storageTransaction(this.#handleParts, scope)), options);
  }

  /**
   * Calls `listener` for changes of this process after COMMIT, or for errors. Call the returned function to stop
   * listening.
   */
  on<K extends keyof StorageEvents>(event: K, listener: (value: StorageEvents[K]) => void): () => void {
    return this.#events.on(event, listener);
  }

  async stats(): Promise<StorageStats> {
    const { remote, ...client } = this.#client.stats();
    const hasPool = client.pool.max > 0;
    try {
      return { ...(await readFileStats(this.#client, this.#path)), client: hasPool ? client : undefined, remote };
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** Reports the state of the storage. Never rejects. */
  health(): Promise<Health> {
    const problem = toStorageError(this.#client.findProblem?.()) as Error | undefined;
    const path = this.#path ?? this.#options.client.url.replace(/\?.*$/, "");
    return readHealth(this.#client, path, { lastError: this.#lastError, problem });
  }

  /**
   * Copies the database to the file `destination` as one consistent snapshot, while others read and write.
   *
   * The copy is checked (it opens, passes SQLite's integrity check and has the rows of its source) and synced before it
   * gets its name, so a crash or an abort leaves no file there. The copy of an encrypted file is encrypted with the
   * same key.
   *
   * Rejects with EXISTS if `destination` exists, NOT_FOUND if the database is gone, FULL, BUSY if another process
   * writes without pause for a minute, and NOT_SUPPORTED for a remote database.
   */
  async backup(destination: string | URL, options: LongCallOptions = {}): Promise<BackupResult> {
    expectKeys("backup", options, ["onProgress", "signal"]);
    return backUp(this.#localPool("backup"), destination, this.#guarded(options));
  }

  /**
   * Makes a backup at `dir/YYYYMMDD/HHMMSS/<file>` (UTC), then removes the oldest of these backups until `keep` are
   * left.
   *
   * Changes no other files in `dir`, and removes nothing before the new backup is complete. Rejects as `backup` does.
   */
  async backups(dir: string | URL, options: BackupsOptions = {}): Promise<BackupsResult> {
    expectKeys("backups", options, ["keep", "onProgress", "signal"]);
    return rotateBackups(this.#localPool("backups"), dir, { ...this.#guarded(options), now: this.#options.now });
  }

  /**
   * Looks for damage: SQLite's own structures (all of them with `deep`), rows that refer to missing rows, the state of
   * the migrations, lost triggers, full-text indexes that differ from their tables and, with `deep`, the checksum of
   * every record. Findings of severity `info` (size of the log, free space) leave it `ok`.
   *
   * A separate process reads the file, because a damaged file can abort its reader. The file is not written to. Rejects
   * with NOT_FOUND if the file is gone.
   */
  async check(options: CheckOptions = {}): Promise<CheckResult> {
    return checkStorage(this.#maintenance, this.#guarded(options));
  }

  /**
   * Makes the repairs for the findings of a check that lose nothing: re-creates lost triggers and full-text tables, and
   * rebuilds full-text indexes. Returns the other findings as `left`. Rejects with CORRUPT, and writes nothing, if the
   * file is damaged.
   */
  async repair(findings: readonly Finding[], options: LongCallOptions = {}): Promise<RepairResult> {
    this.#assertWritable();
    return repairStorage(this.#maintenance, findings, this.#guarded(options));
  }

  /**
   * Rebuilds the full-text indexes from the contents, and re-creates lost ones. Searches continue to work. Writers wait
   * while an index is filled, which takes a second or two for 100,000 memories. An abort leaves the indexes unchanged.
   */
  async reindex(options: LongCallOptions = {}): Promise<ReindexResult> {
    this.#assertWritable();
    return reindexStorage(this.#maintenance, this.#guarded(options));
  }

  /**
   * Permanently removes records until every project and area is within the limits of `policy`. It removes deleted
   * records first, then the records whose last change is oldest. It always removes whole records. Other writers can
   * write between its steps, and the space is returned to the file system.
   *
   * A record that changes during the call stays. A failure or an abort half-way rejects with `PruneError`, whose
   * `removed` lists the removed records. An abort before the first step rejects with the signal's reason. Rejects with
   * TypeError or RangeError before it removes anything, also if no limit is given.
   *
   * @example
   * await storage.prune({ olderThan: new Date(Date.now() - 90 * 86_400_000), maxRows: 100_000, dryRun: true });
   */
  async prune(policy: PrunePolicy): Promise<PruneResult> {
    if (policy?.dryRun !== true) this.#assertWritable();
    return pruneStorage(this.#maintenance, this.#guarded(policy));
  }

  /**
   * Exports all records, or those of one project or area, as JSON Lines: a header with format, version and counts, then
   * one line for each record, including deleted ones. The stream gives strings, each a whole line.
   *
   * All lines are from one snapshot. A read transaction is open until the stream ends, so read it to the end, or
   * destroy it. Only one page of records is in memory (all of them for a database in memory). Throws TypeError or
   * RangeError on wrong options.
   *
   * @example
   * await pipeline(storage.export({ project: "app" }), createWriteStream("app.jsonl"));
   */
  export(options: ExportOptions = {}): Readable {
    this.#assertOutside("read");
    return exportStorage(this.#maintenance, this.#guarded(options));
  }

  /**
   * Stores an export, completely or not at all. Reads and checks the text before it takes the write lock.
   *
   * Rejects with INVALID_IMPORT, whose `lines` name every bad line and the reason (`line` is the first), and with
   * CONFLICT for an id that the project already has, unless `onConflict` is "skip" or "replace".
   */
  async import(stream: TextSource, options: ImportOptions = {}): Promise<ImportResult> {
    this.#assertWritable();
    const { importStorage } = await loadImport();
    return importStorage(this.#maintenance, stream, this.#guarded(options));
  }

  /** Fetches the changes of the primary into an embedded replica. */
  async sync(): Promise<void> {
    try {
      await this.#client.sync();
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** Finishes running calls, rolls back open transactions and closes the file. Idempotent. */
  async close(): Promise<void> {
    const flushing = this.#stories.hubs.flush();
    if (flushing !== undefined) await flushing;
    await this.#client.close();
    this.#noteClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #localPool(method: string): ConnectionPool {
    // It takes the write lock for a moment. An open transaction of the caller would hold that lock.
    this.#assertOutside("write");
    const { local } = this.#client;
    if (local !== undefined) {
      if (local.closed) throw new StorageError("CLOSED", "The storage is closed. Open it again");
      return local.pool;
    }
    throw new StorageError(
      "NOT_SUPPORTED",
      `${method}() copies a local file, and this database is elsewhere. Use the backups of its server, or export(); an embedded replica's file can be copied once the replica is closed, from a storage opened on that file alone`,
    );
  }

  get #maintenance(): MaintenanceContext {
    const announce = (change: AreaChange) => this.#announce(change);
    return {
      client: this.#client,
      path: this.#path,
      executor: this.#executor,
      migrations: migrationSets(this.#options),
      encryptionKey: this.#options.client.encryptionKey,
      announce,
      erase: () => this.#erase(),
      forProject: (project, executor) => {
        const context = this.#repositoryContext(project, executor, announce);
        return { ...context, repair: forStored(context.repair) };
      },
    };
  }

  /** `toError` converts the error of a failed BEGIN or COMMIT. Drizzle's errors are those of the client. */
  async #transaction<T>(
    work: (scope: TransactionScope) => Promise<T>,
    options: TransactionOptions = {},
    toError: (error: unknown) => unknown = toStorageError,
  ): Promise<T> {
    expectKeys("transaction", options, ["mode"]);
    const { mode = "write" } = options;
    expectOneOf("mode", mode, ["write", "read", "deferred"]);
    this.#assertOutside(mode === "read" ? "read" : "write");
    const transaction = await this.#client.transaction(mode).catch((error: unknown) => {
      this.#noteError(error);
      throw toError(error);
    });
    const scope = new TransactionScope(transaction, this.#context);
    this.#openTransactions++;
    let result: T;
    try {
      result = await scope.run(() => work(scope));
    } catch (error) {
      // Throws the callback's own error. An open transaction is rolled back in any case.
      transaction.close();
      throw error;
    } finally {
      // A running AsyncLocalStorage slows down every promise, so disable it while no callback runs.
      if (--this.#openTransactions === 0) this.#context.disable();
    }
    try {
      await transaction.commit();
    } catch (error) {
      this.#noteError(error);
      throw toError(error);
    }
    for (const change of scope.changes) this.#announce(change);
    if (scope.changes.some(({ action }) => action === "purge")) await this.#erase();
    // The transaction is stored, so the failure of a task must not reject its caller.
    for (const task of scope.tasks) callSafely(task, (error) => this.#events.emit("error", error));
    return result;
  }

  #repositoryContext(
    project: string,
    executor: RepositoryContext["executor"],
    announce: (change: AreaChange) => void,
  ): RepositoryContext {
    const { now, maxContentChars, maxMessageChars, compressContents, invalidText } = this.#options;
    const repair = toRepair(invalidText);
    // In a transaction there is nothing to erase yet. Erasing starts after the commit.
    const removal =
      executor === this.#executor
        ? {
            erase: () => this.#erase(),
            removing: <T>(work: () => Promise<T>) => asStorageErrors(() => withRoom(this.#client, work)),
          }
        : {};
    return {
      project,
      executor,
      announce,
      now,
      maxContentChars,
      maxMessageChars,
      repair,
      compressContents,
      graphs: this.#graphs,
      stories: this.#stories,
      ...removal,
    };
  }

  #announce(change: AreaChange): void {
    // Graph deletes are permanent, but a graph may be deleted node by node.
    if (change.action === "delete" && change.area === "graph") this.#client.local?.eraseLogSoon();
    // An area announces under its own name.
    this.#events.emit("change", change as Change);
  }

  #erase(): Promise<void> {
    return this.#eraser.erase();
  }

  /**
   * Inside a transaction's callback, a call on the storage itself would wait for the transaction, which waits for the
   * call.
   */
  #assertOutside(access: Access): void {
    if (this.#openTransactions === 0 || TransactionScope.open(this.#context) === undefined) return;
    if (access === "read" && this.#client.local?.hasOneConnection !== true) return;
    throw new StorageError(
      "WRONG_HANDLE",
      "This storage was used inside a callback of its own transaction(): use the `tx` of the callback, not the storage",
    );
  }

  /** Called before maintenance, which uses separate connections. */
  #assertWritable(): void {
    this.#assertOutside("write");
    try {
      this.#client.local?.assertWritable();
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** Options of a long call: an `onProgress` that rejects is an `error` event, and ends the call at its next step. */
  #guarded<T extends object>(options: T): T {
    return guardProgress(options, (error) => this.#events.emit("error", error));
  }

  #noteError(error: unknown): void {
    const failure = toStorageError(error);
    if (
      !(failure instanceof StorageError) ||
      ["CONFLICT", "NOT_FOUND", "WRONG_HANDLE", "CLOSED", "RESPONSE_TOO_LARGE"].includes(failure.code)
    )
      return;
    this.#lastError = failure;
    this.#options.logger?.error(`holdfast: ${failure.code}: ${failure.message}`);
    this.#events.emit("error", failure);
  }
}

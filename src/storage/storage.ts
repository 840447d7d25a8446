import type { Readable } from "node:stream";
import { DEFAULT_PROJECT, expectProject } from "../areas/arguments.js";
import { AREAS, type Repositories } from "../areas/registry.js";
import type { ClientStats, EngineClient, RemoteStats, StorageClient } from "../client/storage-client.js";
import { asStorageErrors, toStorageError } from "../client/storage-error.js";
import { describePlace } from "../files/file-place.js";
import { lazyModule, NEEDED_FOR_ZOD } from "../files/load-module.js";
import {
  type BackupResult,
  type BackupsOptions,
  type BackupsResult,
  backUp,
  rotateBackups,
} from "../maintenance/backup.js";
import { type CheckOptions, checkStorage } from "../maintenance/check.js";
import { type ExportOptions, exportStorage } from "../maintenance/export.js";
import type { CheckResult, Finding } from "../maintenance/findings.js";
import type { ImportOptions, ImportResult } from "../maintenance/import.js";
import { type PrunePolicy, type PruneResult, pruneStorage } from "../maintenance/prune.js";
import { type ReindexResult, type RepairResult, reindexStorage, repairStorage } from "../maintenance/reindex.js";
import { type CompactResult, compactStorage } from "../maintenance/space.js";
import { expectFunction } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import type { LongCallOptions } from "../shared/long-call.js";
import { LruCache } from "../shared/lru-cache.js";
import { refuseSecond } from "../shared/surplus-arguments.js";
import { expectFailure, type TextSource } from "../shared/text-lines.js";
import { StorageCore, type TransactionOptions } from "./core.js";
import { type BeginScope, drizzleOnClient, type StorageDatabase, type StorageSchema } from "./drizzle-scope.js";
import type { StorageEvents } from "./events.js";
import { type FileStats, type Health, readFileStats, readHealth } from "./health.js";
import { asOpenError, bringUpToDate, openClient } from "./open.js";
import { countStorage } from "./open-storages.js";
import { type ResolvedStorageOptions, resolveStorageOptions, type StorageOptions } from "./options.js";
import { countProjects, type ProjectCount, purgeProject } from "./projects.js";
import {
  type ProjectTransaction,
  projectTransaction,
  type StorageTransaction,
  storageTransaction,
} from "./transaction.js";
import type { TransactionScope } from "./transaction-scope.js";

const loadImport = lazyModule(() => import("../maintenance/import.js"), NEEDED_FOR_ZOD);

/** One project. Nothing in it can read or change another project. */
export interface Project extends Repositories {
  readonly name: string;
  /** Works like `Storage.transaction`, but its `tx` has this project only. */
  transaction<T>(work: (tx: ProjectTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
}

/** Figures of the file, the pool and the requests. */
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
 * platform's data folder, in this order. With `schema`, the types of `storage.db` and `tx.db` have its tables.
 *
 * Rejects with `NOT_A_DATABASE`, `CORRUPT` or `CANNOT_OPEN` and does not change the file, with the `MIGRATION_*` codes
 * if the schema does not fit, and with TypeError or RangeError on wrong options.
 */
export async function openStorage<TSchema extends StorageSchema = StorageSchema>(
  target?: string | URL | StorageOptions<TSchema>,
): Promise<Storage<NoInfer<TSchema>>> {
  // biome-ignore lint/complexity/noArguments: a rest parameter would allow it in the types.
  refuseSecond("openStorage", arguments, TARGET_IN_OPTIONS);
  return openResolved(resolveStorageOptions(target));
}

/** @internal Works like `openStorage`, with options that are already checked. */
export async function openResolved<TSchema extends StorageSchema = StorageSchema>(
  options: ResolvedStorageOptions,
): Promise<Storage<TSchema>> {
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

const TARGET_IN_OPTIONS =
  ': pass options in its place, with the path or URL as `url`: { url: "app.db", readOnly: true }';

/** The repositories of project `"default"`. */
// biome-ignore lint/correctness/noUnusedVariables: merged declarations have the same type parameters.
export interface Storage<TSchema extends StorageSchema = StorageSchema> extends Repositories {}

/** An open storage: the repositories of its projects, transactions across them, and the database. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the static block defines a getter for each repository.
export class Storage<TSchema extends StorageSchema = StorageSchema> {
  static {
    for (const { name } of AREAS) {
      Object.defineProperty(Storage.prototype, name, {
        configurable: true,
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
   * storage's own. A query that fails rejects with a `DrizzleQueryError`, whose `cause` has the code.
   */
  get db(): StorageDatabase<TSchema> {
    // Made at the first use: Drizzle reads the whole schema for it, and repositories do without.
    this.#db ??= this.#openDrizzle();
    return this.#db;
  }
  #db: StorageDatabase<TSchema> | undefined;
  readonly #core: StorageCore;
  readonly #projects = new LruCache<Project>({ max: 1000 });
  readonly #outer: Project;
  readonly #noteClosed: () => void;

  /** @internal Use `openStorage`. */
  constructor(client: EngineClient, options: ResolvedStorageOptions, path: string | undefined) {
    this.client = client;
    this.#core = new StorageCore(client, options, path);
    this.#outer = this.project(DEFAULT_PROJECT);
    const isFile = path !== undefined && path !== ":memory:";
    this.#noteClosed = isFile ? countStorage(path, options.logger) : () => undefined;
  }

  #openDrizzle(): StorageDatabase<TSchema> {
    const begin: BeginScope = (work) => this.#core.transaction(work, {}, (error) => error);
    // The schema of the core has the tables of TSchema. Its own type does not say so.
    return drizzleOnClient(this.#core.client, this.#core.schema, begin) as StorageDatabase<TSchema>;
  }

  /** The project with this name: 1 to 200 characters, compared exactly. A project without records exists too. */
  project(name: string): Project {
    expectProject(name);
    const known = this.#projects.get(name);
    if (known !== undefined) return known;
    const core = this.#core;
    const project: Project = {
      name,
      ...core.repositories(name),
      transaction: async (work, options) => {
        expectFunction("work", work);
        return core.transaction((scope) => work(projectTransaction(core, scope, name)), options);
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
    return countProjects(this.#core.executor);
  }

  /** Permanently removes all records of a project. Resolves to the number of records removed. */
  async purgeProject(name: string): Promise<number> {
    expectProject(name);
    return purgeProject(this.#core.maintenance, name);
  }

  /**
   * Runs `work` in one transaction. Stores all of its writes if it resolves, and none if it rejects; then rejects with
   * the same error.
   *
   * `tx` has the same repositories. Inside the callback, a write through the storage itself rejects with
   * `WRONG_HANDLE`, and a read through it sees the state before the transaction (on `:memory:` it rejects too).
   */
  async transaction<T>(
    work: (tx: StorageTransaction<TSchema>) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    expectFunction("work", work);
    const handle = (scope: TransactionScope) => storageTransaction(this.#core, scope) as StorageTransaction<TSchema>;
    return this.#core.transaction((scope) => work(handle(scope)), options);
  }

  /**
   * Calls `listener` for changes of this process after COMMIT, or for errors. Call the returned function to stop
   * listening.
   */
  on<K extends keyof StorageEvents>(event: K, listener: (value: StorageEvents[K]) => void): () => void {
    return this.#core.events.on(event, listener);
  }

  /** Figures of the file, the pool and the requests. Rejects if the database cannot be read. */
  async stats(): Promise<StorageStats> {
    const { client: target, path } = this.#core;
    const { remote, ...client } = target.stats();
    const hasPool = client.pool.max > 0;
    return asStorageErrors(async () => {
      return { ...(await readFileStats(target, path)), client: hasPool ? client : undefined, remote };
    });
  }

  /** Reports the state of the storage. Never rejects. */
  health(): Promise<Health> {
    const { client, options, lastError } = this.#core;
    const problem = toStorageError(client.findProblem?.()) as Error | undefined;
    const path = this.#core.path ?? options.client.url.replace(/\?.*$/, "");
    return readHealth(client, path, { lastError, problem });
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
    return backUp(this.#core.localPool("backup"), destination, this.#core.guarded(options));
  }

  /**
   * Makes a backup at `dir/YYYYMMDD/HHMMSS/<file>` (UTC), then removes the oldest of these backups until `keep` are
   * left.
   *
   * Changes no other files in `dir`, and removes nothing before the new backup is complete. Rejects as `backup` does.
   */
  async backups(dir: string | URL, options: BackupsOptions = {}): Promise<BackupsResult> {
    expectKeys("backups", options, ["keep", "onProgress", "signal"]);
    return rotateBackups(this.#core.localPool("backups"), dir, {
      ...this.#core.guarded(options),
      now: this.#core.options.now,
    });
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
    return checkStorage(this.#core.maintenance, this.#core.guarded(options));
  }

  /**
   * Makes the repairs for the findings of a check that lose nothing: re-creates lost triggers and full-text tables, and
   * rebuilds full-text indexes. Returns the other findings as `left`. Rejects with CORRUPT, and writes nothing, if the
   * file is damaged.
   */
  async repair(findings: readonly Finding[], options: LongCallOptions = {}): Promise<RepairResult> {
    this.#core.assertWritable();
    return repairStorage(this.#core.maintenance, findings, this.#core.guarded(options));
  }

  /**
   * Rebuilds the full-text indexes from the contents, and re-creates lost ones. Searches continue to work. Writers wait
   * while an index is filled, which takes a second or two for 100,000 memories. An abort leaves the indexes unchanged.
   */
  async reindex(options: LongCallOptions = {}): Promise<ReindexResult> {
    this.#core.assertWritable();
    return reindexStorage(this.#core.maintenance, this.#core.guarded(options));
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
    if (policy?.dryRun !== true) this.#core.assertWritable();
    return pruneStorage(this.#core.maintenance, this.#core.guarded(policy));
  }

  /**
   * Returns free pages of the file to the file system, in short steps, so that other writers can write between them.
   * `prune` does this too. An abort keeps the finished steps. Rejects with NOT_SUPPORTED for a server.
   *
   * A file that another tool made without incremental vacuum keeps its free pages for new rows.
   */
  async compact(options: LongCallOptions = {}): Promise<CompactResult> {
    this.#core.assertWritable();
    return compactStorage(this.#core.maintenance, this.#core.guarded(options));
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
    this.#core.assertOutside("read");
    return exportStorage(this.#core.maintenance, this.#core.guarded(options));
  }

  /**
   * Stores an export, completely or not at all. Reads and checks the text before it takes the write lock.
   *
   * Rejects with INVALID_IMPORT, whose `lines` name every bad line and the reason (`line` is the first), and with
   * CONFLICT for an id that the project already has, unless `onConflict` is "skip" or "replace". Rejects with the error
   * of a stream that fails, also if it failed before the call.
   */
  async import(stream: TextSource, options: ImportOptions = {}): Promise<ImportResult> {
    expectFailure(stream);
    this.#core.assertWritable();
    const { importStorage } = await loadImport();
    return importStorage(this.#core.maintenance, stream, this.#core.guarded(options));
  }

  /** Fetches the changes of the primary into an embedded replica. */
  async sync(): Promise<void> {
    return asStorageErrors(async () => {
      await this.#core.client.sync();
    });
  }

  /**
   * Finishes running writes, rolls back open transactions and closes the file. Idempotent. A read that takes several
   * steps, such as a search, may reject with CLOSED.
   */
  async close(): Promise<void> {
    const flushing = this.#core.flush();
    if (flushing !== undefined) await flushing;
    const finishing = this.#core.finishWrites();
    if (finishing !== undefined) await finishing;
    this.#core.forget();
    await this.#core.client.close();
    this.#noteClosed();
  }

  /** Calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

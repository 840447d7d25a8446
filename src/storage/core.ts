import { AsyncLocalStorage } from "node:async_hooks";
import type { Transaction, TransactionMode } from "@libsql/client";
import { ClientExecutor } from "../areas/client-executor.js";
import type { AreaChange, RepositoryContext } from "../areas/context.js";
import type { Executor } from "../areas/executor.js";
import { GraphCache } from "../areas/graph/cache.js";
import { LateIndexer } from "../areas/late-indexer.js";
import { VectorCache } from "../areas/memories/vector-cache.js";
import { openRepositories, type Repositories } from "../areas/registry.js";
import { forStored, toRepair } from "../areas/repair.js";
import { StoryHubs } from "../areas/stories/hub.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import type { Access, EngineClient } from "../client/storage-client.js";
import { asStorageErrors, toStorageError } from "../client/storage-error.js";
import type { MaintenanceContext } from "../maintenance/context.js";
import { Eraser } from "../maintenance/erase.js";
import { withRoom } from "../maintenance/room.js";
import * as tables from "../schema/index.js";
import { callSafely, guardProgress } from "../shared/callbacks.js";
import { StorageError } from "../shared/errors.js";
import { expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { drizzleInScope, type StorageDatabase } from "./drizzle-scope.js";
import { type Change, EventHub } from "./events.js";
import { migrationSets } from "./open.js";
import type { ResolvedStorageOptions } from "./options.js";
import type { HandleParts } from "./transaction.js";
import { type ScopeContext, TransactionScope } from "./transaction-scope.js";

/** The options of `transaction`. */
export interface TransactionOptions {
  /** `write` takes the write lock at once, `deferred` with the first write, and `read` never. @default "write" */
  readonly mode?: TransactionMode | undefined;
}

/** The parts that the repositories, transactions and maintenance of one open storage share. */
export class StorageCore implements HandleParts {
  readonly client: EngineClient;
  readonly options: ResolvedStorageOptions;
  readonly path: string | undefined;
  readonly executor: ClientExecutor;
  readonly events = new EventHub();
  /** For Drizzle: our tables, and those of the caller. */
  readonly schema: Record<string, unknown>;
  readonly #scopes: ScopeContext = new AsyncLocalStorage();
  readonly #eraser: Eraser;
  /** The parts that the contexts of all projects have in common. */
  readonly #shared: Omit<RepositoryContext, "project" | "executor" | "announce">;
  /** Only outside of transactions. Within one, erasing starts after the commit. */
  readonly #removal: Pick<RepositoryContext, "erase" | "removing">;
  readonly #indexer: LateIndexer | undefined;
  readonly #transactions = new Set<Transaction>();
  #lastError: unknown;

  constructor(client: EngineClient, options: ResolvedStorageOptions, path: string | undefined) {
    this.client = client;
    this.options = options;
    this.path = path;
    this.executor = new ClientExecutor(client, (error) => this.#noteError(error));
    this.schema = { ...tables, ...options.schema };
    this.#eraser = new Eraser(client);
    const { now, maxContentChars, maxMessageChars, compressContents, box, stories } = options;
    this.#shared = {
      now,
      maxContentChars,
      maxMessageChars,
      compressContents,
      repair: toRepair(options.invalidText),
      graphs: new GraphCache(options.graphCacheBytes),
      vectors: new VectorCache(options.vectorCacheBytes),
      stories: { hubs: new StoryHubs(stories), box, historyLimit: stories.historyLimit },
    };
    this.#removal = {
      erase: () => this.#eraser.erase(),
      removing: (work) => asStorageErrors(() => withRoom(client, work)),
    };
    // Without the migrations, the triggers of the file may expect the terms of each row.
    if (client.local?.refusesWrites === false && options.migrate !== "skip") {
      // Its failures are not those of a call: rows that wait are found.
      this.#indexer = new LateIndexer(new ClientExecutor(client, () => undefined));
    }
    client.guard = (access) => this.assertOutside(access);
    if (options.onError !== undefined) this.events.on("error", options.onError);
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  /** The repositories of a project, in the transaction of a scope if one is given. */
  repositories(project: string, scope?: TransactionScope): Repositories {
    const { executor } = this;
    const indexer = this.#indexer;
    if (scope === undefined) return openRepositories(this.#contextOf(project, executor));
    return openRepositories({
      ...this.#shared,
      project,
      executor: scope,
      announce: (change) => scope.announce(change),
      afterCommit: (task) => scope.afterCommit(task),
      indexer: indexer && {
        defer: (target) => indexer.defer(target),
        stored: (target) => scope.afterCommit(() => indexer.stored(target)),
        // The transaction may have rows that only it sees.
        noticed: () => undefined,
      },
    });
  }

  db(scope: TransactionScope): StorageDatabase {
    return drizzleInScope(scope, this.schema);
  }

  get maintenance(): MaintenanceContext {
    const { client, path, executor, options } = this;
    return {
      client,
      path,
      executor,
      migrations: migrationSets(options),
      encryptionKey: options.client.encryptionKey,
      announce: this.announce,
      erase: () => this.#eraser.erase(),
      forProject: (project, own) => {
        const context = this.#contextOf(project, own);
        return { ...context, repair: forStored(context.repair) };
      },
    };
  }

  /** `toError` converts the error of a failed BEGIN or COMMIT. Drizzle's errors are those of the client. */
  async transaction<T>(
    work: (scope: TransactionScope) => Promise<T>,
    options: TransactionOptions = {},
    toError: (error: unknown) => unknown = toStorageError,
  ): Promise<T> {
    expectKeys("transaction", options, ["mode"]);
    const { mode = "write" } = options;
    expectOneOf("mode", mode, ["write", "read", "deferred"]);
    this.assertOutside(mode === "read" ? "read" : "write");
    const transaction = await this.client.transaction(mode).catch((error: unknown) => {
      this.#noteError(error);
      throw toError(error);
    });
    const scope = new TransactionScope(transaction, this.#scopes);
    this.#transactions.add(transaction);
    let result: T;
    try {
      result = await scope.run(() => work(scope));
    } catch (error) {
      // Throws the callback's own error. An open transaction is rolled back in any case.
      transaction.close();
      throw error;
    } finally {
      // A running AsyncLocalStorage slows down every promise, so disable it while no callback runs.
      this.#transactions.delete(transaction);
      if (this.#transactions.size === 0) this.#scopes.disable();
    }
    try {
      await transaction.commit();
    } catch (error) {
      this.#noteError(error);
      throw toError(error);
    }
    for (const change of scope.changes) this.announce(change);
    if (scope.changes.some(({ action }) => action === "purge")) await this.#eraser.erase();
    // The transaction is stored, so the failure of a task must not reject its caller.
    for (const task of scope.tasks) callSafely(task, (error) => this.events.emit("error", error));
    return result;
  }

  /** Calls the listeners of the storage. */
  readonly announce = (change: AreaChange): void => {
    // Graph deletes are permanent, but a graph may be deleted node by node.
    if (change.action === "delete" && change.area === "graph") this.client.local?.eraseLogSoon();
    // Each area announces changes under its own name.
    this.events.emit("change", change as Change);
  };

  /** Saves the stories that wait to be saved. Returns undefined if there are none. */
  flush(): Promise<void> | undefined {
    return this.#shared.stories.hubs.flush();
  }

  /**
   * Lets the writes finish that are running now; undefined if the client does so by itself. Rolls back open transactions
   * first: a write may wait for the lock of one whose callback waits for `close`.
   */
  finishWrites(): Promise<unknown> | undefined {
    const running = this.executor.settledNow();
    if (running !== undefined) for (const transaction of this.#transactions) transaction.close();
    return running;
  }

  /** Ends what goes on after writes, and frees what is kept in memory: the caller may hold on to the closed storage. */
  forget(): void {
    this.#indexer?.close();
    this.#shared.vectors.close();
  }

  /**
   * Inside a transaction's callback, a call on the storage itself would wait for the transaction, which waits for the
   * call.
   */
  assertOutside(access: Access): void {
    if (this.#transactions.size === 0 || TransactionScope.open(this.#scopes) === undefined) return;
    if (access === "read" && this.client.local?.hasOneConnection !== true) return;
    throw new StorageError(
      "WRONG_HANDLE",
      "This storage was used inside a callback of its own transaction(): use the `tx` of the callback, not the storage",
    );
  }

  /** Called before maintenance, which uses separate connections. */
  assertWritable(): void {
    this.assertOutside("write");
    try {
      this.client.local?.assertWritable();
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** The pool of the local file that `method` copies. */
  localPool(method: string): ConnectionPool {
    // It takes the write lock for a moment. An open transaction of the caller would hold that lock.
    this.assertOutside("write");
    const { local } = this.client;
    if (local !== undefined) {
      if (local.closed) throw new StorageError("CLOSED", "The storage is closed. Open it again");
      return local.pool;
    }
    throw new StorageError(
      "NOT_SUPPORTED",
      `${method}() copies a local file, and this database is elsewhere. Use the backups of its server, or export(); an embedded replica's file can be copied once the replica is closed, from a storage opened on that file alone`,
    );
  }

  /**
   * Wraps the options of a long call: an `onProgress` that rejects is an `error` event, and ends the call at its next
   * step.
   */
  guarded<T extends object>(options: T): T {
    return guardProgress(options, (error) => this.events.emit("error", error));
  }

  #contextOf(project: string, executor: Executor): RepositoryContext {
    const own = executor === this.executor ? { ...this.#removal, indexer: this.#indexer } : {};
    return { ...this.#shared, ...own, project, executor, announce: this.announce };
  }

  #noteError(error: unknown): void {
    const failure = toStorageError(error);
    if (
      !(failure instanceof StorageError) ||
      ["CONFLICT", "NOT_FOUND", "WRONG_HANDLE", "CLOSED", "RESPONSE_TOO_LARGE"].includes(failure.code)
    )
      return;
    this.#lastError = failure;
    this.options.logger?.error(`holdfast: ${failure.code}: ${failure.message}`);
    this.events.emit("error", failure);
  }
}

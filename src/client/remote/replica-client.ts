import { statSync } from "node:fs";
import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { type Timer, unrefTimer } from "../../shared/timers.js";
import type { ClientTransaction } from "../savepoints.js";
import { expectStatements, type StatementInput } from "../sql/bound-statement.js";
import { parseStatement } from "../sql/parse.js";
import { type Access, type ClientStats, type EngineClient, localOnly, NO_POOL_STATS } from "../storage-client.js";
import type { RemoteClient } from "./remote-client.js";
import { UnavailableError } from "./remote-error.js";
import { findMetadata, inodeOf, replicaUnusable } from "./replica-files.js";
import type { ReplicaSync } from "./replica-sync.js";

interface ReplicaClientOptions {
  readonly path: string;
  readonly primary: RemoteClient;
  readonly sync: ReplicaSync;
  /** Opens the file for reading. */
  readonly openLocal: () => EngineClient;
  /** Whether a read that follows a write of this client waits until the write is here. */
  readonly readYourWrites: boolean;
  /** Fetches by itself each so many ms; 0 for never. */
  readonly syncIntervalMs: number;
}

/**
 * An embedded replica: it reads from the local file, and sends writes and their transactions to the primary.
 *
 * The replication is libSQL's own. Its write path is not used, since it blocks the event loop for a round trip, knows
 * no time limit, and loses the codes of errors; the primary's HTTP interface has none of these faults.
 */
export class ReplicaClient implements EngineClient {
  readonly protocol = "file";
  readonly local = undefined;
  readonly #options: ReplicaClientOptions;
  readonly #primary: RemoteClient;
  #file: EngineClient | undefined;
  /** Of the file that `#file` reads. */
  #inode: string | undefined;
  /** Whether the primary has, or may have, writes of this client that are not here yet. */
  #isBehind = false;
  #writeCount = 0;
  #timer: Timer | undefined;

  constructor(options: ReplicaClientOptions) {
    this.#options = options;
    this.#primary = options.primary;
    if (options.syncIntervalMs > 0) {
      // The next fetch makes up for one that fails.
      this.#timer = unrefTimer(setInterval(() => this.sync().catch(() => undefined), options.syncIntervalMs));
    }
  }

  /** Fetches for the first time; a file that has been fetched before will do when the primary cannot be reached. */
  async start(): Promise<void> {
    const { sync } = this.#options;
    try {
      await this.sync();
    } catch (error) {
      if ((error as LibsqlError).code !== "UNAVAILABLE") throw error;
      // A large file on a slow line: it goes on for as long as data comes in.
      if (!sync.isComplete) await sync.runPatiently();
    }
  }

  set guard(guard: ((access: Access) => void) | undefined) {
    this.#primary.guard = guard;
  }

  get guard(): ((access: Access) => void) | undefined {
    return this.#primary.guard;
  }

  get closed(): boolean {
    return this.#primary.closed;
  }

  get pool(): never {
    throw localOnly("pool");
  }

  /** Those of the pool are of the readers of the local file, once it is there. */
  stats(): ClientStats {
    const { remote } = this.#primary.stats();
    return { ...(this.#file?.stats() ?? NO_POOL_STATS), remote };
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    const statement = typeof input === "string" && args !== undefined ? { sql: input, args } : input;
    if (!isRead(statement)) return this.#write(() => this.#primary.execute(statement));
    return this.#read((reader) => reader.execute(statement));
  }

  async scan(input: StatementInput): Promise<ResultSet> {
    return this.#read((reader) => reader.scan(input));
  }

  async batch(inputs: StatementInput[], mode: TransactionMode = "deferred"): Promise<ResultSet[]> {
    expectStatements(inputs);
    if (mode !== "read" && !inputs.every(isRead)) return this.#write(() => this.#primary.batch(inputs, mode));
    return this.#read((reader) => reader.batch(inputs, "read"));
  }

  async migrate(inputs: InStatement[]): Promise<ResultSet[]> {
    return this.#write(() => this.#primary.migrate(inputs));
  }

  async executeMultiple(sql: string): Promise<void> {
    return this.#write(() => this.#primary.executeMultiple(sql));
  }

  async transaction(mode: TransactionMode = "write"): Promise<ClientTransaction> {
    if (mode === "read") return this.#read((reader) => reader.transaction("read"));
    const transaction = await this.#primary.transaction(mode);
    const commit = () => this.#write(() => transaction.commit());
    return new Proxy(transaction, {
      get: (target, key) => {
        if (key === "commit") return commit;
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Why reads no longer come from the file, or from a file that is gone; undefined while all is well. */
  findProblem(): LibsqlError | undefined {
    const { path, sync } = this.#options;
    if (sync.unusable !== undefined) return sync.unusable;
    const isSame = this.#inode === undefined || inodeOf(path) === this.#inode;
    return isSame && (this.#inode === undefined || findMetadata(path).length > 0)
      ? undefined
      : replicaUnusable(path, "replaced");
  }

  /** Fetches what the primary has. Rejects with UNAVAILABLE; the file then has what it had. */
  async sync(): Promise<Replicated> {
    this.#assertOpen();
    const writes = this.#writeCount;
    const replicated = await this.#options.sync.run();
    if (writes === this.#writeCount) this.#isBehind = false;
    return replicated;
  }

  async checkpoint(): Promise<never> {
    throw localOnly("checkpoint()");
  }

  async reconnect(): Promise<void> {
    throw new LibsqlError("An embedded replica reconnects by itself: call sync()", "NOT_SUPPORTED");
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#primary.close();
    await this.#options.sync.close();
    await this.#file?.close();
  }

  /** Runs a write on the primary, and fetches what it has done. */
  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    const note = () => {
      this.#writeCount++;
      this.#isBehind = true;
    };
    let result: T;
    try {
      result = await work();
    } catch (error) {
      // It may be stored nevertheless, or have failed because of another client's write that is not in this file yet.
      if (hasReachedPrimary(error)) note();
      throw error;
    }
    note();
    // The write is stored: if this fetch fails, the next read fetches first.
    if (this.#options.readYourWrites) await this.sync().catch(() => undefined);
    return result;
  }

  async #read<T>(work: (reader: EngineClient) => Promise<T>): Promise<T> {
    const reader = await this.#reader();
    try {
      return await work(reader);
    } catch (error) {
      const isDamaged = reader !== this.#primary && /^SQLITE_(CORRUPT|NOTADB)$/.test((error as LibsqlError).code);
      if (!isDamaged) throw error;
      const reason = `SQLite cannot read it (${(error as Error).message}), or its encryption key is another one`;
      throw replicaUnusable(this.#options.path, { reason });
    }
  }

  /**
   * The client that answers reads: the file's, up to date with the writes of this client; the primary's while there is no
   * file, or the file cannot be updated.
   */
  async #reader(): Promise<EngineClient> {
    this.#assertOpen();
    this.guard?.("read");
    const { sync, openLocal } = this.#options;
    if (this.#isBehind && this.#options.readYourWrites && sync.unusable === undefined) {
      await this.sync().catch((error: unknown) => {
        if (sync.unusable === undefined) throw error;
      });
    }
    if (sync.unusable !== undefined) return this.#primary;
    if (this.#file === undefined && sync.isComplete && this.#hasFile()) {
      this.#file = openLocal();
      this.#inode = inodeOf(this.#options.path);
    }
    return this.#file ?? this.#primary;
  }

  #hasFile(): boolean {
    return (statSync(this.#options.path, { throwIfNoEntry: false })?.size ?? 0) > 0;
  }

  #assertOpen(): void {
    if (this.closed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
  }
}

/** A write that was never sent, or was refused, cannot be missing here. */
function hasReachedPrimary(error: unknown): boolean {
  if (error instanceof UnavailableError) return error.outcome === "unknown";
  const isOfServer = error instanceof LibsqlError && /^(SQLITE_|RESPONSE_TOO_LARGE|SERVER_ERROR)/.test(error.code);
  return isOfServer || (error as { outcome?: unknown }).outcome === "unknown";
}

function isRead(input: StatementInput): boolean {
  const sql = typeof input === "string" ? input : Array.isArray(input) ? input[0] : input?.sql;
  return typeof sql === "string" && parseStatement(sql).kind === "read";
}

import { type Client, LibsqlError, type ResultSet, type TransactionMode } from "@libsql/client/sqlite3";
import type { CheckpointResult } from "./local/checkpointer.js";
import type { ConnectionPool, PoolStats } from "./local/connection-pool.js";
import type { StatementCacheStats } from "./local/statement-cache.js";
import type { WriteStats } from "./local/writer-queue.js";
import type { ClientTransaction } from "./savepoints.js";
import type { StatementInput } from "./sql/bound-statement.js";

/** The requests of a client to a server, since it was opened. */
export interface RemoteStats {
  /** Calls that were sent to the server, including those of transactions; each is one round trip. */
  readonly requests: number;
  /** The number of them that were not answered. */
  readonly unavailable: number;
  /** Calls that are running, and calls that wait for their turn. */
  readonly active: number;
  readonly waiting: number;
}

/** Figures since the client was opened. Those of the pool are 0 (also `max`) where there is no local database. */
export interface ClientStats {
  readonly pool: PoolStats;
  readonly statements: StatementCacheStats;
  readonly writes: WriteStats;
  /**
   * The requests to a server. Only the client of `openStorage` and, from its first call, an embedded replica count them;
   * undefined for a local database and for `createClient` with the URL of a server.
   */
  readonly remote?: RemoteStats;
}

/** A `Client` of @libsql/client with the members that a pool of connections adds. */
export interface StorageClient extends Client {
  /** The connections of a local database. Throws `NOT_SUPPORTED` for a server and for an embedded replica. */
  readonly pool: ConnectionPool;
  /** Figures since the client was opened. */
  stats(): ClientStats;
  /**
   * Moves the WAL into the database file now. Rejects with SQLITE_BUSY when another process keeps the lock, and with
   * `NOT_SUPPORTED` for a server and for an embedded replica.
   */
  checkpoint(): Promise<CheckpointResult>;
  /**
   * Begins a transaction. `write` (the default) takes the write lock at once, `deferred` with the first write, and
   * `read` never.
   */
  transaction(mode?: TransactionMode): Promise<ClientTransaction>;
  /** Closes, then opens again; an in-memory database starts empty. If `close` is called in the meantime, it stays closed. */
  reconnect(): Promise<void>;
  /** `closed` is true at once; resolves when running calls have finished and the connections are closed. */
  close(): Promise<void>;
}

/** What a call is about to do, for a guard that may refuse it. */
export type Access = "read" | "write";

/** @internal A client with what a storage needs of it. */
export interface EngineClient extends StorageClient {
  /** Called before each call; an error that it throws rejects the call. */
  guard: ((access: Access) => void) | undefined;
  /** The database that this process opens itself; undefined for a server and for an embedded replica. */
  readonly local: LocalDatabase | undefined;
  /** As `execute` for one SELECT that may take long: if possible on another thread, so that the event loop is not blocked. */
  scan(statement: StatementInput): Promise<ResultSet>;
  /** Why an embedded replica no longer reads its file; undefined while it does. */
  findProblem?(): LibsqlError | undefined;
}

/** @internal A database that this process opens itself: a file, or memory. */
export interface LocalDatabase extends EngineClient {
  /** Whether all calls share one connection, as in memory. */
  readonly hasOneConnection: boolean;
  /** Why this client refuses every write, if it does. */
  readonly readOnlyBecause: string | undefined;
  /** Whether every write is refused, for that reason or because the file was opened with `readOnly`. */
  readonly refusesWrites: boolean;
  /** Throws SQLITE_READONLY if every write is refused. */
  assertWritable(): void;
  /** Throws FILE_REPLACED if the file has been removed or replaced since it was opened. */
  assertInPlace(): void;
  /** Removes deleted data from the WAL. If that is not possible now, it is done later; the deletion itself is stored. */
  eraseLog(): Promise<void>;
  /** The same, without waiting for it. */
  eraseLogSoon(): void;
}

/** The pool of a client for a local database; undefined for any other client, such as those of @libsql/client. */
export function poolOf(client: Client): ConnectionPool | undefined {
  return (client as Partial<EngineClient>).local?.pool;
}

/** The figures of a client without a pool. */
export const NO_POOL_STATS: ClientStats = {
  pool: { active: 0, idle: 0, waiting: 0, max: 0, opened: 0, destroyed: 0 },
  statements: { hits: 0, misses: 0, evictions: 0, size: 0, hitRate: 0 },
  writes: { commits: 0, grouped: 0, busyRetries: 0 },
};

/** The error of a member that only the client of a local database has. */
export function localOnly(member: "pool" | "checkpoint()"): LibsqlError {
  return new LibsqlError(
    `\`${member}\` is for local databases, and this client works on a server or an embedded replica. Use it with a \`file:\` URL without \`syncUrl\``,
    "NOT_SUPPORTED",
  );
}

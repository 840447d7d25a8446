import type { Client, TransactionMode } from "@libsql/client";
import type { CheckpointResult } from "./local/checkpointer.js";
import type { ConnectionPool, PoolStats } from "./local/connection-pool.js";
import type { StatementCacheStats } from "./local/statement-cache.js";
import type { Transaction } from "./local/transaction.js";
import type { WriteStats } from "./local/writer-queue.js";

/** Figures since the client was opened. */
export interface ClientStats {
  readonly pool: PoolStats;
  readonly statements: StatementCacheStats;
  readonly writes: WriteStats;
}

/** A `Client` of @libsql/client for a local database, over a pool of connections. */
export interface PooledClient extends Client {
  readonly pool: ConnectionPool;
  stats(): ClientStats;
  /** Moves the WAL into the database file now. Rejects with SQLITE_BUSY when another process keeps the lock. */
  checkpoint(): Promise<CheckpointResult>;
  transaction(mode?: TransactionMode): Promise<Transaction>;
  /** Closes, then opens again: an in-memory database starts empty. A `close` meanwhile has the last word. */
  reconnect(): Promise<void>;
  /** `closed` is true at once; resolves when running calls have finished and the connections are closed. */
  close(): Promise<void>;
}

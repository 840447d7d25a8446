import { type Client, type Config, createClient as createStockClient } from "@libsql/client";
import { type PoolConfig, resolveClientOptions } from "../options.js";
import { parseLocalUrl } from "./file-url.js";
import { LocalClient } from "./local-client.js";
import type { PooledClient } from "./pooled-client.js";

export * from "@libsql/client";
export type { CheckpointOptions, Durability, PoolConfig } from "../options.js";
export type { Checkout, ConnectionRole } from "./checkout.js";
export type { CheckpointResult } from "./checkpointer.js";
export { ConnectionPool, type PoolStats } from "./connection-pool.js";
export type { ClientStats, PooledClient } from "./pooled-client.js";
export { StatementCache, type StatementCacheStats } from "./statement-cache.js";
export { type Savepoint, Transaction, type TransactionState } from "./transaction.js";
export type { WriteStats } from "./writer-queue.js";

/** The configuration of @libsql/client, with the options of the pool. */
export type ClientConfig = Config & PoolConfig;

type LocalConfig = ClientConfig & { readonly url: `file:${string}` | ":memory:"; readonly syncUrl?: never };

/**
 * Opens a client. `file:` URLs and `:memory:` get a pool with one writer, several readers and cached statements;
 * every other URL, and a `file:` with `syncUrl`, goes to @libsql/client as it is and has neither `pool` nor `stats`.
 *
 * Throws LibsqlError on a bad URL or a path that cannot be opened, TypeError or RangeError on a wrong option.
 */
export function createClient(config: LocalConfig): PooledClient;
export function createClient(
  config: ClientConfig,
): Client & Partial<Pick<PooledClient, "pool" | "stats" | "checkpoint">>;
export function createClient(config: ClientConfig): Client {
  if (typeof config !== "object" || config === null) {
    throw new TypeError(`Expected client configuration as object, got ${config === null ? "null" : typeof config}`);
  }
  const target = typeof config.url === "string" && !config.syncUrl ? parseLocalUrl(config.url) : undefined;
  if (target === undefined) return createStockClient(config);
  return new LocalClient({ ...resolveClientOptions(config), ...target, encryptionKey: config.encryptionKey });
}

import { type Client, createClient as createStockClient } from "@libsql/client";
import { expectKeys } from "../known-keys.js";
import { urlText } from "../locations.js";
import { resolveClientOptions } from "../options.js";
import { CLIENT_KEYS, type ClientConfig, type SettledClientConfig } from "./config.js";
import { parseLocalUrl } from "./file-url.js";
import { LocalClient } from "./local-client.js";
import type { PooledClient } from "./pooled-client.js";

export * from "@libsql/client";
export type { CheckpointOptions, Durability, PoolConfig } from "../options.js";
export type { Checkout, ConnectionRole } from "./checkout.js";
export type { CheckpointResult } from "./checkpointer.js";
export type { ClientConfig } from "./config.js";
export { ConnectionPool, type PoolStats } from "./connection-pool.js";
export type { ClientStats, PooledClient } from "./pooled-client.js";
export { StatementCache, type StatementCacheStats } from "./statement-cache.js";
export { type Savepoint, Transaction, type TransactionState } from "./transaction.js";
export type { WriteStats } from "./writer-queue.js";

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
  expectKeys("createClient", config, CLIENT_KEYS);
  const settled = withTextUrls(config);
  const target = typeof settled.url === "string" && !settled.syncUrl ? parseLocalUrl(settled.url) : undefined;
  if (target === undefined) return createStockClient(settled);
  return new LocalClient({ ...resolveClientOptions(settled), ...target, encryptionKey: settled.encryptionKey });
}

function withTextUrls(config: ClientConfig): SettledClientConfig {
  const { url, syncUrl } = config;
  if (typeof url !== "object" && typeof syncUrl !== "object") return config as SettledClientConfig;
  return { ...config, url: urlText(url), syncUrl: urlText(syncUrl) } as SettledClientConfig;
}

import { createClient as createStockClient } from "@libsql/client";
import { expectKeys } from "../shared/known-keys.js";
import { urlText } from "../shared/locations.js";
import { redactor, takeToken } from "../shared/secrets.js";
import { refuseSecond } from "../shared/surplus-arguments.js";
import { expectAddress, expectScheme } from "./addresses.js";
import { CLIENT_KEYS, type ClientConfig, type SettledClientConfig } from "./config.js";
import { parseLocalUrl, toFileUrl } from "./file-url.js";
import { LateClient } from "./late-client.js";
import { LocalClient } from "./local/local-client.js";
import { MAX_RESPONSE_BYTES, REQUEST_TIMEOUT_MS, resolveClientOptions } from "./options.js";
import { assertWritable, openReplica, replicaFile } from "./remote/open-remote.js";
import { extendStockClient } from "./remote/stock-client.js";
import type { ClientTransaction } from "./savepoints.js";
import type { StorageClient } from "./storage-client.js";

export * from "@libsql/client";
export type { ClientConfig } from "./config.js";
export type { CheckpointMessage, StatementMessage, TransactionMessage, WaitMessage } from "./diagnostics.js";
export type { Checkout, ConnectionRole } from "./local/checkout.js";
export type { CheckpointResult } from "./local/checkpointer.js";
export type { ConnectionPool, PoolStats } from "./local/connection-pool.js";
export type { StatementCache, StatementCacheStats } from "./local/statement-cache.js";
export type { WriteStats } from "./local/writer-queue.js";
export type { CheckpointOptions, Durability, PoolConfig } from "./options.js";
export type { ClientTransaction, Savepoint, TransactionState } from "./savepoints.js";
export type { ClientStats, RemoteStats, StorageClient } from "./storage-client.js";

/** The client of a local database; `createClient` gives the same type for every URL. */
export type PooledClient = StorageClient;

/** A transaction of `createClient`. */
export type Transaction = ClientTransaction;

/**
 * Opens a client. `file:` URLs and `:memory:` get a pool with one writer, several readers and cached statements;
 * a `file:` with `syncUrl` is an embedded replica as that of `openStorage`, which the first call opens; every other URL
 * goes to @libsql/client as it is. The last two have no `pool`: reading it throws `NOT_SUPPORTED`.
 *
 * Throws LibsqlError on a bad URL or a path that cannot be opened, TypeError or RangeError on a wrong option, and
 * StorageError (`CANNOT_OPEN`) for a relative path if the working folder of the process has been deleted.
 */
export function createClient(config: ClientConfig): StorageClient {
  // biome-ignore lint/complexity/noArguments: a rest parameter would allow it in the types.
  refuseSecond("createClient", arguments, ": pass all options in its place, with the address as `url`");
  if (typeof config !== "object" || config === null) {
    throw new TypeError(`Expected client configuration as object, got ${config === null ? "null" : typeof config}`);
  }
  expectKeys("createClient", config, CLIENT_KEYS);
  const settled = withTextUrls(config);
  const options = resolveClientOptions(settled);
  if (settled.syncUrl) return createReplica(settled);
  const target = typeof settled.url === "string" ? parseLocalUrl(expectScheme(settled.url)) : undefined;
  if (target === undefined) {
    assertWritable(settled);
    return extendStockClient(createStockClient(settled));
  }
  return new LocalClient({ ...options, ...target, encryptionKey: settled.encryptionKey });
}

function createReplica(settled: SettledClientConfig): StorageClient {
  if (typeof settled.syncUrl !== "string") throw new TypeError("Expected `syncUrl` to be a string or a URL");
  // A token in a URL would be in every message that names the URL.
  const primary = takeToken(expectAddress("syncUrl", settled.syncUrl));
  const { encryptionKey, remoteEncryptionKey, authToken: given } = settled;
  const authToken = primary.authToken ?? given;
  const shared = { ...settled, syncUrl: primary.url, ...(authToken === undefined ? {} : { authToken }) };
  // The file is opened by the first call, perhaps in another working folder.
  const config = { ...shared, url: toFileUrl(replicaFile(shared).path) };
  const redact = redactor([authToken, given, encryptionKey, remoteEncryptionKey]);
  const limits = { requestTimeoutMs: REQUEST_TIMEOUT_MS, maxResponseBytes: MAX_RESPONSE_BYTES };
  const client = new LateClient(async () => (await openReplica({ config, ...limits, redact })).client);
  // It fetches by itself from the start. A call reports what keeps it from being opened.
  if ((config.syncInterval ?? 0) > 0) client.opened().catch(() => undefined);
  return client;
}

function withTextUrls(config: ClientConfig): SettledClientConfig {
  const { url, syncUrl } = config;
  if (typeof url !== "object" && typeof syncUrl !== "object") return config as SettledClientConfig;
  return { ...config, url: urlText(url), syncUrl: urlText(syncUrl) } as SettledClientConfig;
}

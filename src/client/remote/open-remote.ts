import { existsSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";
import { lazyModule } from "../../files/load-module.js";
import type { SettledClientConfig } from "../config.js";
import { type LocalTarget, parseLocalUrl } from "../file-url.js";
import { LocalClient } from "../local/local-client.js";
import { assertOpenable } from "../local/read-only.js";
import { resolveClientOptions } from "../options.js";
import type { EngineClient } from "../storage-client.js";
import { RemoteClient } from "./remote-client.js";
import { ReplicaClient } from "./replica-client.js";
import { assertNotPlain, makePrivate } from "./replica-files.js";
import { ReplicaRelay } from "./replica-relay.js";
import { ReplicaSync } from "./replica-sync.js";

interface RemoteTarget {
  readonly config: SettledClientConfig;
  /** Longest wait for an answer, in ms. */
  readonly requestTimeoutMs: number;
  /** Most bytes of an answer. */
  readonly maxResponseBytes: number;
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string;
}

/** The HTTP client of @libsql/client, which a storage on a file does not load. */
const loadStockClient = lazyModule(() => import("@libsql/client/http"));

/** Opens a client for a server. Rejects with LibsqlError on a bad URL; nothing is sent yet. */
export async function openServer({
  config,
  requestTimeoutMs,
  maxResponseBytes,
  redact,
}: RemoteTarget): Promise<EngineClient> {
  const { acquireTimeoutMs } = resolveClientOptions(config);
  assertWritable(config);
  assertHttp("url", config.url);
  if (config.encryptionKey !== undefined) {
    throw new LibsqlError(
      "`encryptionKey` is for local files. A server encrypts its own: use `remoteEncryptionKey` where it offers that",
      "NOT_SUPPORTED",
    );
  }
  const { createClient: createStockClient } = await loadStockClient();
  return new RemoteClient({
    createStockClient,
    config,
    requestTimeoutMs,
    maxResponseBytes,
    acquireTimeoutMs,
    redact,
  });
}

/** The file of an embedded replica; throws LibsqlError where the configuration, or the file, cannot be one's. */
export function replicaFile(config: SettledClientConfig): LocalTarget {
  assertWritable(config);
  const { url, syncUrl = "", offline } = config;
  const local = parseLocalUrl(url);
  if (local === undefined || local.isMemory) {
    throw new LibsqlError("An embedded replica is a file: give a `file:` URL next to `syncUrl`", "NOT_SUPPORTED");
  }
  if (offline === true) {
    throw new LibsqlError(
      "Writes are acknowledged by the primary, so there is no `offline` mode. Use a file without `syncUrl`, or leave `offline` out",
      "NOT_SUPPORTED",
    );
  }
  assertHttp("syncUrl", syncUrl);
  assertOpenable(local.path);
  assertNotPlain(local.path);
  return local;
}

/**
 * Opens an embedded replica: its file is fetched before anything is read.
 *
 * Rejects with UNAVAILABLE when the primary cannot be reached and there is no file from an earlier time.
 */
export async function openReplica(target: RemoteTarget): Promise<{ client: EngineClient; path: string }> {
  const { config, requestTimeoutMs, maxResponseBytes, redact } = target;
  const { syncUrl = "", encryptionKey, authToken, remoteEncryptionKey } = config;
  const { syncInterval = 0, readYourWrites = true } = config;
  const options = resolveClientOptions(config);
  const local = replicaFile(config);
  const { path } = local;
  const { syncUrl: _, syncInterval: __, encryptionKey: ___, ...shared } = config;
  const isNew = !existsSync(path);
  const { acquireTimeoutMs } = options;
  const limits = { requestTimeoutMs, maxResponseBytes, acquireTimeoutMs };
  const { createClient: createStockClient } = await loadStockClient();
  const primary = new RemoteClient({ createStockClient, config: { ...shared, url: syncUrl }, ...limits, redact });
  const timeoutMs = requestTimeoutMs;
  const send = (config.fetch ?? fetch) as typeof fetch;
  const relay = new ReplicaRelay({ url: toHttp(syncUrl), authToken, timeoutMs, fetch: send, redact });
  const sync = new ReplicaSync({ path, relay, encryptionKey, remoteEncryptionKey, timeoutMs, redact });
  const openLocal = () => new LocalClient({ ...options, ...local, encryptionKey });
  const syncIntervalMs = syncInterval * 1000;
  const client = new ReplicaClient({ path, primary, sync, openLocal, readYourWrites, syncIntervalMs });
  try {
    await client.start();
    if (isNew) makePrivate(path);
    return { client, path };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** What is opened to be read only is a file; a server decides itself who may write. */
export function assertWritable({ readOnly = false }: SettledClientConfig): void {
  if (readOnly === false) return;
  throw new LibsqlError(
    "`readOnly` is for local files. Use a token of the server that can only read, or open the file of a replica without `syncUrl`",
    "NOT_SUPPORTED",
  );
}

/** Over a WebSocket, a request could neither be given up in time nor be known not to have been sent. */
function assertHttp(name: string, url: string): void {
  if (/^(libsql|https?):/i.test(url)) return;
  // Only the scheme: the rest may hold a token.
  throw new LibsqlError(
    `\`${name}\` has the scheme ${url.split(":")[0]}:, and servers are reached by HTTP: use libsql:// or https://, and http:// for one without TLS`,
    "NOT_SUPPORTED",
  );
}

/** With a scheme that the replication knows. As for @libsql/client, `tls=0` means that there is no TLS. */
function toHttp(url: string): string {
  const scheme = /[?&]tls=0(&|$)/.test(url) ? "http:" : "https:";
  return url.replace(/^libsql:/i, scheme).replace(/\?.*$/, "");
}

import type { Config } from "@libsql/client";
import type { PoolConfig } from "./options.js";

/** The configuration of @libsql/client, with the options of the pool; a URL may be a `URL` object. */
export interface ClientConfig extends Omit<Config, "url" | "syncUrl">, PoolConfig {
  readonly url: string | URL;
  readonly syncUrl?: string | URL;
}

/** With its URLs as text. */
export type SettledClientConfig = Config & PoolConfig;

/** All names in a ClientConfig; the compiler holds this list to it. */
export const CLIENT_KEYS: readonly string[] = Object.keys({
  url: true,
  authToken: true,
  encryptionKey: true,
  remoteEncryptionKey: true,
  syncUrl: true,
  syncInterval: true,
  readYourWrites: true,
  offline: true,
  tls: true,
  intMode: true,
  fetch: true,
  concurrency: true,
  timeout: true,
  readers: true,
  acquireTimeoutMs: true,
  busyTimeoutMs: true,
  idleTimeoutMs: true,
  statementCacheSize: true,
  durability: true,
  transactionTimeoutMs: true,
  checkpoint: true,
  readOnly: true,
} satisfies Record<keyof ClientConfig, true>);

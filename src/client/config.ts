import type { Config, IntMode } from "@libsql/client";
import type { PoolConfig } from "./options.js";

/** The configuration of @libsql/client, with the options of the pool; a URL may be a `URL` object. */
export interface ClientConfig extends Omit<Config, "url" | "syncUrl">, PoolConfig {
  /** A `file:` URL, `:memory:`, or the URL of a server. */
  readonly url: string | URL;
  /** The URL of the primary. With it, `url` is the file of an embedded replica. */
  readonly syncUrl?: string | URL;
  /** The token of a server or of the primary. */
  readonly authToken?: string;
  /** The key that encrypts a local file, also that of a replica. A server refuses it. */
  readonly encryptionKey?: string;
  /** The key of a database that Turso Cloud encrypts. */
  readonly remoteEncryptionKey?: string;
  /** How often an embedded replica fetches changes by itself, in seconds; 0 for never. @default 0 */
  readonly syncInterval?: number;
  /** Whether a read on an embedded replica sees the writes of the same client. @default true */
  readonly readYourWrites?: boolean;
  /** Not supported: the primary acknowledges every write. `true` is `NOT_SUPPORTED`. @default false */
  readonly offline?: boolean;
  /** Whether a `libsql:` URL uses TLS. @default true */
  readonly tls?: boolean;
  /**
   * What an integer of SQLite is in JavaScript. With `number`, reading an integer beyond 2^53 - 1 rejects with a
   * RangeError. @default "number"
   */
  readonly intMode?: IntMode;
  /** The function that sends the requests to a server. @default the global fetch */
  // biome-ignore lint/complexity/noBannedTypes: the type of @libsql/client.
  readonly fetch?: Function;
  /** The most requests to a server at the same time. @default 20 */
  readonly concurrency?: number | undefined;
  /** Another name of `busyTimeoutMs`, as in @libsql/client. @default 5000 */
  readonly timeout?: number;
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
  plainRows: true,
  readOnly: true,
} satisfies Record<keyof ClientConfig, true>);

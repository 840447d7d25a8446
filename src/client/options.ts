import type { Config, IntMode } from "@libsql/client";
import { expectation, expectDuration, expectFunction, expectInteger, expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";

/** `"full"`: a commit survives power loss. `"relaxed"`: it survives a crash of the process; power loss may take the last ones. */
export type Durability = "full" | "relaxed";

/** When the log is moved into the database file. */
export interface CheckpointOptions {
  /** Size of the WAL past which the engine moves it into the database file, in bytes. @default 4194304 */
  readonly walBytes?: number;
}

/** Options of a local database's pool, in addition to the configuration of @libsql/client. */
export interface PoolConfig {
  /** Read connections for a file; one of them is kept for single statements. @default 4 */
  readonly readers?: number;
  /** Longest wait for a connection or a turn as writer, in ms; then `ACQUIRE_TIMEOUT`. @default 30000 */
  readonly acquireTimeoutMs?: number;
  /** Longest wait for another process's write lock, in ms; then `SQLITE_BUSY`. `timeout` is the same. @default 5000 */
  readonly busyTimeoutMs?: number;
  /** Readers unused for this long are closed, in ms. @default 60000 */
  readonly idleTimeoutMs?: number;
  /** Prepared statements kept per connection. @default 256 */
  readonly statementCacheSize?: number;
  /** What a commit survives. @default "full" */
  readonly durability?: Durability;
  /** A write transaction held longer is rolled back, in ms; more than 0. @default Infinity */
  readonly transactionTimeoutMs?: number;
  /** When the log is moved into the database file. */
  readonly checkpoint?: CheckpointOptions;
  /**
   * Makes each row as @libsql/client does: with Object.prototype as its prototype, as `deepStrictEqual`, superjson and
   * `instanceof Object` need it. Making a row then takes ten to thirty times as long. @default false
   */
  readonly plainRows?: boolean;
  /**
   * Opens a file to read it only: no file is made and nothing in it is changed, its journal mode included. `"immutable"`
   * is for a file that no process writes to while it is open, where SQLite cannot make its -shm: on a read-only mount,
   * or in a folder of another user. It then takes no locks, and does not see a log. @default false
   */
  readonly readOnly?: boolean | "immutable";
}

/** The default limits of a call to a server. */
export const REQUEST_TIMEOUT_MS = 30_000;
export const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;

export interface ClientOptions extends Required<Omit<PoolConfig, "checkpoint">> {
  readonly checkpoint: Required<CheckpointOptions>;
  readonly intMode: IntMode;
}

/** Options of @libsql/client; it takes most of them as they are. */
type Unchecked = { readonly [K in keyof Config]?: Config[K] | undefined };

/** Fills in the defaults and checks the ranges of a local client's options; throws TypeError or RangeError. */
export function resolveClientOptions(config: PoolConfig & Unchecked): ClientOptions {
  const {
    readers = 4,
    acquireTimeoutMs = 30_000,
    timeout = 5_000,
    busyTimeoutMs = timeout,
    idleTimeoutMs = 60_000,
    statementCacheSize = 256,
    durability = "full",
    transactionTimeoutMs = Number.POSITIVE_INFINITY,
    checkpoint = {},
    intMode = "number",
    plainRows = false,
    readOnly = false,
  } = config;
  expectKeys("`checkpoint`", checkpoint, ["walBytes"]);
  const { walBytes = 4 * 1024 * 1024 } = checkpoint;
  expectInteger("readers", readers, 1);
  expectInteger("statementCacheSize", statementCacheSize, 1);
  expectDuration("acquireTimeoutMs", acquireTimeoutMs);
  expectDuration(config.busyTimeoutMs === undefined ? "timeout" : "busyTimeoutMs", busyTimeoutMs);
  expectDuration("idleTimeoutMs", idleTimeoutMs);
  expectTimeout("transactionTimeoutMs", transactionTimeoutMs);
  expectInteger("checkpoint.walBytes", walBytes, 0);
  if (typeof plainRows !== "boolean") throw new TypeError(expectation("plainRows", "true or false", plainRows));
  expectReadOnly(readOnly);
  expectOneOf("durability", durability, ["full", "relaxed"]);
  expectOneOf("intMode", intMode, ["number", "bigint", "string"]);
  expectStockOptions(config);
  return {
    readers,
    acquireTimeoutMs,
    busyTimeoutMs,
    idleTimeoutMs,
    statementCacheSize,
    durability,
    transactionTimeoutMs,
    checkpoint: { walBytes },
    intMode,
    plainRows,
    readOnly,
  };
}

/** Throws on a time limit that nothing could keep. */
export function expectTimeout(name: string, value: unknown): void {
  expectDuration(name, value);
  if (value === 0) throw new RangeError(expectation(name, "more than 0 ms (Infinity is without a limit)", value));
}

/** Checks the options that @libsql/client takes as they are. */
function expectStockOptions(config: Unchecked): void {
  for (const name of ["authToken", "encryptionKey", "remoteEncryptionKey"] as const) {
    // The value may be a secret.
    if (!["string", "undefined"].includes(typeof config[name]))
      throw new TypeError(`Expected \`${name}\` to be a string`);
  }
  // An empty key would silently leave the file unencrypted.
  if (config.encryptionKey === "") throw new RangeError("Expected `encryptionKey` not to be empty");
  for (const name of ["readYourWrites", "offline", "tls"] as const) {
    const value = config[name];
    if (value !== undefined && typeof value !== "boolean")
      throw new TypeError(expectation(name, "true or false", value));
  }
  const { concurrency = 0, syncInterval = 0, fetch } = config;
  if (concurrency !== Number.POSITIVE_INFINITY) expectInteger("concurrency", concurrency, 0);
  if (typeof syncInterval !== "number")
    throw new TypeError(expectation("syncInterval", "a number of seconds", syncInterval));
  if (!(syncInterval >= 0)) throw new RangeError(expectation("syncInterval", "at least 0 seconds", syncInterval));
  if (fetch !== undefined) expectFunction("fetch", fetch);
}

export function expectReadOnly(value: unknown): void {
  if (typeof value === "boolean" || value === "immutable") return;
  throw new TypeError(expectation("readOnly", 'true, false or "immutable"', value));
}

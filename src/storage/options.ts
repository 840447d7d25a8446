import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { InvalidText } from "../areas/repair.js";
import { type ResolvedStoryOptions, resolveStoryOptions, type StoryOptions } from "../areas/stories/options.js";
import { SecretBox } from "../areas/stories/secret.js";
import { expectAddress } from "../client/addresses.js";
import { CLIENT_KEYS, type ClientConfig, type SettledClientConfig } from "../client/config.js";
import type { ReadOnly } from "../client/local/read-only.js";
import { MAX_RESPONSE_BYTES, REQUEST_TIMEOUT_MS, resolveClientOptions } from "../client/options.js";
import { callSafely, type GuardedLogger, guardClock, guardLogger } from "../shared/callbacks.js";
import { type Environment, environment as processEnvironment } from "../shared/environment.js";
import { expectation, expectDuration, expectInteger, expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText, urlText } from "../shared/locations.js";
import { redactor, takeToken } from "../shared/secrets.js";

/** Where messages for people go; `console` fits. */
export interface Logger {
  debug?(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Migrations of the caller's own, which live in the same file with a ledger of their own. */
export interface OwnMigrations {
  /** A folder that drizzle-kit generated. */
  readonly folder: string | URL;
  /** Their ledger table; another one than `__drizzle_migrations`. */
  readonly table: string;
}

/** How many backups from before migrations stay, unless the caller says otherwise. */
export const KEPT_MIGRATION_BACKUPS = 3;

export interface StorageOptions extends Omit<ClientConfig, "url"> {
  /** A path, or a `file:`, `:memory:`, `libsql:` or `http(s):` URL. */
  readonly url?: string | URL | undefined;
  /** A folder for `holdfast.db`, where no `url` is given. @default the platform's data folder */
  readonly dataDir?: string | URL | undefined;
  /** `apply` what is pending, only `verify` that nothing is, or `skip` both. @default "apply" */
  readonly migrate?: "apply" | "verify" | "skip" | undefined;
  /** Whether a file that holds rows is backed up, into `backups/` beside it, before a migration. @default true */
  readonly backupBeforeMigrate?: boolean | undefined;
  /**
   * How many of those backups stay: once the migrations are applied, the oldest are removed. With 0 the new one is removed
   * as well, after it has been there in case of a failure; `Infinity` keeps all. @default 3
   */
  readonly keepMigrationBackups?: number | undefined;
  /** How long to wait while another process migrates, in ms. @default 600000 */
  readonly migrateTimeoutMs?: number | undefined;
  readonly migrations?: OwnMigrations | undefined;
  /** Drizzle tables of the caller's own, for `storage.db`. */
  readonly schema?: Record<string, unknown> | undefined;
  /** Most characters of a memory's content. @default 100000 */
  readonly maxContentChars?: number | undefined;
  /** Most characters of a message's content. @default 1000000 */
  readonly maxMessageChars?: number | undefined;
  /**
   * Text with lone surrogates or NUL characters, which the database cannot hold: `"refuse"` rejects the call, `"replace"`
   * stores U+FFFD in their place, in contents, titles, names, tags and JSON, keys included. Ids are refused in any case,
   * since two of them could become one. With `"refuse"`, stories keep such text within their content, and so does what was
   * stored or exported earlier. @default "refuse"
   */
  readonly invalidText?: InvalidText | undefined;
  /**
   * Whether contents of memories from 200 characters on are stored compressed. Searches, exports and every storage that
   * opens the file read them as they read others; SQL of your own, and Studio, see bytes. @default false
   */
  readonly compressContents?: boolean | undefined;
  /**
   * Most bytes of graphs kept in memory for traversals; a graph that does not fit is asked by query. 0 keeps none.
   * @default 134217728
   */
  readonly graphCacheBytes?: number | undefined;
  /** The key of what is stored encrypted (tokens): 32 bytes or 64 hex digits. @default HOLDFAST_SECRET */
  readonly secret?: Uint8Array | string | undefined;
  readonly stories?: StoryOptions | undefined;
  /** Longest wait for an answer of a server, in ms; then `UNAVAILABLE`. Files have no use for it. @default 30000 */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Most bytes of a server's answer, decompressed; a larger one is refused as it arrives, with `RESPONSE_TOO_LARGE`.
   * @default 268435456
   */
  readonly maxResponseBytes?: number | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly logger?: Logger | undefined;
  /** The time in ms, for tests. @default Date.now */
  readonly now?: (() => number) | undefined;
}

export interface ResolvedStorageOptions {
  readonly client: SettledClientConfig;
  /** How a command reads a file that it leaves as it is; it stands in for the option `readOnly`. */
  readonly readOnly?: ReadOnly | undefined;
  readonly migrate: "apply" | "verify" | "skip";
  readonly backupBeforeMigrate: boolean;
  readonly keepMigrationBackups: number;
  readonly migrateTimeoutMs: number;
  readonly migrations: { readonly folder: string; readonly table: string } | undefined;
  readonly schema: Record<string, unknown>;
  readonly maxContentChars: number;
  readonly invalidText: InvalidText;
  readonly compressContents: boolean;
  readonly maxMessageChars: number;
  readonly graphCacheBytes: number;
  readonly box: SecretBox;
  readonly stories: ResolvedStoryOptions;
  readonly requestTimeoutMs: number;
  readonly maxResponseBytes: number;
  /** Takes tokens and keys out of a text. */
  readonly redact: (text: string) => string;
  readonly onError: ((error: unknown) => void) | undefined;
  /** Never throws: `onError` is told. */
  readonly logger: GuardedLogger | undefined;
  /** Gives whole milliseconds, or throws TypeError. */
  readonly now: () => number;
}

/** All names in StorageOptions; the compiler holds this list to it. */
const KEYS: readonly string[] = Object.keys({
  url: true,
  dataDir: true,
  migrate: true,
  backupBeforeMigrate: true,
  keepMigrationBackups: true,
  migrateTimeoutMs: true,
  migrations: true,
  schema: true,
  maxContentChars: true,
  invalidText: true,
  compressContents: true,
  maxMessageChars: true,
  graphCacheBytes: true,
  secret: true,
  stories: true,
  requestTimeoutMs: true,
  maxResponseBytes: true,
  onError: true,
  logger: true,
  now: true,
} satisfies Record<Exclude<keyof StorageOptions, Exclude<keyof ClientConfig, "url">>, true>);
const ALL_KEYS = [...new Set([...KEYS, ...CLIENT_KEYS])];

/** Fills in defaults and what the environment says; an option beats the environment. Throws on wrong values. */
export function resolveStorageOptions(
  target: string | URL | StorageOptions | undefined,
  environment: Environment = processEnvironment(),
): ResolvedStorageOptions {
  if (target !== undefined && typeof target !== "string" && !isRecord(target)) {
    throw new TypeError(expectation("target", "a path, a URL or an object of options", target));
  }
  const location = urlText(target);
  const options = (typeof location === "string" ? { url: location } : (target ?? {})) as StorageOptions;
  expectKeys("openStorage", options, ALL_KEYS);
  const {
    url,
    dataDir,
    migrate = "apply",
    backupBeforeMigrate = true,
    keepMigrationBackups = KEPT_MIGRATION_BACKUPS,
    migrateTimeoutMs = 600_000,
    migrations,
    schema = {},
    maxContentChars = 100_000,
    invalidText = "refuse",
    compressContents = false,
    maxMessageChars = 1_000_000,
    graphCacheBytes = 128 * 1024 * 1024,
    secret = environment.HOLDFAST_SECRET,
    stories = {},
    requestTimeoutMs = REQUEST_TIMEOUT_MS,
    maxResponseBytes = MAX_RESPONSE_BYTES,
    onError,
    logger,
    now = Date.now,
    authToken: givenToken = environment.HOLDFAST_AUTH_TOKEN,
    encryptionKey = environment.HOLDFAST_ENCRYPTION_KEY || undefined,
    syncUrl: givenSyncUrl,
    ...client
  } = options;
  expectOneOf("migrate", migrate, ["apply", "verify", "skip"]);
  if (typeof backupBeforeMigrate !== "boolean") {
    throw new TypeError(expectation("backupBeforeMigrate", "a boolean", backupBeforeMigrate));
  }
  if (keepMigrationBackups !== Number.POSITIVE_INFINITY) expectInteger("keepMigrationBackups", keepMigrationBackups, 0);
  if (logger !== undefined && typeof logger?.info !== "function") {
    throw new TypeError(expectation("logger", "an object like console", logger));
  }
  expectInteger("maxContentChars", maxContentChars, 1);
  expectOneOf("invalidText", invalidText, ["refuse", "replace"]);
  if (typeof compressContents !== "boolean") {
    throw new TypeError(expectation("compressContents", "a boolean", compressContents));
  }
  expectInteger("maxMessageChars", maxMessageChars, 1);
  if (graphCacheBytes !== Number.POSITIVE_INFINITY) expectInteger("graphCacheBytes", graphCacheBytes, 0);
  expectDuration("migrateTimeoutMs", migrateTimeoutMs);
  expectDuration("requestTimeoutMs", requestTimeoutMs);
  if (maxResponseBytes !== Number.POSITIVE_INFINITY) expectInteger("maxResponseBytes", maxResponseBytes, 1);
  for (const [name, value] of Object.entries({ onError, now })) {
    if (value !== undefined && typeof value !== "function") throw new TypeError(expectation(name, "a function", value));
  }
  if (!isRecord(schema)) throw new TypeError(expectation("schema", "an object of tables", schema));
  const syncUrl = urlText(givenSyncUrl);
  for (const [name, value] of Object.entries({ encryptionKey, authToken: givenToken, syncUrl })) {
    // The value may be a secret.
    if (value !== undefined && typeof value !== "string") throw new TypeError(`Expected \`${name}\` to be a string`);
  }
  // An empty one would leave the file unencrypted without a word.
  if (encryptionKey === "") throw new RangeError("Expected `encryptionKey` not to be empty");
  // A token in a URL would be in every message that names the URL.
  const address = takeToken(expectAddress("url", toUrl(urlText(url), pathText("dataDir", dataDir), environment)));
  const primary = syncUrl === undefined ? undefined : takeToken(expectAddress("syncUrl", syncUrl as string));
  const authToken = address.authToken ?? primary?.authToken ?? givenToken;
  const secrets = {
    ...(authToken === undefined ? {} : { authToken }),
    ...(encryptionKey === undefined ? {} : { encryptionKey }),
  };
  // What is wrong with them is told before there is a file.
  resolveClientOptions(client);
  return {
    invalidText,
    client: { ...client, ...secrets, ...(primary === undefined ? {} : { syncUrl: primary.url }), url: address.url },
    requestTimeoutMs,
    maxResponseBytes,
    redact: redactor([authToken, givenToken, encryptionKey, client.remoteEncryptionKey]),
    migrate,
    backupBeforeMigrate,
    keepMigrationBackups,
    migrateTimeoutMs,
    migrations: migrations === undefined ? undefined : resolveOwnMigrations(migrations),
    schema,
    maxContentChars,
    compressContents,
    maxMessageChars,
    graphCacheBytes,
    box: new SecretBox(secret || undefined),
    stories: resolveStoryOptions(stories),
    onError,
    logger:
      logger === undefined
        ? undefined
        : guardLogger(logger, (error) =>
            callSafely(
              () => onError?.(error),
              () => undefined,
            ),
          ),
    now: guardClock(now),
  };
}

function resolveOwnMigrations(migrations: OwnMigrations): { folder: string; table: string } {
  expectKeys("migrations", migrations, ["folder", "table"]);
  const folder = pathText("migrations.folder", migrations.folder);
  const { table } = migrations;
  if (typeof folder !== "string" || folder === "") {
    throw new TypeError(expectation("migrations.folder", "a folder", folder));
  }
  if (typeof table !== "string" || table === "" || table.toLowerCase() === "__drizzle_migrations") {
    throw new TypeError(expectation("migrations.table", "another table than that of Holdfast", table));
  }
  return { folder, table };
}

function toUrl(url: unknown, dataDir: unknown, environment: Environment): string {
  if (url !== undefined) {
    if (typeof url !== "string") throw new TypeError(expectation("url", "a path or a URL", url));
    if (url === "" || /^file:(\/\/)?$/i.test(url) || url.includes("\0")) {
      throw new RangeError(expectation("url", "a path or a URL", url));
    }
    return isUrl(url) ? expectScheme("url", url) : fileUrl(url);
  }
  if (dataDir !== undefined) {
    if (typeof dataDir !== "string") throw new TypeError(expectation("dataDir", "a folder", dataDir));
    if (dataDir === "") throw new RangeError(expectation("dataDir", "a folder", dataDir));
    return fileUrl(join(dataDir, "holdfast.db"));
  }
  const { HOLDFAST_URL: fromEnvironment } = environment;
  if (fromEnvironment) {
    return isUrl(fromEnvironment) ? expectScheme("HOLDFAST_URL", fromEnvironment) : fileUrl(fromEnvironment);
  }
  return fileUrl(join(dataFolder(environment), "holdfast.db"));
}

/** Where data is kept whose place nobody has named: `HOLDFAST_DATA_DIR`, else the platform's data folder. */
export function dataFolder(environment: Environment = processEnvironment()): string {
  return environment.HOLDFAST_DATA_DIR || platformDataDir(environment);
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function expectScheme(name: string, url: string): string {
  if (url === ":memory:" || /^(file|libsql|https?|wss?):/i.test(url)) return url;
  // Only the scheme: the rest may hold a token.
  throw new RangeError(
    expectation(name, "a path, or a file:, :memory:, libsql: or http(s): URL", `${url.split(":")[0]}:`),
  );
}

/** A Windows drive is no scheme. */
function isUrl(text: string): boolean {
  return text === ":memory:" || /^[a-z][a-z.+-]+:/i.test(text);
}

function fileUrl(path: string): string {
  // Not `//`, which @libsql/client would read as a host.
  return `file:${pathToFileURL(resolve(path)).pathname}`;
}

/** Where programs keep data that is the user's and not the machine's. */
function platformDataDir(environment: Environment): string {
  const home = homedir();
  if (process.platform === "darwin") return join(home, "Library", "Application Support", "holdfast");
  if (process.platform === "win32") return join(environment.LOCALAPPDATA ?? join(home, "AppData", "Local"), "holdfast");
  return join(environment.XDG_DATA_HOME || join(home, ".local", "share"), "holdfast");
}

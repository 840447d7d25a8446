import { homedir } from "node:os";
import { join } from "node:path";
import type { InvalidText } from "../areas/repair.js";
import { type ResolvedStoryOptions, resolveStoryOptions, type StoryOptions } from "../areas/stories/options.js";
import { SecretBox } from "../areas/stories/secret.js";
import { expectAddress } from "../client/addresses.js";
import { CLIENT_KEYS, type ClientConfig, type SettledClientConfig } from "../client/config.js";
import { toFileUrl } from "../client/file-url.js";
import type { ReadOnly } from "../client/local/read-only.js";
import { expectTimeout, MAX_RESPONSE_BYTES, REQUEST_TIMEOUT_MS, resolveClientOptions } from "../client/options.js";
import { type CodeMigration, type JournalOptions, resolveJournalOptions } from "../migrate/options.js";
import { callSafely, type GuardedLogger, guardClock, guardLogger } from "../shared/callbacks.js";
import { type Environment, environment as processEnvironment } from "../shared/environment.js";
import { expectation, expectDuration, expectInteger, expectOneOf, isObject } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText, urlText } from "../shared/locations.js";
import { redactor, takeToken } from "../shared/secrets.js";
import type { StorageSchema } from "./drizzle-scope.js";

/** A logger of messages for people; `console` fits. */
export interface Logger {
  /** Details of what happens. */
  debug?(message: string): void;
  /** Progress, such as a migration that was applied. */
  info(message: string): void;
  /** Something to look at, such as a file on a network file system. */
  warn(message: string): void;
  /** A failure. */
  error(message: string): void;
}

/** The caller's own migrations, in the same file with a separate ledger. */
export interface OwnMigrations {
  /** A folder that drizzle-kit generated. Pass either this or `migrations`. */
  readonly folder?: string | URL | undefined;
  /** The migrations in code, in their order, for bundled programs. */
  readonly migrations?: readonly CodeMigration[] | undefined;
  /** Applies migrations that were merged late, although newer migrations are applied already. @default false */
  readonly allowOutOfOrder?: boolean | undefined;
  /** Their ledger table. It must differ from `__drizzle_migrations`. */
  readonly table: string;
}

interface ResolvedOwnMigrations {
  readonly set: JournalOptions;
  readonly allowOutOfOrder: boolean;
}

/** How many backups from before migrations stay by default. */
export const KEPT_MIGRATION_BACKUPS = 3;

/** The options of `openStorage`, with those of the client. */
export interface StorageOptions<TSchema extends StorageSchema = StorageSchema> extends Omit<ClientConfig, "url"> {
  /** A path, or a `file:`, `:memory:`, `libsql:` or `http(s):` URL. */
  readonly url?: string | URL | undefined;
  /** The token of a server or of the primary. A token in the URL wins. @default HOLDFAST_AUTH_TOKEN */
  readonly authToken?: string;
  /** The key that encrypts a local file, also that of a replica. A server refuses it. @default HOLDFAST_ENCRYPTION_KEY */
  readonly encryptionKey?: string;
  /** A folder for `holdfast.db`, if no `url` is given. @default the platform's data folder */
  readonly dataDir?: string | URL | undefined;
  /**
   * `apply` applies pending migrations, `verify` only checks that there are none, and `skip` does neither. @default
   * "apply"
   */
  readonly migrate?: "apply" | "verify" | "skip" | undefined;
  /** Whether a file with rows is backed up before a migration, into `backups/` next to it. @default true */
  readonly backupBeforeMigrate?: boolean | undefined;
  /**
   * How many of those backups stay. The oldest are removed after the migrations are applied. 0 removes the new backup
   * too, once the migrations have succeeded; `Infinity` keeps all. @default 3
   */
  readonly keepMigrationBackups?: number | undefined;
  /** Longest wait in ms while another process migrates. @default 600000 */
  readonly migrateTimeoutMs?: number | undefined;
  /** Your own migrations, which run after Holdfast's. */
  readonly migrations?: OwnMigrations | undefined;
  /**
   * The caller's own Drizzle tables and relations. The types of `storage.db` and `tx.db` follow from it:
   * `storage.db.query.notes` exists if `schema` has a table `notes`.
   */
  readonly schema?: TSchema | undefined;
  /** Maximum number of characters of a memory's content. @default 100000 */
  readonly maxContentChars?: number | undefined;
  /** Maximum number of characters of a message's content. @default 1000000 */
  readonly maxMessageChars?: number | undefined;
  /**
   * How text with lone surrogates or NUL characters is treated, because the database cannot store it. `"refuse"`
   * rejects the call. `"replace"` stores U+FFFD in their place, in contents, titles, names, tags and JSON, including
   * keys. Ids with such text are always refused, because two ids could become the same. With `"refuse"`, stories keep
   * such text within their content, and existing records and exports keep it too. @default "refuse"
   */
  readonly invalidText?: InvalidText | undefined;
  /**
   * Whether contents of memories of 200 characters and more are stored compressed. Searches, exports and every storage
   * that opens the file read them like other contents. Your own SQL and Studio see the compressed bytes. @default false
   */
  readonly compressContents?: boolean | undefined;
  /**
   * Maximum bytes of graphs kept in memory for traversals. Larger graphs are read by queries. 0 keeps none. @default
   * 134217728
   */
  readonly graphCacheBytes?: number | undefined;
  /**
   * Maximum bytes of the codes of vectors kept in memory for `memories.nearest` and searches with an embedding: 80 bytes for
   * a vector of 384 dimensions. They are kept for a local database and 2,000 vectors or more of one model. If they do
   * not fit, every search compares all vectors. 0 keeps none. @default 134217728
   */
  readonly vectorCacheBytes?: number | undefined;
  /** The key that encrypts secrets (tokens): 32 bytes or 64 hex digits. @default HOLDFAST_SECRET */
  readonly secret?: Uint8Array | string | undefined;
  /** The options of `storage.stories`. */
  readonly stories?: StoryOptions | undefined;
  /** Longest wait for an answer of a server, in ms, then `UNAVAILABLE`. Not used for files. @default 30000 */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Maximum bytes of a server's answer, after decompression. A larger answer is refused as it arrives, with
   * `RESPONSE_TOO_LARGE`. @default 268435456
   */
  readonly maxResponseBytes?: number | undefined;
  /** Called with failures that no caller may have seen, such as that of a listener. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Where messages for people go. Without it, nothing is logged. */
  readonly logger?: Logger | undefined;
  /** The current time in ms, for tests. @default Date.now */
  readonly now?: (() => number) | undefined;
}

export interface ResolvedStorageOptions {
  readonly client: SettledClientConfig;
  /** How a command reads a file without changing it. Replaces the option `readOnly`. */
  readonly readOnly?: ReadOnly | undefined;
  readonly migrate: "apply" | "verify" | "skip";
  readonly backupBeforeMigrate: boolean;
  readonly keepMigrationBackups: number;
  readonly migrateTimeoutMs: number;
  readonly migrations: ResolvedOwnMigrations | undefined;
  readonly schema: StorageSchema;
  readonly maxContentChars: number;
  readonly invalidText: InvalidText;
  readonly compressContents: boolean;
  readonly maxMessageChars: number;
  readonly graphCacheBytes: number;
  readonly vectorCacheBytes: number;
  readonly box: SecretBox;
  readonly stories: ResolvedStoryOptions;
  readonly requestTimeoutMs: number;
  readonly maxResponseBytes: number;
  /** Removes tokens and keys from a text. */
  readonly redact: (text: string) => string;
  readonly onError: ((error: unknown) => void) | undefined;
  /** Never throws; its failures go to `onError`. */
  readonly logger: GuardedLogger | undefined;
  /** Returns whole milliseconds, or throws TypeError. */
  readonly now: () => number;
}

/** All names in StorageOptions; the compiler checks this list against the type. */
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
  vectorCacheBytes: true,
  secret: true,
  stories: true,
  requestTimeoutMs: true,
  maxResponseBytes: true,
  onError: true,
  logger: true,
  now: true,
} satisfies Record<Exclude<keyof StorageOptions, Exclude<keyof ClientConfig, "url">>, true>);
const ALL_KEYS = [...new Set([...KEYS, ...CLIENT_KEYS])];

/** Fills in defaults and values of the environment. An option overrides the environment. Throws on wrong values. */
export function resolveStorageOptions(
  target: string | URL | StorageOptions | undefined,
  environment: Environment = processEnvironment(),
): ResolvedStorageOptions {
  if (target !== undefined && typeof target !== "string" && !isObject(target)) {
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
    vectorCacheBytes = 128 * 1024 * 1024,
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
  for (const [name, bytes] of Object.entries({ graphCacheBytes, vectorCacheBytes })) {
    if (bytes !== Number.POSITIVE_INFINITY) expectInteger(name, bytes, 0);
  }
  expectDuration("migrateTimeoutMs", migrateTimeoutMs);
  expectTimeout("requestTimeoutMs", requestTimeoutMs);
  if (maxResponseBytes !== Number.POSITIVE_INFINITY) expectInteger("maxResponseBytes", maxResponseBytes, 1);
  for (const [name, value] of Object.entries({ onError, now })) {
    if (value !== undefined && typeof value !== "function") throw new TypeError(expectation(name, "a function", value));
  }
  if (!isObject(schema)) throw new TypeError(expectation("schema", "an object of tables", schema));
  const syncUrl = urlText(givenSyncUrl);
  if (syncUrl !== undefined && typeof syncUrl !== "string") throw new TypeError("Expected `syncUrl` to be a string");
  // Report wrong client options before the file is created.
  resolveClientOptions({ ...client, encryptionKey, authToken: givenToken });
  // A token in a URL would appear in every message that names the URL.
  const address = takeToken(expectAddress("url", toUrl(urlText(url), pathText("dataDir", dataDir), environment)));
  const primary = syncUrl === undefined ? undefined : takeToken(expectAddress("syncUrl", syncUrl as string));
  const authToken = address.authToken ?? primary?.authToken ?? givenToken;
  const secrets = {
    ...(authToken === undefined ? {} : { authToken }),
    ...(encryptionKey === undefined ? {} : { encryptionKey }),
  };
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
    vectorCacheBytes,
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

function resolveOwnMigrations(own: OwnMigrations): ResolvedOwnMigrations {
  expectKeys("`migrations`", own, ["folder", "migrations", "table", "allowOutOfOrder"]);
  const folder = pathText("migrations.folder", own.folder) as string | undefined;
  const { migrations, table, allowOutOfOrder = false } = own;
  if (typeof allowOutOfOrder !== "boolean") {
    throw new TypeError(expectation("migrations.allowOutOfOrder", "a boolean", allowOutOfOrder));
  }
  if (migrations === undefined && (typeof folder !== "string" || folder === "")) {
    throw new TypeError(expectation("migrations.folder", "a folder", folder));
  }
  if (table === undefined) {
    throw new TypeError(
      "Expected `migrations.table`, the name of the ledger of your migrations. It is required, because the default __drizzle_migrations is Holdfast's ledger in the same database",
    );
  }
  if (typeof table !== "string" || table === "" || table.toLowerCase() === "__drizzle_migrations") {
    throw new TypeError(expectation("migrations.table", "another table than that of Holdfast", table));
  }
  // Checks the list, and that there is one source. The folder becomes absolute: it is read again later, also by the
  // process of a check, whose working folder is another one.
  const { folder: absolute } = resolveJournalOptions("migrations", { folder, migrations, table });
  return { set: migrations === undefined ? { folder: absolute, table } : { migrations, table }, allowOutOfOrder };
}

function toUrl(url: unknown, dataDir: unknown, environment: Environment): string {
  if (url !== undefined) {
    if (typeof url !== "string") throw new TypeError(expectation("url", "a path or a URL", url));
    if (url === "" || /^file:(\/\/)?$/i.test(url) || url.includes("\0")) {
      throw new RangeError(expectation("url", "a path or a URL", url));
    }
    return isUrl(url) ? expectScheme("url", url) : toFileUrl(url);
  }
  if (dataDir !== undefined) {
    if (typeof dataDir !== "string") throw new TypeError(expectation("dataDir", "a folder", dataDir));
    if (dataDir === "") throw new RangeError(expectation("dataDir", "a folder", dataDir));
    return toFileUrl(join(dataDir, "holdfast.db"));
  }
  const { HOLDFAST_URL: fromEnvironment } = environment;
  if (fromEnvironment) {
    return isUrl(fromEnvironment) ? expectScheme("HOLDFAST_URL", fromEnvironment) : toFileUrl(fromEnvironment);
  }
  return toFileUrl(join(dataFolder(environment), "holdfast.db"));
}

/** The default data folder: `HOLDFAST_DATA_DIR`, else the platform's data folder. */
export function dataFolder(environment: Environment = processEnvironment()): string {
  return environment.HOLDFAST_DATA_DIR || platformDataDir(environment);
}

function expectScheme(name: string, url: string): string {
  if (url === ":memory:" || /^(file|libsql|https?|wss?):/i.test(url)) return url;
  // Only the scheme, because the rest may contain a token.
  throw new RangeError(
    expectation(name, "a path, or a file:, :memory:, libsql: or http(s): URL", `${url.split(":")[0]}:`),
  );
}

/** The drive letter of a Windows path is not a scheme. */
function isUrl(text: string): boolean {
  return text === ":memory:" || /^[a-z][a-z.+-]+:/i.test(text);
}

/** The platform's folder for data of the user, as opposed to the machine. */
function platformDataDir(environment: Environment): string {
  const home = homedir();
  if (process.platform === "darwin") return join(home, "Library", "Application Support", "holdfast");
  if (process.platform === "win32") return join(environment.LOCALAPPDATA ?? join(home, "AppData", "Local"), "holdfast");
  return join(environment.XDG_DATA_HOME || join(home, ".local", "share"), "holdfast");
}

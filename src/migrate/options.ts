import { resolve } from "node:path";
import { guardLogger } from "../shared/callbacks.js";
import { expectation, expectDuration, expectInteger } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText } from "../shared/locations.js";

const DEFAULT_TABLE = "__drizzle_migrations";

/** Where progress is logged; `console` works. */
export interface MigrationLogger {
  info(message: string): void;
}

/** The migrations, and their ledger. */
export interface JournalOptions {
  /** The folder that drizzle-kit writes: the .sql files and `meta/_journal.json`. */
  readonly folder: string | URL;
  /** The table of applied migrations. @default "__drizzle_migrations" */
  readonly table?: string | undefined;
  /**
   * Tables that these migrations create. If the ledger has entries and none of them is in this journal, the file is
   * MIGRATION_UNKNOWN if it has one of these tables, and FOREIGN_LEDGER otherwise.
   */
  readonly ownTables?: readonly string[] | undefined;
}

/** The migrations to apply, or the one to revert next, as passed to `before`. */
export interface MigrationPlan {
  readonly pending: readonly string[];
  readonly backup: string | undefined;
}

export interface MigrateOptions extends JournalOptions {
  /** The last migration to apply, by tag. @default the last of the journal */
  readonly to?: string | undefined;
  /** Applies migrations that were merged late, although newer migrations are applied already. @default false */
  readonly allowOutOfOrder?: boolean | undefined;
  /** A folder for a verified backup, made before the first change to a local file that has rows. */
  readonly backupTo?: string | URL | undefined;
  /**
   * How many backups from before migrations of this file stay in `backupTo`. The oldest are removed after the
   * migrations are applied. With 0, the new backup is removed too. @default Infinity
   */
  readonly keepBackups?: number | undefined;
  /** Longest wait for the write lock while another process migrates, in ms. @default 600000 */
  readonly lockTimeoutMs?: number | undefined;
  readonly logger?: MigrationLogger | undefined;
  /**
   * Called before the first change, while the write lock is held. If it throws, nothing is changed.
   *
   * It may read through the client; a write would wait for the lock and time out. (With a client without a pool, no
   * lock is held, and it is called again if another process changed the ledger first.)
   */
  readonly before?: ((plan: MigrationPlan) => void | Promise<void>) | undefined;
}

export interface RevertOptions
  extends JournalOptions,
    Pick<MigrateOptions, "backupTo" | "lockTimeoutMs" | "logger" | "before"> {
  /** The migration that stays applied, by tag. All later ones are reverted. Pass either this or `steps`. */
  readonly to?: string | undefined;
  /** How many migrations to revert, starting with the last one; `Infinity` reverts all. */
  readonly steps?: number | undefined;
}

export interface ResolvedJournalOptions {
  readonly folder: string;
  readonly table: string;
  readonly ownTables: readonly string[];
}

export interface ResolvedMigrateOptions extends ResolvedJournalOptions {
  readonly to: string | undefined;
  readonly allowOutOfOrder: boolean;
  readonly backupTo: string | undefined;
  readonly keepBackups: number;
  readonly lockTimeoutMs: number;
  /** Never throws. */
  readonly logger: MigrationLogger | undefined;
  readonly before: (plan: MigrationPlan) => void | Promise<void>;
}

/** All names of these options; the compiler checks the lists against the types. */
const JOURNAL_KEYS = Object.keys({ folder: true, table: true, ownTables: true } satisfies Record<
  keyof JournalOptions,
  true
>);
const MIGRATE_KEYS = Object.keys({
  to: true,
  allowOutOfOrder: true,
  backupTo: true,
  keepBackups: true,
  lockTimeoutMs: true,
  logger: true,
  before: true,
} satisfies Record<Exclude<keyof MigrateOptions, keyof JournalOptions>, true>);
const REVERT_KEYS = [...MIGRATE_KEYS.filter((key) => key !== "allowOutOfOrder" && key !== "keepBackups"), "steps"];

/** `name` is the name of the call; `more` are its options beyond those that every call has. */
export function resolveJournalOptions(
  name: string,
  options: JournalOptions,
  more: readonly string[] = [],
): ResolvedJournalOptions {
  expectKeys(name, options, [...JOURNAL_KEYS, ...more]);
  const { folder, table = DEFAULT_TABLE, ownTables = [] } = options;
  expectName("table", table);
  if (/^sqlite_/i.test(table)) throw new RangeError(expectation("table", "a name that SQLite does not reserve", table));
  if (!Array.isArray(ownTables)) throw new TypeError(expectation("ownTables", "an array of names", ownTables));
  for (const name of ownTables) expectName("ownTables", name);
  return { folder: resolveFolder(folder), table, ownTables };
}

export function resolveMigrateOptions(
  options: MigrateOptions,
  name = "migrate",
  keys: readonly string[] = MIGRATE_KEYS,
): ResolvedMigrateOptions {
  const journal = resolveJournalOptions(name, options, keys);
  const { to, allowOutOfOrder = false, lockTimeoutMs = 600_000, logger, before = () => undefined } = options;
  if (to !== undefined) expectName("to", to);
  if (typeof allowOutOfOrder !== "boolean") {
    throw new TypeError(expectation("allowOutOfOrder", "a boolean", allowOutOfOrder));
  }
  const backupTo = pathText("backupTo", options.backupTo);
  if (backupTo !== undefined) expectName("backupTo", backupTo);
  const { keepBackups = Number.POSITIVE_INFINITY } = options;
  if (keepBackups !== Number.POSITIVE_INFINITY) expectInteger("keepBackups", keepBackups, 0);
  expectDuration("lockTimeoutMs", lockTimeoutMs);
  if (logger !== undefined && typeof logger?.info !== "function") {
    throw new TypeError(expectation("logger", "an object with `info`", logger));
  }
  if (typeof before !== "function") throw new TypeError(expectation("before", "a function", before));
  const backupFolder = backupTo === undefined ? undefined : resolve(backupTo);
  return {
    ...journal,
    to,
    allowOutOfOrder,
    backupTo: backupFolder,
    keepBackups,
    lockTimeoutMs,
    logger: guardMigrationLogger(logger),
    before,
  };
}

export type ResolvedRevertOptions = Omit<ResolvedMigrateOptions, "allowOutOfOrder"> & {
  readonly steps: number | undefined;
};

export function resolveRevertOptions(options: RevertOptions): ResolvedRevertOptions {
  const { allowOutOfOrder: _, ...resolved } = resolveMigrateOptions(options, "revert", REVERT_KEYS);
  const { to, steps } = options;
  if ((to === undefined) === (steps === undefined)) {
    throw new TypeError("Expected either `to`, the migration that stays applied, or `steps`, how many to revert");
  }
  if (steps !== undefined && steps !== Number.POSITIVE_INFINITY) expectInteger("steps", steps, 1);
  return { ...resolved, steps };
}

/** A logger that throws must not fail a migration or keep it from being reported. */
export function guardMigrationLogger(logger: MigrationLogger | undefined): MigrationLogger | undefined {
  return logger === undefined ? undefined : guardLogger(logger, () => undefined);
}

export function resolveFolder(folder: string | URL): string {
  const path = pathText("folder", folder);
  expectName("folder", path);
  return resolve(path);
}

function expectName(option: string, value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError(expectation(option, "a string", value));
  if (value === "" || value.includes("\0")) {
    throw new RangeError(expectation(option, "a string that is not empty, without NUL", value));
  }
}

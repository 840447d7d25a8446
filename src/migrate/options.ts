import { absolutePath } from "../files/absolute-path.js";
import { guardLogger } from "../shared/callbacks.js";
import { expectation, expectDuration, expectInteger } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText } from "../shared/locations.js";

export const DEFAULT_TABLE = "__drizzle_migrations";

/** Where progress is logged; `console` works. */
export interface MigrationLogger {
  /** Called with one line for each step. */
  info(message: string): void;
}

/** One migration in code, for programs that are shipped without a folder of migrations. */
export interface CodeMigration {
  /** Its name, as in `0003_add_tags`. */
  readonly tag: string;
  readonly sql: string;
  /** The SQL that undoes it. Without it, the migration is IRREVERSIBLE. */
  readonly down?: string | undefined;
  /** Tags of earlier migrations of the same list that this one needs. */
  readonly dependsOn?: readonly string[] | undefined;
  /** The time in the ledger, in ms: the journal's `when`. @default its position in the list */
  readonly when?: number | undefined;
  /** The snapshot that drizzle-kit wrote with it. A rebuild that drops an index needs one of the list. */
  readonly snapshot?: object | undefined;
}

/** The migrations, in a folder or in code, and their ledger. */
export interface JournalOptions {
  /** The folder that drizzle-kit writes: the .sql files and `meta/_journal.json`. Pass either this or `migrations`. */
  readonly folder?: string | URL | undefined;
  /** The migrations in code, in their order. */
  readonly migrations?: readonly CodeMigration[] | undefined;
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

/** What to apply, and how. */
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
  /** Where progress is logged. */
  readonly logger?: MigrationLogger | undefined;
  /**
   * Called before the first change, while the write lock is held. If it throws, nothing is changed.
   *
   * It may read through the client; a write would wait for the lock and time out. (With a client without a pool, no
   * lock is held, and it is called again if another process changed the ledger first.)
   */
  readonly before?: ((plan: MigrationPlan) => void | Promise<void>) | undefined;
}

/** What to revert, and how. */
export interface RevertOptions
  extends JournalOptions,
    Pick<MigrateOptions, "backupTo" | "lockTimeoutMs" | "logger" | "before"> {
  /** The migration that stays applied, by tag. All later ones are reverted. Pass either this or `steps`. */
  readonly to?: string | undefined;
  /** How many migrations to revert, starting with the last one; `Infinity` reverts all. */
  readonly steps?: number | undefined;
}

export interface ResolvedJournalOptions {
  /** The path of the folder, or what stands for it in messages. */
  readonly folder: string;
  readonly migrations: readonly CodeMigration[] | undefined;
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
const JOURNAL_KEYS = Object.keys({ folder: true, migrations: true, table: true, ownTables: true } satisfies Record<
  keyof JournalOptions,
  true
>);
const DRY_RUN_KEYS = ["dryRun"];
const MIGRATE_KEYS = Object.keys({
  to: true,
  allowOutOfOrder: true,
  backupTo: true,
  keepBackups: true,
  lockTimeoutMs: true,
  logger: true,
  before: true,
} satisfies Record<Exclude<keyof MigrateOptions, keyof JournalOptions>, true>);
const CODE_KEYS = Object.keys({
  tag: true,
  sql: true,
  down: true,
  dependsOn: true,
  when: true,
  snapshot: true,
} satisfies Record<keyof CodeMigration, true>);
const REVERT_KEYS = [
  ...MIGRATE_KEYS.filter((key) => key !== "allowOutOfOrder" && key !== "keepBackups"),
  ...DRY_RUN_KEYS,
  "steps",
];

/** `name` is the name of the call; `more` are its options beyond those that every call has. */
export function resolveJournalOptions(
  name: string,
  options: JournalOptions,
  more: readonly string[] = [],
): ResolvedJournalOptions {
  expectKeys(name, options, [...JOURNAL_KEYS, ...more]);
  const { folder, migrations, table = DEFAULT_TABLE, ownTables = [] } = options;
  expectTable("table", table);
  if (!Array.isArray(ownTables)) throw new TypeError(expectation("ownTables", "an array of names", ownTables));
  for (const name of ownTables) expectName("ownTables", name);
  if (migrations === undefined && folder === undefined) {
    throw new TypeError("Expected `folder`, the path of the migrations, or `migrations`, got neither");
  }
  if (migrations === undefined) return { folder: resolveFolder(folder), migrations, table, ownTables };
  if (folder !== undefined) throw new TypeError("Expected either `folder` or `migrations`, got both");
  if (!Array.isArray(migrations)) throw new TypeError(expectation("migrations", "an array", migrations));
  for (const migration of migrations) expectMigration(migration);
  return { folder: "the code", migrations, table, ownTables };
}

export function resolveMigrateOptions(
  options: MigrateOptions,
  name = "migrate",
  keys: readonly string[] = [...MIGRATE_KEYS, ...DRY_RUN_KEYS],
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
  const backupFolder = backupTo === undefined ? undefined : absolutePath(backupTo);
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

/** Returns `dryRun` as a boolean. */
export function resolveDryRun({ dryRun = false }: { readonly dryRun?: boolean | undefined }): boolean {
  if (typeof dryRun !== "boolean") throw new TypeError(expectation("dryRun", "a boolean", dryRun));
  return dryRun;
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

export function expectTable(option: string, table: unknown): asserts table is string {
  expectName(option, table);
  if (/^sqlite_/i.test(table)) throw new RangeError(expectation(option, "a name that SQLite does not reserve", table));
}

function expectMigration(migration: CodeMigration): void {
  expectKeys("`migrations`", migration, CODE_KEYS);
  const { tag, sql, down, dependsOn = [], when, snapshot } = migration;
  expectName("tag", tag);
  if (typeof sql !== "string") throw new TypeError(expectation("sql", "a string", sql));
  if (down !== undefined && typeof down !== "string") throw new TypeError(expectation("down", "a string", down));
  if (!Array.isArray(dependsOn)) throw new TypeError(expectation("dependsOn", "an array of tags", dependsOn));
  for (const one of dependsOn) expectName("dependsOn", one);
  if (when !== undefined) expectInteger("when", when, 0);
  if (snapshot !== undefined && (typeof snapshot !== "object" || snapshot === null)) {
    throw new TypeError(expectation("snapshot", "an object", snapshot));
  }
}

export function resolveFolder(folder: string | URL | undefined): string {
  const path = pathText("folder", folder);
  expectName("folder", path);
  return absolutePath(path);
}

function expectName(option: string, value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError(expectation(option, "a string", value));
  if (value === "" || value.includes("\0")) {
    throw new RangeError(expectation(option, "a string that is not empty, without NUL", value));
  }
}

import { StorageError } from "../shared/errors.js";
import { HOLDFAST_MIGRATIONS } from "../shared/holdfast-migrations.js";
import { shellWord } from "../shared/shell-word.js";
import { equivalentHashes } from "./checksum.js";
import { commandOn } from "./command.js";
import { type Journal, loadJournal, type Migration } from "./journal.js";
import type { LedgerRow } from "./ledger.js";
import { type CodeMigration, DEFAULT_TABLE } from "./options.js";

/** The state of each migration. Every entry of journal and ledger is in one of the lists. */
export interface Comparison {
  /** Applied, and the file is unchanged since. */
  readonly applied: readonly Migration[];
  readonly pending: readonly Migration[];
  /** Applied, and edited since. */
  readonly changed: readonly Migration[];
  /** In the ledger, but not in the journal. */
  readonly unknown: readonly LedgerRow[];
  /** The entry of the ledger for each that is applied or changed. */
  readonly rowOf: ReadonlyMap<Migration, LedgerRow>;
  /** The last applied migration, in the order of the journal. */
  readonly last: Migration | undefined;
  /** The latest `when` of the applied migrations; -Infinity for a new file. */
  readonly newest: number;
  /** Whether the ledger has entries and none of them is in this journal. */
  readonly isForeign: boolean;
}

export interface PlanOptions {
  readonly folder: string;
  readonly migrations: readonly CodeMigration[] | undefined;
  readonly table: string;
  readonly to?: string | undefined;
  readonly allowOutOfOrder?: boolean;
  /** Whether the file has one of our tables. This matters only if the ledger is foreign. */
  readonly hasOwnTables: boolean;
}

/**
 * Finds the migration of each entry of the ledger: by hash and time, then by hash, then by the hash of an equivalent
 * text, then by time.
 *
 * The order matters, because two files may have the same text (two empty ones) and so the same hash. The hashes of
 * equivalent texts are computed only if no hash has matched.
 */
export function compareWithLedger(journal: Journal, ledger: readonly LedgerRow[]): Comparison {
  const open = new Set(journal);
  const applied = new Set<Migration>();
  const changed = new Set<Migration>();
  const rowOf = new Map<Migration, LedgerRow>();
  const equivalents = new Map<Migration, ReadonlySet<string>>();
  const isEquivalent = (migration: Migration, { hash }: LedgerRow) => {
    const known = equivalents.get(migration) ?? equivalentHashes(migration.sql);
    equivalents.set(migration, known);
    return known.has(hash);
  };
  let rows = ledger;
  const match = (isMatch: (migration: Migration, row: LedgerRow) => boolean, into: Set<Migration>) => {
    rows = rows.filter((row) => {
      for (const migration of open) {
        if (!isMatch(migration, row)) continue;
        open.delete(migration);
        into.add(migration);
        rowOf.set(migration, row);
        return false;
      }
      return true;
    });
  };
  match((migration, row) => migration.hash === row.hash && migration.when === row.when, applied);
  match((migration, row) => migration.hash === row.hash, applied);
  match((migration, row) => migration.when === row.when && isEquivalent(migration, row), applied);
  match(isEquivalent, applied);
  match((migration, row) => migration.when === row.when, changed);
  // Applied twice, as several stock migrators at once may do.
  rows = rows.filter((row) => !journal.some((one) => one.hash === row.hash || rowOf.get(one)?.hash === row.hash));
  return {
    applied: journal.filter((migration) => applied.has(migration)),
    pending: journal.filter((migration) => open.has(migration)),
    changed: journal.filter((migration) => changed.has(migration)),
    unknown: rows,
    rowOf,
    last: journal.findLast((migration) => !open.has(migration)),
    newest: Math.max(Number.NEGATIVE_INFINITY, ...ledger.map(({ when }) => when).filter(Number.isFinite)),
    isForeign: ledger.length > 0 && rows.length === ledger.length,
  };
}

/** The migrations to apply, in order. Throws if the file must not be changed. */
export function planMigrations(journal: Journal, comparison: Comparison, options: PlanOptions): readonly Migration[] {
  const { to, folder, allowOutOfOrder = false } = options;
  const lastIndex = to === undefined ? journal.length - 1 : indexOf(journal, to, folder);
  assertOurs(comparison, options);
  assertUnchanged(comparison, options);
  const wanted = new Set(journal.slice(0, lastIndex + 1));
  const pending = comparison.pending.filter((migration) => wanted.has(migration));
  const lastApplied = comparison.last === undefined ? -1 : journal.indexOf(comparison.last);
  // In code, the order of the list counts. A migration without a time has none to compare, and two of drizzle-kit 1.0
  // may have the same.
  const late = pending.filter((migration) =>
    migration.code === undefined && migration.snapshotPath === undefined
      ? migration.when <= comparison.newest
      : journal.indexOf(migration) < lastApplied,
  );
  if (late.length > 0 && !allowOutOfOrder) {
    const last = comparison.last?.tag ?? "the applied ones";
    throw new StorageError(
      "MIGRATION_OUT_OF_ORDER",
      `${listTags(late)} ${late.length === 1 ? "is" : "are"} not applied, but older than ${last}. Probably a branch was merged late. Nothing was changed. Generate it again on top of the others, or set \`allowOutOfOrder\` if it does not depend on them`,
    );
  }
  return pending;
}

/** The migrations to revert, in this order. Throws if the file must not be changed. */
export function planRevert(
  journal: Journal,
  comparison: Comparison,
  options: PlanOptions & { readonly steps?: number | undefined },
): readonly Migration[] {
  const { to, steps = Number.POSITIVE_INFINITY, folder } = options;
  const from = to === undefined ? 0 : indexOf(journal, to, folder) + 1;
  assertOurs(comparison, options);
  assertUnchanged(comparison, options);
  if (comparison.pending.some(({ tag }) => tag === to)) {
    throw new StorageError(
      "NOT_FOUND",
      `${to} is not applied, so the file cannot be reverted to it. Nothing was changed`,
    );
  }
  const later = new Set(journal.slice(from));
  return comparison.applied
    .filter((migration) => later.has(migration))
    .toReversed()
    .slice(0, steps);
}

/** Throws FOREIGN_LEDGER or MIGRATION_UNKNOWN if the ledger has entries that are not in the journal. */
export function assertOurs(comparison: Comparison, options: PlanOptions): void {
  const { unknown, isForeign } = comparison;
  const { table, folder, hasOwnTables } = options;
  if (isForeign && !hasOwnTables) {
    const entries = `none of its ${count(unknown.length, "entry", "entries")} is in ${folder}`;
    if (isHoldfasts(unknown)) {
      throw new StorageError(
        "FOREIGN_LEDGER",
        `The ledger ${table} is Holdfast's own: ${entries}. Nothing was changed. Pass \`table\`, the name of the ledger of your migrations (\`table: "app_migrations"\`), and for drizzle-kit set \`migrations: { table: "…" }\` in drizzle.config.ts`,
      );
    }
    throw new StorageError(
      "FOREIGN_LEDGER",
      `The ledger ${table} belongs to other migrations: ${entries}. Nothing was changed. Give one of the two a separate ledger, with the option \`table\` (openStorage: \`migrations.table\`) or, for drizzle-kit, \`migrations: { table: "…" }\` in drizzle.config.ts; or keep them in separate files. To take over the ledger of an existing application, rename it with adopt() (\`adopt(client, { table: "app_migrations" })\`) or \`holdfast adopt --table app_migrations${table === DEFAULT_TABLE ? "" : ` --from ${shellWord(table)}`}\``,
    );
  }
  if (unknown.length === 0) return;
  const list = unknown.slice(0, 3).map(describeRow).join(", ");
  throw new StorageError(
    "MIGRATION_UNKNOWN",
    `The file has ${count(unknown.length, "migration", "migrations")} that ${folder} does not: ${list}${unknown.length > 3 ? ", …" : ""}. It was migrated by newer code, or from another branch. Nothing was changed. Update this code, or restore the backup made before that migration`,
  );
}

/** Whether any of Holdfast's own migrations is in a ledger. */
export function isHoldfasts(ledger: readonly LedgerRow[]): boolean {
  const own = loadJournal({ folder: "", migrations: HOLDFAST_MIGRATIONS });
  return ledger.length > 0 && !compareWithLedger(own, ledger).isForeign;
}

/** Throws MIGRATION_CHANGED if an applied file has been edited. */
export function assertUnchanged(
  { changed }: Comparison,
  set: Pick<PlanOptions, "folder" | "table" | "migrations">,
): void {
  const { folder } = set;
  const [first] = changed;
  if (first === undefined) return;
  const command = commandOn(set, "accept", ["--tag", first.tag]);
  throw new StorageError(
    "MIGRATION_CHANGED",
    `${listTags(changed)} in ${folder} ${changed.length === 1 ? "was" : "were"} edited after being applied. Nothing was changed. Restore the original file, and put the change into a new migration; if the edit does no harm, accept it with accept()${command === undefined ? "" : ` or ${command}`}`,
  );
}

export function listTags(migrations: readonly Migration[]): string {
  return migrations.map(({ tag }) => tag).join(", ");
}

/** The place of a migration in the journal. Throws NOT_FOUND. */
export function indexOf(journal: Journal, wanted: string, folder: string): number {
  const index = journal.findIndex(({ tag }) => tag === wanted);
  if (index >= 0) return index;
  throw new StorageError("NOT_FOUND", `The journal in ${folder} has no migration ${wanted}${suggestion(journal)}`);
}

function describeRow({ when, hash }: LedgerRow): string {
  const time = new Date(when);
  return `${Number.isNaN(time.getTime()) ? "undated" : `of ${time.toISOString()}`} (${hash.slice(0, 12)})`;
}

function suggestion(journal: Journal): string {
  const last = journal.at(-1);
  return last === undefined ? ": it is empty" : `. The last one is ${last.tag}`;
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

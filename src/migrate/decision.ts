import { quoteText } from "../client/sql/quote.js";
import type { Journal, Migration } from "./journal.js";
import { type Query, readLedger } from "./ledger.js";
import type { ResolvedJournalOptions, ResolvedMigrateOptions } from "./options.js";
import { type Comparison, compareWithLedger, planMigrations } from "./plan.js";
import type { Script } from "./script.js";

/** The migrations that a run applied, by tag. */
export interface MigrateResult {
  /** In the order in which they were applied. Empty if there was nothing to do. */
  readonly applied: string[];
  /** The last applied migration before and after the run. Undefined if there is none. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** The path of the backup, if one was made. */
  readonly backup?: string;
}

/** A comparison of the journal with the ledger, and the facts about the file that the decision needs. */
export interface Standing {
  readonly comparison: Comparison;
  readonly hasLedger: boolean;
  readonly ledgerCount: number;
  readonly hasOwnTables: boolean;
}

/** The migrations to apply to the file, as `query` sees it. */
export interface Decision extends Standing {
  readonly pending: readonly Migration[];
}

/** Compares the journal with the file. Reads once, unless the ledger turns out to be foreign. */
export async function lookUp(query: Query, journal: Journal, options: ResolvedJournalOptions): Promise<Standing> {
  const ledger = await readLedger(query, options.table);
  const comparison = compareWithLedger(journal, ledger ?? []);
  const hasOwnTables = comparison.isForeign && (await holdsAny(query, options.ownTables));
  return { comparison, hasLedger: ledger !== undefined, ledgerCount: ledger?.length ?? 0, hasOwnTables };
}

/** Compares as `lookUp` does, and adds the migrations to apply. Rejects if the file must not be changed. */
export async function decide(query: Query, journal: Journal, options: ResolvedMigrateOptions): Promise<Decision> {
  const standing = await lookUp(query, journal, options);
  const { hasOwnTables, comparison } = standing;
  return { ...standing, pending: planMigrations(journal, comparison, { ...options, hasOwnTables }) };
}

export function resultOf(journal: Journal, { comparison }: Decision, applied: readonly Migration[]): MigrateResult {
  const to = journal.findLast((migration) => migration === comparison.last || applied.includes(migration));
  return { applied: applied.map(({ tag }) => tag), from: comparison.last?.tag, to: to?.tag };
}

async function holdsAny(query: Query, tables: readonly string[]): Promise<boolean> {
  if (tables.length === 0) return false;
  const names = tables.map((name) => quoteText(name.toLowerCase())).join(", ");
  const found = await query(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) IN (${names}) LIMIT 1`);
  return found.length > 0;
}

/**
 * The scripts whose migrations are still pending. Undefined if other migrations are pending too, because another process
 * has reverted them since: without those, the others would run out of order.
 */
export function stillDue({ pending }: Decision, scripts: readonly Script[]): Script[] | undefined {
  const due = scripts.filter(({ migration }) => pending.includes(migration));
  return due.length === pending.length ? due : undefined;
}

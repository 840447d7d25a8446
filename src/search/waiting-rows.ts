import type { QueryTerm } from "./query.js";
import { wordsAsStored } from "./rank.js";
import type { KeywordSearchRequest, SearchReader } from "./request.js";
import { textOf } from "./scan-packed.js";
import { searchScope, toSearchTextInSlices } from "./terms.js";

// Rows that a search reads because the index does not have them yet.

/** Candidates among them: those with the most terms, the latest first of those with as many. */
const CANDIDATES = 200;

interface WaitingRow {
  readonly rowId: number;
  readonly searchText: string;
  /** Whether the filter leaves it; if not, whether it lends its words to its neighbors. */
  readonly role: "found" | "lender" | "none";
}

const ROLES = ["none", "lender", "found"] as const;

/** All rows that wait, because the index counts the words of rows that the filter leaves out as well. */
export async function readWaiting(
  reader: SearchReader,
  { target, where, lenders, backlog }: KeywordSearchRequest,
): Promise<WaitingRow[]> {
  const { table, rowId, content, hasNoTerms = "0" } = target;
  const lends = lenders === undefined ? "0" : `(${lenders.sql})`;
  const found = await reader.all(
    `SELECT m.${rowId}, CASE WHEN ${hasNoTerms} THEN NULL ELSE m.${content} END, m.project,` +
      ` CASE WHEN (${where.sql}) THEN 2 WHEN ${lends} THEN 1 ELSE 0 END FROM ${table} m WHERE ${backlog!.isWaiting}`,
    [...where.args, ...(lenders?.args ?? [])],
  );
  if (found.length > 0) backlog!.indexLater(found.length);
  const rows: WaitingRow[] = [];
  for (const row of found) {
    const text = row[1] === null ? "" : textOf(row[1], target);
    const searchText = await toSearchTextInSlices(text, searchScope(String(row[2])));
    rows.push({ rowId: Number(row[0]), searchText, role: ROLES[Number(row[3])]! });
  }
  return rows;
}

/** The rows with a term that wait. */
export interface FoundWaiting {
  /** Those with all required terms, and the others. */
  readonly whole: readonly number[];
  readonly others: readonly number[];
  /** Rows that the filter leaves out, but that lend their words. */
  readonly lenders: readonly number[];
}

/** How many of the rows have each term, and the rows that have any. */
export function findTerms(
  rows: readonly WaitingRow[],
  terms: readonly QueryTerm[],
  scope: string,
): FoundWaiting & { readonly counts: readonly number[] } {
  const counts = terms.map(() => 0);
  const stored = terms.map((term) => wordsAsStored([term], scope));
  const found: { readonly row: WaitingRow; readonly terms: number; readonly isWhole: boolean }[] = [];
  for (const row of rows) {
    const isIn = stored.map((term) => ` ${row.searchText} `.includes(term));
    for (const [i, is] of isIn.entries()) if (is) counts[i]!++;
    const isWhole = terms.every(({ isRequired }, i) => isIn[i] || !isRequired);
    if (isIn.includes(true)) found.push({ row, terms: isIn.filter(Boolean).length, isWhole });
  }
  found.sort((a, b) => b.terms - a.terms || b.row.rowId - a.row.rowId);
  const idsOf = (which: (one: (typeof found)[number]) => boolean) =>
    found
      .filter(which)
      .slice(0, CANDIDATES)
      .map(({ row }) => row.rowId);
  return {
    counts,
    whole: idsOf(({ row, isWhole }) => row.role === "found" && isWhole),
    others: idsOf(({ row, isWhole }) => row.role === "found" && !isWhole),
    lenders: idsOf(({ row }) => row.role === "lender"),
  };
}

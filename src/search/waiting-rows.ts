import type { QueryTerm } from "./query.js";
import { wordsAsStored } from "./rank.js";
import type { KeywordSearchRequest, SearchReader } from "./request.js";
import { textOf } from "./scan-packed.js";
import { toSearchTextInSlices } from "./terms.js";

// Rows that a search reads because the index does not have them yet.

/** From so many on, they are indexed after the search, so that the next one is spared them: reading them takes 0.3 ms. */
const MANY_ROWS = 32;
/** Candidates among them: those with the most terms, the latest first of those with as many. */
const CANDIDATES = 200;

interface WaitingRow {
  readonly rowId: number;
  /** Empty if the filter leaves the row out. */
  readonly searchText: string;
}

/** The rows that wait, including those that the filter leaves out. */
export async function readWaiting(
  reader: SearchReader,
  { target, where, backlog, scope }: KeywordSearchRequest,
): Promise<WaitingRow[]> {
  const { table, rowId, content } = target;
  const found = await reader.all(
    `SELECT m.${rowId}, CASE WHEN ${where.sql} THEN m.${content} END FROM ${table} m WHERE ${backlog!.isWaiting}`,
    [...where.args],
  );
  if (found.length >= MANY_ROWS) backlog!.indexLater();
  const rows: WaitingRow[] = [];
  for (const row of found) {
    const searchText = row[1] === null ? "" : await toSearchTextInSlices(textOf(row[1], target), scope);
    rows.push({ rowId: Number(row[0]), searchText });
  }
  return rows;
}

/** How many of the rows have each term, and the rows that have any. */
export function findTerms(
  rows: readonly WaitingRow[],
  terms: readonly QueryTerm[],
  scope: string,
): { readonly counts: readonly number[]; readonly rowIds: readonly number[] } {
  const counts = terms.map(() => 0);
  const stored = terms.map((term) => wordsAsStored([term], scope));
  const found: { readonly rowId: number; readonly terms: number }[] = [];
  for (const { rowId, searchText } of rows) {
    let count = 0;
    for (const [i, term] of stored.entries()) {
      if (!` ${searchText} `.includes(term)) continue;
      counts[i]!++;
      count++;
    }
    if (count > 0) found.push({ rowId, terms: count });
  }
  found.sort((a, b) => b.terms - a.terms || b.rowId - a.rowId);
  return { counts, rowIds: found.slice(0, CANDIDATES).map(({ rowId }) => rowId) };
}

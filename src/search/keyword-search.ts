import { mayBeIndexDamage } from "../client/storage-error.js";
import { countRows, ENOUGH_ROWS, findPrefixes, findWords, PAGE_ROWS } from "./full-text.js";
import { asPrefixes } from "./query.js";
import { append, type Ranked, type RankTerm, toHit } from "./rank.js";
import type { KeywordHit, KeywordSearchRequest, SearchReader, SqlValue } from "./request.js";
import { scanForSubstrings, scanForWords } from "./scan.js";
import { findTerms, readWaiting } from "./waiting-rows.js";

export type {
  KeywordHit,
  KeywordSearchRequest,
  SearchReader,
  SearchTarget,
  SqlValue,
} from "./request.js";

/** The table of the rows that indexes lack. */
export const BACKLOG = "search_backlog";

/** Rows that a deeper search ranks at first; each further one ranks four times as many. */
const FIRST_DEPTH = 200;
const DEPTH_FACTOR = 4;

/**
 * Finds the rows that a query asks for, best first, never more than `limit`. The list for a lower limit is the beginning
 * of that for a higher one.
 *
 * Whole words first; where none occurs, beginnings of words; then any part of the content. Work is bounded: words that most
 * rows have do not select rows if there are rarer words, they only rank them; alone, they search the latest rows.
 * Takes two statements when a word is found and three when not, and one more where `where` leaves out most rows or the
 * limit asks for more than a page.
 * Without the full-text table, or with a damaged one, it scans the rows instead, to the same end.
 */
export async function keywordSearch(reader: SearchReader, request: KeywordSearchRequest): Promise<KeywordHit[]> {
  const { rows, target } = request;
  if (rows === undefined) return search(reader, request, request.isUnindexed === true ? scanForWords : findByWords);
  const table = "searched_rows";
  const over = (how: "all" | "scan") => (sql: string, args: SqlValue[]) =>
    reader[how](`WITH ${table} AS (${rows.sql}) ${sql}`, [...rows.args, ...args]);
  return search({ all: over("all"), scan: over("scan") }, { ...request, target: { ...target, table } }, scanForWords);
}

async function search(
  reader: SearchReader,
  request: KeywordSearchRequest,
  findWith: typeof scanForWords,
): Promise<KeywordHit[]> {
  const { plan } = request;
  if (plan.isRecent) return findRecent(reader, request);
  const byWords = plan.terms.length === 0 ? [] : await findWith(reader, request);
  const hits = byWords.length > 0 ? byWords : await scanForSubstrings(reader, request);
  return hits.slice(0, request.limit);
}

async function findRecent(reader: SearchReader, { target, where, limit }: KeywordSearchRequest): Promise<KeywordHit[]> {
  const rows = await reader.all(
    `SELECT m.${target.rowId} FROM ${target.table} m WHERE ${where.sql} ORDER BY ${target.recentOrder} LIMIT ?`,
    [...where.args, limit],
  );
  return rows.map((row, i) => ({ rowId: Number(row[0]), score: 1 / (i + 1), match: "recent" }));
}

async function findByWords(reader: SearchReader, request: KeywordSearchRequest): Promise<KeywordHit[]> {
  try {
    return await findByIndex(reader, request).catch((error: unknown) => {
      // A file of an earlier version has no backlog. Its rows have their terms themselves.
      if (request.backlog === undefined || !isAbout(error, BACKLOG)) throw error;
      return findByIndex(reader, { ...request, backlog: undefined });
    });
  } catch (error) {
    if (!isIndexMissing(error, request.target.fts) && !mayBeIndexDamage(error)) throw error;
    return scanForWords(reader, request);
  }
}

async function findByIndex(reader: SearchReader, request: KeywordSearchRequest): Promise<KeywordHit[]> {
  const { plan, backlog } = request;
  const { counts: indexed, waiting: count } = await countRows(reader, request, plan.terms);
  if (count < 0) {
    const isIndexed = await backlog!.index();
    return isIndexed ? findByIndex(reader, { ...request, backlog: undefined }) : scanForWords(reader, request);
  }
  const rows = count === 0 ? [] : await readWaiting(reader, request);
  // Rows that were indexed since are not in the counts.
  if (rows.length < count) return findByIndex(reader, request);
  const inRows = findTerms(rows, plan.terms, request.scope);
  const counts = indexed.map((count, i) => count + inRows.counts[i]!);
  if (counts.some((count) => count > 0)) {
    const terms = plan.terms.map((term, i): RankTerm => ({ ...term, rowCount: counts[i]! }));
    const find = (depth?: number) => findWords(reader, request, terms, plan.phrase, { depth, waiting: inRows });
    let hits: readonly Ranked[] = await find();
    // The counts ignore the filters, which may leave too few of the rows that the rarer words select.
    if (hits.length >= PAGE_ROWS || counts.reduce((sum, count) => sum + count, 0) >= ENOUGH_ROWS) {
      hits = await deepen(hits, request.limit, find);
    }
    if (hits.length > 0) return hits.map((hit) => toHit(hit, hit.isContext ? "context" : "keyword"));
  }
  const prefixes = asPrefixes(plan.terms);
  if (prefixes.length === 0) return [];
  const waiting = findTerms(rows, prefixes, request.scope);
  const find = (depth: number) => findPrefixes(reader, request, prefixes, { depth, waiting });
  const hits = await deepen([], request.limit, find);
  return hits.map((hit) => toHit(hit, "prefix"));
}

/**
 * Adds hits from deeper searches until there are `limit`, or no more. Only less than a page is replaced, whatever the
 * limit: the order of the first hits must not depend on how many are asked for.
 */
async function deepen(
  first: readonly Ranked[],
  limit: number,
  find: (depth: number) => Promise<Ranked[]>,
): Promise<readonly Ranked[]> {
  let hits = first;
  for (let depth = FIRST_DEPTH; hits.length < Math.max(limit, PAGE_ROWS); depth *= DEPTH_FACTOR) {
    const deeper = await find(depth);
    hits = hits.length < PAGE_ROWS ? deeper : append(hits, deeper);
    if (deeper.length < depth) break;
  }
  return hits;
}

function isAbout(error: unknown, name: string): boolean {
  return error instanceof Error && (error.message.includes(name) || isAbout(error.cause, name));
}

/** SQLite has no separate code for a missing table; a table without its shadow tables fails to construct. */
function isIndexMissing(error: unknown, fts: string): boolean {
  if (!(error instanceof Error)) return false;
  const { message } = error;
  const isMissing = message.includes("no such table") || message.includes("vtable constructor failed");
  return (isMissing && message.includes(fts)) || isIndexMissing(error.cause, fts);
}

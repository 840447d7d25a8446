import { asPrefixes, likePattern, type QueryTerm } from "./query.js";
import { append, type Candidate, lengthOf, type Ranked, rank, toHit, wordsAsStored } from "./rank.js";
import type { KeywordHit, KeywordSearchRequest, SearchReader } from "./request.js";
import { PAGE_ROWS, scanPacked, textOf } from "./scan-packed.js";
import { toSearchTextInSlices } from "./terms.js";

/** Rows ranked at a time: those with the most words first, then the next. */
const CANDIDATES = 200;
/** Words looked for in every row at most, the longest. */
const SCANNED_TERMS = 16;

/** Finds words, else beginnings of words, by reading every row, if there is no full-text index. */
export async function scanForWords(reader: SearchReader, request: KeywordSearchRequest): Promise<KeywordHit[]> {
  const { plan } = request;
  const terms = [...plan.terms].sort((a, b) => b.text.length - a.text.length).slice(0, SCANNED_TERMS);
  const words = await scanAndRank(reader, request, terms, plan.phrase);
  if (words.length > 0) return words.map((hit) => toHit(hit, "keyword"));
  const prefixes = await scanAndRank(reader, request, asPrefixes(terms), []);
  return prefixes.map((hit) => toHit(hit, "prefix"));
}

/** Finds the plan's needles anywhere in the content, rows with the most of them first, then the latest. */
export async function scanForSubstrings(reader: SearchReader, request: KeywordSearchRequest): Promise<KeywordHit[]> {
  const { target, where, limit } = request;
  const { needles } = request.plan;
  if (needles.length === 0) return [];
  const test = `m.${target.content} LIKE ? ESCAPE '\\'`;
  const found = needles.map((spellings) => `(${spellings.map(() => test).join(" OR ")})`);
  const patterns = needles.flat().map(likePattern);
  const mayBePacked = target.unpack !== undefined;
  const isText = mayBePacked ? `typeof(m.${target.content}) = 'text' AND ` : "";
  // Tested as a condition first, which SQLite puts before any subquery of `where`, and counted for the few that pass.
  const texts =
    `SELECT row_id, found FROM (SELECT m.${target.rowId} AS row_id, ${found.join(" + ")} AS found` +
    ` FROM ${target.table} m WHERE (${where.sql}) AND ${isText}(${found.join(" OR ")}) LIMIT -1) ORDER BY found DESC, row_id DESC LIMIT ?`;
  // The same statement tells whether there are packed contents, which saves a round trip to a server.
  const hasPacked = `SELECT NULL, EXISTS (SELECT 1 FROM ${target.table} m WHERE typeof(m.${target.content}) = 'blob' AND (${where.sql}))`;
  const rows = await reader.scan(mayBePacked ? `SELECT * FROM (${texts}) UNION ALL ${hasPacked}` : texts, [
    ...[...patterns, ...where.args, ...patterns, limit],
    ...(mayBePacked ? where.args : []),
  ]);
  const packed = rows.find((row) => row[0] === null);
  const hits = rows.filter((row) => row !== packed).map((row) => ({ rowId: Number(row[0]), found: Number(row[1]) }));
  if (packed !== undefined && Number(packed[1]) > 0) {
    for (const [rowId, found] of await scanPacked(reader, request, needles)) hits.push({ rowId, found });
  }
  hits.sort((a, b) => b.found - a.found || b.rowId - a.rowId);
  return hits.slice(0, limit).map(({ rowId, found }, i) => ({
    rowId,
    // The share of the needles found; the place tells equal rows apart.
    score: (found - i / (Math.min(hits.length, limit) + 1)) / needles.length,
    match: "substring",
  }));
}

/** A row that has words of the query, with its terms. */
interface Scanned extends Candidate {
  readonly found: number;
}

async function scanAndRank(
  reader: SearchReader,
  request: KeywordSearchRequest,
  terms: readonly QueryTerm[],
  phrase: readonly QueryTerm[],
): Promise<Ranked[]> {
  if (terms.length === 0) return [];
  const { scope, limit } = request;
  const most = CANDIDATES * Math.max(1, Math.ceil(limit / CANDIDATES));
  const candidates = await scanRows(reader, request, terms, most);
  let hits: Ranked[] = [];
  for (let start = 0; start < candidates.length; start += CANDIDATES) {
    const ranked = candidates.slice(start, start + CANDIDATES);
    const counted = terms.map((term) => {
      const stored = wordsAsStored([term], scope);
      return { ...term, rowCount: ranked.filter(({ searchText }) => ` ${searchText} `.includes(stored)).length };
    });
    hits = append(hits, rank(ranked, counted, phrase, scope));
  }
  return hits;
}

/**
 * The rows with the most of the terms, the latest first of those with as many. The terms of each row are made here, a page
 * at a time so that others get their turn.
 */
async function scanRows(
  reader: SearchReader,
  { target, scope, where }: KeywordSearchRequest,
  terms: readonly QueryTerm[],
  most: number,
): Promise<Scanned[]> {
  const stored = terms.map((term) => wordsAsStored([term], scope));
  let best: Scanned[] = [];
  const keepBest = () => {
    best = best.sort((a, b) => b.found - a.found || b.rowId - a.rowId).slice(0, most);
  };
  for (let after = 0; ; ) {
    const rows = await reader.scan(
      `SELECT m.${target.rowId}, m.${target.content} FROM ${target.table} m WHERE m.${target.rowId} > ? AND (${where.sql})` +
        ` ORDER BY m.${target.rowId} LIMIT ${PAGE_ROWS}`,
      [after, ...where.args],
    );
    for (const row of rows) {
      const searchText = await toSearchTextInSlices(textOf(row[1], target), scope);
      const found = stored.filter((term) => ` ${searchText} `.includes(term)).length;
      if (found === 0) continue;
      best.push({ rowId: Number(row[0]), tier: 0, length: lengthOf(searchText), searchText, found });
    }
    if (best.length > 2 * most) keepBest();
    if (rows.length < PAGE_ROWS) break;
    after = Number(rows.at(-1)![0]);
  }
  keepBest();
  return best;
}

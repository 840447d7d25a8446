import { asPrefixes, likePattern, type QueryTerm } from "./query.js";
import { append, type Candidate, type Ranked, rank, toHit, wordsAsStored } from "./rank.js";
import type { KeywordHit, KeywordSearchRequest, SearchReader, SqlValue } from "./request.js";
import { scanPacked } from "./scan-packed.js";

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

async function scanAndRank(
  reader: SearchReader,
  { target, scope, where, limit }: KeywordSearchRequest,
  terms: readonly QueryTerm[],
  phrase: readonly QueryTerm[],
): Promise<Ranked[]> {
  if (terms.length === 0) return [];
  const found = terms.map(() => `(instr(' ' || m.${target.searchText} || ' ', ?) > 0)`).join(" + ");
  const args: SqlValue[] = terms.map((term) => ` ${scope}${term.text}${term.isPrefix ? "" : " "}`);
  // LIMIT -1 keeps SQLite from merging the two SELECTs, which would evaluate `found` twice a row.
  const rows = await reader.scan(
    `SELECT row_id, search_text FROM (SELECT m.${target.rowId} AS row_id, m.${target.searchText} AS search_text, ${found} AS found` +
      ` FROM ${target.table} m WHERE (${where.sql}) LIMIT -1)` +
      ` WHERE found > 0 ORDER BY found DESC, row_id DESC LIMIT ${CANDIDATES * Math.max(1, Math.ceil(limit / CANDIDATES))}`,
    [...args, ...where.args],
  );
  const candidates = rows.map((row): Candidate => {
    const searchText = String(row[1]);
    return { rowId: Number(row[0]), tier: 0, length: searchText.split(" ").length, searchText };
  });
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

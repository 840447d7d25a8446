import { matchExpression, type QueryTerm } from "./query.js";
import { type Candidate, type Ranked, type RankTerm, rank } from "./rank.js";
import { readCandidates } from "./read-candidates.js";
import type { KeywordSearchRequest, SearchReader, SqlValue } from "./request.js";
import type { FoundWaiting } from "./waiting-rows.js";

/**
 * Rows, best first by FTS5's ranking, that `rank` orders for good, for each word of the query and in all. Of few words
 * FTS5's order is nearly the final one; of many, rows that it puts far down rise: with 40 for each word, recall@10 of
 * turns is 0.656, with 70 it is 0.661.
 */
const CANDIDATES_PER_TERM = 70;
const CANDIDATES = 200;
/** The same where neighbours come along, six for each. */
const CANDIDATES_IN_SEQUENCE = 100;
/** Rows with all words, the best, and with the phrase, the latest. */
const WHOLE_ROWS = 50;
/**
 * Rows that the rarer words may have together to be ranked one and all: ranking is what takes FTS5 longest. A long
 * question about documents needs them: nDCG@10 of CISI is 0.401 with 2,000 and 0.406 with these.
 */
const RANKED_ROWS = 4_000;
/** Fewer rows than this from the rarer words, and the common ones are asked as well. */
export const ENOUGH_ROWS = 200;
/** So many rows with all words are a page, for which no others are looked for at first. */
export const PAGE_ROWS = 10;
/** Latest rows read for words that are too common for that, alone and together with rarer words. */
const LATEST_ROWS = 2_000;
const LATEST_ROWS_WITH_RARE = 500;
/** Common words asked for at most: each is read as far as the others. */
const COMMON_TERMS = 8;
/** Index entries read in all to learn how common words are: reading them takes far less than ranking. */
const COUNTED_ENTRIES = 160_000;
const MAX_COUNT = 20_000;

/**
 * How many rows of the scope have each term, counted up to a bound that no rare word reaches, and how many wait to be
 * indexed (`Backlog.count`); one statement.
 */
export async function countRows(
  reader: SearchReader,
  request: KeywordSearchRequest,
  terms: readonly QueryTerm[],
): Promise<{ readonly counts: readonly number[]; readonly waiting: number }> {
  const { backlog, target } = request;
  const { fts } = target;
  const bound = Math.min(MAX_COUNT, Math.max(RANKED_ROWS + 1, Math.floor(COUNTED_ENTRIES / terms.length)));
  const rows = await reader.all(
    `SELECT (SELECT count(*) FROM (SELECT 1 FROM ${fts} WHERE ${fts} MATCH j.value LIMIT ${bound})), ${backlog?.count ?? "0"}` +
      " FROM json_each(?) j ORDER BY j.key",
    [JSON.stringify(terms.map((term) => expressionFor(request, [term], "any")))],
  );
  return { counts: rows.map((row) => Number(row[0])), waiting: Number(rows[0]?.[1] ?? 0) };
}

export interface FindOptions {
  /** Rows to rank at least, if there are. */
  readonly depth?: number | undefined;
  /** Rows with a term that the index lacks. */
  readonly waiting: FoundWaiting;
}

/**
 * Ranks the rows that have any of `terms`; one statement.
 *
 * Only the rarer terms select rows if that gives enough of them, and the filter is applied to the best of those. With a
 * `depth` all terms do, the filter comes first, and at least so many rows are ranked, if there are. The rows do not
 * depend on the limit of the request. If no row has a required term, the phrase and all words cannot match, and are not
 * searched.
 */
export async function findWords(
  reader: SearchReader,
  request: KeywordSearchRequest,
  terms: readonly RankTerm[],
  phrase: readonly QueryTerm[],
  { depth, waiting }: FindOptions,
): Promise<Ranked[]> {
  const byRarity = terms.filter((term) => term.rowCount > 0).sort((a, b) => a.rowCount - b.rowCount);
  const rare: RankTerm[] = [];
  let rows = 0;
  for (const term of byRarity) {
    if (rows + term.rowCount > RANKED_ROWS) break;
    rows += term.rowCount;
    rare.push(term);
  }
  const common = byRarity.slice(rare.length, rare.length + COMMON_TERMS);
  const query = new CandidateQuery(request, byRarity[0]!, terms.length, depth);
  const canBeWhole = terms.every((term) => term.rowCount > 0 || !term.isRequired);
  const required = byRarity.filter((term) => term.isRequired);
  if (canBeWhole && byRarity.length > 1 && required.length > 0) query.addAll(required, waiting);
  if (canBeWhole && phrase.length > 0) query.addPhrase(phrase);
  if (rare.length > 0) query.addAny(rare);
  if ((rows < ENOUGH_ROWS || depth !== undefined) && common.length > 0) {
    query.addAny(common, rare.length > 0 ? LATEST_ROWS_WITH_RARE : LATEST_ROWS);
  }
  query.addRows(waiting);
  // For a single word, neighbors do not count.
  return rank(await query.read(reader, terms, terms.length > 1), terms, phrase, request.scope);
}

/** Ranks the latest rows that have words beginning with any of `prefixes`, at least `depth`, if there are; one statement. */
export async function findPrefixes(
  reader: SearchReader,
  request: KeywordSearchRequest,
  prefixes: readonly QueryTerm[],
  { depth, waiting }: FindOptions,
): Promise<Ranked[]> {
  const terms = [...prefixes].sort((a, b) => b.text.length - a.text.length).slice(0, COMMON_TERMS);
  const query = new CandidateQuery(request, terms[0]!, terms.length, depth);
  query.addAny(terms, LATEST_ROWS);
  query.addRows(waiting);
  return rank(
    await query.read(reader, terms, false),
    terms.map((term) => ({ ...term, rowCount: 1 })),
    [],
    request.scope,
  );
}

/** One SELECT that unites several ways to find candidates. */
class CandidateQuery {
  readonly #request: KeywordSearchRequest;
  readonly #windowTerm: string;
  readonly #candidates: number;
  readonly #depth: number;
  /** Whether rows that the filter leaves out are told apart before the best are chosen, not after. */
  readonly #isThorough: boolean;
  readonly #parts: string[] = [];
  readonly #args: SqlValue[] = [];
  /** The rows that lend their words, and the arguments of that. */
  readonly #lending: string[] = [];
  readonly #lendingArgs: SqlValue[] = [];
  /** Tables that the parts read, and their arguments. */
  readonly #tables: string[] = [];
  readonly #tableArgs: SqlValue[] = [];
  /** The SQL of the MATCH argument that finds rows with any word. */
  #anyWord = "?";
  /** The condition that the rows with all words are enough. */
  #isEnough = "0";

  constructor(request: KeywordSearchRequest, windowTerm: QueryTerm, termCount: number, depth: number | undefined) {
    this.#request = request;
    this.#depth = depth ?? PAGE_ROWS;
    this.#isThorough = depth !== undefined || request.lenders !== undefined;
    const most = request.target.sequence === undefined ? CANDIDATES : CANDIDATES_IN_SEQUENCE;
    this.#candidates = Math.min(most, CANDIDATES_PER_TERM * termCount);
    this.#windowTerm = windowTerm.text;
  }

  /**
   * The best by FTS5's ranking of the rows with all of `terms`, rarest first, or of the latest of them. They come before
   * every row that lacks one, so where they are enough, `addAny` finds none: those would take longest to rank.
   */
  addAll(terms: readonly RankTerm[], waiting: FoundWaiting): void {
    const latest = terms[0]!.rowCount > RANKED_ROWS ? LATEST_ROWS : undefined;
    const wanted = this.#atLeast(WHOLE_ROWS);
    let isEnough = `(SELECT count(*) FROM whole) >= ${this.#depth}`;
    const addWhole = (rows: string) =>
      this.#tables.push(`whole AS MATERIALIZED (SELECT row_id FROM (${rows}) UNION SELECT value FROM json_each(?))`);
    if (this.#isThorough) addWhole(this.#bestLeft("?", latest, wanted));
    else {
      this.#tables.push(`chosen AS MATERIALIZED (${this.#best("?", latest, this.#chosenFirst)})`);
      addWhole(this.#left("SELECT row_id FROM chosen", wanted));
      // Then the filter may have left out better ones than any that lacks a word: so few that the search is made again.
      isEnough += ` OR (SELECT count(*) FROM chosen) = ${this.#chosenFirst}`;
    }
    this.#tableArgs.push(expressionFor(this.#request, terms, "all"), ...this.#request.where.args);
    this.#tableArgs.push(JSON.stringify(waiting.whole));
    this.#parts.push("SELECT row_id, 1 AS tier FROM whole");
    // The empty phrase matches nothing.
    this.#anyWord = `CASE WHEN ${isEnough} THEN '""' ELSE ? END`;
    this.#isEnough = isEnough;
  }

  /** The latest rows with the phrase that `terms` make. */
  addPhrase(terms: readonly QueryTerm[]): void {
    this.#add(2, this.#matching("?") + this.#latest(WHOLE_ROWS), terms, "phrase");
  }

  /** The best by FTS5's ranking of the rows with any of `terms`, or of so many of the latest of them. */
  addAny(terms: readonly QueryTerm[], latest?: number): void {
    const sql = this.#isThorough
      ? this.#bestLeft(this.#anyWord, latest, this.#wanted)
      : this.#left(this.#best(this.#anyWord, latest, this.#chosenFirst), this.#wanted);
    this.#add(0, sql, terms, "any");
    const { lenders } = this.#request;
    if (lenders === undefined) return;
    const best = this.#best(this.#anyWord, latest, this.#chosenFirst);
    this.#lending.push(`SELECT row_id, -1 AS tier FROM (${this.#left(best, this.#wanted, lenders)})`);
    this.#lendingArgs.push(expressionFor(this.#request, terms, "any"), ...lenders.args);
  }

  /** Rows that wait. Those that lack a word are candidates where the index is asked for such rows too. */
  addRows({ whole, others, lenders }: FoundWaiting): void {
    const add = (rowIds: readonly number[], condition: string) => {
      if (rowIds.length === 0) return;
      this.#parts.push(`SELECT value AS row_id, 0 AS tier FROM json_each(?) WHERE ${condition}`);
      this.#args.push(JSON.stringify(rowIds));
    };
    add(whole, "true");
    add(others, `NOT (${this.#isEnough})`);
    if (lenders.length > 0) {
      this.#lending.push("SELECT value AS row_id, -1 AS tier FROM json_each(?)");
      this.#lendingArgs.push(JSON.stringify(lenders));
    }
  }

  /** The candidates with their terms; with `withNeighbors`, the rows around them as well. */
  async read(reader: SearchReader, terms: readonly QueryTerm[], withNeighbors: boolean): Promise<Candidate[]> {
    const tables = this.#tables.length > 0 ? `WITH ${this.#tables.join(", ")} ` : "";
    const parts = withNeighbors ? [...this.#parts, ...this.#lending] : this.#parts;
    const found = {
      sql: `${tables}SELECT row_id, max(tier) AS tier FROM (${parts.join(" UNION ALL ")}) GROUP BY row_id`,
      args: [...this.#tableArgs, ...this.#args, ...(withNeighbors ? this.#lendingArgs : [])],
    };
    const names = new Set(terms.filter(({ isPrefix }) => !isPrefix).map(({ text }) => text));
    return readCandidates(reader, this.#request, found, { windowTerm: this.#windowTerm, names, withNeighbors });
  }

  // CROSS JOIN keeps SQLite from asking the index once for every row that the filter leaves.
  #matching(expression: string, extraColumn = ""): string {
    const { target, where } = this.#request;
    return (
      `SELECT m.${target.rowId} AS row_id${extraColumn} FROM ${target.fts}` +
      ` CROSS JOIN ${target.table} m ON m.${target.rowId} = ${target.fts}.rowid` +
      ` WHERE ${target.fts} MATCH ${expression} AND (${where.sql})`
    );
  }

  /** The best of the rows that the filter leaves. */
  #bestLeft(expression: string, latest: number | undefined, count: number): string {
    const rows = this.#matching(expression, `, bm25(${this.#request.target.fts}) AS rank_value`);
    return this.#ordered(rows, latest, count);
  }

  /** The best of all entries of the index, whatever the filter says. */
  #best(expression: string, latest: number | undefined, count: number): string {
    const { fts } = this.#request.target;
    const entries = `SELECT ${fts}.rowid AS row_id, bm25(${fts}) AS rank_value FROM ${fts} WHERE ${fts} MATCH ${expression}`;
    return this.#ordered(entries, latest, count);
  }

  // By a column of a subquery: SQLite takes twice as long to order a join by bm25() itself.
  #ordered(rows: string, latest: number | undefined, count: number): string {
    const chosen = latest === undefined ? rows : rows + this.#latest(latest);
    return `SELECT row_id FROM (${chosen}) ORDER BY rank_value LIMIT ${count}`;
  }

  #latest(rowCount: number): string {
    return ` ORDER BY ${this.#request.target.fts}.rowid DESC LIMIT ${this.#atLeast(rowCount)}`;
  }

  /** Those of the chosen entries that the filter leaves: of a thousand rows with a word, only these are looked up. */
  #left(entries: string, count: number, where = this.#request.where): string {
    const { target } = this.#request;
    return (
      `SELECT m.${target.rowId} AS row_id FROM (${entries}) entry` +
      ` CROSS JOIN ${target.table} m ON m.${target.rowId} = entry.row_id WHERE (${where.sql}) LIMIT ${count}`
    );
  }

  get #wanted(): number {
    return this.#atLeast(this.#candidates);
  }

  /** Twice as many, since the filter may leave some out; where it leaves too few, the search is made again, thoroughly. */
  get #chosenFirst(): number {
    return Math.max(2 * this.#wanted, ENOUGH_ROWS);
  }

  #atLeast(rowCount: number): number {
    return Math.max(rowCount, this.#depth);
  }

  #add(tier: number, sql: string, terms: readonly QueryTerm[], how: "any" | "all" | "phrase"): void {
    this.#parts.push(`SELECT row_id, ${tier} AS tier FROM (${sql})`);
    this.#args.push(expressionFor(this.#request, terms, how), ...this.#request.where.args);
  }
}

/** The FTS5 expression for rows with `terms` in the column of the search text; other columns do not count. */
function expressionFor(
  { target, scope, within }: KeywordSearchRequest,
  terms: readonly QueryTerm[],
  how: "any" | "all" | "phrase",
): string {
  const words = `${target.searchText} : (${matchExpression(terms, scope, how)})`;
  return within === undefined ? words : `(${words}) AND (${within})`;
}

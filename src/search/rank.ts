import type { QueryTerm } from "./query.js";
import type { KeywordHit, KeywordMatch } from "./request.js";

/**
 * How soon repeating a word stops counting (k1), and how much a long text loses (b), for candidates of a mean length in
 * terms; in between, in proportion. In turns a word counts about once, and the longer one tends to tell something; in
 * documents, repeating a word and keeping to it say what they are about.
 */
const SHORT = { length: 30, k1: 0.9, b: 0.3 };
const LONG = { length: 150, k1: 2, b: 0.6 };
/** Times the score of a row whose speaker the query names: "What did Ann say" wants what Ann said, not that she is named. */
const NAMED_FACTOR = 1.4;
/** Of a speaker there are several turns; what stands before the colon of a single one may be a title. */
const MIN_SPEAKER_ROWS = 3;
/** Rows assumed at least, so that in a small project a word of half its rows still counts for something. */
const MIN_ROWS_ASSUMED = 1_000;
const FEEDBACK_ROWS = 3;
const FEEDBACK_TERMS = 15;
const FEEDBACK_WEIGHT = 0.3;
const MIN_FEEDBACK_TERM_CHARS = 3;
const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;
const SPACE = 32;
/** A power of two, many times the words that are looked for. */
const FILTER_SIZE = 4096;

/** A scoped English term and its space, on average. */
const CHARS_PER_TERM = 8.5;

/** How many terms a text of index terms has, about. */
export function lengthOf(searchText: string): number {
  return searchText.length / CHARS_PER_TERM;
}

/** How far rows lend their words to their neighbors; each step halves their weight. */
export const NEIGHBOUR_SPAN = 3;
/** Weight of the words of the row right before, and of the one right after: a turn answers what came before it. */
const WEIGHT_BEFORE = 0.5;
const WEIGHT_AFTER = 0.3;
/** A row without any of the words needs this many different ones in its neighbors: one alone says nothing about it. */
const MIN_CONTEXT_TERMS = 2;

/** A row to rank. */
export interface Candidate {
  readonly rowId: number;
  /** Its index terms, scope and all; for a very long text those of a window around a match. */
  readonly searchText: string;
  /** How many terms the whole text has, about. */
  readonly length: number;
  /** 2 when it is known to hold the phrase, 1 all words, 0 when that is left to find out. */
  readonly tier: number;
  /** Where it stands among rows that follow one another; without it, it has no neighbours. */
  readonly place?: { readonly group: number; readonly position: number } | undefined;
  /** Who said it, if the query names them. */
  readonly namedSpeaker?: string | undefined;
  /** Whether the index found a neighbor of this row, not the row. @default false */
  readonly isNeighbor?: boolean | undefined;
  /** Whether the words of its neighbors alone do not make it a result. @default false */
  readonly needsWord?: boolean | undefined;
  /** Whether it is only here for its neighbours' sake. @default false */
  readonly isBystander?: boolean | undefined;
}

/** A ranked row; scores lie between 0 and 1. */
export interface Ranked {
  readonly rowId: number;
  readonly score: number;
  /** Whether it has none of the words itself, only its neighbours do. */
  readonly isContext: boolean;
}

/** A ranked row as a hit. */
export function toHit({ rowId, score }: Ranked, match: KeywordMatch): KeywordHit {
  return { rowId, score, match };
}

/** `hits`, then those of `more` that are not among them, with scores below theirs. */
export function append(hits: readonly Ranked[], more: readonly Ranked[]): Ranked[] {
  const known = new Set(hits.map(({ rowId }) => rowId));
  const last = hits.at(-1)?.score ?? 1;
  const added = more.filter(({ rowId }) => !known.has(rowId));
  return [...hits, ...added.map((hit) => ({ ...hit, score: hit.score * last }))];
}

/** A term of the query, and how many rows of the project have it. */
export interface RankTerm extends QueryTerm {
  readonly rowCount: number;
}

/**
 * Ranks candidates, best first; of equals the one stored last comes first.
 *
 * 1. Rows with the exact phrase come before rows with all words, those before the rest.
 * 2. Within a tier: BM25 with the frequencies of the project itself (FTS5's own knows only those of the whole file). A word
 *    counts as often as the query has it, and rows of a speaker whom the query names count more.
 * 3. Of several words, the best three rows lend their telling words, at a small weight, and the order within each tier is
 *    made once more (pseudo-relevance feedback): a question rarely uses all the words of its answer.
 *
 * Rows that follow one another are ranked as if each were a text of the row's words and those of the rows around it (both
 * their counts and their length): the answer to a question rarely repeats its words, but stands next to them. Phrases and
 * all-words matches must lie in the row itself.
 *
 * recall@10 of 783 questions about the turns of five LoCoMo conversations, each step on top of the last: BM25 (1.2, 0.75)
 * with stop words 0.526, without 0.601, irregular forms 0.607, k1 and b for turns 0.631, feedback 0.643. Then, of turns and
 * (nDCG@10) of the documents of CISI, with every row as a candidate: before 0.644 and 0.281; no factor for the share of
 * the words found 0.645 and 0.287; repeated words 0.645 and 0.360; k1 and b by length 0.645 and 0.396; 1,000 rows assumed,
 * not 2,000, 0.640 and 0.407; the speaker's name 0.660. As searched, by bench/search-quality.ts: 0.661 and 0.408; plain
 * FTS5 0.608 and 0.403. Turns of sessions 0.765, and 0.733 without names and asymmetry; messages 0.754, of one conversation
 * 0.766. Steps of less than a hundredth are within the noise.
 */
export function rank(
  candidates: readonly Candidate[],
  terms: readonly RankTerm[],
  phrase: readonly QueryTerm[],
  scope: string,
): Ranked[] {
  const numbers = new WordMap();
  terms.forEach((term, i) => {
    if (!term.isPrefix) numbers.set(wordNumber(term.text), i);
  });
  const prefixes = terms.flatMap((term, i) => (term.isPrefix ? [{ text: ` ${scope}${term.text}`, index: i }] : []));
  const weights = idfWeights(terms);
  const meanLength = mean(candidates.map((candidate) => candidate.length));
  const { k1, b } = saturationFor(meanLength);
  const phraseText = phrase.length > 0 ? wordsAsStored(phrase, scope) : undefined;
  // One array for all rows: an array for each row would take as long as the counting.
  const words = new Int32Array(candidates.reduce((sum, { searchText }) => sum + (searchText.length >> 1) + 1, 0));
  const own = new Float64Array(candidates.length * terms.length);
  const starts = [0];
  for (const [row, { searchText }] of candidates.entries()) {
    const start = starts[row]!;
    const end = readWords(searchText, scope.length, words, start);
    starts.push(end);
    const first = row * terms.length;
    for (let at = start; at < end; at++) {
      const index = numbers.get(words[at]!);
      if (index !== undefined) own[first + index]!++;
    }
    for (const prefix of prefixes) own[first + prefix.index]! += occurrences(` ${searchText}`, prefix.text);
  }
  const speakers = speakersOf(candidates);
  const around = withNeighbours(candidates, own, terms.length);
  const scored = candidates.flatMap((candidate, row): Scored[] => {
    if (candidate.isBystander === true) return [];
    const { rowId, searchText } = candidate;
    const norm = k1 * (1 - b + (b * around.lengths[row]!) / meanLength);
    let score = 0;
    let presentTerms = 0;
    // Only a part of a long text is read, so a hit of the index may lack its words here.
    let isContext = candidate.isNeighbor === true;
    let hasAll = true;
    for (let i = 0; i < terms.length; i++) {
      const at = row * terms.length + i;
      if (own[at]! > 0) isContext = false;
      else if (terms[i]!.isRequired) hasAll = false;
      const count = around.counts[at]!;
      if (count === 0) continue;
      score += weights[i]! * saturated(count, norm, k1);
      presentTerms++;
    }
    if (isContext && (candidate.needsWord === true || presentTerms < MIN_CONTEXT_TERMS)) return [];
    if (speakers.has(candidate.namedSpeaker)) score *= NAMED_FACTOR;
    const hasPhrase = hasAll && phraseText !== undefined && ` ${searchText} `.includes(phraseText);
    const tier = Math.max(hasPhrase ? 2 : hasAll ? 1 : 0, candidate.tier);
    return [{ rowId, searchText, start: starts[row]!, end: starts[row + 1]!, norm, score, isContext, tier }];
  });
  if (terms.length > 1) addFeedback(scored, words, numbers, { scope, k1 });
  const best = scored.reduce((most, row) => Math.max(most, row.score), Number.MIN_VALUE);
  const topTier = scored.reduce((most, row) => Math.max(most, row.tier), 0);
  return scored.sort(byPlace).map(({ rowId, tier, score, isContext }) => ({
    rowId,
    isContext,
    // Below 1 for the best of a tier, so that it stays under the worst of the next.
    score: (tier + (0.999 * score) / best) / (topTier + 1),
  }));
}

/** The named speakers of several rows. */
function speakersOf(candidates: readonly Candidate[]): ReadonlySet<string | undefined> {
  const rows = new Map<string, number>();
  for (const { namedSpeaker } of candidates) {
    if (namedSpeaker !== undefined) rows.set(namedSpeaker, (rows.get(namedSpeaker) ?? 0) + 1);
  }
  return new Set([...rows].flatMap(([name, count]) => (count >= MIN_SPEAKER_ROWS ? [name] : [])));
}

/** The counts of each row with those of its neighbours, and the mean length of all of them by the same weights. */
function withNeighbours(
  candidates: readonly Candidate[],
  own: Float64Array,
  termCount: number,
): { counts: Float64Array; lengths: number[] } {
  const lengths = candidates.map(({ length }) => length);
  const rowAt = new Map<string, number>();
  for (const [row, { place }] of candidates.entries()) {
    if (place !== undefined) rowAt.set(`${place.group} ${place.position}`, row);
  }
  if (rowAt.size === 0) return { counts: own, lengths };
  const counts = own.slice();
  for (const [row, { place, length }] of candidates.entries()) {
    if (place === undefined) continue;
    let lengthSum = length;
    let weightSum = 1;
    for (let offset = -NEIGHBOUR_SPAN; offset <= NEIGHBOUR_SPAN; offset++) {
      const neighbour = offset === 0 ? undefined : rowAt.get(`${place.group} ${place.position + offset}`);
      if (neighbour === undefined) continue;
      const weight = (offset < 0 ? WEIGHT_BEFORE : WEIGHT_AFTER) * 0.5 ** (Math.abs(offset) - 1);
      for (let i = 0; i < termCount; i++) counts[row * termCount + i]! += weight * own[neighbour * termCount + i]!;
      lengthSum += weight * candidates[neighbour]!.length;
      weightSum += weight;
    }
    lengths[row] = lengthSum / weightSum;
  }
  return { counts, lengths };
}

/** `terms` one after the other as a text holds them between spaces; a prefix at the end is left open. */
export function wordsAsStored(terms: readonly QueryTerm[], scope: string): string {
  return ` ${terms.map(({ text }) => scope + text).join(" ")}${terms.at(-1)!.isPrefix ? "" : " "}`;
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/**
 * Writes the words of a text into `words` from `at` on, and returns where they end: as numbers (32-bit FNV-1a), which
 * are compared and counted at a fraction of the cost of strings. Two words with one number are taken for one: among the
 * few thousand words of one search hardly ever, and then a row stands a few places off.
 */
function readWords(searchText: string, scopeChars: number, words: Int32Array, at: number): number {
  let end = at;
  for (let i = 0; i < searchText.length; i++) {
    let hash = FNV_OFFSET;
    for (i += scopeChars; i < searchText.length; i++) {
      const code = searchText.charCodeAt(i);
      if (code === SPACE) break;
      hash = Math.imul(hash ^ code, FNV_PRIME);
    }
    words[end++] = hash;
  }
  return end;
}

/** Values by word number. Most words asked for are not in it, so a look at one byte spares most of the look-ups. */
class WordMap {
  readonly #filter = new Uint8Array(FILTER_SIZE);
  readonly values = new Map<number, number>();

  get(word: number): number | undefined {
    return this.#filter[word & (FILTER_SIZE - 1)] === 0 ? undefined : this.values.get(word);
  }

  set(word: number, value: number): void {
    this.#filter[word & (FILTER_SIZE - 1)] = 1;
    this.values.set(word, value);
  }
}

function wordNumber(word: string): number {
  const words = new Int32Array(1);
  readWords(word, 0, words, 0);
  return words[0]!;
}

function idfWeights(terms: readonly RankTerm[]): number[] {
  const rows = Math.max(MIN_ROWS_ASSUMED, 2 * Math.max(...terms.map((term) => term.rowCount)));
  return terms.map(({ rowCount, count }) => count * idf(rowCount, rows));
}

function idf(rowCount: number, rows: number): number {
  return Math.log(1 + (rows - rowCount + 0.5) / (rowCount + 0.5));
}

interface Scored {
  readonly rowId: number;
  readonly searchText: string;
  /** Where its words are among those of all rows. */
  readonly start: number;
  readonly end: number;
  readonly norm: number;
  readonly tier: number;
  readonly isContext: boolean;
  score: number;
}

/** Adds to each score what its row shares with the best rows beyond the query itself. */
function addFeedback(
  scored: readonly Scored[],
  words: Int32Array,
  queryWords: WordMap,
  { scope, k1 }: { readonly scope: string; readonly k1: number },
): void {
  const best = [...scored].sort(byPlace).slice(0, FEEDBACK_ROWS);
  const total = best.reduce((sum, row) => sum + row.score, 0);
  const shares = new WordMap();
  for (const { searchText, score } of best) {
    const telling = searchText.split(" ").filter((term) => term.length >= scope.length + MIN_FEEDBACK_TERM_CHARS);
    for (const word of new Set(telling.map((term) => wordNumber(term.slice(scope.length))))) {
      if (queryWords.get(word) === undefined) shares.set(word, (shares.get(word) ?? 0) + score / total);
    }
  }
  const rowCounts = countRowsWith(scored, words, shares);
  const rows = Math.max(MIN_ROWS_ASSUMED, 2 * scored.length);
  const lent = [...shares.values].map(([word, share]): [number, number] => [
    word,
    share * idf(rowCounts.get(word)!, rows),
  ]);
  const places = new WordMap();
  const weights = lent.sort((a, b) => b[1] - a[1]).slice(0, FEEDBACK_TERMS);
  for (const [place, [word]] of weights.entries()) places.set(word, place);
  const counts = new Uint32Array(weights.length);
  for (const row of scored) {
    counts.fill(0);
    for (let at = row.start; at < row.end; at++) {
      const place = places.get(words[at]!);
      if (place !== undefined) counts[place]!++;
    }
    for (const [place, [, weight]] of weights.entries()) {
      if (counts[place]! > 0) row.score += FEEDBACK_WEIGHT * saturated(counts[place]!, row.norm, k1) * weight;
    }
  }
}

function countRowsWith(scored: readonly Scored[], words: Int32Array, among: WordMap): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  const lastRow = new Map<number, number>();
  scored.forEach(({ start, end }, row) => {
    for (let at = start; at < end; at++) {
      const word = words[at]!;
      if (among.get(word) === undefined || lastRow.get(word) === row) continue;
      lastRow.set(word, row);
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  });
  return counts;
}

/** k1 and b for texts of a mean length. */
function saturationFor(length: number): { k1: number; b: number } {
  const share = Math.min(1, Math.max(0, (length - SHORT.length) / (LONG.length - SHORT.length)));
  return { k1: SHORT.k1 + share * (LONG.k1 - SHORT.k1), b: SHORT.b + share * (LONG.b - SHORT.b) };
}

/** How much `count` occurrences say, from 0 to `k1 + 1`. */
function saturated(count: number, norm: number, k1: number): number {
  return (count * (k1 + 1)) / (count + norm);
}

function byPlace(a: Scored, b: Scored): number {
  return b.tier - a.tier || b.score - a.score || b.rowId - a.rowId;
}

function mean(numbers: readonly number[]): number {
  return Math.max(1, numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length));
}

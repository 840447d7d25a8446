import type { QueryTerm } from "./query.js";

/** How soon repeating a word stops counting. */
const K1 = 0.9;
/** How much a long text loses; little, because the longer memory tends to be the one that tells something. */
const B = 0.3;
/** Rows assumed at least, so that in a small project a word of half its rows still counts for something. */
const MIN_ROWS_ASSUMED = 2_000;
const FEEDBACK_ROWS = 3;
const FEEDBACK_TERMS = 15;
const FEEDBACK_WEIGHT = 0.3;
const MIN_FEEDBACK_TERM_CHARS = 3;

/** A row to rank. */
export interface Candidate {
  readonly rowId: number;
  /** Its index terms without scope, in order; for a very long text those of a window around a match. */
  readonly terms: readonly string[];
  /** How many terms the whole text has, about. */
  readonly length: number;
  /** 2 when it is known to hold the phrase, 1 all words, 0 when that is left to find out. */
  readonly tier: number;
}

/** A ranked row; scores lie between 0 and 1. */
export interface Ranked {
  readonly rowId: number;
  readonly score: number;
}

/** A term of the query, and how many rows of the project have it. */
export interface RankTerm extends QueryTerm {
  readonly rowCount: number;
}

/**
 * Ranks candidates, best first; of equals the one stored last comes first.
 *
 * 1. Rows with the exact phrase come before rows with all words, those before the rest.
 * 2. Within a tier: BM25 with the frequencies of the project itself (FTS5's own knows only those of the whole file), times
 *    one plus the share of the query's words that the row has.
 * 3. Of several words, the best three rows lend their telling words, at a small weight, and the order within each tier is
 *    made once more (pseudo-relevance feedback): a question seldom uses all the words of its answer.
 *
 * recall@10 / MRR@10 of bench/search-quality.ts on 783 questions of five LoCoMo conversations, each step on top of the last:
 * BM25 (1.2, 0.75) with stop words 0.526 / 0.385, without 0.601 / 0.446, irregular forms 0.607 / 0.461, these K1 and B
 * 0.631 / 0.503, share of words 0.630 / 0.507, tiers no change, feedback 0.643 / 0.516. The constants were chosen on those
 * conversations, so expect a little less elsewhere; steps of less than a hundredth are within the noise.
 */
export function rank(
  candidates: readonly Candidate[],
  terms: readonly RankTerm[],
  phrase: readonly QueryTerm[],
): Ranked[] {
  const exact = new Map<string, number>();
  terms.forEach((term, i) => {
    if (!term.isPrefix) exact.set(term.text, i);
  });
  const prefixes = terms.flatMap((term, i) => (term.isPrefix ? [{ text: term.text, index: i }] : []));
  const weights = idfWeights(terms);
  const meanLength = mean(candidates.map((candidate) => candidate.length));
  const scored = candidates.map((candidate): Scored => {
    const counts = new Uint32Array(terms.length);
    for (const term of candidate.terms) {
      const index = exact.get(term);
      if (index !== undefined) counts[index]!++;
      for (const prefix of prefixes) if (term.startsWith(prefix.text)) counts[prefix.index]!++;
    }
    const norm = K1 * (1 - B + (B * candidate.length) / meanLength);
    let score = 0;
    let present = 0;
    let hasAll = true;
    counts.forEach((count, i) => {
      if (count > 0) {
        score += weights[i]! * saturated(count, norm);
        present++;
      } else if (terms[i]!.isRequired) hasAll = false;
    });
    score *= 1 + present / Math.max(1, terms.length);
    const tier = phrase.length > 0 && hasAll && holdsPhrase(candidate.terms, phrase) ? 2 : hasAll ? 1 : 0;
    return { candidate, norm, score, tier: Math.max(tier, candidate.tier) };
  });
  if (terms.length > 1) addFeedback(scored, exact);
  const best = scored.reduce((most, row) => Math.max(most, row.score), Number.MIN_VALUE);
  const topTier = scored.reduce((most, row) => Math.max(most, row.tier), 0);
  return scored.sort(byPlace).map(({ candidate, tier, score }) => ({
    rowId: candidate.rowId,
    // Below 1 for the best of a tier, so that it stays under the worst of the next.
    score: (tier + (0.999 * score) / best) / (topTier + 1),
  }));
}

function idfWeights(terms: readonly RankTerm[]): number[] {
  const rows = Math.max(MIN_ROWS_ASSUMED, 2 * Math.max(...terms.map((term) => term.rowCount)));
  return terms.map(({ rowCount }) => idf(rowCount, rows));
}

function idf(rowCount: number, rows: number): number {
  return Math.log(1 + (rows - rowCount + 0.5) / (rowCount + 0.5));
}

function holdsPhrase(terms: readonly string[], phrase: readonly QueryTerm[]): boolean {
  const first = phrase[0]!.text;
  for (let start = terms.indexOf(first); start >= 0; start = terms.indexOf(first, start + 1)) {
    const fits = phrase.every(({ text, isPrefix }, i) => {
      const term = terms[start + i];
      return isPrefix ? term?.startsWith(text) : term === text;
    });
    if (fits) return true;
  }
  return false;
}

interface Scored {
  readonly candidate: Candidate;
  readonly norm: number;
  readonly tier: number;
  score: number;
}

/** Adds to each score what its row shares with the best rows beyond the query itself. */
function addFeedback(scored: readonly Scored[], queryTerms: ReadonlyMap<string, number>): void {
  const best = [...scored].sort(byPlace).slice(0, FEEDBACK_ROWS);
  const total = best.reduce((sum, row) => sum + row.score, 0);
  const shares = new Map<string, number>();
  for (const { candidate, score } of best) {
    for (const term of new Set(candidate.terms)) {
      if (queryTerms.has(term) || term.length < MIN_FEEDBACK_TERM_CHARS) continue;
      shares.set(term, (shares.get(term) ?? 0) + score / total);
    }
  }
  const rowCounts = countRowsWith(scored, shares);
  const rows = Math.max(MIN_ROWS_ASSUMED, 2 * scored.length);
  const lent = [...shares].map(([term, share]): [string, number] => [term, share * idf(rowCounts.get(term)!, rows)]);
  const weights = new Map(lent.sort((a, b) => b[1] - a[1]).slice(0, FEEDBACK_TERMS));
  for (const row of scored) {
    const counts = new Map<string, number>();
    for (const term of row.candidate.terms) if (weights.has(term)) counts.set(term, (counts.get(term) ?? 0) + 1);
    for (const [term, count] of counts) row.score += FEEDBACK_WEIGHT * saturated(count, row.norm) * weights.get(term)!;
  }
}

function countRowsWith(scored: readonly Scored[], terms: ReadonlyMap<string, number>): Map<string, number> {
  const counts = new Map<string, number>();
  const lastRow = new Map<string, number>();
  scored.forEach(({ candidate }, row) => {
    for (const term of candidate.terms) {
      if (!terms.has(term) || lastRow.get(term) === row) continue;
      lastRow.set(term, row);
      counts.set(term, (counts.get(term) ?? 0) + 1);
    }
  });
  return counts;
}

/** How much `count` occurrences say, from 0 to `K1 + 1`. */
function saturated(count: number, norm: number): number {
  return (count * (K1 + 1)) / (count + norm);
}

function byPlace(a: Scored, b: Scored): number {
  return b.tier - a.tier || b.score - a.score || b.candidate.rowId - a.candidate.rowId;
}

function mean(numbers: readonly number[]): number {
  return Math.max(1, numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length));
}

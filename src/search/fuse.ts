/** Places of each list that are fused at a time: the next ones come after them, so that a longer list only adds places. */
export const FUSED_PLACES = 100;

/**
 * The share of the vectors in a fused score.
 *
 * Figures of bench/search-quality.ts with the vectors of weak embedders. Turns of LoCoMo, recall@10 / MRR@10: words alone
 * 0.661 / 0.532, with 0.1 0.673 / 0.535, 0.15 0.673 / 0.536, 0.2 0.670 / 0.535. Documents of CISI, nDCG@10: words alone
 * 0.408, with 0.1 0.416, 0.15 0.417, 0.2 0.412; cut to 100 words 0.385, 0.390, 0.389, 0.380. A strong model deserves more.
 */
export const DEFAULT_VECTOR_WEIGHT = 0.15;

interface Scored<Id> {
  readonly id: Id;
  readonly score: number;
}

/**
 * Merges what the words of a query found and what its vector found, each best first, into one list: by a convex
 * combination of scores, those of the words as shares of the best, those of the vectors from 0 for the last of the list
 * to 1 for the first.
 *
 * Unlike a fusion by places, it keeps a clear difference between two scores, so a weak embedder only decides what the words
 * leave open. Equal scores keep the order in which the ids first appear.
 */
export function fuse<Id>(
  words: readonly Scored<Id>[],
  vectors: readonly Scored<Id>[],
  vectorWeight = DEFAULT_VECTOR_WEIGHT,
): Scored<Id>[] {
  const fused = new Map<Id, number>();
  let ceiling = 1;
  for (let start = 0; start < Math.max(words.length, vectors.length); start += FUSED_PLACES) {
    const block = fuseBlock(
      words.slice(start, start + FUSED_PLACES),
      vectors.slice(start, start + FUSED_PLACES),
      vectorWeight,
    );
    const added = block.filter(({ id }) => !fused.has(id));
    for (const { id, score } of added) fused.set(id, ceiling * score);
    ceiling *= added.at(-1)?.score ?? 1;
  }
  return [...fused].map(([id, score]) => ({ id, score }));
}

function fuseBlock<Id>(words: readonly Scored<Id>[], vectors: readonly Scored<Id>[], weight: number): Scored<Id>[] {
  const scores = new Map<Id, number>();
  const best = words[0]?.score ?? 1;
  for (const { id, score } of words) scores.set(id, ((1 - weight) * score) / best);
  const nearest = vectors[0]?.score ?? 0;
  const range = nearest - (vectors.at(-1)?.score ?? 0);
  for (const { id, score } of vectors) {
    const share = range === 0 ? 1 : 1 - (nearest - score) / range;
    scores.set(id, (scores.get(id) ?? 0) + weight * share);
  }
  return [...scores].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}

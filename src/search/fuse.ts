/** How slowly the weight of a place falls; 60 is the value of the paper by Cormack, Clarke and Büttcher (2009). */
const DEFAULT_K = 60;

/**
 * Reciprocal rank fusion: merges ranked lists of ids, each best first, into one by places alone, whatever their scores meant.
 *
 * An id counts once a list, at its best place. Equal scores keep the order in which the ids first appear.
 */
export function fuse<Id>(lists: readonly (readonly Id[])[], k: number = DEFAULT_K): { id: Id; score: number }[] {
  if (!(k >= 0 && k < Infinity)) throw new RangeError(`Expected \`k\` to be a finite number of at least 0, got ${k}`);
  const scores = new Map<Id, number>();
  for (const list of lists) {
    const places = new Set(list);
    let place = 0;
    for (const id of places) scores.set(id, (scores.get(id) ?? 0) + 1 / (k + ++place));
  }
  return [...scores].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}

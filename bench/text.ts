/** Words by Zipf's law, from a generator with a seed: the same text in every run. */
export function textMaker(seed: number): () => string {
  let state = seed;
  const random = () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const VOCABULARY = 30_000;
  const word = () => `w${Math.floor(VOCABULARY ** random())}x`;
  return () => Array.from({ length: 22 }, word).join(" ");
}

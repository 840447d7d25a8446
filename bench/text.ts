/** The word of a rank, where 1 is the most frequent. Like most words, it consists of letters. */
export function wordOf(rank: number): string {
  let letters = "";
  for (let rest = rank; rest > 0; rest = Math.floor(rest / 26)) letters += String.fromCharCode(97 + (rest % 26));
  return `w${letters}x`;
}

/** Words by Zipf's law, from a generator with a seed, so that every run has the same text. */
export function textMaker(seed: number): () => string {
  let state = seed;
  const random = () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const VOCABULARY = 30_000;
  const word = () => wordOf(Math.floor(VOCABULARY ** random()));
  return () => Array.from({ length: 22 }, word).join(" ");
}

import { mulberry32 } from "../../src/migrate/generate/random.js";

/** A seeded source of randomness, so that a failing run can be repeated. */
export interface Random {
  readonly seed: number;
  /** 0 to 1. */
  next(): number;
  /** A whole number below `limit`. */
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
}

/** Uses HOLDFAST_SEED as the seed if it is set, else the clock. Prints the seed. */
export function seededRandom(label: string): Random {
  const seed = Number(process.env.HOLDFAST_SEED ?? Date.now() % 2 ** 31);
  console.log(`${label}: HOLDFAST_SEED=${seed}`);
  const next = mulberry32(seed);
  const below = (limit: number) => Math.floor(next() * limit);
  return { seed, next, below, pick: (items) => items[below(items.length)]! };
}

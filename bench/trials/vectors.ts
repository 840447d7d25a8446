import type { Storage } from "../../src/storage/storage.js";
import { openFilled } from "../filled.js";
import type { Trial, TrialContext } from "../trial.js";

const DIMENSIONS = 384;
const MODEL = "m";
const GROUPS = 200;
const MEASURED = 20;

/** A repeatable source of numbers from -1 to 1. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  };
}

/** Vectors around the centers of groups, as those of texts about some subjects. */
function vectorMaker(seed: number): () => Float32Array {
  const center = noise(1);
  const centers = Array.from({ length: GROUPS }, () => Float32Array.from({ length: DIMENSIONS }, center));
  const next = noise(seed);
  return () => {
    const own = centers[Math.floor(((next() + 1) / 2) * GROUPS)]!;
    return own.map((value) => value + next());
  };
}

async function fill({ memories }: Storage, count: number): Promise<void> {
  const make = vectorMaker(2);
  for (let stored = 0; stored < count; stored += 1000) {
    await memories.insertMany(
      Array.from({ length: 1000 }, () => ({ content: "x", embedding: make(), embeddingModel: MODEL })),
    );
  }
}

/** The median time of a search, in milliseconds. */
async function medianOf(search: (vector: Float32Array) => unknown): Promise<number> {
  const make = vectorMaker(3);
  const times: number[] = [];
  for (let i = 0; i < MEASURED + 3; i++) {
    const vector = make();
    const start = performance.now();
    await search(vector);
    if (i >= 3) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** The ten nearest of a matrix with one vector a row, by cosine. */
function scanMatrix(matrix: Float32Array, vector: Float32Array): { row: number; cosine: number }[] {
  const best: { row: number; cosine: number }[] = [];
  for (let row = 0; row * DIMENSIONS < matrix.length; row++) {
    let dot = 0;
    let square = 0;
    for (let i = 0; i < DIMENSIONS; i++) {
      const value = matrix[row * DIMENSIONS + i]!;
      dot += value * vector[i]!;
      square += value * value;
    }
    const cosine = dot / Math.sqrt(square);
    if (best.length === 10 && cosine <= best[9]!.cosine) continue;
    best.push({ row, cosine });
    best.sort((a, b) => b.cosine - a.cosine);
    best.length = Math.min(best.length, 10);
  }
  return best;
}

const trialOf = (count: number): Trial => ({
  title: `the ten nearest of ${count.toLocaleString("en")} vectors of ${DIMENSIONS} dimensions, median`,
  unit: "ms",
  contenders: {
    "memories.nearest": async (context: TrialContext) => {
      await using storage = await openFilled(context, `vectors-${count}`, (one) => fill(one, count));
      return await medianOf((vector) => storage.memories.nearest(vector, { model: MODEL }));
    },
    "Float32Array in JavaScript": async () => {
      const make = vectorMaker(2);
      const matrix = new Float32Array(count * DIMENSIONS);
      for (let row = 0; row < count; row++) matrix.set(make(), row * DIMENSIONS);
      return await medianOf((vector) => scanMatrix(matrix, vector));
    },
  },
});

export const nearest20k = trialOf(20_000);
export const nearest100k = trialOf(100_000);

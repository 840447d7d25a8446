import { createRequire } from "node:module";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Storage } from "../../src/storage/storage.js";
import { openFilled } from "../filled.js";
import { longestPause, longestPiece } from "../longest-piece.js";
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

const openVectors = (context: TrialContext, count: number): Promise<Storage> =>
  openFilled(context, `vectors-${count}`, (one) => fill(one, count));

/** Searches until the codes are in memory, for which no search waits. */
async function warm(storage: Storage): Promise<void> {
  const make = vectorMaker(4);
  const { client } = storage as never as { client: { scan(statement: { sql: string }): Promise<unknown> } };
  const { scan } = client;
  let isWarm = false;
  client.scan = (statement) => {
    isWarm ||= statement.sql.includes("chosen(row_id)");
    return scan.call(client, statement);
  };
  while (!isWarm) await storage.memories.nearest(make(), { model: MODEL });
  client.scan = scan;
}

async function openWarm(context: TrialContext, count: number): Promise<Storage> {
  const storage = await openVectors(context, count);
  await warm(storage);
  return storage;
}

/** The share of the ten nearest that a search finds without `exact`. */
async function recallOf({ memories }: Storage): Promise<number> {
  const make = vectorMaker(5);
  let found = 0;
  for (let i = 0; i < MEASURED; i++) {
    const vector = make();
    const near = new Set((await memories.nearest(vector, { model: MODEL })).map(({ memory }) => memory.id));
    const exact = await memories.nearest(vector, { model: MODEL, exact: true });
    found += exact.filter(({ memory }) => near.has(memory.id)).length;
  }
  return found / (10 * MEASURED);
}

const trialOf = (count: number): Trial => ({
  title: `the ten nearest of ${count.toLocaleString("en")} vectors of ${DIMENSIONS} dimensions, median`,
  unit: "ms",
  contenders: {
    "memories.nearest": async (context: TrialContext) => {
      await using storage = await openWarm(context, count);
      return await medianOf((vector) => storage.memories.nearest(vector, { model: MODEL }));
    },
    "memories.nearest, exact": async (context: TrialContext) => {
      await using storage = await openVectors(context, count);
      return await medianOf((vector) => storage.memories.nearest(vector, { model: MODEL, exact: true }));
    },
    "Float32Array in JavaScript": async () => {
      const make = vectorMaker(2);
      const matrix = new Float32Array(count * DIMENSIONS);
      for (let row = 0; row < count; row++) matrix.set(make(), row * DIMENSIONS);
      return await medianOf((vector) => scanMatrix(matrix, vector));
    },
    "sqlite-vec": async ({ folder }: TrialContext) => {
      const db = new Database(join(folder, "vec.db"));
      createRequire(import.meta.url)("sqlite-vec").load(db);
      db.exec(`CREATE VIRTUAL TABLE v USING vec0(vector float[${DIMENSIONS}] distance_metric=cosine)`);
      const insert = db.prepare("INSERT INTO v (vector) VALUES (?)");
      const make = vectorMaker(2);
      const bytes = ({ buffer }: Float32Array) => Buffer.from(buffer);
      db.transaction(() => {
        for (let row = 0; row < count; row++) insert.run(bytes(make()));
      })();
      const search = db.prepare("SELECT rowid, distance FROM v WHERE vector MATCH ? ORDER BY distance LIMIT 10");
      return await medianOf((vector) => search.all(bytes(vector)));
    },
  },
});

export const nearest20k = trialOf(20_000);
export const nearest100k = trialOf(100_000);

export const nearestRecall: Trial = {
  title: "recall@10 of memories.nearest among 100,000 vectors, against `exact`",
  unit: "of 1",
  contenders: {
    "memories.nearest": async (context) => {
      await using storage = await openWarm(context, 100_000);
      return await recallOf(storage);
    },
  },
};

type Measure = (work: () => Promise<unknown>) => Promise<number>;

const whileSearching = (measure: Measure) => ({
  "20 searches": async (context: TrialContext) => {
    await using storage = await openWarm(context, 100_000);
    return await measure(() => medianOf((vector) => storage.memories.nearest(vector, { model: MODEL })));
  },
  "until the codes are made": async (context: TrialContext) => {
    await using storage = await openVectors(context, 100_000);
    return await measure(() => warm(storage));
  },
});

export const nearestGap: Trial = {
  title: "longest event-loop gap of memories.nearest among 100,000 vectors, as CPU time",
  unit: "ms",
  isCases: true,
  contenders: whileSearching(longestPiece),
};

export const nearestPause: Trial = {
  title: "longest delay of a timer during memories.nearest among 100,000 vectors, other processes included",
  unit: "ms",
  isCases: true,
  contenders: whileSearching(longestPause),
};

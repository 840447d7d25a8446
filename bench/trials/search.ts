import { join } from "node:path";
import type { Storage } from "../../src/storage.js";
import { openStorage } from "../../src/storage.js";
import { textMaker, wordOf } from "../text.js";
import type { Trial, TrialContext } from "../trial.js";

async function fill(storage: Storage, projects: number, memoriesEach: number): Promise<void> {
  const text = textMaker(7);
  // Round after round, so that the rows of one project lie among those of all others.
  const rounds = Math.min(20, memoriesEach);
  for (let round = 0; round < rounds; round++) {
    for (let number = 0; number < projects; number++) {
      const inputs = Array.from({ length: memoriesEach / rounds }, () => ({ content: text() }));
      await storage.project(`project-${number}`).memories.insertMany(inputs);
    }
  }
}

/** Measured, after as many that compile the code: what a service that runs for minutes has. */
const SEARCHES = 200;

/** The median of searches for words of the given ranks; the first is in most memories. */
async function medianSearch({ folder }: TrialContext, projects: number, each: number, query: (i: number) => string) {
  await using storage = await openStorage({ url: join(folder, "search.db"), durability: "relaxed" });
  await fill(storage, projects, each);
  const times: number[] = [];
  for (let i = 0; i < 2 * SEARCHES; i++) {
    const { memories } = storage.project(`project-${i % projects}`);
    const start = performance.now();
    await memories.search(query(i));
    if (i >= SEARCHES) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** Of sixty pairs: still rarer words would be in no memory of a small project. */
const rare = (i: number) => `${wordOf(3000 + (i % 60) * 37)} ${wordOf(5000 + (i % 60) * 11)}`;
const common = (i: number) => `${wordOf(1 + (i % 3))} ${wordOf(4 + (i % 5))}`;

export const searchLarge: Trial = {
  title: "search over 100,000 memories in one project, median",
  unit: "ms",
  contenders: {
    "selective words": (context) => medianSearch(context, 1, 100_000, rare),
    "common words": (context) => medianSearch(context, 1, 100_000, common),
  },
};

export const searchSmallProject: Trial = {
  title: "search in one of 1,000 projects with 1,000 memories each, median",
  unit: "ms",
  contenders: {
    "selective words": (context) => medianSearch(context, 1000, 1000, rare),
    "common words": (context) => medianSearch(context, 1000, 1000, common),
  },
};

import { createRequire } from "node:module";
import type { Storage } from "../../src/storage/storage.js";
import { openFilled } from "../filled.js";
import { createNotes, INSERT_NOTE, openRaw } from "../raw.js";
import { textMaker, wordOf } from "../text.js";
import type { Trial, TrialContext } from "../trial.js";

async function fill(storage: Storage, projects: number, memoriesEach: number): Promise<void> {
  const text = textMaker(7);
  // Fills in rounds, so that the rows of one project lie among those of all others.
  const rounds = Math.min(20, memoriesEach);
  for (let round = 0; round < rounds; round++) {
    for (let number = 0; number < projects; number++) {
      const inputs = Array.from({ length: memoriesEach / rounds }, () => ({ content: text() }));
      await storage.project(`project-${number}`).memories.insertMany(inputs);
    }
  }
}

/**
 * The number of measured searches. As many run before to compile the code, as in a service that has run for minutes.
 */
const SEARCHES = 200;

/** How many projects there are, how many memories each has, and how many of the projects are searched in turn. */
interface Corpus {
  readonly projects: number;
  readonly each: number;
  readonly searched: number;
}

/** Returns the median time of the searches, in milliseconds. */
async function medianSearch(context: TrialContext, { projects, each, searched }: Corpus, query: (i: number) => string) {
  await using storage = await openFilled(context, `memories-${projects}-${each}`, (one) => fill(one, projects, each));
  const times: number[] = [];
  for (let i = 0; i < 2 * SEARCHES; i++) {
    const { memories } = storage.project(`project-${i % searched}`);
    const start = performance.now();
    await memories.search(query(i));
    if (i >= SEARCHES) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** One of sixty pairs of words. Rarer words would be in no memory of a small project. */
const rare = (i: number) => `${wordOf(3000 + (i % 60) * 37)} ${wordOf(5000 + (i % 60) * 11)}`;
/** One of fifteen pairs of words. The word of rank 1 is in most memories. */
const common = (i: number) => `${wordOf(1 + (i % 3))} ${wordOf(4 + (i % 5))}`;

const LARGE = { projects: 1, each: 100_000, searched: 1 };
const SMALL = { projects: 1000, each: 1000, searched: 1 };
/** Each search uses a project that was not read before, so SQLite asks the operating system for each page. */
const UNREAD = { ...SMALL, searched: SMALL.projects };

/** Each word in quotes; plain FTS5 would take some words for operators. */
const anyOf = (query: string) =>
  query
    .split(" ")
    .map((word) => `"${word}"`)
    .join(" OR ");

/** Returns the median time of `search`, in milliseconds, as `medianSearch` does. */
async function medianOf(search: (query: string) => unknown): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 2 * SEARCHES; i++) {
    const start = performance.now();
    await search(common(i));
    if (i >= SEARCHES) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

export const searchPeers: Trial = {
  title: "search for two common words among 100,000 memories, the best ten, median",
  unit: "ms",
  contenders: {
    holdfast: (context) => medianSearch(context, LARGE, common),
    "plain FTS5": async ({ folder }) => {
      const database = openRaw(folder, "NORMAL");
      createNotes(database);
      const insert = database.prepare(INSERT_NOTE);
      const text = textMaker(7);
      database.exec("BEGIN");
      for (let i = 0; i < LARGE.each; i++) insert.run(`memory-${i}`, text(), i);
      database.exec("COMMIT");
      const search = database.prepare(
        `SELECT notes.id, notes.content FROM notes_text JOIN notes ON notes.row_id = notes_text.rowid
         WHERE notes_text MATCH ? ORDER BY bm25(notes_text) LIMIT 10`,
      );
      return await medianOf((query) => search.all(anyOf(query)));
    },
    MiniSearch: async () => {
      const MiniSearch = createRequire(import.meta.url)("minisearch");
      const index = new MiniSearch({ fields: ["text"] });
      const text = textMaker(7);
      index.addAll(Array.from({ length: LARGE.each }, (_, id) => ({ id, text: text() })));
      return await medianOf((query) => index.search(query).slice(0, 10));
    },
  },
};

export const searchLarge: Trial = {
  title: "search over 100,000 memories in one project, median",
  unit: "ms",
  isCases: true,
  contenders: {
    "selective words": (context) => medianSearch(context, LARGE, rare),
    "common words": (context) => medianSearch(context, LARGE, common),
  },
};

export const searchSmallProject: Trial = {
  title: "search in one of 1,000 projects with 1,000 memories each, median",
  unit: "ms",
  isCases: true,
  contenders: {
    "selective words": (context) => medianSearch(context, SMALL, rare),
    "common words": (context) => medianSearch(context, SMALL, common),
    "selective, each in another project": (context) => medianSearch(context, UNREAD, rare),
    "common, each in another project": (context) => medianSearch(context, UNREAD, common),
  },
};

import { createRequire } from "node:module";
import { isStopWord } from "../../src/search/stop-words.js";
import { LOCOMO, readLocomo, type Sample } from "../locomo.js";
import {
  measureConversations,
  measureMemories,
  measurePlainTurns,
  measureTurns,
  type Quality,
} from "../search-measures.js";
import type { Trial } from "../trial.js";

const recallOf = (measure: (samples: readonly Sample[]) => Promise<Quality>) => async () =>
  (await measure(readLocomo(process.env.HOLDFAST_TEST_DATA!))).recall;

export const recall: Trial = {
  title: "recall@10 of questions about long conversations",
  unit: "",
  isMoreBetter: true,
  data: LOCOMO,
  contenders: {
    "memories, sessions told": recallOf((samples) => measureMemories(samples, { withSessions: true })),
    memories: recallOf((samples) => measureMemories(samples)),
    "messages of one conversation": recallOf((samples) => measureConversations(samples, { isWithin: true })),
    "plain FTS5": recallOf((samples) => measurePlainTurns(samples)),
    MiniSearch: recallOf((samples) => measureTurns(samples, miniSearch)),
  },
};

/** What the trial calls of MiniSearch. The type check does not need the packages of bench. */
interface MiniSearchLike {
  addAll(records: readonly object[]): void;
  search(text: string): { readonly id: string }[];
}

/** With its default options, but for the stop words that the other contenders leave out too. */
async function miniSearch(records: readonly { readonly id: string; readonly text: string }[]) {
  const MiniSearch = createRequire(import.meta.url)("minisearch") as new (options: object) => MiniSearchLike;
  const index = new MiniSearch({
    fields: ["text"],
    processTerm: (term: string) => (isStopWord(term.toLowerCase(), false) ? null : term.toLowerCase()),
  });
  index.addAll(records);
  return async (text: string) =>
    index
      .search(text)
      .slice(0, 10)
      .map(({ id }) => id);
}

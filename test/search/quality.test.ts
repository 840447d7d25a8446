import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Cisi, cutTo, readCisi } from "../../bench/cisi.js";
import { LOCOMO, readLocomo } from "../../bench/locomo.js";
import {
  measureConversations,
  measureDocuments,
  measureMemories,
  measurePlainDocuments,
  measurePlainTurns,
} from "../../bench/search-measures.js";
import { times } from "../support/soak.js";

/** For a machine that is busy with much else: the figures need a minute of one core. */
const TIMEOUT_MS = 900_000;
const folder = process.env.HOLDFAST_TEST_DATA ?? "";

// Skipped, and reported as skipped, if HOLDFAST_TEST_DATA is not a folder with the files. `npm run bench:search` prints
// the figures, which are the same in every run. The bounds are about 0.005 below them.
describe.skipIf(!existsSync(join(folder, LOCOMO)))(
  "questions find the turns that answer them",
  { timeout: TIMEOUT_MS },
  () => {
    // Every third question; all of them in a soak, which are harder on average.
    const samples = () =>
      readLocomo(folder).map(({ turns, questions }) => {
        return { turns, questions: questions.filter((_, place) => place % times(3, 1) === 0) };
      });

    test(`as memories: recall@10 of ${times(0.675, 0.655)}, better than plain FTS5`, async () => {
      const { recall } = await measureMemories(samples());
      expect(recall).toBeGreaterThanOrEqual(times(0.675, 0.655));
      expect(recall).toBeGreaterThan((await measurePlainTurns(samples())).recall + 0.03);
    });

    test(`as memories of sessions: recall@10 of ${times(0.785, 0.755)}`, async () => {
      const { recall } = await measureMemories(samples(), { withSessions: true });
      expect(recall).toBeGreaterThanOrEqual(times(0.785, 0.755));
    });

    test(`as memories with the vectors of a weak embedder: recall@10 of ${times(0.68, 0.665)} and MRR@10`, async () => {
      const { recall, mrr } = await measureMemories(samples(), { withVectors: true });
      expect(recall).toBeGreaterThanOrEqual(times(0.68, 0.665));
      expect(mrr).toBeGreaterThanOrEqual(times(0.54, 0.53));
    });

    test(`as messages of all conversations: recall@10 of ${times(0.77, 0.745)}`, async () => {
      expect((await measureConversations(samples())).recall).toBeGreaterThanOrEqual(times(0.77, 0.745));
    });

    test(`as messages of one conversation: recall@10 of ${times(0.78, 0.76)}`, async () => {
      const { recall } = await measureConversations(samples(), { isWithin: true });
      expect(recall).toBeGreaterThanOrEqual(times(0.78, 0.76));
    });
  },
);

describe.skipIf(!existsSync(join(folder, "cisi.json")))(
  "documents are found as well as with plain FTS5",
  { timeout: TIMEOUT_MS },
  () => {
    test.each<[string, (cisi: Cisi) => Cisi, number]>([
      ["in full", (cisi) => cisi, 0.4],
      // In a soak also the lengths between.
      ...times<[string, (cisi: Cisi) => Cisi, number][]>(
        [],
        [
          ["of 100 words", (cisi) => cutTo(cisi, 100), 0.375],
          ["of 60 words", (cisi) => cutTo(cisi, 60), 0.355],
        ],
      ),
      ["of 30 words", (cisi) => cutTo(cisi, 30), 0.335],
      ["with questions of 15 words", (cisi) => cutTo(cisi, Number.POSITIVE_INFINITY, 15), 0.35],
    ])("%s", async (_, cut, least) => {
      const cisi = cut(readCisi(folder));
      const { ndcg } = await measureDocuments(cisi);
      expect(ndcg).toBeGreaterThanOrEqual(least);
      const hybrid = await measureDocuments(cisi, { withVectors: true });
      expect(hybrid.ndcg, "with the vectors of a weak embedder").toBeGreaterThanOrEqual(ndcg - 0.005);
      // A hundredth is the noise of 76 questions.
      expect(ndcg).toBeGreaterThan((await measurePlainDocuments(cisi)).ndcg - 0.01);
    });
  },
);

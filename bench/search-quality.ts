/**
 * Measures how well search finds the turns that answer a question, and the documents relevant to one:
 * `npm run bench:search -- --data DIR`. `--only WORDS` runs the sets whose names have these words.
 *
 * The folder has `locomo-dev.json`, `locomo-dev-vectors.json` and `cisi.json`. Plain FTS5 is a table with the porter
 * tokenizer, searched for the question without its stop words. All figures but the times are the same in every run.
 */
import { parseArgs } from "node:util";
import { cutTo, readCisi } from "./cisi.js";
import { readLocomo } from "./locomo.js";
import {
  measureConversations,
  measureDocuments,
  measureMemories,
  measurePlainDocuments,
  measurePlainTurns,
  type Quality,
} from "./search-measures.js";

const { values } = parseArgs({ options: { data: { type: "string" }, only: { type: "string", default: "" } } });
if (values.data === undefined) throw new TypeError("Expected `--data` to name the folder with locomo-dev.json");
const turns = readLocomo(values.data);
const cisi = readCisi(values.data);
const documents = [
  ["documents", cisi],
  ["documents of 100 words", cutTo(cisi, 100)],
  ["documents of 60 words", cutTo(cisi, 60)],
  ["documents of 30 words", cutTo(cisi, 30)],
  ["documents, questions of 15 words", cutTo(cisi, Number.POSITIVE_INFINITY, 15)],
] as const;

const sets: readonly (readonly [string, () => Promise<Quality>])[] = [
  ["turns, plain FTS5", () => measurePlainTurns(turns)],
  ["turns as memories", () => measureMemories(turns)],
  ["turns as memories, without names", () => measureMemories(turns, { isBare: true })],
  ["turns as memories of sessions", () => measureMemories(turns, { withSessions: true })],
  ["turns as memories, with weak vectors", () => measureMemories(turns, { withVectors: true })],
  ["turns as messages", () => measureConversations(turns)],
  ["turns as messages, in the one conversation", () => measureConversations(turns, { isWithin: true })],
  ...documents.flatMap(
    ([name, set]) =>
      [
        [`${name}, plain FTS5`, () => measurePlainDocuments(set)],
        [name, () => measureDocuments(set)],
        [`${name}, with weak vectors`, () => measureDocuments(set, { withVectors: true })],
      ] as const,
  ),
];
for (const [name, measure] of sets) {
  if (!name.includes(values.only)) continue;
  const { recall, mrr, ndcg, medianMs } = await measure();
  const figures = [recall, mrr, ndcg].map((figure) => figure.toFixed(3));
  console.log(
    `${name.padEnd(48)} recall@10 ${figures[0]}  MRR@10 ${figures[1]}  nDCG@10 ${figures[2]}  ${medianMs.toFixed(2)} ms`,
  );
}

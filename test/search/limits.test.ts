import { existsSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { LOCOMO, readLocomo } from "../../bench/locomo.js";
import { seededRandom } from "../support/random.js";
import { times } from "../support/soak.js";
import { indexedRows } from "./indexed-rows.js";

const LIMITS = [1, 7, 10, 11, 50, 200, 201, 900];

describe("the list for a limit is the beginning of the list for a higher one", () => {
  test.each(["with the full-text table", "without it"])("%s", async (how) => {
    const random = seededRandom("the first results do not depend on the limit");
    await using rows = await indexedRows();
    // Word n is in about one row of n, so that there are words of a few rows and of most.
    const word = () => `word${Math.floor(800 ** random.next())}x`;
    const some = (most: number) => Array.from({ length: 1 + random.below(most) }, word).join(" ");
    for (const kind of ["note", "note", "rare", "note"]) {
      rows.insert(
        Array.from({ length: kind === "rare" ? 40 : 500 }, () => some(30)),
        { kind },
      );
    }
    if (how === "without it") rows.database.exec("DROP TRIGGER notes_insert; DROP TABLE notes_fts;");
    for (let run = 0; run < times(8, 32); run++) {
      const text = run % 8 === 0 ? "wor word1" : some(5);
      const filter = run % 4 === 0 ? { kind: "rare" } : {};
      const all = await rows.search(text, { ...filter, limit: 100_000 });
      for (const limit of LIMITS) {
        const found = await rows.search(text, { ...filter, limit });
        expect(found, `${text}, limit ${limit}`).toEqual(all.slice(0, limit));
      }
      const scores = all.map(({ score }) => score);
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
    }
  });
});

const folder = process.env.HOLDFAST_TEST_DATA ?? "";

// Skipped, and reported as skipped, if HOLDFAST_TEST_DATA is not a folder with the file.
test.skipIf(!existsSync(join(folder, LOCOMO)))(
  "the ten best of fifty are the ten best of ten",
  // For a machine that is busy with much else: it needs a quarter of a minute of one core.
  { timeout: 900_000 },
  async () => {
    await using storage = await openStorage(":memory:");
    for (const [number, { turns, questions }] of readLocomo(folder).entries()) {
      const { memories, conversations } = storage.project(`conversation-${number}`);
      const contents = turns.map(({ speaker, text }) => `${speaker}: ${text}`);
      await memories.insertMany(contents.map((content) => ({ content })));
      await conversations.insert({ messages: contents.map((content) => ({ role: "user", content })) });
      // All of them in a soak: each is searched four times.
      for (const { text } of questions.filter((_, place) => place % times(6, 1) === 0)) {
        const ten = (await memories.search(text, { limit: 10 })).map(({ memory }) => memory.id);
        const fifty = (await memories.search(text, { limit: 50 })).map(({ memory }) => memory.id);
        expect(fifty.slice(0, 10), text).toEqual(ten);
        const tenTurns = (await conversations.search(text, { limit: 10 })).map(({ message }) => message.seq);
        const fiftyTurns = (await conversations.search(text, { limit: 50 })).map(({ message }) => message.seq);
        expect(fiftyTurns.slice(0, 10), text).toEqual(tenTurns);
      }
    }
  },
);

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { expect, test } from "vitest";

const file = join(process.env.HOLDFAST_TEST_DATA ?? "", "locomo-dev.json");

interface Turn {
  readonly speaker: string;
  readonly dia_id: string;
  readonly text: string;
}

// Skipped, and reported as skipped, if HOLDFAST_TEST_DATA is not a folder with the file; see bench/search-quality.ts.
test.skipIf(!existsSync(file))("questions find the turns that answer them: recall@10 is at least 0.61", async () => {
  const conversations = JSON.parse(readFileSync(file, "utf8")) as {
    conversation: Record<string, unknown>;
    qa: { question: string; evidence?: string[]; category: number }[];
  }[];
  await using storage = await openStorage(":memory:");
  let recall = 0;
  let questions = 0;
  for (const [number, { conversation, qa }] of conversations.entries()) {
    const { memories } = storage.project(`conversation-${number}`);
    const turns = Object.keys(conversation)
      .filter((key) => /^session_\d+$/.test(key))
      .sort((a, b) => Number(a.slice(8)) - Number(b.slice(8)))
      .flatMap((key) => conversation[key] as Turn[]);
    await memories.insertMany(
      turns.map(({ speaker, dia_id, text }) => ({ id: dia_id, content: `${speaker}: ${text}` })),
    );
    const known = new Set(turns.map(({ dia_id }) => dia_id));
    for (const { question, evidence = [], category } of qa) {
      const wanted = new Set(evidence.filter((id) => known.has(id)));
      if (wanted.size === 0 || category === 5) continue;
      const found = await memories.search(question);
      recall += found.filter(({ memory }) => wanted.has(memory.id)).length / wanted.size;
      questions++;
    }
  }
  expect(questions).toBeGreaterThan(700);
  expect(recall / questions).toBeGreaterThanOrEqual(0.61);
});

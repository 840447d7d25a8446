import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { tempDatabase } from "../../support/temp.js";

const WRITERS = 3;
const APPENDS = 50;

test("concurrent appends of three processes to one conversation number it from 1 without gaps or repeats", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  const { id } = await storage.conversations.insert();
  const input = (writer: number) => ({ path: db.path, id, writer: `w${writer}`, count: APPENDS });
  const children = Array.from({ length: WRITERS }, (_, writer) => startChild("append", input(writer)));
  try {
    await Promise.all(children.map((child) => child.message<{ ready?: boolean }>(({ ready }) => ready === true)));
    for (const child of children) child.send("go");
    const answers = await Promise.all(
      children.map((child) => child.message<{ seqs?: number[] }>(({ seqs }) => seqs !== undefined)),
    );
    const seqs = answers.flatMap((answer) => answer.seqs!);
    const expected = Array.from({ length: WRITERS * APPENDS }, (_, i) => i + 1);
    expect(seqs.sort((a, b) => a - b)).toEqual(expected);
    const { items } = await storage.conversations.messages(id, { limit: Number.POSITIVE_INFINITY });
    expect(items.map(({ seq }) => seq)).toEqual(expected);
    expect(await storage.conversations.search("w1 says 49")).not.toEqual([]);
  } finally {
    await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
  }
});

test("a client killed between commit and acknowledgement repeats its clientIds and stores nothing twice", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  const { id } = await storage.conversations.insert();
  await using child = startChild("append", { path: db.path, id, writer: "w", crashAfter: 7 });
  await child.message<{ ready?: boolean }>(({ ready }) => ready === true);
  child.send("go");
  expect((await child.exited).signal).toBe("SIGKILL");
  const before = (await storage.conversations.get(id))!.messageCount;
  expect(before).toBeGreaterThanOrEqual(7);
  const again = Array.from({ length: 20 }, (_, n) => ({
    role: "user" as const,
    content: `w says ${n}`,
    clientId: `w-${n}`,
  }));
  const stored = await storage.conversations.append(id, again);
  expect(stored.map(({ seq, content }) => [seq, content])).toEqual(again.map(({ content }, n) => [n + 1, content]));
  expect((await storage.conversations.get(id))!.messageCount).toBe(20);
});

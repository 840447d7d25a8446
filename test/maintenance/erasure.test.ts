import type { Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { tempFileStorage } from "../support/storage.js";

/** Words that the index keeps as they are, in small letters. */
const SECRET = "Q7f3kzvt9pwm2xx";
const KEPT = "R8g4lawu1qxn3yy";
const NEEDLES = [SECRET, SECRET.toLowerCase(), SECRET.slice(4, 12)];

const traces = (path: string) => runChild<Record<string, number>>("find-bytes", { path, texts: NEEDLES });
const longText = (word: string) => `${word} ${"and more of it ".repeat(500)}${word}`;

/** Some of what stays, and the secret in every area, in all its parts. */
async function fill(storage: Storage, project: string): Promise<void> {
  const own = storage.project(project);
  for (let i = 0; i < 30; i++) await own.memories.insert({ content: `${KEPT} number ${i}` });
  await own.sessions.start({ id: "s", metadata: { secret: SECRET } } as never).catch(() => own.sessions.start("s"));
  await own.memories.insert({ id: "m", content: longText(SECRET), metadata: { secret: SECRET } });
  await own.memories.insert({ id: "short", content: `so ${SECRET} ends` });
  await own.conversations.insert({
    id: "c",
    title: SECRET,
    tags: [SECRET],
    messages: [
      { id: "msg", role: "user", content: longText(SECRET), tags: [SECRET] },
      { role: "assistant", content: `yes, ${SECRET}` },
    ],
  });
  await own.graph.addNodes([
    { id: "n1", kind: "k", name: SECRET, labels: [SECRET], data: { secret: SECRET } },
    { id: "n2", kind: "k", name: KEPT },
  ]);
  await own.graph.addEdges([{ from: "n1", to: "n2", type: "t", data: { secret: SECRET } }]);
  await own.stories.saveStory("story", { title: SECRET, body: longText(SECRET) });
  await own.stories.saveStory("story", { title: SECRET, body: `changed ${SECRET}` });
  await own.stories.searchStories(SECRET);
  await own.memories.search(SECRET);
}

describe("what is purged is in the file no more", () => {
  test("neither its text nor its index terms, while the storage is open and after it is closed", async () => {
    await using home = await tempFileStorage();
    const { storage, db } = home;
    await fill(storage, "default");
    expect(Object.keys(await traces(db.path)).length).toBeGreaterThan(0);
    await storage.memories.purge("m");
    await storage.memories.purge("short");
    await storage.conversations.purge("c");
    await storage.graph.deleteNode("n1");
    await storage.client.execute("DELETE FROM sessions");
    await storage.stories.clear();
    expect(await traces(db.path)).toEqual({});
    expect(await storage.memories.search(KEPT)).toHaveLength(10);
    const { findings } = await storage.check({ deep: true });
    expect(findings.filter(({ severity }) => severity !== "info")).toEqual([]);
    await storage.close();
    expect(await traces(db.path)).toEqual({});
  });

  test("of a project", async () => {
    await using home = await tempFileStorage();
    const { storage, db } = home;
    await fill(storage, "gone");
    await storage.project("stays").memories.insert({ content: KEPT });
    await storage.purgeProject("gone");
    expect(await traces(db.path)).toEqual({});
    expect(await storage.project("stays").memories.count()).toBe(1);
  });

  test("by prune, and by a transaction", async () => {
    await using home = await tempFileStorage();
    const { storage, db } = home;
    await fill(storage, "default");
    await storage.transaction(async (tx) => {
      await tx.memories.purge("m");
      await tx.graph.deleteNode("n1");
    });
    await storage.client.execute("DELETE FROM sessions");
    await storage.prune({ maxRows: 0 });
    expect(await traces(db.path)).toEqual({});
  });

  test("once a reader of an older state has ended", async () => {
    await using home = await tempFileStorage();
    const { storage, db } = home;
    await fill(storage, "default");
    const reading = await storage.client.transaction("read");
    await reading.execute("SELECT count(*) FROM memories");
    await storage.purgeProject("default");
    // What the reader may still ask for has to be there.
    expect(Object.keys(await traces(db.path)).length).toBeGreaterThan(0);
    reading.close();
    await expect.poll(() => traces(db.path), { timeout: 30_000 }).toEqual({});
  });

  test("many purges at once share the work that each waits for", async () => {
    await using home = await tempFileStorage();
    const { storage, db } = home;
    await storage.memories.insertMany(Array.from({ length: 200 }, (_, i) => ({ id: `m${i}`, content: SECRET })));
    await Promise.all(Array.from({ length: 200 }, (_, i) => storage.memories.purge(`m${i}`)));
    expect(await traces(db.path)).toEqual({});
  });
});

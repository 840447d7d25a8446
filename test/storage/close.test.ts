import { openStorage, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const LONG = "word ".repeat(20_000);

/** Writes that take several steps: they make the terms of a long text first, or read before they write. */
const WRITES: Record<string, (s: Storage, text: string) => Promise<unknown>> = {
  insert: (s, content) => s.memories.insert({ content }),
  "insert of a project": (s, content) => s.project("p").memories.insert({ content }),
  insertMany: (s, content) => s.memories.insertMany([{ content }, { content }]),
  "insertMany over others": (s, content) => s.memories.insertMany([{ id: "m", content }], { onConflict: "replace" }),
  put: (s, content) => s.memories.put("m", { content }),
  update: (s, content) => s.memories.update("m", { content }),
  restore: (s) => s.memories.restore("deleted"),
  "insert of a conversation": (s, content) => s.conversations.insert({ messages: [{ role: "user", content }] }),
  "insertMany of conversations": (s, content) =>
    s.conversations.insertMany([{ id: "c", messages: [{ role: "user", content }] }], { onConflict: "replace" }),
  append: (s, content) => s.conversations.append("c", { role: "user", content }),
  "append with a client id": (s, content) => s.conversations.append("c", { role: "user", content, clientId: "x" }),
  "append of several": (s, content) =>
    s.conversations.append("c", [
      { role: "user", content },
      { role: "user", content, clientId: "x" },
    ]),
  updateMessage: (s, content) => s.conversations.updateMessage("message", { content }),
  fork: (s) => s.conversations.fork("c"),
  saveStory: (s, text) => s.stories.saveStory("s", { text }),
  updateStory: (s, text) => s.stories.saveStory("saved", { text }),
};

async function openFilled(url: string): Promise<Storage> {
  const storage = await openStorage(url);
  await storage.memories.insertMany([
    { id: "m", content: "x" },
    { id: "deleted", content: LONG },
  ]);
  await storage.memories.delete("deleted");
  await storage.conversations.insert({ id: "c", messages: [{ id: "message", role: "user", content: "x" }] });
  await storage.stories.saveStory("saved", { text: "x" });
  return storage;
}

describe("close finishes writes of several steps,", () => {
  test.each(Object.keys(WRITES))("%s, on a file and in memory, of a short and of a long text", async (name) => {
    await using db = await tempDatabase();
    for (const url of [db.path, ":memory:"]) {
      for (const text of ["word", LONG]) {
        const storage = await openFilled(url === ":memory:" ? url : `${db.path}-${text.length}`);
        const changed = new Set<string>();
        storage.on("change", ({ action }) => changed.add(action));
        const running = WRITES[name]!(storage, text);
        await Promise.all([storage.close(), storage.close()]);
        await running;
        expect(changed.size).toBeGreaterThan(0);
        expect(await rejection(storage.memories.count())).toMatchObject({ code: "CLOSED" });
      }
    }
  });

  test("which are stored", async () => {
    await using db = await tempDatabase();
    const storage = await openFilled(db.path);
    const running = [storage.memories.put("m", { content: LONG }), storage.memories.insert({ content: LONG })];
    await storage.close();
    await Promise.all(running);
    await using again = await openStorage(db.path);
    expect(await again.memories.count()).toBe(2);
    expect((await again.memories.require("m")).content).toBe(LONG);
    expect((await again.check({ deep: true })).ok).toBe(true);
  });

  test("also if a listener of theirs closes the storage", async () => {
    await using db = await tempDatabase();
    for (const url of [db.path, ":memory:"]) {
      const storage = await openFilled(url);
      const closed = new Promise<void>((resolve) => {
        storage.on("change", async () => {
          await storage.close();
          resolve();
        });
      });
      await storage.memories.put("m", { content: LONG });
      await closed;
    }
  });

  test("also if they wait for a transaction whose callback waits for close", async () => {
    await using db = await tempDatabase();
    for (const url of [db.path, ":memory:"]) {
      const storage = await openFilled(url);
      let begun = () => {};
      const write = new Promise<void>((resolve) => {
        begun = resolve;
      }).then(() => storage.memories.put("m", { content: "y" }));
      const transaction = storage.transaction(async (tx) => {
        await tx.memories.insert({ id: "rolled back", content: "x" });
        begun();
        await new Promise((resolve) => setImmediate(resolve));
        await storage.close();
      });
      const failure = rejection(transaction);
      expect(await write).toMatchObject({ id: "m", content: "y" });
      expect(await failure).toMatchObject({ code: expect.stringMatching(/^(?:CLOSED|TRANSACTION_CLOSED)$/) });
    }
    await using again = await openStorage(db.path);
    expect(await again.memories.get("rolled back")).toBeUndefined();
    expect(await again.memories.get("m")).toMatchObject({ content: "y" });
  });

  test("but not those that begin while it waits, which would keep it from closing", async () => {
    await using db = await tempDatabase();
    const storage = await openFilled(db.path);
    let count = 0;
    const loop = async () => {
      for (;;) {
        await storage.memories.put("m", { content: LONG });
        count++;
      }
    };
    const loops = [rejection(loop()), rejection(loop())];
    await storage.close();
    for (const end of loops) expect(await end).toMatchObject({ code: "CLOSED" });
    expect(count).toBeGreaterThan(0);
  });
});

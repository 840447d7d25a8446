import type { ConversationRepository } from "holdfast";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../support/random.js";
import { tempStorage, testTarget } from "../../support/storage.js";

async function open() {
  const temp = await tempStorage();
  const { storage } = temp;
  const rows = async (table: string) => (await storage.health()).tables.find((one) => one.table === table)!.rows;
  return { ...temp, conversations: storage.conversations, rows };
}

const say = (content: string) => ({ role: "user" as const, content });
const contents = async (conversations: ConversationRepository, id: string) =>
  (await conversations.messages(id, { limit: Number.POSITIVE_INFINITY })).items.map(({ content }) => content);

describe("a fork", () => {
  test("shows the same records up to its point, counts on from there, and leaves the source alone", async () => {
    await using db = await open();
    await db.conversations.insert({ id: "a", title: "talk" });
    const shared = await db.conversations.append("a", ["1", "2", "3"].map(say));
    const fork = await db.conversations.fork("a", { atSeq: 2, title: "other way" });
    expect(fork).toMatchObject({ title: "other way", messageCount: 2, forkedFrom: { id: "a", seq: 2 } });
    expect(await db.rows("messages")).toBe(3);
    const own = await db.conversations.append(fork.id, say("three"));
    expect(own).toMatchObject({ seq: 3, conversationId: fork.id });
    expect((await db.conversations.messages(fork.id)).items).toEqual([shared[0], shared[1], own]);
    expect(await contents(db.conversations, "a")).toEqual(["1", "2", "3"]);
    expect((await db.conversations.messages(fork.id, { after: 1, limit: 1 })).items).toEqual([shared[1]]);
    expect(await db.conversations.window(fork.id, { lastMessages: 2 })).toEqual([shared[1], own]);
    await db.conversations.updateMessage(shared[0]!.id, { content: "one" });
    expect(await contents(db.conversations, fork.id)).toEqual(["one", "2", "three"]);
    expect(await db.conversations.fork("a")).toMatchObject({ title: "talk", messageCount: 3 });
    const empty = await db.conversations.fork("a", { atSeq: 0 });
    expect(await db.conversations.append(empty.id, say("first"))).toMatchObject({ seq: 1 });
    await expect(db.conversations.fork("a", { atSeq: 4 })).rejects.toThrow(RangeError);
    await expect(db.conversations.fork("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("of a long conversation is one row", async () => {
    await using db = await open();
    await db.conversations.insert({ id: "a" });
    await db.conversations.append(
      "a",
      Array.from({ length: 5_000 }, (_, i) => say(`turn ${i}`)),
    );
    const fork = await db.conversations.fork("a");
    expect([await db.rows("conversations"), await db.rows("messages")]).toEqual([2, 5_000]);
    expect((await db.conversations.messages(fork.id, { after: 4_998 })).items.map(({ seq }) => seq)).toEqual([
      4_999, 5_000,
    ]);
  });

  test("stays whole when its source is deleted or purged, and is found once", async () => {
    for (const end of ["delete", "purge"] as const) {
      await using db = await open();
      await db.conversations.insert({ id: "a", tags: ["source"] });
      const [shared] = await db.conversations.append("a", [say("shared walrus"), say("private pelican")]);
      await db.conversations.linkRef(shared!.id, { kind: "k", target: "t" });
      const first = await db.conversations.fork("a", { atSeq: 1 });
      const second = await db.conversations.fork("a", { atSeq: 1 });
      await db.conversations.tag(first.id, "older");
      const found = async (text: string, options = {}) =>
        (await db.conversations.search(text, options)).map(({ message, conversationId }) => [
          message.id,
          conversationId,
        ]);
      expect(await found("walrus")).toEqual([[shared!.id, "a"]]);
      expect(await found("walrus", { conversationId: second.id })).toEqual([[shared!.id, second.id]]);
      await db.conversations[end]("a");
      expect(await db.conversations.get("a")).toBeUndefined();
      expect(await contents(db.conversations, first.id)).toEqual(["shared walrus"]);
      expect(await found("walrus")).toEqual([[shared!.id, first.id]]);
      expect(await found("walrus", { tags: ["older"] })).toEqual([[shared!.id, first.id]]);
      expect(await found("walrus", { tags: ["source"] })).toEqual([]);
      expect(await found("pelican")).toEqual([]);
      expect(await db.conversations.message(shared!.id)).toEqual(shared);
      expect(await db.conversations.byRef("k", "t")).toEqual([shared]);
      await db.conversations.delete(first.id);
      expect(await found("walrus")).toEqual([[shared!.id, second.id]]);
      await db.conversations.delete(second.id);
      expect(await found("walrus")).toEqual([]);
      expect(await db.conversations.message(shared!.id)).toBeUndefined();
      await db.conversations.restore(second.id);
      expect(await found("walrus")).toEqual([[shared!.id, second.id]]);
    }
  });

  test("removes the rest of a purged source when it is purged itself", async () => {
    await using db = await open();
    await db.conversations.insert({ id: "a" });
    await db.conversations.append("a", ["1", "2", "3"].map(say));
    const b = await db.conversations.fork("a", { atSeq: 2 });
    await db.conversations.append(b.id, say("b3"));
    const c = await db.conversations.fork(b.id, { atSeq: 3 });
    await db.conversations.purge("a");
    expect(await db.rows("messages")).toBe(3);
    await expect(db.conversations.insert({ id: "a" })).rejects.toMatchObject({ code: "CONFLICT" });
    await db.conversations.purge(b.id);
    expect(await contents(db.conversations, c.id)).toEqual(["1", "2", "b3"]);
    await db.conversations.purge(c.id);
    expect([await db.rows("messages"), await db.rows("conversations")]).toEqual([0, 0]);
    await db.conversations.insert({ id: "a" });
  });
});

test("random forks, appends, deletions and purges agree with a plain model", async () => {
  const random = seededRandom("forks");
  await using db = await open();
  /** What each conversation shows, and where it was written. */
  const model = new Map<string, { turns: string[]; isDeleted: boolean }>();
  let counter = 0;
  const living = () => [...model].filter(([, { isDeleted }]) => !isDeleted).map(([id]) => id);
  for (let step = 0; step < (testTarget === "file" ? 400 : 100); step++) {
    const ids = living();
    const action = ids.length < 2 ? 0 : random.below(12);
    const id = ids.length > 0 ? random.pick(ids) : "";
    if (action <= 1) {
      const created = await db.conversations.insert({ id: `c${counter++}` });
      model.set(created.id, { turns: [], isDeleted: false });
    } else if (action <= 5) {
      const added = Array.from({ length: 1 + random.below(3) }, () => `word${counter++}`);
      await db.conversations.append(id, added.map(say));
      model.get(id)!.turns.push(...added);
    } else if (action <= 8) {
      const { turns } = model.get(id)!;
      const atSeq = random.below(turns.length + 1);
      const fork = await db.conversations.fork(id, { atSeq, id: `c${counter++}` });
      model.set(fork.id, { turns: turns.slice(0, atSeq), isDeleted: false });
    } else if (action === 9) {
      await db.conversations.delete(id);
      model.get(id)!.isDeleted = true;
    } else if (action === 10) {
      const deleted = [...model].filter(([, { isDeleted }]) => isDeleted);
      if (deleted.length === 0) continue;
      const [back, state] = random.pick(deleted);
      expect(await db.conversations.restore(back), `seed ${random.seed}`).toBe(true);
      state.isDeleted = false;
    } else {
      const gone = random.pick([...model.keys()]);
      expect(await db.conversations.purge(gone), `seed ${random.seed}`).toBe(true);
      model.delete(gone);
    }
  }
  const shown = new Set<string>();
  for (const id of living()) {
    const { turns } = model.get(id)!;
    for (const turn of turns) shown.add(turn);
    expect(await contents(db.conversations, id), `seed ${random.seed}, ${id}`).toEqual(turns);
    expect((await db.conversations.get(id))?.messageCount).toBe(turns.length);
    const window = await db.conversations.window(id, { lastMessages: 3 });
    expect(window.map(({ content }) => content)).toEqual(turns.slice(-3));
  }
  const recent = await db.conversations.search("", { limit: Number.POSITIVE_INFINITY });
  expect(recent.map(({ message }) => message.content).sort(), `seed ${random.seed}`).toEqual([...shown].sort());
  for (const turn of [...shown].slice(0, 40)) {
    const found = await db.conversations.search(turn);
    expect(
      found.map(({ message }) => message.content),
      `seed ${random.seed}`,
    ).toEqual([turn]);
    expect(model.get(found[0]!.conversationId)?.turns, `seed ${random.seed}`).toContain(turn);
  }
  const [total] = await db.storage.projects();
  expect(total?.count ?? 0, `seed ${random.seed}`).toBe(living().length + shown.size);
  for (const id of model.keys()) await db.conversations.purge(id);
  expect([await db.rows("messages"), await db.rows("conversations")], `seed ${random.seed}`).toEqual([0, 0]);
});

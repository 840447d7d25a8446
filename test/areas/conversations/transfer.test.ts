import type { ConversationDocument } from "holdfast";
import { describe, expect, test } from "vitest";
import { tempStorage } from "../../support/storage.js";

async function open() {
  const temp = await tempStorage();
  const { storage } = temp;
  const rows = async () => Object.fromEntries((await storage.health()).tables.map(({ table, rows }) => [table, rows]));
  const { conversations } = storage.project("here");
  const there = storage.project("there").conversations;
  return { ...temp, conversations, there, rows };
}

const say = (content: string, more = {}) => ({ role: "user" as const, content, ...more });

async function fill(conversations: Awaited<ReturnType<typeof open>>["conversations"]) {
  await conversations.insert({ id: "c", title: "t", tags: ["x"], metadata: { k: [1] }, createdAt: new Date(1) });
  await conversations.append("c", [
    say("one", { id: "m1", clientId: "k", tags: ["y"], metadata: { a: 1 }, createdAt: new Date(2) }),
    say("two", { id: "m2" }),
  ]);
  await conversations.linkRef("m1", { kind: "commit", target: "abc", score: 0.5 });
  await conversations.addSummary("c", { date: "2026-01-01", title: "s", text: "t" });
}

describe("export and import", () => {
  test("carry the whole of a conversation through JSON, and importing twice changes nothing", async () => {
    await using db = await open();
    await fill(db.conversations);
    const document = await db.conversations.export("c");
    const text = JSON.stringify(document);
    expect(JSON.parse(text)).toEqual(document);
    const imported = await db.there.import(JSON.parse(text));
    expect(imported).toEqual({ ...(await db.conversations.get("c"))!, project: "there" });
    expect(await db.there.export("c")).toEqual(document);
    expect((await db.there.search("two"))[0]?.message.id).toBe("m2");
    expect(await db.there.byRef("commit", "abc")).toHaveLength(1);
    const before = await db.rows();
    await db.there.import(JSON.parse(text));
    expect(await db.rows()).toEqual(before);
    expect(await db.there.export("c")).toEqual(document);
    // The client ids are known as well.
    expect(await db.there.append("c", say("one", { clientId: "k", metadata: { a: 1 } }))).toMatchObject({ id: "m1" });
  });

  test("continue a conversation that has only the beginning, and leave one alone that has more", async () => {
    await using db = await open();
    await fill(db.conversations);
    const short = await db.conversations.export("c");
    await db.conversations.append("c", say("three", { id: "m3" }));
    const long = await db.conversations.export("c");
    await db.there.import(short);
    expect(await db.there.import(long)).toMatchObject({ messageCount: 3 });
    expect(await db.there.import(short)).toMatchObject({ messageCount: 3 });
    await db.there.append("c", say("another", { id: "other" }));
    await db.conversations.append("c", say("four", { id: "m4" }));
    await expect(db.there.import(await db.conversations.export("c"))).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await db.there.get("c")).toMatchObject({ messageCount: 4 });
  });

  test("link a fork to its source where that is, in either order, and bring the prefix where it is not", async () => {
    await using db = await open();
    await fill(db.conversations);
    const { id } = await db.conversations.fork("c", { atSeq: 1, id: "f" });
    await db.conversations.append(id, say("aside", { id: "f2" }));
    const [source, fork] = [await db.conversations.export("c"), await db.conversations.export("f")];
    expect(fork.messages.map(({ id, conversationId }) => [id, conversationId])).toEqual([
      ["m1", "c"],
      ["f2", "f"],
    ]);
    for (const [name, order] of [
      ["source first", [source, fork]],
      ["fork first", [fork, source]],
    ] as const) {
      const { conversations } = db.storage.project(name);
      for (const document of order) await conversations.import(document);
      for (const document of order) await conversations.import(document);
      const contents = async (id: string) => (await conversations.messages(id)).items.map(({ content }) => content);
      expect(await contents("c"), name).toEqual(["one", "two"]);
      expect(await contents("f"), name).toEqual(["one", "aside"]);
      expect(await conversations.get("f")).toMatchObject({ forkedFrom: { id: "c", seq: 1 } });
      expect(await conversations.search("one"), name).toHaveLength(1);
      // Two conversations, three messages: the first is shared.
      expect((await db.storage.projects()).find(({ project }) => project === name)?.count).toBe(5);
      await conversations.purge("c");
      expect(await contents("f"), name).toEqual(["one", "aside"]);
      // A purged source whose beginning a fork has kept comes back.
      await conversations.import(source);
      expect(await contents("c"), name).toEqual(["one", "two"]);
      expect(await conversations.get("c")).toMatchObject({ title: "t", tags: ["x"] });
    }
  });

  test("refuse ids that other records have, and store nothing", async () => {
    await using db = await open();
    await fill(db.conversations);
    const document = await db.conversations.export("c");
    await db.there.insert({ id: "other" });
    await db.there.append("other", say("x", { id: "m2" }));
    const before = await db.rows();
    await expect(db.there.import(document)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await db.rows()).toEqual(before);
    await db.conversations.delete("c");
    await expect(db.conversations.import(document)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("of a purged conversation bring it back, but never what only its forks show", async () => {
    await using db = await open();
    const { conversations } = db;
    const turn = (id: string) => say(id, { id });
    await conversations.insert({ id: "a", messages: [turn("1")] });
    const early = await conversations.export("a");
    await conversations.append("a", [turn("2"), turn("3")]);
    const late = await conversations.export("a");
    const fork = await conversations.fork("a", { atSeq: 2 });
    await conversations.purge("a");
    await expect(conversations.import(early)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await conversations.get("a")).toBeUndefined();
    await conversations.import(late);
    const ids = async (id: string) => (await conversations.messages(id)).items.map((message) => message.id);
    expect(await ids("a")).toEqual(["1", "2", "3"]);
    expect(await ids(fork.id)).toEqual(["1", "2"]);
  });

  test.each<[string, (document: ConversationDocument) => unknown]>([
    ["nothing", () => undefined],
    ["text", () => "{}"],
    ["another format", (d) => ({ ...d, format: "x" })],
    ["a later version", (d) => ({ ...d, version: 2 })],
    ["no messages", (d) => ({ ...d, messages: undefined })],
    ["a message that is none", (d) => ({ ...d, messages: [null] })],
    ["an unknown role", (d) => ({ ...d, messages: [{ ...d.messages[0], role: "x" }] })],
    ["a gap", (d) => ({ ...d, messages: [d.messages[1]] })],
    ["an id twice", (d) => ({ ...d, messages: [d.messages[0], { ...d.messages[1], id: "m1" }] })],
    ["a time that is none", (d) => ({ ...d, conversation: { ...d.conversation, createdAt: "yesterday" } })],
    ["a ref to another message", (d) => ({ ...d, refs: [{ ...d.refs[0], messageId: "z" }] })],
    ["a summary without a day", (d) => ({ ...d, summaries: [{ ...d.summaries[0], date: "x" }] })],
    ["an unknown field", (d) => ({ ...d, conversation: { ...d.conversation, owner: "me" } })],
  ])("refuse %s", async (_, spoil) => {
    await using db = await open();
    await fill(db.conversations);
    const junk = spoil(await db.conversations.export("c")) as ConversationDocument;
    const failure: unknown = await db.there.import(junk).catch((error) => error);
    expect(failure instanceof TypeError || failure instanceof RangeError, String(failure)).toBe(true);
    expect(await db.there.get("c")).toBeUndefined();
  });
});

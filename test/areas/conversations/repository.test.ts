import type { Change, StorageError } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { fileTest, tempFileStorage, tempStorage } from "../../support/storage.js";

const roleOf = (i: number) => (i % 2 === 0 ? ("user" as const) : ("assistant" as const));
const turns = (...contents: string[]) => contents.map((content, i) => ({ role: roleOf(i), content }));

async function open(options = {}) {
  const temp = await tempStorage(options);
  return { ...temp, conversations: temp.storage.conversations };
}

describe("a conversation", () => {
  test("is given back as it was stored, with defaults for what was left out", async () => {
    await using db = await open({ now: () => 1_000 });
    const bare = await db.conversations.insert();
    expect(bare).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      project: "default",
      title: null,
      tags: [],
      metadata: {},
      messageCount: 0,
      forkedFrom: null,
      createdAt: new Date(1_000),
      updatedAt: new Date(1_000),
      deletedAt: null,
    });
    const full = await db.conversations.insert({
      id: "c",
      title: "Tülay",
      tags: ["a", "b", "a"],
      metadata: { n: [1] },
    });
    expect(full).toMatchObject({ id: "c", title: "Tülay", tags: ["a", "b"], metadata: { n: [1] } });
    expect(await db.conversations.get("c")).toEqual(full);
    expect(await db.conversations.get(bare.id)).toEqual(bare);
    expect(await db.conversations.getMany(["c", "none", bare.id])).toEqual([full, bare]);
    expect(await db.conversations.require("c")).toEqual(full);
    await expect(db.conversations.require("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await db.conversations.get("none")).toBeUndefined();
  });

  test("shares its namespace with messages, deleted ones included", async () => {
    await using db = await open();
    await db.conversations.insert({ id: "c" });
    await db.conversations.append("c", { id: "m", role: "user", content: "one" });
    const conflict = (work: Promise<unknown>) => expect(work).rejects.toMatchObject({ code: "CONFLICT" });
    await conflict(db.conversations.insert({ id: "c" }));
    await conflict(db.conversations.insert({ id: "m" }));
    await conflict(db.conversations.append("c", { id: "c", role: "user", content: "two" }));
    await conflict(db.conversations.append("c", { id: "m", role: "user", content: "two" }));
    await conflict(db.conversations.insertMany([{ id: "new" }, { id: "c" }]));
    expect(await db.conversations.get("new")).toBeUndefined();
    await db.conversations.delete("c");
    await conflict(db.conversations.insert({ id: "c" }));
    const failure: StorageError = await db.conversations.insert({ id: "m" }).catch((error) => error);
    expect(failure).toMatchObject({ table: "messages", columns: ["project", "id"] });
  });

  test("is updated field by field, and not at all when unknown or deleted", async () => {
    let time = 1;
    await using db = await open({ now: () => time });
    await db.conversations.insert({ id: "c", title: "t", tags: ["a"], metadata: { k: 1 } });
    time = 2;
    expect(await db.conversations.update("c", { title: "u", tags: undefined })).toMatchObject({
      title: "u",
      tags: ["a"],
      metadata: { k: 1 },
      updatedAt: new Date(2),
    });
    expect(await db.conversations.update("c", { title: null, tags: [], metadata: {} })).toMatchObject({
      title: null,
      tags: [],
      metadata: {},
    });
    expect(await db.conversations.update("none", { title: "x" })).toBeUndefined();
    await db.conversations.delete("c");
    expect(await db.conversations.update("c", { title: "x" })).toBeUndefined();
  });

  test("that is deleted is hidden until it is restored, and gone once it is purged", async () => {
    await using db = await open();
    await db.conversations.insert({ id: "c", tags: ["t"] });
    await db.conversations.append("c", { id: "m", role: "user", content: "hidden words", tags: ["m"] });
    await db.conversations.linkRef("m", { kind: "file", target: "a.ts" });
    await db.conversations.addSummary("c", { date: "2026-01-01", title: "s", text: "t" });
    expect(await db.conversations.delete("c")).toBe(true);
    expect(await db.conversations.delete("c")).toBe(false);
    expect(await db.conversations.get("c")).toBeUndefined();
    expect((await db.conversations.get("c", { includeDeleted: true }))?.deletedAt).toBeInstanceOf(Date);
    await expect(db.conversations.messages("c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(db.conversations.window("c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(db.conversations.fork("c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(db.conversations.export("c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(db.conversations.append("c", turns("x"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(db.conversations.linkRef("m", { kind: "k", target: "t" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect(await db.conversations.message("m")).toBeUndefined();
    expect(await db.conversations.updateMessage("m", { content: "x" })).toBeUndefined();
    expect(await db.conversations.refs("m")).toEqual([]);
    expect(await db.conversations.byRef("file", "a.ts")).toEqual([]);
    expect(await db.conversations.summaries()).toEqual([]);
    expect(await db.conversations.tags()).toEqual([]);
    expect(await db.conversations.search("hidden")).toEqual([]);
    expect(await db.conversations.search("")).toEqual([]);
    expect((await db.conversations.list()).items).toEqual([]);
    expect(await db.storage.projects()).toEqual([]);
    expect(await db.conversations.restore("c")).toBe(true);
    expect(await db.conversations.restore("c")).toBe(false);
    expect(await db.conversations.search("hidden")).toHaveLength(1);
    expect(await db.conversations.tags()).toHaveLength(2);
    expect(await db.conversations.purge("c")).toBe(true);
    expect(await db.conversations.purge("c")).toBe(false);
    expect(await db.conversations.get("c", { includeDeleted: true })).toBeUndefined();
    expect((await db.storage.health()).tables.filter(({ rows }) => rows > 0)).toEqual([]);
    // Its ids are free again.
    await db.conversations.insert({ id: "c" });
    await db.conversations.append("c", { id: "m", role: "user", content: "again" });
  });
});

describe("conversations stored with their messages", () => {
  test("are as if the messages had been appended", async () => {
    await using db = await open({ now: () => 5 });
    const messages = [
      { role: "system", content: "" },
      { id: "call", role: "assistant", content: 'a walrus " and \\ and 数据', metadata: { toolCalls: [{ id: "x" }] } },
      { role: "tool", content: "🎉\n", tags: ["t"], clientId: "k", createdAt: new Date(7) },
      { role: "tool", content: "🎉\n", clientId: "k" },
    ] as const;
    const stored = await db.conversations.insert({ id: "at once", title: "t", messages });
    expect(stored).toMatchObject({ id: "at once", title: "t", messageCount: 3, updatedAt: new Date(5) });
    expect(await db.conversations.get("at once")).toEqual(stored);
    const other = db.storage.project("other").conversations;
    await other.insert({ id: "at once", title: "t" });
    await other.append("at once", messages);
    const { items } = await db.conversations.messages("at once");
    const appended = (await other.messages("at once")).items;
    expect(items).toEqual(appended.map((message, i) => ({ ...message, id: items[i]!.id })));
    expect(items.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(await db.conversations.search("walrus")).toMatchObject([{ message: items[1] }]);
    expect(await db.conversations.tags()).toEqual([{ tag: "t", count: 1 }]);
    const again = await db.conversations.append("at once", { role: "tool", content: "🎉\n", clientId: "k" });
    expect(again).toEqual({ ...items[2], repeated: true });
    const clash = [...messages, { role: "tool", content: "other", clientId: "k" }] as const;
    expect(await rejection(db.conversations.insert({ messages: clash }))).toMatchObject({ code: "CONFLICT" });
    expect(await db.conversations.append("at once", turns("next"))).toMatchObject([{ seq: 4 }]);
    expect(await db.conversations.insert({ messages: [] })).toMatchObject({ messageCount: 0 });
  });

  test("in thousands get every message into its place", async () => {
    await using db = await open();
    const sizes = [0, 1, 700, 1, 1_600, 0, 3];
    const inputs = sizes.map((size, c) => ({
      id: `c${c}`,
      messages: Array.from({ length: size }, (_, i) => ({ role: roleOf(i), content: `message ${i} of ${c}` })),
    }));
    const stored = await db.conversations.insertMany(inputs);
    expect(stored.map(({ messageCount }) => messageCount)).toEqual(sizes);
    for (const { id, messages } of inputs) {
      const { items } = await db.conversations.messages(id, { limit: 2_000 });
      expect(items.map(({ conversationId, seq, role, content }) => ({ conversationId, seq, role, content }))).toEqual(
        messages.map((message, i) => ({ conversationId: id, seq: i + 1, ...message })),
      );
    }
    expect(await db.conversations.search("1599")).toMatchObject([{ message: { conversationId: "c4", seq: 1_600 } }]);
  });

  test("are stored all or none, and announced after the commit", async () => {
    await using db = await open();
    const changes: Change[] = [];
    db.storage.on("change", (change) => changes.push(change));
    await db.conversations.insert({ id: "c", messages: [{ id: "m", ...turns("one")[0]! }] });
    expect(changes).toMatchObject([{ area: "conversations", action: "insert", ids: ["c", "m"] }]);
    const many = Array.from({ length: 1_500 }, (_, i) => ({ role: roleOf(i), content: "y" }));
    const refused = (last: object) =>
      db.conversations.insertMany([{ id: "new", messages: many }, last as { id: string }]).catch((error) => error);
    const message = { role: "user", content: "z" };
    for (const last of [
      { id: "c" },
      { messages: [{ ...message, id: "m" }] },
      { messages: [{ ...message, id: "c" }] },
      { id: "self", messages: [{ ...message, id: "self" }] },
      { messages: [{ ...message, id: "new" }] },
    ]) {
      expect(await refused(last), JSON.stringify(last)).toMatchObject({ code: "CONFLICT" });
    }
    for (const last of [{ messages: "z" }, { messages: [null] }, { messages: [{ role: "user" }] }, { message }, null]) {
      expect(await refused(last as object), JSON.stringify(last)).toBeInstanceOf(TypeError);
    }
    expect((await db.conversations.list()).items.map(({ id }) => id)).toEqual(["c"]);
    expect(await db.conversations.message("m")).toMatchObject({ seq: 1, content: "one" });
    expect(changes).toHaveLength(1);
  });
});

describe("messages", () => {
  test("get the next seq, one by one and many at once, and come back as they were stored", async () => {
    await using db = await open({ now: () => 5 });
    const { id } = await db.conversations.insert();
    const first = await db.conversations.append(id, { role: "system", content: "" });
    expect(first).toEqual({
      id: expect.any(String),
      conversationId: id,
      seq: 1,
      role: "system",
      content: "",
      metadata: {},
      tags: [],
      clientId: null,
      createdAt: new Date(5),
    });
    const call = {
      role: "assistant",
      content: 'quotes " and \\ and 数据',
      metadata: { toolCalls: [{ id: "x" }] },
      tags: ["t"],
      clientId: "k",
      createdAt: new Date(7),
    } as const;
    const more = await db.conversations.append(id, [
      call,
      { role: "tool", content: "🎉\n", metadata: { toolCallId: "x" } },
    ]);
    expect(more.map(({ seq }) => seq)).toEqual([2, 3]);
    expect((await db.conversations.messages(id)).items).toEqual([first, ...more]);
    expect(await db.conversations.message(more[0]!.id)).toEqual(more[0]);
    expect(await db.conversations.message("none")).toBeUndefined();
    expect(await db.conversations.append(id, [])).toEqual([]);
    await expect(db.conversations.append("none", [])).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await db.conversations.get(id)).toMatchObject({ messageCount: 3 });
  });

  test("of a failed append are not stored at all", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    await db.conversations.append(id, { id: "taken", role: "user", content: "x" });
    const many = Array.from({ length: 2_500 }, (_, i) => ({
      id: i === 2_400 ? "taken" : `m${i}`,
      role: roleOf(i),
      content: "y",
    }));
    await expect(db.conversations.append(id, many)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await db.conversations.get(id)).toMatchObject({ messageCount: 1 });
    const stored = await db.conversations.append(
      id,
      many.filter((message) => message.id !== "taken"),
    );
    expect(stored.map(({ seq }) => seq)).toEqual(Array.from({ length: 2_499 }, (_, i) => i + 2));
  });

  test("with a client id are stored once, however they are repeated", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    const first = await db.conversations.append(id, { role: "user", content: "hello", clientId: "a" });
    expect(await db.conversations.append(id, { role: "user", content: "hello", clientId: "a" })).toEqual({
      ...first,
      repeated: true,
    });
    const mixed = await db.conversations.append(id, [
      { role: "user", content: "two", clientId: "b" },
      { role: "user", content: "hello", clientId: "a" },
      { role: "user", content: "three" },
      { role: "user", content: "two", clientId: "b" },
    ]);
    expect(mixed.map(({ seq, content, repeated }) => [seq, content, repeated])).toEqual([
      [2, "two", undefined],
      [1, "hello", true],
      [3, "three", undefined],
      [2, "two", true],
    ]);
    const fork = await db.conversations.fork(id, { atSeq: 2 });
    expect(await db.conversations.append(fork.id, { role: "user", content: "hello", clientId: "a" })).toEqual({
      ...first,
      repeated: true,
    });
    expect(await db.conversations.append(fork.id, { role: "user", content: "x", clientId: "c" })).toMatchObject({
      seq: 3,
    });
    const other = await db.conversations.insert();
    expect(await db.conversations.append(other.id, { role: "user", content: "x", clientId: "a" })).toMatchObject({
      seq: 1,
    });
  });

  test("are read by pages, by seq and by role", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    await db.conversations.append(id, turns(..."abcdefghij"));
    const seqs = async (options: object) => (await db.conversations.messages(id, options)).items.map(({ seq }) => seq);
    expect(await seqs({ after: 3, before: 7 })).toEqual([4, 5, 6]);
    expect(await seqs({ roles: ["assistant"], limit: 3 })).toEqual([2, 4, 6]);
    expect(await seqs({ roles: [] })).toEqual([]);
    expect(await seqs({ limit: Number.POSITIVE_INFINITY })).toHaveLength(10);
    const paged: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await db.conversations.messages(id, { limit: 4, cursor });
      paged.push(...page.items.map(({ seq }) => seq));
      // A message that is added between two pages comes at the end.
      if (cursor === undefined) await db.conversations.append(id, turns("k"));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(paged).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    await expect(db.conversations.messages("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("are changed in place, and the index follows", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    const [message] = await db.conversations.append(id, turns("the draft mentions walruses"));
    expect(await db.conversations.search("walruses")).toMatchObject([{ message }]);
    const changed = await db.conversations.updateMessage(message!.id, {
      content: "it mentions pelicans",
      metadata: { done: true },
    });
    expect(changed).toEqual({ ...message, content: "it mentions pelicans", metadata: { done: true } });
    expect(await db.conversations.message(message!.id)).toEqual(changed);
    expect(await db.conversations.search("walruses")).toEqual([]);
    expect(await db.conversations.search("pelican")).toHaveLength(1);
    expect(await db.conversations.updateMessage("none", { content: "" })).toBeUndefined();
    expect(await db.conversations.updateMessage(message!.id, { metadata: {} })).toMatchObject({
      content: "it mentions pelicans",
    });
  });

  test("carry a checksum of the whole record that follows every change", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert();
    const [a, b] = await db.conversations.append(id, turns("same", "same"));
    const checksum = async (message: string) =>
      (await db.storage.client.execute({ sql: "SELECT checksum FROM messages WHERE id = ?", args: [message] }))
        .rows[0]![0] as string;
    const seen = [await checksum(a!.id), await checksum(b!.id)];
    expect(seen[0]).toMatch(/^[0-9a-f]{16}\.1$/);
    expect(seen[1]).toMatch(/^[0-9a-f]{16}\.2$/);
    await db.conversations.tag(a!.id, "t");
    seen.push(await checksum(a!.id));
    await db.conversations.updateMessage(a!.id, { metadata: { x: 1 } });
    seen.push(await checksum(a!.id));
    await db.conversations.updateMessage(a!.id, { content: "other" });
    seen.push(await checksum(a!.id));
    expect(new Set(seen).size).toBe(5);
    await db.conversations.updateMessage(a!.id, { content: "same", metadata: {} });
    await db.conversations.untag(a!.id, "t");
    expect(await checksum(a!.id)).toBe(seen[0]);
  });
});

describe("list", () => {
  test("shows the conversation updated last first, and an append is an update", async () => {
    let time = 0;
    await using db = await open({ now: () => ++time });
    for (const id of ["a", "b", "c"]) await db.conversations.insert({ id });
    await db.conversations.append("a", turns("x"));
    const ids = async (options: object) => (await db.conversations.list(options)).items.map(({ id }) => id);
    expect(await ids({})).toEqual(["a", "c", "b"]);
    expect(await ids({ order: "asc" })).toEqual(["b", "c", "a"]);
    expect(await ids({ orderBy: "createdAt" })).toEqual(["c", "b", "a"]);
    const [first] = (await db.conversations.messages("a")).items;
    await db.conversations.tag("b", "t");
    expect(await ids({ limit: 1 })).toEqual(["b"]);
    await db.conversations.updateMessage(first!.id, { content: "y" });
    expect(await ids({ limit: 1 })).toEqual(["a"]);
  });

  test("filters by ids, title, tags, metadata and times, and takes wildcards literally", async () => {
    await using db = await open();
    const add = (id: string, input: object, at: number) =>
      db.conversations.insert({ id, ...input, createdAt: new Date(at) });
    await add("a", { title: "100% done", tags: ["x", "y"], metadata: { team: "core", n: 1 } }, 10);
    await add("b", { title: "100 done", tags: ["y"], metadata: { team: "core" } }, 20);
    await add("c", { title: "ÄPFEL_und Birnen", tags: [] }, 30);
    const ids = async (options: object) =>
      (await db.conversations.list({ orderBy: "createdAt", order: "asc", ...options })).items.map(({ id }) => id);
    expect(await ids({ ids: ["c", "a", "none"] })).toEqual(["a", "c"]);
    expect(await ids({ ids: [] })).toEqual([]);
    expect(await ids({ titleContains: "100%" })).toEqual(["a"]);
    expect(await ids({ titleContains: "DONE" })).toEqual(["a", "b"]);
    expect(await ids({ titleContains: "äpfel_" })).toEqual(["c"]);
    expect(await ids({ titleContains: "_" })).toEqual(["c"]);
    // As from a search box that nobody has typed into.
    expect(await ids({ titleContains: "" })).toEqual(["a", "b", "c"]);
    expect(await ids({ tags: ["x", "y"] })).toEqual(["a"]);
    expect(await ids({ anyTag: ["x", "y"] })).toEqual(["a", "b"]);
    expect(await ids({ anyTag: [] })).toEqual([]);
    expect(await ids({ metadata: { team: "core", n: 1 } })).toEqual(["a"]);
    expect(await ids({ createdFrom: new Date(10), createdUntil: new Date(20) })).toEqual(["a", "b"]);
    expect(await ids({ updatedUntil: new Date(1) })).toEqual([]);
    expect(await ids({ updatedFrom: new Date(1) })).toEqual(["a", "b", "c"]);
  });

  test("pages by cursor without repeating or skipping, equal times included", async () => {
    await using db = await open({ now: () => 1 });
    await db.conversations.insertMany(Array.from({ length: 10 }, (_, i) => ({ id: `c${i}` })));
    for (const order of ["asc", "desc"] as const) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await db.conversations.list({ limit: 3, order, cursor });
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      const all = Array.from({ length: 10 }, (_, i) => `c${i}`);
      expect(seen).toEqual(order === "asc" ? all : all.reverse());
    }
  });
});

describe("refs, tags and summaries", () => {
  test("a ref is linked once, its score updated, and found from both sides", async () => {
    await using db = await open({ now: () => 9 });
    const { id } = await db.conversations.insert();
    const [a, b] = await db.conversations.append(id, turns("a", "b"));
    const ref = await db.conversations.linkRef(a!.id, { kind: "commit", target: "abc123", score: 0.5 });
    expect(ref).toEqual({ messageId: a!.id, kind: "commit", target: "abc123", score: 0.5, createdAt: new Date(9) });
    await db.conversations.linkRef(a!.id, { kind: "commit", target: "abc123", score: 0.9 });
    expect(await db.conversations.linkRef(a!.id, { kind: "commit", target: "abc123" })).toMatchObject({ score: 0.9 });
    await db.conversations.linkRef(a!.id, { kind: "url", target: "https://example.org" });
    await db.conversations.linkRef(b!.id, { kind: "commit", target: "abc123" });
    expect((await db.conversations.refs(a!.id)).map(({ kind, score }) => [kind, score])).toEqual([
      ["commit", 0.9],
      ["url", null],
    ]);
    expect(await db.conversations.byRef("commit", "abc123")).toEqual([a, b]);
    expect(await db.conversations.unlinkRef(a!.id, { kind: "commit", target: "abc123" })).toBe(true);
    expect(await db.conversations.unlinkRef(a!.id, { kind: "commit", target: "abc123" })).toBe(false);
    expect(await db.conversations.byRef("commit", "abc123")).toEqual([b]);
    await expect(db.conversations.linkRef("none", { kind: "k", target: "t" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("tags go on conversations and on messages, and are counted", async () => {
    await using db = await open();
    const { id } = await db.conversations.insert({ tags: ["b"] });
    const [message] = await db.conversations.append(id, turns("x"));
    expect(await db.conversations.tag(id, "a", "b")).toEqual(["b", "a"]);
    expect(await db.conversations.tag(message!.id, "b", "c")).toEqual(["b", "c"]);
    expect(await db.conversations.tags()).toEqual([
      { tag: "b", count: 2 },
      { tag: "a", count: 1 },
      { tag: "c", count: 1 },
    ]);
    expect(await db.conversations.untag(id, "b", "zzz")).toBe(true);
    expect(await db.conversations.untag(id, "b")).toBe(false);
    expect(await db.conversations.untag("none", "b")).toBe(false);
    expect(await db.conversations.get(id)).toMatchObject({ tags: ["a"] });
    expect(await db.conversations.message(message!.id)).toMatchObject({ tags: ["b", "c"] });
    await expect(db.conversations.tag("none", "b")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("summaries come newest date first, then latest added", async () => {
    await using db = await open();
    const a = await db.conversations.insert();
    const b = await db.conversations.insert();
    const add = (id: string, date: string, title: string) =>
      db.conversations.addSummary(id, { date, title, text: "t" });
    const first = await add(a.id, "2026-01-02", "one");
    expect(first).toMatchObject({ conversationId: a.id, date: "2026-01-02", title: "one", text: "t" });
    await add(b.id, "2026-01-03", "two");
    await add(a.id, "2026-01-02", "three");
    const titles = async (filter: object) => (await db.conversations.summaries(filter)).map(({ title }) => title);
    expect(await titles({})).toEqual(["two", "three", "one"]);
    expect(await titles({ conversationId: a.id })).toEqual(["three", "one"]);
    expect(await titles({ date: "2026-01-03" })).toEqual(["two"]);
    expect(await titles({ limit: 1 })).toEqual(["two"]);
    await expect(add("none", "2026-01-02", "x")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(add(a.id, "2026-02-30", "x")).rejects.toThrow(RangeError);
  });
});

describe("wrong arguments", () => {
  const message = { role: "user" as const, content: "x" };
  type Call = (conversations: Awaited<ReturnType<typeof open>>["conversations"]) => Promise<unknown>;
  test.each<[string, Call]>([
    ["an empty id", (c) => c.insert({ id: "" })],
    ["an unknown key", (c) => c.insert({ name: "x" } as object)],
    ["tags that are no list", (c) => c.insert({ tags: "x" as never })],
    ["an empty tag", (c) => c.insert({ tags: [""] })],
    ["metadata that is no object", (c) => c.insert({ metadata: [] as never })],
    ["an unknown role", (c) => c.append("c", { ...message, role: "robot" as never })],
    ["content over the limit", (c) => c.append("c", { ...message, content: "x".repeat(1_000_001) })],
    ["content with NUL", (c) => c.append("c", { ...message, content: "a\0b" })],
    ["a clientId that is empty", (c) => c.append("c", { ...message, clientId: "" })],
    ["a time that is none", (c) => c.append("c", { ...message, createdAt: Number.NaN })],
    ["one bad message among good ones", (c) => c.append("c", [message, { ...message, role: "x" as never }])],
    ["a fractional seq", (c) => c.messages("c", { after: 1.5 })],
    ["a foreign cursor", (c) => c.messages("c", { cursor: "x" })],
    ["an unknown role to read", (c) => c.messages("c", { roles: ["x" as never] })],
    ["a negative limit", (c) => c.messages("c", { limit: -1 })],
    ["an unknown order", (c) => c.list({ order: "up" as never })],
    ["an unknown sort key", (c) => c.list({ orderBy: "title" as never })],
    ["a misspelt filter", (c) => c.list({ tag: ["x"] } as object)],
    ["a negative window", (c) => c.window("c", { lastMessages: -1 })],
    ["a counter that is no function", (c) => c.window("c", { countTokens: 3 as never })],
    ["a fork beyond the end", (c) => c.fork("c", { atSeq: 2 })],
    ["a search for no text", (c) => c.search(undefined as never)],
    ["a search with a negative context", (c) => c.search("x", { context: -1 })],
    ["a ref without a target", (c) => c.linkRef("m", { kind: "k" } as never)],
    ["a score that is not finite", (c) => c.linkRef("m", { kind: "k", target: "t", score: Number.NaN })],
    ["no tag at all", (c) => c.tag("c")],
    ["a summary without a day", (c) => c.addSummary("c", { date: "today", title: "", text: "" })],
    ["a patch of the role", (c) => c.updateMessage("m", { role: "user" } as object)],
  ])("%s is refused with TypeError or RangeError, and nothing is stored", async (_, call) => {
    await using db = await open();
    await db.conversations.insert({ id: "c" });
    await db.conversations.append("c", { id: "m", ...message });
    const failure: unknown = await call(db.conversations).catch((error) => error);
    expect(failure instanceof TypeError || failure instanceof RangeError, String(failure)).toBe(true);
    expect((await db.storage.health()).tables.filter(({ rows }) => rows > 0)).toEqual([
      { table: "conversations", rows: 1 },
      { table: "messages", rows: 1 },
    ]);
  });
});

test("a cursor goes on in the list and the order that it came from only", async () => {
  await using db = await open();
  await db.conversations.insertMany([{ id: "a" }, { id: "b" }]);
  const { nextCursor: cursor } = await db.conversations.list({ limit: 1 });
  expect(cursor).toBeDefined();
  expect((await db.conversations.list({ cursor })).items).toHaveLength(1);
  for (const call of [
    () => db.conversations.list({ cursor, order: "asc" }),
    () => db.conversations.list({ cursor, orderBy: "createdAt" }),
    () => db.conversations.messages("a", { cursor }),
    () => db.storage.memories.list({ cursor }),
    () => db.storage.sessions.list({ cursor }),
    () => db.storage.graph.findNodes({ cursor }),
  ]) {
    await expect(call()).rejects.toThrow(/`cursor` to be the `nextCursor` of an earlier page in the same order/);
  }
});

describe("projects, transactions and events", () => {
  test("the same ids live in two projects without seeing each other", async () => {
    await using db = await open();
    const [a, b] = ["a", "b"].map((name) => db.storage.project(name).conversations) as [
      typeof db.conversations,
      typeof db.conversations,
    ];
    for (const [one, word] of [
      [a, "walrus"],
      [b, "pelican"],
    ] as const) {
      await one.insert({ id: "c", tags: [word] });
      await one.append("c", { id: "m", role: "user", content: word, clientId: "k" });
    }
    await a.append("c", { id: "only-a", role: "user", content: "walrus again" });
    expect((await b.messages("c")).items.map(({ content }) => content)).toEqual(["pelican"]);
    expect(await b.message("only-a")).toBeUndefined();
    await expect(b.linkRef("only-a", { kind: "k", target: "t" })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(b.tag("only-a", "t")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await b.updateMessage("only-a", { content: "x" })).toBeUndefined();
    expect(await b.search("walrus")).toEqual([]);
    expect(await b.tags()).toEqual([{ tag: "pelican", count: 1 }]);
    await a.linkRef("m", { kind: "k", target: "t" });
    expect(await b.byRef("k", "t")).toEqual([]);
    const fork = await a.fork("c");
    await expect(b.fork(fork.id)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(b.append(fork.id, turns("x"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await b.delete(fork.id)).toBe(false);
    expect(await b.purge(fork.id)).toBe(false);
    expect(await db.storage.projects()).toEqual([
      { project: "a", count: 4 },
      { project: "b", count: 2 },
    ]);
    expect(await db.storage.purgeProject("a")).toBe(4);
    expect((await b.search("pelican")).map(({ message }) => message.id)).toEqual(["m"]);
    expect(await db.storage.projects()).toEqual([{ project: "b", count: 2 }]);
    expect(await db.storage.purgeProject("b")).toBe(2);
    expect((await db.storage.health()).tables.filter(({ rows }) => rows > 0)).toEqual([]);
    const { rows } = await db.storage.client.execute(
      "SELECT count(*) FROM messages_fts WHERE messages_fts MATCH 'search_text : (a* OR b* OR p* OR w*)'",
    );
    expect(rows[0]![0]).toBe(0);
  });

  test("a transaction stores all or nothing, and its events come after it", async () => {
    await using db = await open();
    const events: Change[] = [];
    db.storage.on("change", (change) => events.push(change));
    const work = (fails: boolean) =>
      db.storage.transaction(async (tx) => {
        const { id } = await tx.conversations.insert({ id: fails ? "gone" : "kept" });
        await tx.conversations.append(id, [{ id: `${id}-1`, role: "user", content: "inside" }]);
        expect(await tx.conversations.search("inside")).toHaveLength(1);
        await tx
          .savepoint(async (inner) => {
            await inner.conversations.append(id, turns("undone"));
            throw new Error("only this");
          })
          .catch(() => undefined);
        expect((await tx.conversations.get(id))?.messageCount).toBe(1);
        expect(events).toEqual([]);
        if (fails) throw new Error("all of it");
      });
    await expect(work(true)).rejects.toThrow("all of it");
    expect(await db.conversations.get("gone")).toBeUndefined();
    expect(events).toEqual([]);
    await work(false);
    const change = (action: string, ...ids: string[]) => ({ project: "default", area: "conversations", action, ids });
    expect(events).toEqual([change("insert", "kept"), change("insert", "kept-1")]);
    events.length = 0;
    await db.conversations.append("kept", { id: "m", role: "user", content: "x", clientId: "k" });
    await db.conversations.append("kept", { role: "user", content: "x", clientId: "k" });
    await db.conversations.updateMessage("m", { content: "y" });
    await db.conversations.delete("kept");
    await db.conversations.restore("kept");
    await db.conversations.purge("kept");
    expect(events).toEqual([
      change("insert", "m"),
      change("update", "m"),
      change("delete", "kept"),
      change("restore", "kept"),
      change("purge", "kept"),
    ]);
  });
});

describe("plans", () => {
  fileTest.each([
    ["without statistics", false],
    ["after ANALYZE", true],
  ])("append, message, window, page and list read by index %s", async (_name, isAnalyzed) => {
    await using temp = await tempFileStorage();
    const { storage } = temp;
    const { conversations } = storage;
    await conversations.insertMany(
      Array.from({ length: 200 }, (_, i) => ({ title: `t ${i}`, createdAt: new Date(1000 + i) })),
    );
    const { id } = await conversations.insert();
    await conversations.append(
      id,
      Array.from({ length: 200 }, (_, i) => ({ role: roleOf(i), content: `m ${i}`, clientId: `c${i}` })),
    );
    if (isAnalyzed) await storage.client.execute("ANALYZE");
    const statements: string[] = [];
    const client = storage.client;
    const execute = client.execute.bind(client);
    // Records the statements that run; nothing is replaced.
    client.execute = ((statement: { sql: string }) => {
      statements.push(statement.sql);
      return execute(statement as never);
    }) as typeof client.execute;
    const [message] = await conversations.append(id, turns("a", "b"));
    await conversations.append(id, { role: "user", content: "c", clientId: "k" });
    await conversations.message(message!.id);
    await conversations.window(id, { lastMessages: 2 });
    await conversations.messages(id, { after: 1 });
    await conversations.list();
    await conversations.list({ orderBy: "createdAt", order: "asc", limit: 5 });
    await conversations.byRef("k", "t");
    await conversations.refs(message!.id);
    await conversations.summaries({ conversationId: id });
    await conversations.summaries({ date: "2026-01-01" });
    client.execute = execute;
    expect(statements.length).toBeGreaterThan(10);
    const plans: string[] = [];
    for (const sql of statements) {
      const args = (sql.match(/\?/g) ?? []).map(() => 1);
      const { rows } = await client.execute({ sql: `EXPLAIN QUERY PLAN ${sql}`, args });
      const details = rows.map((row) => String(row.detail));
      plans.push(...details);
      // Temporary tables of the statement itself are as long as the request.
      const ownTables = /^SCAN (?:(?:j|known|fresh|owner|chain|json_each)\b|\(subquery)/;
      expect(
        details.filter((detail) => detail.startsWith("SCAN") && !ownTables.test(detail)),
        sql,
      ).toEqual([]);
      // Rows of a query with a limit must come in order from an index, not be sorted.
      if (/ limit /.test(sql))
        expect(
          details.filter((detail) => detail.includes("TEMP B-TREE")),
          sql,
        ).toEqual([]);
    }
    expect(plans.join("\n")).toContain("messages_seq");
    expect(plans.join("\n")).toContain("conversations_updated");
  });
});

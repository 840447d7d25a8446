import { type Change, type Memory, type MemoryInput, openStorage, type Storage } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { fileTest, tempFileStorage, tempStorage } from "../../support/storage.js";

const FULL: MemoryInput = {
  id: "m-1",
  sessionId: "s-1",
  type: "decision",
  source: "test",
  content: "We keep the pool small 🗄️",
  metadata: { nested: { list: [1, "two", null, true] }, 'key with "quotes"': "x" },
  embedding: new Float32Array([0.5, -1, 0.25]),
  embeddingModel: "model-a",
  embeddingVersion: "2",
  createdAt: new Date(1_700_000_000_000),
};

const thrower = (thrown: unknown) => () => {
  throw thrown;
};

describe("storing", () => {
  test("a memory with every field reads back as it was given, also after reopening", async () => {
    await using temp = await tempStorage({ now: () => 1_800_000_000_000 });
    const stored = await temp.storage.memories.insert(FULL);
    expect(stored).toEqual({ ...FULL, project: "default", updatedAt: new Date(1_800_000_000_000), deletedAt: null });
    await temp.storage.close();
    await using again = await openStorage(temp.db.url);
    expect(await again.memories.get("m-1")).toEqual(stored);
  });

  test("defaults are context, unknown, no metadata, no vector, and an id that sorts by time", async () => {
    await using temp = await tempStorage();
    const first = await temp.storage.memories.insert({ content: "one" });
    const second = await temp.storage.memories.insert({ content: "two" });
    expect(first).toMatchObject({ type: "context", source: "unknown", metadata: {}, sessionId: null, embedding: null });
    expect(first.id < second.id).toBe(true);
    expect(first.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });

  // Both store many rows by one statement, to which these are JSON.
  const many = {
    insertMany: (storage, inputs) => storage.memories.insertMany(inputs),
    "300 calls of insert at once": (storage, inputs) =>
      Promise.all(inputs.map((input) => storage.memories.insert(input))),
    "insertMany in a transaction": (storage, inputs) =>
      storage.transaction(({ memories }) => memories.insertMany(inputs)),
  } satisfies Record<string, (storage: Storage, inputs: readonly MemoryInput[]) => Promise<Memory[]>>;

  test.each(Object.entries(many))("%s stores the same as one call after the other", async (_name, storeAll) => {
    await using temp = await tempStorage({ now: () => 1_800_000_000_000 });
    const { storage } = temp;
    const odd = [
      "123",
      "1e3",
      "null",
      "{}",
      '"',
      "\\",
      "\u2028\u{1F5C4}",
      "tab\there",
      "日本語 and Ünïcode",
      " x ",
      "0x1F",
    ];
    const inputs = Array.from({ length: 300 }, (_, i): MemoryInput => {
      const content = `${odd[i % odd.length]!} note${i}`;
      if (i % 7 === 3) return { ...FULL, id: `id ${i}`, content };
      return { id: `id ${i}`, content, type: i % 3 === 0 ? "decision" : "context" };
    });
    const stored = await storeAll(storage, inputs);
    expect(stored).toMatchObject(inputs.map(({ id, content }) => ({ id, content })));
    expect(await storage.memories.getMany(inputs.map(({ id }) => id!))).toEqual(stored);
    const COLUMNS = [
      "session_id",
      "type",
      "source",
      "content",
      "metadata",
      "created_at",
      "content_hash",
      "search_text",
    ];
    const values = COLUMNS.map((name) => `${name}, typeof(${name})`).join(", ");
    const rows = async (ids: string) => {
      const sql = `SELECT replace(id, '${ids}', ''), ${values} FROM memories WHERE id LIKE '${ids}%' ORDER BY 1`;
      return (await storage.client.execute(sql)).rows.map((row) => Array.from(row));
    };
    for (const input of inputs) await storage.memories.insert({ ...input, id: input.id!.replace("id ", "single ") });
    expect(await rows("id ")).toEqual(await rows("single "));
    expect(await storage.memories.search("note42")).toHaveLength(2);
    expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  });

  test("a memory that a constraint of one's own refuses is named", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await temp.storage.client.execute("CREATE UNIQUE INDEX own ON memories (project, metadata ->> 'k')");
    await memories.insert({ id: "taken", content: "x", metadata: { k: 1 } });
    const inputs = [
      { id: "first", content: "x", metadata: { k: 5 } },
      { id: "fresh", content: "x", metadata: { k: 1 } },
      { id: "taken", content: "x", metadata: { k: 9 } },
    ];
    const place = { code: "CONFLICT", index: 1, id: "fresh" };
    expect(await rejection(memories.insertMany(inputs))).toMatchObject(place);
    await temp.storage.transaction(async (tx) => {
      expect(await rejection(tx.memories.insertMany(inputs))).toMatchObject(place);
    });
    expect(await memories.count()).toBe(1);
  });

  test("of calls at once, one with a taken id rejects alone", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ id: "id 60", content: "first" });
    const calls = Array.from({ length: 150 }, (_, i) => memories.insert({ id: `id ${i}`, content: `note${i}` }));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.flatMap((one, index) => (one.status === "rejected" ? [[index, one.reason.code]] : []))).toEqual([
      [60, "CONFLICT"],
    ]);
    expect(await memories.count()).toBe(150);
    expect((await memories.require("id 60")).content).toBe("first");
    expect(await memories.search("note149")).toHaveLength(1);
  });

  test("an id that exists, deleted or not, is CONFLICT with table and columns, and nothing is stored", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ id: "same", content: "first" });
    const conflict = await rejection(
      memories.insertMany([
        { id: "other", content: "x" },
        { id: "same", content: "y" },
      ]),
    );
    expect(conflict).toMatchObject({
      name: "StorageError",
      code: "CONFLICT",
      table: "memories",
      columns: ["project", "id"],
    });
    await memories.delete("same");
    expect(await rejection(memories.insert({ id: "same", content: "z" }))).toMatchObject({ code: "CONFLICT" });
    expect(await memories.get("other")).toBeUndefined();
    expect(await memories.count()).toBe(0);
  });

  test("100 concurrent inserts are all stored, and one conflict among them rejects alone", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ id: "id-50", content: "taken" });
    const settled = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => memories.insert({ id: `id-${i}`, content: `number ${i}` })),
    );
    expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(await memories.count()).toBe(100);
  });

  test("put inserts, then replaces, keeps createdAt, drops old vectors and revives a deleted memory", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.put("p", { content: "one", createdAt: new Date(5), embedding: [1, 2], embeddingModel: "m" });
    const replaced = await memories.put("p", { content: "two", type: "tool", createdAt: new Date(99) });
    expect(replaced).toMatchObject({ content: "two", type: "tool", createdAt: new Date(5), embedding: null });
    expect(await memories.get("p")).toEqual(replaced);
    await memories.delete("p");
    await memories.put("p", { content: "three" });
    expect((await memories.search("three")).map(({ memory }) => memory.id)).toEqual(["p"]);
  });
});

describe("wrong arguments are named and nothing is stored", () => {
  const wrong: [string, unknown, string, RegExp][] = [
    ["no content", {}, "TypeError", /`content`.*string.*undefined/],
    ["empty content", { content: "" }, "RangeError", /`content`.*1 to 100000/],
    ["content over the limit", { content: "x".repeat(100_001) }, "RangeError", /`content`.*100001/],
    ["NUL in content", { content: "a\0b" }, "RangeError", /`content`.*NUL/],
    ["a lone surrogate", { content: "\ud800" }, "RangeError", /`content`.*surrogates/],
    ["a bad type", { content: "x", type: "Not A Type" }, "RangeError", /`type`/],
    ["an empty id", { content: "x", id: "" }, "RangeError", /`id`/],
    ["an id that is no text", { content: "x", id: 5 }, "TypeError", /`id`/],
    ["metadata that is no object", { content: "x", metadata: [1] }, "TypeError", /`metadata`/],
    ["metadata that is a Map", { content: "x", metadata: new Map() }, "TypeError", /`metadata`/],
    ["metadata that is a Date", { content: "x", metadata: new Date(0) }, "TypeError", /`metadata`/],
    ["a Map within metadata", { content: "x", metadata: { a: [new Map([[1, 2]])] } }, "TypeError", /`metadata\.a\.0`/],
    [
      "a typed array within metadata",
      { content: "x", metadata: { a: new Uint8Array(2) } },
      "TypeError",
      /`metadata\.a`/,
    ],
    ["an Error within metadata", { content: "x", metadata: { a: new Error("x") } }, "TypeError", /`metadata\.a`/],
    ["NaN in metadata", { content: "x", metadata: { a: Number.NaN } }, "RangeError", /`metadata\.a`/],
    [
      "metadata that throws nothing",
      { content: "x", metadata: { a: { toJSON: thrower(null) } } },
      "TypeError",
      /`metadata`/,
    ],
    [
      "metadata that throws",
      { content: "x", metadata: { a: { toJSON: thrower(new Error("Expected x")) } } },
      "TypeError",
      /`metadata`/,
    ],
    ["metadata that becomes a list", { content: "x", metadata: { toJSON: () => [1] } }, "TypeError", /`metadata`/],
    ["metadata nested too deep", { content: "x", metadata: nested(1100) }, "RangeError", /`metadata`.*900/],
    ["metadata with a cycle", { content: "x", metadata: cycle() }, "TypeError", /`metadata`/],
    ["an embedding without a model", { content: "x", embedding: [1] }, "TypeError", /`embeddingModel`/],
    ["a model without an embedding", { content: "x", embeddingModel: "m" }, "TypeError", /`embedding`/],
    ["null in a vector", { content: "x", embedding: [null], embeddingModel: "m" }, "TypeError", /numbers only.*null/],
    ["text in a vector", { content: "x", embedding: ["1"], embeddingModel: "m" }, "TypeError", /numbers only/],
    ["NaN in a vector", { content: "x", embedding: [Number.NaN], embeddingModel: "m" }, "RangeError", /finite/],
    ["an invalid date", { content: "x", createdAt: new Date(Number.NaN) }, "RangeError", /`createdAt`/],
    ["a misspelt field", { content: "x", kontent: "y" }, "TypeError", /kontent/],
    ["another project", { content: "x", project: "b" }, "TypeError", /`project`/],
    ["a session id over 200 characters", { content: "x", sessionId: "s".repeat(201) }, "RangeError", /`sessionId`/],
  ];
  test.each(wrong)("%s", async (_name, input, errorName, message) => {
    await using temp = await tempStorage();
    const error = await rejection(temp.storage.memories.insert(input as MemoryInput));
    expect(error.name).toBe(errorName);
    expect(error.message).toMatch(message);
    expect(await temp.storage.memories.count()).toBe(0);
  });

  test("options of calls are checked as well", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    const calls = [
      () => memories.get(""),
      () => memories.list({ limit: -1 }),
      () => memories.list({ limit: 1.5 }),
      () => memories.list({ cursor: "junk" }),
      () => memories.list({ cursor: Buffer.from("[1]").toString("base64url") }),
      () => memories.list({ since: Number.NaN }),
      () => memories.list({ typ: "x" } as never),
      () => memories.list({ metadata: { a: undefined } }),
      () => memories.search("x", { mode: "fuzzy" as never }),
      () => memories.search("x", { mode: "vector" }),
      () => memories.search("x", { mode: "hybrid" }),
      () => memories.search("x", { embedding: [1] }),
      () => memories.search(5 as never),
      () => memories.nearest([1], {} as never),
      () => memories.nearest([], { model: "m" }),
      () => memories.nearest([1], { model: "m", exact: "yes" as never }),
      () => memories.timeline({ around: "x", before: -1 }),
      () => memories.reembed(5 as never, { model: "m" }),
      () => memories.insertMany("x" as never),
      () => memories.getMany(["a", ""]),
      () => temp.storage.project(""),
      () => temp.storage.project("p".repeat(201)),
    ];
    for (const call of calls) {
      const error = await rejection((async () => call())());
      expect(["TypeError", "RangeError"], `${call} gave ${error}`).toContain(error.name);
    }
  });
});

function nested(depth: number): Record<string, unknown> {
  let object: Record<string, unknown> = {};
  for (let i = 0; i < depth; i++) object = { object };
  return object;
}

function cycle(): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  object.self = object;
  return object;
}

describe("finding by key and time", () => {
  test("pages of equal times neither repeat nor skip, while others are inserted", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany(
      Array.from({ length: 25 }, (_, i) => ({ id: `n${i}`, content: "x", createdAt: new Date(1000 + (i % 3)) })),
    );
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await memories.list({ limit: 4, cursor });
      seen.push(...page.items.map(({ id }) => id));
      await memories.insert({ content: "newer", createdAt: new Date(5000) });
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    const expected = Array.from({ length: 25 }, (_, i) => i)
      .sort((a, b) => (b % 3) - (a % 3) || b - a)
      .map((i) => `n${i}`);
    expect(seen).toEqual(expected);
  });

  test("filters combine, bounds are inclusive, and metadata compares with its type", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany([
      {
        id: "a",
        content: "x",
        type: "tool",
        source: "s",
        sessionId: "1",
        createdAt: new Date(10),
        metadata: { n: 1, ok: true },
      },
      { id: "b", content: "x", type: "tool", createdAt: new Date(20), metadata: { n: "1", "a.b": 2, none: null } },
      { id: "c", content: "x", type: "file", createdAt: new Date(30), metadata: { deep: { x: [1] } } },
    ]);
    const ids = async (filter: object) => (await memories.list(filter)).items.map(({ id }) => id);
    expect(await ids({ type: "tool" })).toEqual(["b", "a"]);
    expect(await ids({ type: "tool", source: "s", sessionId: "1" })).toEqual(["a"]);
    expect(await ids({ since: new Date(10), until: new Date(20) })).toEqual(["b", "a"]);
    expect(await ids({ metadata: { n: 1 } })).toEqual(["a"]);
    expect(await ids({ metadata: { n: "1" } })).toEqual(["b"]);
    expect(await ids({ metadata: { ok: true } })).toEqual(["a"]);
    expect(await ids({ metadata: { "a.b": 2, none: null } })).toEqual(["b"]);
    expect(await ids({ metadata: { deep: { x: [1] } } })).toEqual(["c"]);
    expect(await ids({ metadata: { deep: { x: [2] } } })).toEqual([]);
    expect(await memories.count({ metadata: { missing: 1 } })).toBe(0);
  });

  test("by objects within metadata, whatever the order of their keys", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ content: "x", metadata: { at: { line: 1, "a.b": [{ x: 1, y: 'q"' }, 2], none: null } } });
    const count = (at: unknown) => memories.count({ metadata: { at } });
    expect(await count({ line: 1, "a.b": [{ x: 1, y: 'q"' }, 2], none: null })).toBe(1);
    expect(await count({ none: null, "a.b": [{ y: 'q"', x: 1 }, 2], line: 1 })).toBe(1);
    for (const other of [
      { none: null, "a.b": [2, { y: 'q"', x: 1 }], line: 1 },
      { none: null, "a.b": [{ y: 'q"', x: 2 }, 1], line: 1 },
      { none: null, "a.b": [{ x: 'q"', y: 1 }, 2], line: 1 },
      { none: null, "a.c": [{ y: 'q"', x: 1 }, 2], line: 1 },
      { line: null, "a.b": [{ x: 1, y: 'q"' }, 2], none: 1 },
      { none: null, "a.b": [{ y: 'q"', x: 1 }, 2] },
    ]) {
      expect(await count(other), JSON.stringify(other)).toBe(0);
    }
  });

  test("find takes an unambiguous prefix of four characters, with any characters in it", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany([
      { id: "abcd-1", content: "x" },
      { id: "abcd-2", content: "x" },
      { id: "ab%d_😀", content: "x" },
    ]);
    expect(await memories.find("abcd")).toBeUndefined();
    expect((await memories.find("abcd-1"))?.id).toBe("abcd-1");
    expect((await memories.find("ab%d"))?.id).toBe("ab%d_😀");
    expect(await memories.find("abc")).toBeUndefined();
  });

  test("getMany keeps the order asked for and leaves out what is missing; require throws NOT_FOUND", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany([
      { id: "a", content: "x" },
      { id: "b", content: "x" },
    ]);
    expect((await memories.getMany(["b", "zz", "a"])).map(({ id }) => id)).toEqual(["b", "a"]);
    expect(await rejection(memories.require("zz"))).toMatchObject({ code: "NOT_FOUND" });
  });

  test("timeline gives the neighbours in time around a memory or a moment", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany(
      [10, 20, 20, 20, 30].map((time, i) => ({ id: `t${i}`, content: "x", createdAt: new Date(time) })),
    );
    const ids = async (options: Parameters<typeof memories.timeline>[0]) =>
      (await memories.timeline(options)).map(({ id }) => id);
    expect(await ids({ around: "t2", before: 1, after: 1 })).toEqual(["t1", "t2", "t3"]);
    expect(await ids({ around: new Date(20), before: 2, after: 5 })).toEqual(["t2", "t3", "t4"]);
    expect(await rejection(memories.timeline({ around: "nope" }))).toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("changing", () => {
  test("update changes what is given; new content drops the vectors, and search follows", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert(FULL);
    const retyped = await memories.update("m-1", { type: "error", content: undefined });
    expect(retyped).toMatchObject({ type: "error", content: FULL.content, embeddingModel: "model-a" });
    expect(await memories.get("m-1")).toEqual(retyped);
    const rewritten = await memories.update("m-1", { content: "entirely different words" });
    expect(rewritten).toMatchObject({ embedding: null, embeddingModel: null });
    expect(await memories.get("m-1")).toEqual(rewritten);
    expect(await memories.search("pool")).toEqual([]);
    expect(await memories.search("different")).toHaveLength(1);
    expect(await memories.update("unknown", { type: "x" })).toBeUndefined();
  });

  test("a deleted memory is hidden from every call, comes back with restore, and purge is for good", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert(FULL);
    expect(await memories.delete("m-1")).toBe(true);
    expect(await memories.delete("m-1")).toBe(false);
    expect(await memories.get("m-1")).toBeUndefined();
    expect((await memories.get("m-1", { includeDeleted: true }))?.deletedAt).toBeInstanceOf(Date);
    expect(await memories.getMany(["m-1"])).toEqual([]);
    expect((await memories.list()).items).toEqual([]);
    expect(await memories.find("m-1".padEnd(4))).toBeUndefined();
    expect(await memories.search("pool")).toEqual([]);
    expect(await memories.search("")).toEqual([]);
    expect(await memories.nearest([1, 1, 1], { model: "model-a" })).toEqual([]);
    expect(await memories.update("m-1", { type: "x" })).toBeUndefined();
    expect(await rejection(memories.setEmbedding("m-1", [1, 1, 1], { model: "model-a" }))).toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringContaining("m-1"),
    });
    expect((await memories.stats()).count).toBe(0);
    expect(await memories.restore("m-1")).toBe(true);
    expect(await memories.restore("m-1")).toBe(false);
    expect(await memories.search("pool")).toHaveLength(1);
    expect(await memories.purge("m-1")).toBe(true);
    expect(await memories.purge("m-1")).toBe(false);
    expect(await memories.get("m-1", { includeDeleted: true })).toBeUndefined();
  });

  test("findDuplicates groups equal content and merges nothing", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany(["a", "b", "a", "c", "a", "b"].map((content, i) => ({ id: `d${i}`, content })));
    const groups = await memories.findDuplicates();
    expect(groups.map((group) => group.map(({ id }) => id))).toEqual([
      ["d0", "d2", "d4"],
      ["d1", "d5"],
    ]);
    expect(await memories.findDuplicates({ limit: 1 })).toHaveLength(1);
  });

  test("stats counts bytes, types and vectors", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany([
      FULL,
      { content: "é", type: "tool", createdAt: new Date(1) },
      { content: "ab", type: "tool", createdAt: new Date(2) },
    ]);
    expect(await memories.stats()).toEqual({
      count: 3,
      bytes: Buffer.byteLength(FULL.content) + 2 + 2,
      oldest: new Date(1),
      newest: new Date(1_700_000_000_000),
      byType: [
        { type: "tool", count: 2 },
        { type: "decision", count: 1 },
      ],
      embeddings: [{ model: "model-a", version: "2", dimensions: 3, count: 1 }],
    });
  });
});

describe("vectors", () => {
  test("the first vector settles the dimensions of its project, model and version", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ id: "a", content: "x", embedding: [1, 0], embeddingModel: "m" });
    const wrong = { id: "b", content: "x", embedding: [1, 0, 0], embeddingModel: "m" };
    expect(await rejection(memories.insert(wrong))).toMatchObject({ code: "DIMENSION_MISMATCH" });
    expect(await rejection(memories.insert({ ...wrong, embedding: [1] }))).toMatchObject({
      code: "DIMENSION_MISMATCH",
    });
    expect(await memories.get("b")).toBeUndefined();
    expect(await rejection(memories.nearest([1, 0, 0], { model: "m" }))).toMatchObject({ code: "DIMENSION_MISMATCH" });
    // The refusal of a write named no lengths, and no way to remove the old vectors.
    const text = 'The vectors of "m" have 2 dimensions, the one given has 3. Name another version, or remove those';
    await memories.insert({ id: "b", content: "y" });
    for (const write of [
      () => memories.insert({ ...wrong, id: "c" }),
      () => memories.insertMany([{ content: "z" }, { ...wrong, id: "c" }]),
      () => memories.insertMany([wrong], { onConflict: "replace" }),
      () => memories.put("b", { ...wrong, id: undefined }),
      () => memories.update("b", { embedding: [1, 0, 0], embeddingModel: "m" }),
      () => memories.setEmbedding("b", [1, 0, 0], { model: "m" }),
      () => memories.reembed(async (texts) => texts.map(() => [1, 0, 0]), { model: "m" }),
      () => temp.storage.transaction((tx) => tx.memories.insertMany([wrong], { onConflict: "replace" })),
    ]) {
      const error = await rejection(write());
      expect(error).toMatchObject({ code: "DIMENSION_MISMATCH", message: expect.stringContaining(text) });
      expect(error.message).toContain('memories.dropModel("m")');
    }
    await memories.purge("b");
    await memories.insert({ ...wrong, embeddingVersion: "2" });
    await temp.storage.project("other").memories.insert(wrong);
    expect(await memories.nearest([1, 0, 0], { model: "unused" })).toEqual([]);
  });

  test("nearest is exact by cosine distance, within model, filters and project", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    const vectors = [
      [1, 0],
      [0.9, 0.1],
      [0, 1],
      [-1, 0],
      [0, -1],
    ];
    await memories.insertMany(
      vectors.map((embedding, i) => ({
        id: `v${i}`,
        content: "x",
        type: i === 1 ? "tool" : "file",
        embedding,
        embeddingModel: "m",
      })),
    );
    await temp.storage.project("b").memories.insert({ content: "x", embedding: [1, 0], embeddingModel: "m" });
    const near = await memories.nearest([1, 0], { model: "m", limit: 3 });
    expect(near.map(({ memory }) => memory.id)).toEqual(["v0", "v1", "v4"]);
    expect(near[0]!.distance).toBeCloseTo(0);
    expect(near[0]!.score).toBeCloseTo(1);
    expect((await memories.nearest([1, 0], { model: "m", type: "tool" })).map(({ memory }) => memory.id)).toEqual([
      "v1",
    ]);
  });

  test("a vector too long or short to compare is refused, one of zeros is near nothing; that of a question may have any length", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    const model = { embeddingModel: "m" };
    await memories.insertMany([
      { id: "east", content: "x", embedding: [1, 0.1], ...model },
      { id: "north", content: "x", embedding: [1e14, 9e14], ...model },
      { id: "small", content: "x", embedding: [-1e-15, 1e-15], ...model },
    ]);
    for (const embedding of [[1e16, 1], new Float32Array([1e-16, 0])]) {
      for (const write of [
        () => memories.insert({ content: "x", embedding, ...model }),
        () => memories.update("east", { embedding, ...model }),
        () => memories.setEmbedding("east", embedding, { model: "m" }),
        () => memories.reembed(async (texts) => texts.map(() => embedding), { model: "n" }),
      ]) {
        expect(await rejection(write())).toBeInstanceOf(RangeError);
      }
    }
    // As some models answer for a text without a word that they know: the memory is kept, and found by its words.
    await memories.insert({ id: "nowhere", content: "unknown", embedding: [0, 0], ...model });
    const nearest = await memories.nearest([0, 1], { model: "m" });
    expect(nearest.find(({ memory }) => memory.id === "nowhere")).toMatchObject({ distance: 1 });
    const found = await memories.search("unknown", { embedding: [0, 0], ...model });
    expect(found).toMatchObject([{ memory: { id: "nowhere" }, match: "keyword" }]);
    await memories.purge("nowhere");
    for (const read of [
      () => memories.nearest([0, 0], { model: "m" }),
      () => memories.search("x", { embedding: [0, 0], mode: "vector", ...model }),
    ]) {
      expect(await rejection(read())).toMatchObject({ name: "RangeError", message: expect.stringContaining("zeros") });
    }
    for (const scale of [1e-44, 1e-30, 1, 1e30, 3e38]) {
      const near = await memories.nearest([0.1 * scale, scale], { model: "m" });
      expect(near.map(({ memory }) => memory.id)).toEqual(["north", "small", "east"]);
    }
    expect((await memories.get("north"))?.embedding).toEqual(Float32Array.of(1e14, 9e14));
    // Earlier versions stored them, and their exports are imported.
    await temp.storage.client.execute("update memory_embeddings set vector = zeroblob(8)");
    expect((await memories.nearest([1, 0], { model: "m" })).map(({ distance }) => distance)).toEqual([1, 1, 1]);
    await using copy = await tempStorage();
    await copy.storage.import(temp.storage.export());
    expect((await copy.storage.memories.get("north"))?.embedding).toEqual(Float32Array.of(0, 0));
  });

  test("models coexist; the record shows the vector stored last, and dropModel falls back to the one before", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ id: "a", content: "x", embedding: [1, 0], embeddingModel: "old" });
    await memories.setEmbedding("a", [1, 2, 3], { model: "new", version: "1" });
    expect(await memories.get("a")).toMatchObject({ embeddingModel: "new", embeddingVersion: "1" });
    await memories.setEmbedding("a", [0, 1], { model: "old" });
    expect((await memories.get("a"))?.embedding).toEqual(new Float32Array([0, 1]));
    expect((await memories.stats()).embeddings).toHaveLength(2);
    const changes: Change[] = [];
    temp.storage.on("change", (change) => changes.push(change));
    expect(await memories.dropModel("old")).toBe(1);
    expect(changes).toEqual([{ project: "default", area: "memories", action: "update", ids: ["a"] }]);
    expect(await memories.get("a")).toMatchObject({ embeddingModel: "new", embedding: new Float32Array([1, 2, 3]) });
    expect(await memories.dropModel("new", "2")).toBe(0);
    expect(await memories.dropModel("new", "1")).toBe(1);
    expect((await memories.get("a"))?.embedding).toBeNull();
  });

  test("reembed goes on where an abort or a failure left it, batch by batch", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany(Array.from({ length: 10 }, (_, i) => ({ content: `text ${i}` })));
    const abort = new AbortController();
    let calls = 0;
    const embed = async (texts: string[]) => {
      calls++;
      return texts.map((text) => [text.length, 1]);
    };
    const aborted = memories.reembed(embed, {
      model: "m",
      batchSize: 4,
      signal: abort.signal,
      onProgress: ({ embedded, remaining }) => {
        expect([embedded, remaining]).toEqual([4, 6]);
        abort.abort();
      },
    });
    expect((await rejection(aborted)).name).toBe("AbortError");
    expect(await memories.unembedded({ model: "m" })).toHaveLength(6);
    const failing = memories.reembed(() => Promise.reject(new Error("no model")), { model: "m" });
    expect((await rejection(failing)).message).toBe("no model");
    expect(await memories.reembed(embed, { model: "m", batchSize: 4 })).toEqual({ embedded: 6, remaining: 0 });
    expect(calls).toBe(3);
    expect(await rejection(memories.reembed(async () => [], { model: "n" }))).toMatchObject({ name: "TypeError" });
  });

  test("a vector of content that changed while it was made is not stored", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insert({ id: "a", content: "old" });
    let round = 0;
    const seen: string[] = [];
    await memories.reembed(
      async (texts) => {
        if (round++ === 0) await memories.update("a", { content: "new" });
        seen.push(...texts);
        return texts.map((text) => [text === "new" ? 2 : 1]);
      },
      { model: "m" },
    );
    expect(seen).toEqual(["old", "new"]);
    expect((await memories.get("a"))?.embedding).toEqual(new Float32Array([2]));
  });
});

test("a memory longer than a limit that was lowered since can be updated, deleted and restored", async () => {
  await using temp = await tempStorage({ maxContentChars: 200 });
  await temp.storage.memories.insert({ id: "long", content: "word ".repeat(30) });
  await temp.storage.close();
  await using storage = await openStorage({ url: temp.db.url, maxContentChars: 100 });
  expect(await storage.memories.update("long", { type: "tool" })).toMatchObject({ type: "tool" });
  await storage.memories.delete("long");
  expect(await storage.memories.restore("long")).toBe(true);
  expect(await storage.memories.search("word")).toHaveLength(1);
  expect(await rejection(storage.memories.update("long", { content: "x".repeat(101) }))).toMatchObject({
    name: "RangeError",
  });
});

test("a filter finds metadata by the value that was stored, however JSON writes it", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  const metadata = { big: 2 ** 60, when: new Date(0), tiny: 1e-7, half: 0.5 };
  await memories.insert({ content: "x", metadata });
  for (const [key, value] of Object.entries(metadata))
    expect(await memories.count({ metadata: { [key]: value } }), key).toBe(1);
});

test("words are found under a filter that leaves out what the rarer word selects", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await memories.insertMany([
    ...Array.from({ length: 250 }, () => ({ content: "alpha one", type: "tool" })),
    { content: "alpha two", type: "file" },
    ...Array.from({ length: 300 }, () => ({ content: "beta three", type: "file" })),
  ]);
  const found = await memories.search("alpha beta", { type: "file" });
  expect(found).toHaveLength(10);
  expect(new Set(found.map(({ match }) => match))).toEqual(new Set(["keyword"]));
});

test("the only vector of a model settles its dimensions also when it is replaced", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await memories.insert({ id: "a", content: "x", embedding: [1, 1, 1], embeddingModel: "m" });
  const replaced = [
    () => memories.setEmbedding("a", [1, 1], { model: "m" }),
    () => memories.put("a", { content: "y", embedding: [1, 1], embeddingModel: "m" }),
    () => memories.update("a", { content: "y", embedding: [1, 1], embeddingModel: "m" }),
  ];
  for (const replace of replaced) expect(await rejection(replace())).toMatchObject({ code: "DIMENSION_MISMATCH" });
  expect(await memories.get("a")).toMatchObject({ content: "x", embedding: new Float32Array([1, 1, 1]) });
  await memories.put("a", { content: "y", embedding: [2, 2, 2], embeddingModel: "m" });
  expect((await memories.stats()).embeddings).toEqual([{ model: "m", version: null, dimensions: 3, count: 1 }]);
});

test("reembed counts and announces only what it stored", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await memories.insertMany([
    { id: "kept", content: "a" },
    { id: "purged", content: "b" },
  ]);
  const announced: string[] = [];
  temp.storage.on("change", ({ action, ids }) => announced.push(`${action} ${ids}`));
  const result = await memories.reembed(
    async (texts) => {
      await memories.purge("purged");
      return texts.map(() => [1]);
    },
    { model: "m" },
  );
  expect(result).toEqual({ embedded: 1, remaining: 0 });
  expect(announced).toEqual(["purge purged", "update kept"]);
});

test("snippet options are checked before anything is searched", async () => {
  await using temp = await tempStorage();
  for (const snippet of [{ maxChars: 1 }, { maxchars: 20 }, null, { open: 5 }]) {
    const error = await rejection(temp.storage.memories.search("nothing", { snippet: snippet as never }));
    expect(["TypeError", "RangeError"], String(error)).toContain(error.name);
  }
});

test("changes of one record that are started together all take effect", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await Promise.all(Array.from({ length: 10 }, (_, i) => memories.put("a", { content: `put ${i}` })));
  expect(await memories.count()).toBe(1);
  const fields = Array.from({ length: 30 }, (_, i) => `field-${i}`);
  const errors: unknown[] = [];
  temp.storage.on("error", (error) => errors.push(error));
  await Promise.all([
    memories.update("a", { type: "tool" }),
    memories.update("a", { source: "one" }),
    memories.update("a", { sessionId: "s" }),
    memories.update("a", { content: "new" }),
    memories.setEmbedding("a", [1, 2], { model: "m" }),
    ...fields.map((field) => memories.put(field, { content: field })),
  ]);
  expect(await memories.get("a")).toMatchObject({ type: "tool", source: "one", sessionId: "s", content: "new" });
  const found = await Promise.all([memories.delete("a"), memories.delete("a")]);
  expect(found.filter(Boolean)).toHaveLength(1);
  const restored = await Promise.all([memories.restore("a"), memories.restore("a"), memories.restore("a")]);
  expect(restored.filter(Boolean)).toHaveLength(1);
  expect(errors).toEqual([]);
});

fileTest.each([
  ["without statistics", false],
  ["after ANALYZE", true],
])("queries use an index and never sort or scan the table %s", async (_name, isAnalyzed) => {
  // The plans are SQLite's on any target; a server takes no ANALYZE.
  await using temp = await tempFileStorage();
  // Of times that differ: an index in which all of 100 rows or more have one key is one that SQLite then avoids.
  await temp.storage.memories.insertMany(
    Array.from({ length: 200 }, (_, i) => ({ content: `x ${i}`, sessionId: "s", createdAt: new Date(1000 + i) })),
  );
  if (isAnalyzed) await temp.storage.client.execute("ANALYZE");
  const statements: string[] = [];
  const client = createClient({ url: temp.db.url });
  // What the repository sends, seen on its way: the plan of each is asked for below.
  const spied = temp.storage.client as never as Record<string, (statement: { sql: string }) => Promise<unknown>>;
  for (const name of ["execute", "scan"]) {
    const run = spied[name]!.bind(spied);
    spied[name] = (statement) => {
      statements.push(statement.sql);
      return run(statement);
    };
  }
  const { memories } = temp.storage;
  const { nextCursor } = await memories.list({ limit: 5 });
  await memories.list({ limit: 5, cursor: nextCursor });
  await memories.list({ type: "context", limit: 5 });
  await memories.list({ source: "unknown", limit: 5 });
  await memories.list({ sessionId: "s", limit: 5 });
  await memories.get("x");
  await memories.find("abcd");
  await memories.getMany(["x"]);
  await memories.count();
  await memories.unembedded({ model: "m" });
  await temp.storage.sessions.active();
  await temp.storage.sessions.list({ limit: 5 });
  expect(statements.length).toBeGreaterThanOrEqual(12);
  for (const sql of statements) {
    const args = Array.from({ length: (sql.match(/\?/g) ?? []).length }, () => 1);
    const { rows } = await client.execute({ sql: `EXPLAIN QUERY PLAN ${sql}`, args });
    const plan = rows.map((row) => row.detail).join("\n");
    expect(plan, sql).not.toMatch(/SCAN (memories|sessions|memory_embeddings|m)\b(?! USING)/);
    expect(plan, sql).not.toMatch(/TEMP B-TREE/);
  }
  await client.close();
});

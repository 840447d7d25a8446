import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { openStorage } from "holdfast";
import * as memvidModule from "holdfast/memvid";
import {
  CorruptFileError,
  create,
  EmbeddingFailedError,
  type EmbeddingProvider,
  FileLock,
  FileNotFoundError,
  FrameNotFoundError,
  LockedError,
  lockNudge,
  lockWho,
  type Memvid,
  MemvidError,
  open,
  use,
  VecDimensionMismatchError,
} from "holdfast/memvid";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { tempDatabase } from "../support/temp.js";

async function tempMemvid(): Promise<{ mv: Memvid; path: string; dir: string } & AsyncDisposable> {
  const db = await tempDatabase("notes.mv2");
  const mv = await create(db.path);
  return {
    mv,
    path: db.path,
    dir: db.dir,
    async [Symbol.asyncDispose]() {
      await mv.close();
      await db[Symbol.asyncDispose]();
    },
  };
}

describe("opening", () => {
  test("create makes a file and never wipes one; open and use require it by default", async () => {
    await using db = await tempDatabase("a/b/notes.mv2");
    await expect(open(db.path)).rejects.toThrow(FileNotFoundError);
    await expect(use("basic", db.path)).rejects.toMatchObject({ code: "MV013", suggestion: expect.any(String) });
    expect(existsSync(db.path)).toBe(false);
    const first = await create(db.path);
    expect(await first.put({ text: "kept" })).toBe("0");
    await first.close();
    for (const again of [
      () => create(db.path),
      () => create(db.path, "basic", { enableLex: true }),
      () => open(db.path),
      () => open(db.path, "basic", "mv2_some_key", { lockTimeoutMs: 100 }),
      () => use("basic", db.path),
      () => use("basic", db.path, { mode: "auto" }),
      () => use("basic", db.path, { mode: "create" }),
      () => use("basic", db.path, "mv2_some_key", { mode: "open", readOnly: true }),
    ]) {
      const mv = await again();
      expect(await mv.path()).toBe(db.path);
      expect(await mv.view(0)).toBe("kept");
      await mv.close();
    }
    const made = join(db.dir, "made.mv2");
    await (await use("basic", made, { mode: "auto" })).close();
    expect(existsSync(made)).toBe(true);
  });

  test("what is wrong with a file or an option has a code, and the file is left as it is", async () => {
    await using db = await tempDatabase("notes.mv2");
    const header = Buffer.concat([Buffer.from("MV2\0\u0001"), Buffer.alloc(4096)]);
    for (const content of [header, Buffer.from("no database ".repeat(400))]) {
      writeFileSync(db.path, content);
      await expect(open(db.path)).rejects.toThrow(CorruptFileError);
      await expect(create(db.path)).rejects.toMatchObject({ code: "MV012" });
      expect(readFileSync(db.path)).toEqual(content);
    }
    await expect(create("")).rejects.toMatchObject({
      name: "MemvidError",
      code: "MV999",
      cause: expect.any(TypeError),
    });
    await expect(create(db.path, "langchain")).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
    await expect(create(db.path, "basic", { memoryId: "cloud" })).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
    await expect(use("basic", db.path, { mode: "append" as "auto" })).rejects.toMatchObject({ code: "MV999" });
    const folder = join(db.dir, "folder");
    mkdirSync(folder);
    await expect(create(folder)).rejects.toThrow(MemvidError);
  });

  test("readOnly refuses what writes, and reads the rest", async () => {
    await using at = await tempMemvid();
    await at.mv.put({ text: "one" });
    const mv = await use("basic", at.path, { readOnly: true });
    for (const call of [() => mv.put({ text: "x" }), () => mv.putMany([]), () => mv.remove(0), () => mv.doctor()]) {
      await expect(call()).rejects.toMatchObject({ code: "MV999", message: expect.stringContaining("readOnly") });
    }
    expect((await mv.find("one")).total_hits).toBe(1);
    await mv.close();
  });
});

describe("what was put", () => {
  test("is viewed by number, text of a number, and URI, to the letter", async () => {
    await using at = await tempMemvid();
    const { mv } = at;
    const text = "  Discussed Q4 roadmap.\r\nAlice will handle the 🚀 refactor.\n\n";
    const full = {
      title: "Project Update",
      label: "meeting",
      text,
      metadata: { date: "2024-01-15", attendees: ["Alice", "Bob"] },
      uri: "mv2://meetings/1",
      tags: ["roadmap"],
      labels: ["q4"],
      kind: "note",
      track: "work",
      timestamp: 1_700_000_000,
    };
    expect(await mv.put(full)).toBe("0");
    expect(await mv.put({ text: "no title" })).toBe("1");
    expect(await mv.view(0)).toBe(text);
    expect(await mv.view("0")).toBe(text);
    expect(await mv.viewByUri("mv2://meetings/1")).toBe(text);
    expect(await mv.viewByUri("mv2://frames/1")).toBe("no title");
    const { text: _, label, labels, ...kept } = full;
    const whole = { parent_id: null, chunk_index: null, chunk_count: null, role: "Document" };
    expect(await mv.getFrameInfo(0)).toEqual({ id: 0, ...kept, labels: [label, ...labels], ...whole });
    expect(await mv.getFrameInfo("1")).toMatchObject({
      title: "Untitled",
      tags: [],
      labels: [],
      kind: null,
      metadata: {},
    });
  });

  test("under one URI twice is two frames, of which the URI gives the one put last", async () => {
    await using at = await tempMemvid();
    await at.mv.put({ uri: "mv2://a", text: "first", timestamp: 2000 });
    await at.mv.put({ uri: "mv2://a", text: "second", timestamp: 1000 });
    expect(await at.mv.viewByUri("mv2://a")).toBe("second");
    expect((await at.mv.stats()).frame_count).toBe(2);
    await at.mv.remove(1);
    expect(await at.mv.viewByUri("mv2://a")).toBe("first");
  });

  test("from a text file is its text, named after it; other files are not supported", async () => {
    await using at = await tempMemvid();
    const file = join(at.dir, "whales.md");
    writeFileSync(file, "About whales");
    await at.mv.put({ file });
    expect(await at.mv.view(0)).toBe("About whales");
    expect(await at.mv.getFrameInfo(0)).toMatchObject({ title: "whales", labels: ["md"] });
    writeFileSync(file, Buffer.from([0x25, 0x50, 0x44, 0x46, 0xff, 0xfe]));
    await expect(at.mv.put({ file })).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
    await expect(at.mv.put({ file: `${file}.none` })).rejects.toMatchObject({ code: "MV013" });
  });

  test("may be empty", async () => {
    await using at = await tempMemvid();
    expect(await at.mv.put({ text: "" })).toBe("0");
    expect(await at.mv.put({ text: "", title: "Only a title" })).toBe("1");
    expect(await at.mv.view(0)).toBe("");
    expect(await at.mv.view(1)).toBe("");
    expect((await at.mv.find("title")).hits).toMatchObject([{ frame_id: 1, snippet: "" }]);
    expect(await at.mv.timeline()).toMatchObject([{ preview: "" }, { preview: "" }]);
  });

  test("takes times in seconds and as dates, in UTC", async () => {
    await using at = await tempMemvid();
    const day = Date.UTC(2023, 0, 15) / 1000;
    const times = [
      day,
      "2023-01-15",
      "Jan 15, 2023",
      "January 15 2023",
      "01/15/2023",
      "2023-01-15T00:00:00Z",
      "2023-01-15 01:00+01:00",
    ];
    for (const timestamp of times) await at.mv.put({ text: "dated", timestamp });
    expect((await at.mv.timeline()).map(({ timestamp }) => timestamp)).toEqual(times.map(() => day));
    for (const timestamp of [1.5, Number.NaN, "yesterday", "02/30/2023", "Foo 1, 2023", "2023-13-01", 1e20]) {
      await expect(at.mv.put({ text: "dated", timestamp })).rejects.toMatchObject({
        code: "MV999",
        cause: expect.any(RangeError),
      });
    }
    const before = Math.floor(Date.now() / 1000);
    await at.mv.put({ text: "now" });
    const { timestamp } = (await at.mv.timeline({ reverse: true, limit: 1 }))[0]!;
    expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(timestamp).toBeLessThanOrEqual(Date.now() / 1000);
  });

  test("in bulk is stored whole or not at all, and numbered in order", async () => {
    await using at = await tempMemvid();
    expect(await at.mv.putMany([])).toEqual([]);
    expect(
      await at.mv.putMany([
        { title: "a", text: "one" },
        { title: "b", text: "two" },
      ]),
    ).toEqual(["0", "1"]);
    await expect(
      at.mv.putMany([
        { title: "c", text: "three" },
        { title: "d", text: 5 as unknown as string },
      ]),
    ).rejects.toMatchObject({ code: "MV999" });
    expect((await at.mv.stats()).frame_count).toBe(2);
    expect(await at.mv.put({ text: "three" })).toBe("2");
  });

  test("is refused with a reason when it is not what it should be, and nothing is stored", async () => {
    await using at = await tempMemvid();
    const wrong: unknown[] = [
      undefined,
      {},
      { title: "no text" },
      { text: 5 },
      { text: "x", tags: "a" },
      { text: "x", tags: [5] },
      { text: "x", metadata: [] },
      { text: "x", metadata: { memvid: 1 } },
      { text: "x", txet: "y" },
      { text: "x", uri: "u".repeat(1001) },
      { text: "x", embedding: [] },
      { text: "x", embedding: [Number.NaN] },
    ];
    for (const input of wrong)
      await expect(at.mv.put(input as never)).rejects.toMatchObject({ code: "MV999", cause: expect.any(Error) });
    await expect(at.mv.put({ text: "x", enableEmbedding: true })).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
    await expect(at.mv.putMany("x" as never)).rejects.toMatchObject({ code: "MV999" });
    expect((await at.mv.stats()).frame_count).toBe(0);
  });

  test("and removed is gone from every call, its number is not given again, and its row stays", async () => {
    await using at = await tempMemvid();
    const { mv } = at;
    await mv.putMany([
      { title: "a", text: "apple" },
      { title: "b", text: "apple pie" },
    ]);
    await mv.remove("1");
    await expect(mv.view(1)).rejects.toThrow(FrameNotFoundError);
    await expect(mv.remove(1)).rejects.toMatchObject({ code: "MV010" });
    await expect(mv.remove(7)).rejects.toMatchObject({ code: "MV010" });
    await expect(mv.remove("one")).rejects.toMatchObject({ code: "MV999" });
    await expect(mv.viewByUri("mv2://frames/1")).rejects.toMatchObject({ code: "MV010" });
    expect((await mv.find("apple")).hits.map(({ frame_id }) => frame_id)).toEqual([0]);
    expect((await mv.timeline()).map(({ frame_id }) => frame_id)).toEqual([0]);
    expect(await mv.stats()).toMatchObject({ frame_count: 2, active_frame_count: 1 });
    expect(await mv.put({ text: "cherry" })).toBe("2");
    await using storage = await openStorage(at.path);
    const { rows } = await storage.client.execute("select source, deleted_at from memories where row_id = 2");
    expect(rows[0]).toMatchObject({ source: "mv2://frames/1", deleted_at: expect.any(Number) });
  });
});

describe("find", () => {
  test("gives hits in the SDK's shape", async () => {
    await using at = await tempMemvid();
    await at.mv.put({
      title: "Technical Decision",
      label: "architecture",
      text: "Decided to use PostgreSQL for the main database.",
      tags: ["db"],
      track: "t",
      timestamp: 1_700_000_000,
      uri: "mv2://decisions/1",
    });
    const result = await at.mv.find("database", { k: 5, mode: "lex", snippetChars: 30 });
    expect(result).toEqual({
      query: "database",
      engine: expect.any(String),
      hits: [
        {
          frame_id: 0,
          uri: "mv2://decisions/1",
          title: "Technical Decision",
          snippet: expect.stringContaining("database"),
          score: expect.any(Number),
          rank: 1,
          matches: 1,
          tags: ["db"],
          labels: ["architecture"],
          track: "t",
          content_dates: [],
          created_at: "2023-11-14T22:13:20Z",
        },
      ],
      total_hits: 1,
      context: expect.stringContaining("Technical Decision"),
      next_cursor: null,
      took_ms: expect.any(Number),
    });
    expect(result.hits[0]!.snippet.length).toBeLessThanOrEqual(30);
    expect(result.hits[0]!.snippet).not.toContain("<mark>");
  });

  test("finds frames by title, label, tags, URI and searchText too, none of which is part of the text", async () => {
    await using at = await tempMemvid();
    await at.mv.put({
      title: "Apollo plan",
      label: "meeting",
      labels: ["orbit"],
      tags: ["lunar"],
      uri: "mv2://docs/eagle",
      searchText: "zebra",
      text: "nothing else",
    });
    for (const word of ["apollo", "meeting", "orbit", "lunar", "eagle", "zebra", "else"]) {
      const { hits } = await at.mv.find(word);
      expect(hits.map(({ frame_id }) => frame_id)).toEqual([0]);
      expect(hits[0]!.snippet).toBe("nothing else");
    }
    expect(await at.mv.view(0)).toBe("nothing else");
  });

  test("answers quotes, parentheses and operators", async () => {
    await using at = await tempMemvid();
    await at.mv.put({ text: 'The "kubernetes" cluster (eu-west-1) doesn\'t start: NOT ready' });
    const queries = [
      '"kubernetes cluster"',
      "(kubernetes",
      "cluster)",
      "kubernetes AND OR NOT",
      'a" OR "b cluster',
      "doesn't",
      "NEAR(kubernetes, 5)",
      "kubernetes*",
      "-kubernetes",
      "col:kubernetes",
      "^cluster",
      "{cluster}",
      "eu-west-1",
    ];
    for (const query of queries) expect((await at.mv.find(query)).hits[0]?.frame_id, query).toBe(0);
    for (const query of ['"', "(", "AND", "***", "\0", "\ud800", "🚀", "数据", "x".repeat(100_000), "' OR 1=1 --"]) {
      expect((await at.mv.find(query)).hits.length, query.slice(0, 20)).toBeLessThanOrEqual(1);
    }
    expect((await at.mv.find("")).hits).toHaveLength(1);
    await expect(at.mv.find(undefined as never)).rejects.toMatchObject({ code: "MV999" });
  });

  test("pages through all hits once, with the whole count on every page", async () => {
    await using at = await tempMemvid();
    const count = 450;
    await at.mv.putMany(Array.from({ length: count }, (_, i) => ({ title: `n${i}`, text: `note ${i} about whales` })));
    for (const [query, k] of [
      ["whales", 20],
      ["whal", 64],
      ["", 100],
      ["hale", 200],
    ] as const) {
      const seen: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await at.mv.find(query, { k, ...(cursor === undefined ? {} : { cursor }) });
        expect(page.total_hits, query).toBe(count);
        expect(page.hits.map(({ rank }) => rank)).toEqual(page.hits.map((_, i) => seen.length + i + 1));
        seen.push(...page.hits.map(({ frame_id }) => frame_id));
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      expect(new Set(seen).size, query).toBe(count);
      expect(seen, query).toHaveLength(count);
    }
    expect((await at.mv.find("whales")).hits).toHaveLength(10);
    expect(await at.mv.find("whales", { cursor: "450" })).toMatchObject({ hits: [], next_cursor: null });
    await expect(at.mv.find("whales", { cursor: "next" })).rejects.toMatchObject({ code: "MV999" });
  });

  test("keeps to a scope, to a frame and to a time", async () => {
    await using at = await tempMemvid();
    for (let i = 0; i < 6; i++) {
      await at.mv.put({ text: `whale ${i}`, uri: `mv2://${i % 2 === 0 ? "even" : "odd"}/${i}`, timestamp: 1000 + i });
    }
    const ids = async (options: object) =>
      (await at.mv.find("whale", options)).hits.map(({ frame_id }) => frame_id).sort();
    expect(await ids({ scope: "mv2://even" })).toEqual([0, 2, 4]);
    expect(await ids({ scope: "mv2://even/2" })).toEqual([2]);
    expect(await ids({ asOfFrame: 2 })).toEqual([0, 1, 2]);
    expect(await ids({ asOfTs: 1003 })).toEqual([0, 1, 2, 3]);
    expect((await at.mv.find("whale", { asOfTs: 1003, k: 1 })).total_hits).toBe(4);
    expect((await at.mv.find("whale", { scope: "mv2://odd", k: 1 })).total_hits).toBe(3);
  });

  test("unknown options, modes and access rules are refused, not ignored", async () => {
    await using at = await tempMemvid();
    await expect(at.mv.find("x", { mode: "fuzzy" as "lex" })).rejects.toMatchObject({ code: "MV999" });
    await expect(at.mv.find("x", { limit: 5 } as never)).rejects.toMatchObject({ code: "MV999" });
    await expect(at.mv.find("x", { k: -1 })).rejects.toMatchObject({ code: "MV999" });
    await expect(at.mv.find("x", { aclContext: { tenantId: "t" } })).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  });
});

describe("vectors", () => {
  test('given without a model go under "default", and are found with those of a named one', async () => {
    await using at = await tempMemvid();
    const { mv } = at;
    expect((await mv.vecSearch("x", [1, 0, 0])).hits).toEqual([]);
    await mv.put({ text: "east", embedding: [1, 0, 0] });
    await mv.put({ text: "north", embedding: [0, 1, 0], embeddingIdentity: { model: "compass" } });
    await mv.put({ text: "nowhere" });
    const near = await mv.vecSearch("x", [0.9, 0.1, 0], { k: 5 });
    expect(near.hits.map(({ frame_id }) => frame_id)).toEqual([0, 1]);
    expect(near.hits[0]!.score).toBeCloseTo(0.9938837, 5);
    expect(near.total_hits).toBe(2);
    expect((await mv.vecSearch("x", [0, 1, 0], { k: 1 })).hits[0]!.frame_id).toBe(1);
    expect(
      (await mv.find("x", { mode: "sem", queryEmbedding: [0, 1, 0], queryEmbeddingModel: "default" })).total_hits,
    ).toBe(1);
    expect(await mv.stats()).toMatchObject({ has_vec_index: true, effective_vec_dimension: 3 });
    await using storage = await openStorage(at.path);
    expect((await storage.memories.list({ source: "mv2://frames/0" })).items[0]!.embeddingModel).toBe("default");
  });

  test("of another length are refused with MV014, stored or asked for", async () => {
    await using at = await tempMemvid();
    await at.mv.put({ text: "east", embedding: [1, 0, 0] });
    await expect(at.mv.put({ text: "x", embedding: [1, 0] })).rejects.toThrow(VecDimensionMismatchError);
    await expect(at.mv.vecSearch("x", [1, 0])).rejects.toMatchObject({ code: "MV014", suggestion: expect.any(String) });
    expect((await at.mv.stats()).frame_count).toBe(1);
  });

  test("and words are fused by mode auto, each frame once", async () => {
    await using at = await tempMemvid();
    await at.mv.put({ text: "whale song", embedding: [1, 0] });
    await at.mv.put({ text: "bird song", embedding: [0, 1] });
    await at.mv.put({ text: "whale bones" });
    const fused = await at.mv.find("whale", { mode: "auto", queryEmbedding: [1, 0] });
    expect(fused.hits.map(({ frame_id }) => frame_id)[0]).toBe(0);
    expect(fused.hits.map(({ frame_id }) => frame_id).sort()).toEqual([0, 1, 2]);
    expect(fused.total_hits).toBe(3);
    expect((await at.mv.find("whale", { mode: "auto" })).total_hits).toBe(2);
    expect((await at.mv.find("hale", { mode: "auto", queryEmbedding: [1, 0] })).total_hits).toBe(3);
  });

  test("are made by an embedder where one is given", async () => {
    await using at = await tempMemvid();
    const embedder: EmbeddingProvider = {
      dimension: 2,
      modelName: "toy",
      embedDocuments: async (texts) =>
        texts.map((text) => [text.includes("whale") ? 1 : 0, text.includes("bird") ? 1 : 0]),
      embedQuery: async (text) => [text === "sea" ? 1 : 0, text === "air" ? 1 : 0],
    };
    await at.mv.putMany(
      [
        { title: "a", text: "whale" },
        { title: "b", text: "bird" },
      ],
      { embedder },
    );
    expect((await at.mv.find("sea", { mode: "sem", embedder, k: 1 })).hits[0]!.title).toBe("a");
    expect((await at.mv.find("air", { mode: "sem", embedder, k: 1 })).hits[0]!.title).toBe("b");
    expect((await at.mv.stats()).embedding_identity).toEqual({ model: "toy", dimension: 2 });
    const failing = {
      ...embedder,
      embedQuery: () => Promise.reject(new Error("no key")),
      embedDocuments: async () => [],
    };
    await expect(at.mv.find("air", { mode: "sem", embedder: failing })).rejects.toThrow(EmbeddingFailedError);
    await expect(at.mv.putMany([{ text: "x" }], { embedder: failing })).rejects.toMatchObject({ code: "MV015" });
    await expect(at.mv.find("air", { mode: "sem" })).rejects.toMatchObject({ code: "MV015" });
    expect((await at.mv.stats()).frame_count).toBe(2);
  });
});

test("the timeline is in order of time, oldest first, between two seconds, up to a limit", async () => {
  await using at = await tempMemvid();
  const times = [5000, 1000, 3000, 3000];
  for (const [i, timestamp] of times.entries())
    await at.mv.put({ title: `n${i}`, text: `${"long ".repeat(40)}${i}`, timestamp });
  const ids = async (options?: object) => (await at.mv.timeline(options)).map(({ frame_id }) => frame_id);
  expect(await ids()).toEqual([1, 2, 3, 0]);
  expect(await ids({ reverse: true })).toEqual([0, 3, 2, 1]);
  expect(await ids({ limit: 2 })).toEqual([1, 2]);
  expect(await ids({ since: 3000 })).toEqual([2, 3, 0]);
  expect(await ids({ until: 3000 })).toEqual([1, 2, 3]);
  expect(await ids({ since: 3000, until: 3000, limit: 1, reverse: true })).toEqual([3]);
  expect(await ids({ asOfFrame: 1 })).toEqual([1, 0]);
  expect(await ids({ asOfTs: 2999 })).toEqual([1]);
  expect((await at.mv.timeline({ limit: 1 }))[0]).toEqual({
    frame_id: 1,
    uri: "mv2://frames/1",
    timestamp: 1000,
    preview: "long ".repeat(24),
    child_frames: [],
  });
  await expect(at.mv.timeline({ limit: -1 })).rejects.toMatchObject({ code: "MV999" });
});

test("stats have the SDK's keys", async () => {
  await using at = await tempMemvid();
  await at.mv.put({ text: "1234567" });
  const stats = await at.mv.stats();
  expect(Object.keys(stats)).toEqual(
    expect.arrayContaining([
      "active_frame_count",
      "average_frame_logical_bytes",
      "average_frame_payload_bytes",
      "capacity_bytes",
      "compression_ratio_percent",
      "effective_vec_dimension",
      "embedding_identity",
      "frame_count",
      "has_lex_index",
      "has_time_index",
      "has_vec_index",
      "logical_bytes",
      "payload_bytes",
      "remaining_capacity_bytes",
      "saved_bytes",
      "savings_percent",
      "seq_no",
      "size_bytes",
      "storage_utilisation_percent",
      "tier",
    ]),
  );
  expect(stats).toMatchObject({ frame_count: 1, logical_bytes: 7, has_lex_index: true, has_vec_index: false });
  expect(stats.size_bytes).toBeGreaterThan(4096);
});

describe("care of the file", () => {
  test("verify passes on a sound file, and says what is wrong with a damaged one", async () => {
    await using at = await tempMemvid();
    await at.mv.putMany(Array.from({ length: 500 }, (_, i) => ({ title: `n${i}`, text: `note ${i} `.repeat(20) })));
    expect(await at.mv.verify()).toMatchObject({ file_path: at.path, overall_status: "passed" });
    expect(await use.verify(at.path, { deep: true })).toMatchObject({ overall_status: "passed" });
    await expect(use.verify(`${at.path}.none`)).rejects.toMatchObject({ code: "MV013" });
    await using storage = await openStorage(at.path);
    // What the word index is made of is lost in part.
    await storage.client.execute("delete from memories_fts_data where id > 10");
    const { overall_status, checks } = await use.verify(at.path, { deep: true });
    expect(overall_status).toBe("failed");
    expect(checks.find(({ name }) => name === "Pages")).toMatchObject({
      status: "failed",
      details: expect.any(String),
    });
    expect(await at.mv.doctor({ rebuildLexIndex: true })).toMatchObject({ status: "healed", findings: [] });
  });

  test("doctor rebuilds the word index and returns space, and only reports on a dry run", async () => {
    await using at = await tempMemvid();
    await at.mv.putMany(Array.from({ length: 200 }, (_, i) => ({ title: `n${i}`, text: `whale ${i}` })));
    await using storage = await openStorage(at.path);
    await storage.client.execute("insert into memories_fts(memories_fts) values ('delete-all')");
    expect((await at.mv.find("whale")).hits.map(({ frame_id }) => frame_id)).not.toHaveLength(0);
    const dry = await at.mv.doctor({ rebuildLexIndex: true, vacuum: true, dryRun: true });
    expect(dry).toMatchObject({
      status: "clean",
      metrics: { actions_completed: 0, actions_skipped: 2 },
      verification: null,
    });
    const healed = await at.mv.doctor({
      rebuildLexIndex: true,
      rebuildTimeIndex: true,
      rebuildVecIndex: true,
      vacuum: true,
      quiet: true,
    });
    expect(healed).toMatchObject({ status: "healed", findings: [], verification: { overall_status: "passed" } });
    expect((await at.mv.find("whale")).total_hits).toBe(200);
    expect(await use.doctor(at.path)).toMatchObject({ status: "clean" });
  });

  test("seal closes the file, and the next call opens it again; close is for good", async () => {
    await using at = await tempMemvid();
    const { mv } = at;
    const [id] = await Promise.all([mv.put({ text: "one" }), mv.seal()]);
    expect(id).toBe("0");
    await mv.seal();
    expect(await use.verify(at.path)).toMatchObject({ overall_status: "passed" });
    expect(await mv.put({ text: "two" })).toBe("1");
    await mv.close();
    await mv.close();
    await expect(mv.find("one")).rejects.toMatchObject({ code: "MV999", cause: { code: "CLOSED" } });
  });

  test("lockWho names the holder of the lock on the path; lockNudge removes the lock of an ended process", async () => {
    await using at = await tempMemvid();
    expect(await at.mv.lockWho()).toEqual({ locked: false });
    const lock = new FileLock(at.path);
    await lock.acquire();
    expect(await lockWho(at.path)).toEqual({
      locked: true,
      owner: { pid: process.pid, host: hostname(), since: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
    expect(await lockNudge(at.path)).toBe(false);
    await lock.release();
    writeFileSync(`${at.path}.lock`, JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), since: Date.now() }));
    expect(await lockNudge(at.path)).toBe(true);
    expect(await lockWho(at.path)).toEqual({ locked: false });
  });

  test("a file that another process writes to for too long is MV007", async () => {
    await using at = await tempMemvid();
    await using holder = startChild("hold-lock", { url: `file:${at.path}` });
    await holder.message(({ locked }: { locked?: boolean }) => locked === true);
    const mv = await open(at.path, "basic", { lockTimeoutMs: 30 });
    await expect(mv.put({ text: "x" })).rejects.toThrow(LockedError);
    expect((await mv.find("x")).total_hits).toBe(0);
    holder.kill();
    await holder.exited;
    expect(await mv.put({ text: "x" })).toBe("0");
    await mv.close();
  });
});

describe("unsupported calls", () => {
  test("reject with NOT_SUPPORTED, and say where to look", async () => {
    await using at = await tempMemvid();
    const { mv } = at;
    const calls = [
      mv.putFile,
      mv.syncTickets,
      mv.sessionReplay,
      mv.enrich,
      mv.extractAsset,
      (text: string) => mv.ask(text),
    ];
    for (const call of calls) {
      await expect(call("x")).rejects.toMatchObject({
        code: "NOT_SUPPORTED",
        suggestion: expect.stringContaining('guide "Replacing @memvid/sdk" at https://'),
      });
    }
    await expect(memvidModule.createMemory({ name: "x" })).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
    expect(() => memvidModule.getOCRProvider("tesseract")).toThrow(memvidModule.NotSupportedError);
    expect(await mv.getMemoryBinding()).toBeNull();
    expect(await mv.enableLex()).toBeUndefined();
    expect(await mv.setVectorCompression(true)).toBeUndefined();
    expect(await mv.getCapacity()).toBeGreaterThan(0);
  });

  test("errors are MemvidErrors with code, suggestion, details and a form for people", async () => {
    const error = await open("/none/of/this.mv2").catch((thrown: unknown) => thrown as MemvidError);
    expect(error).toBeInstanceOf(MemvidError);
    expect(error).toBeInstanceOf(FileNotFoundError);
    expect(MemvidError.isMemvidError(error)).toBe(true);
    const { name, code, formattedMessage, details } = error as MemvidError;
    expect({ name, code, details }).toEqual({
      name: "FileNotFoundError",
      code: "MV013",
      details: { path: "/none/of/this.mv2" },
    });
    expect(formattedMessage).toMatch(/^\[MV013\] There is no file .*\n\nSuggestion: /);
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: "MV013", message: expect.any(String) });
    expect(memvidModule.getErrorSuggestion("MV002")).toBeNull();
    await expect(open("")).rejects.toMatchObject({ code: "MV999", suggestion: expect.any(String) });
  });
});

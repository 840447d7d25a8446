import { createReadStream, mkdirSync, readdirSync } from "node:fs";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type Change, ImportError, openStorage, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { seededRandom } from "../support/random.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

/** All tables of records, by value, without what a new file numbers anew. */
async function dump(storage: Storage): Promise<unknown[]> {
  const { rows: memories } = await storage.client.execute(
    `select project, id, session_id, type, source, content, metadata, created_at, updated_at, deleted_at, content_hash,
      checksum, search_text from memories order by project, id`,
  );
  const { rows: vectors } = await storage.client.execute(
    `select m.project, m.id, e.model, e.version, e.dimensions, hex(e.vector), e.created_at, e.checksum,
      e.row_id = m.embedding_row_id from memory_embeddings e join memories m on m.row_id = e.memory_row_id order by 1, 2, 3, 4`,
  );
  const { rows: sessions } = await storage.client.execute(
    "select project, id, started_at, ended_at, summary, metadata from sessions order by project, id",
  );
  return [memories, vectors, sessions].map((rows) => rows.map((row) => Array.from(row as ArrayLike<unknown>)));
}

async function fill(storage: Storage): Promise<void> {
  const random = seededRandom("export and import");
  const texts = [
    "it’s",
    'quo"tes\nand lines\r\n',
    "数据库 \u{1f600}",
    "\u2028 and \u001b[31mred",
    "plain words",
    "__proto__",
  ];
  for (const project of ["default", "other", 'a "project"\n']) {
    const { memories, sessions } = storage.project(project);
    await sessions.start("open", { metadata: { deep: { list: [1, null, "x"] } }, startedAt: new Date(5) });
    await sessions.start("ended");
    await sessions.end("ended", `done: ${random.pick(texts)}`);
    for (let i = 0; i < 30; i++) {
      await memories.insert({
        id: `m${i}`,
        content: `${random.pick(texts)} ${i}`,
        metadata: JSON.parse(
          `{"__proto__":{"x":${random.next()}},"2":2,"1":1,"text":${JSON.stringify(random.pick(texts))}}`,
        ),
        sessionId: random.below(2) === 0 ? null : "open",
        createdAt: new Date(random.below(2) === 0 ? -62_198_755_200_000 : random.below(2 ** 31)),
      });
      if (random.below(3) === 0)
        await memories.setEmbedding(`m${i}`, [random.next(), -1], { model: "b", version: "2" });
      if (random.below(3) === 0) await memories.setEmbedding(`m${i}`, [random.next(), 0, 1], { model: "a" });
      if (random.below(4) === 0) await memories.delete(`m${i}`);
    }
  }
}

describe("an export", () => {
  test("imported into an empty storage gives the same records, vectors, deletions and times", async () => {
    await using source = await tempStorage();
    await fill(source.storage);
    await using target = await tempStorage();
    const result = await target.storage.import(source.storage.export());
    expect(result).toEqual({ inserted: 96, replaced: 0, skipped: 0, invalid: [] });
    expect(await dump(target.storage)).toEqual(await dump(source.storage));
    expect(await target.storage.check({ deep: true })).toMatchObject({ ok: true });
    const found = await target.storage.project("other").memories.search("plain words");
    expect(found).toEqual(await source.storage.project("other").memories.search("plain words"));
  });

  test("starts with a header that counts what follows, each line a record", async () => {
    await using source = await tempStorage();
    await fill(source.storage);
    const lines: string[] = [];
    const done: number[] = [];
    for await (const line of source.storage.export({ onProgress: (progress) => done.push(progress.done) }))
      lines.push(line);
    expect(lines.every((line) => line.endsWith("\n") && line.trim().split("\n").length === 1)).toBe(true);
    const [header, ...records] = lines.map((line) => JSON.parse(line));
    expect(header).toMatchObject({ format: "holdfast", version: 1, counts: { memories: 90, sessions: 6 } });
    expect(records).toHaveLength(96);
    expect(done.at(-1)).toBe(96);
  });

  test("holds one project or area only where that is asked for", async () => {
    await using source = await tempStorage();
    await fill(source.storage);
    const records = async (options: Parameters<Storage["export"]>[0]) =>
      (await text(source.storage.export(options)))
        .trim()
        .split("\n")
        .slice(1)
        .map((line) => JSON.parse(line));
    const own = await records({ project: "other" });
    expect(own).toHaveLength(32);
    expect(own.every(({ project }) => project === "other")).toBe(true);
    const sessions = await records({ area: "sessions" });
    expect(sessions.map(({ area }) => area)).toEqual(Array(6).fill("sessions"));
    expect(await records({ project: "nobody" })).toEqual([]);
    expect(() => source.storage.export({ area: "planets" as never })).toThrow(TypeError);
    expect(() => source.storage.export({ project: "" })).toThrow(RangeError);
  });

  test("is of one moment, whatever is written during it", async () => {
    await using source = await tempStorage();
    await source.storage.memories.insertMany(
      Array.from({ length: 500 }, (_, i) => ({ id: `m${i}`, content: `n ${i}` })),
    );
    const lines: string[] = [];
    for await (const line of source.storage.export()) {
      if (lines.push(line) === 1) {
        await source.storage.memories.insert({ content: "too late" });
        await source.storage.memories.purge("m499");
      }
    }
    expect(lines).toHaveLength(501);
    expect(lines.join("")).not.toContain("too late");
    expect(lines.at(-1)).toContain("m499");
  });

  test("of a database in memory can be written to while it is read", async () => {
    await using storage = await openStorage(":memory:");
    await storage.memories.insert({ content: "one" });
    let lines = 0;
    for await (const _ of storage.export()) {
      lines++;
      await storage.memories.insert({ content: "another" });
    }
    expect(lines).toBe(2);
  });

  test("that is not read to its end gives its reader back", async () => {
    await using source = await tempStorage();
    await source.storage.memories.insertMany(Array.from({ length: 500 }, () => ({ content: "many" })));
    for await (const _ of source.storage.export()) break;
    const controller = new AbortController();
    const aborted = text(source.storage.export({ signal: controller.signal, onProgress: () => controller.abort() }));
    expect((await rejection(aborted)).name).toBe("AbortError");
    // The engine may be at a checkpoint of its own.
    const active = async () => (await source.storage.stats()).client!.pool.active;
    await expect.poll(active, { timeout: 10_000 }).toBe(0);
  });

  test("of a large storage keeps a page of it in memory", async () => {
    await using source = await tempStorage();
    // One long word, so that the index has little to do.
    const content = "x".repeat(10_000);
    await source.storage.memories.insertMany(Array.from({ length: 3000 }, () => ({ content })));
    let lines = 0;
    let bytes = 0;
    let most = 0;
    global.gc!();
    const before = process.memoryUsage().heapUsed;
    for await (const line of source.storage.export()) {
      bytes += line.length;
      if (++lines % 300 > 0) continue;
      global.gc!();
      most = Math.max(most, process.memoryUsage().heapUsed - before);
    }
    expect(bytes).toBeGreaterThan(30_000_000);
    expect(most).toBeLessThan(bytes / 3);
  });
});

describe("an import", () => {
  const head = (counts: object, extra: object = {}) =>
    `${JSON.stringify({ format: "holdfast", version: 1, exportedAt: "2026-01-01T00:00:00.000Z", counts, ...extra })}\n`;
  const record = (id: string, more: object = {}) =>
    `${JSON.stringify({
      area: "memories",
      project: "default",
      record: {
        id,
        sessionId: null,
        type: "context",
        source: "unknown",
        content: `content of ${id}`,
        metadata: {},
        embeddings: [],
        createdAt: "2026-01-01T00:00:00.000Z",
        updatedAt: "2026-01-01T00:00:00.000Z",
        deletedAt: null,
        ...more,
      },
    })}\n`;

  test("names every bad line, the header being the first, and stores nothing", async () => {
    await using target = await tempStorage();
    const source = [
      head({ memories: 9 }),
      record("good"),
      "not json\n",
      record("x", { content: "" }),
      record("x", { createdAt: "yesterday" }),
      record("x", { content: 5 }),
      record("x", { surprise: true }),
      record("x", {
        embeddings: [{ model: "m", version: null, vector: "AAA=", createdAt: "2026-01-01T00:00:00.000Z" }],
      }),
      `${JSON.stringify({ area: "planets", project: "p", record: {} })}\n`,
      `${JSON.stringify({ area: "memories", project: "", record: {} })}\n`,
      record("fine"),
    ];
    const error = await rejection(target.storage.import(source.join("")));
    expect(error).toBeInstanceOf(ImportError);
    expect(error).toMatchObject({ code: "INVALID_IMPORT", line: 3 });
    expect((error as unknown as ImportError).lines.map(({ line }) => line)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await target.storage.memories.count()).toBe(0);
  });

  test.each([
    ["an empty text", "", 1],
    ["a text without a header", record("a"), 1],
    ["another format", `${JSON.stringify({ format: "other", version: 1, counts: {} })}\n`, 1],
    ["a newer version", head({}, { version: 2 }), 1],
    ["a text that is cut at a line", head({ memories: 2 }) + record("a"), 3],
    ["a text that is cut in a line", (head({ memories: 2 }) + record("a") + record("b")).slice(0, -40), 3],
  ])("of %s is refused", async (_name, source, line) => {
    await using target = await tempStorage();
    expect(await rejection(target.storage.import(source))).toMatchObject({ code: "INVALID_IMPORT", line });
    expect(await target.storage.memories.count()).toBe(0);
  });

  test("of bytes that are not UTF-8 is refused", async () => {
    await using target = await tempStorage();
    const source = [Buffer.from(head({ memories: 1 })), Buffer.from([0x7b, 0xff, 0x7d, 0x0a])];
    expect(await rejection(target.storage.import(source))).toMatchObject({ code: "INVALID_IMPORT", line: 2 });
  });

  test("takes bytes that are split anywhere, and line ends of any kind", async () => {
    await using target = await tempStorage();
    const bytes = Buffer.from(
      `\uFEFF${head({ memories: 2 })}${record("é😀")}\n${record("b")}`.replaceAll("\n", "\r\n"),
    );
    const source = Readable.from(Array.from(bytes, (byte) => Buffer.from([byte])));
    expect(await target.storage.import(source)).toMatchObject({ inserted: 2 });
    expect((await target.storage.memories.require("é😀")).content).toBe("content of é😀");
  });

  test("leaves bad lines out and reports them where that is asked for", async () => {
    await using target = await tempStorage();
    const source = `${head({ memories: 3 })}${record("a")}}{\n${record("b")}`;
    const result = await target.storage.import(source, { onInvalid: "skip" });
    expect(result).toMatchObject({ inserted: 2, invalid: [{ line: 3, message: "it is not JSON" }] });
  });

  test("treats records that are there as it is told to, deleted ones as well", async () => {
    await using target = await tempStorage();
    const { memories } = target.storage;
    await memories.insert({ id: "live", content: "old", embedding: [1, 2], embeddingModel: "m" });
    await memories.insert({ id: "dead", content: "old" });
    await memories.delete("dead");
    const source = head({ memories: 3 }) + record("new") + record("live") + record("dead");
    const changes: Change[] = [];
    target.storage.on("change", (change) => changes.push(change));
    const error = await rejection(target.storage.import(source));
    expect(error).toMatchObject({ code: "CONFLICT", line: 3 });
    expect(await memories.get("new")).toBeUndefined();
    expect(changes).toEqual([]);
    expect(await target.storage.import(source, { onConflict: "skip" })).toMatchObject({ inserted: 1, skipped: 2 });
    expect((await memories.require("live")).content).toBe("old");
    expect(await target.storage.import(source, { onConflict: "replace" })).toMatchObject({ replaced: 3 });
    expect(await memories.require("live")).toMatchObject({ content: "content of live", embedding: null });
    expect((await memories.require("dead")).content).toBe("content of dead");
    expect(changes.map(({ action, ids }) => [action, ids])).toEqual([
      ["insert", ["new"]],
      ["update", ["new", "live", "dead"]],
    ]);
    expect(await target.storage.check({ deep: true })).toMatchObject({ ok: true });
  });

  test("of an id that comes twice in one text is a conflict", async () => {
    await using target = await tempStorage();
    const source = head({ memories: 2 }) + record("a") + record("a");
    expect(await rejection(target.storage.import(source))).toMatchObject({ code: "CONFLICT", line: 3 });
    expect(await target.storage.import(source, { onConflict: "skip" })).toMatchObject({ inserted: 1, skipped: 1 });
  });

  test("that the database refuses names the line, and stores nothing", async () => {
    await using target = await tempStorage();
    const vectorOf = (numbers: number[]) => ({
      embeddings: [
        {
          model: "m",
          version: null,
          vector: Buffer.from(new Float32Array(numbers).buffer).toString("base64"),
          createdAt: "2026-01-01T00:00:00.000Z",
        },
      ],
    });
    const source = head({ memories: 2 }) + record("a", vectorOf([1, 2])) + record("b", vectorOf([1, 2, 3]));
    expect(await rejection(target.storage.import(source))).toMatchObject({ code: "DIMENSION_MISMATCH", line: 3 });
    expect(await target.storage.memories.count()).toBe(0);
  });

  test("aborted at any point stores nothing and leaves no file behind", async () => {
    await using db = await tempDatabase();
    const folder = `${db.dir}/tmp`;
    mkdirSync(folder);
    const before = process.env.TMPDIR;
    process.env.TMPDIR = folder;
    try {
      await using target = await tempStorage();
      const source = head({ memories: 400 }) + Array.from({ length: 400 }, (_, i) => record(`m${i}`)).join("");
      for (const phase of ["check", "store"]) {
        const controller = new AbortController();
        const onProgress = (progress: { phase: string }) => progress.phase === phase && controller.abort();
        const error = await rejection(target.storage.import(source, { signal: controller.signal, onProgress }));
        expect(error.name).toBe("AbortError");
        expect(await target.storage.memories.count()).toBe(0);
        expect(readdirSync(folder).filter((name) => name.startsWith("holdfast-import"))).toEqual([]);
      }
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  test("aborted while its stream says nothing rejects at once, and ends the stream", async () => {
    await using target = await tempStorage();
    const silent = new Readable({ read: () => undefined });
    const controller = new AbortController();
    const importing = target.storage.import(silent, { signal: controller.signal });
    silent.push(head({ memories: 1 }));
    setImmediate(() => controller.abort());
    expect((await rejection(importing)).name).toBe("AbortError");
    expect(silent.destroyed).toBe(true);
  });

  test("of one project takes that project's records only", async () => {
    await using source = await tempStorage();
    await fill(source.storage);
    await using target = await tempStorage();
    expect(await target.storage.import(source.storage.export(), { project: "other" })).toMatchObject({ inserted: 32 });
    expect(await target.storage.projects()).toHaveLength(1);
  });

  test("refuses wrong arguments before it reads anything", async () => {
    await using target = await tempStorage();
    for (const [stream, options] of [
      [5, {}],
      [null, {}],
      ["", { onConflict: "merge" }],
      ["", { replace: true }],
      ["", { onInvalid: 1 }],
    ] as [never, never][]) {
      expect(await rejection(target.storage.import(stream, options))).toBeInstanceOf(TypeError);
    }
  });
});

// A missing file ended the process by an `error` event, before the import had begun to read the stream.
test("an import rejects with the error of its stream, whenever that fails", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const missing = new URL("missing.jsonl", import.meta.url);
  const fault = new Error("the disk is gone");
  const failed = new Readable({ read() {} });
  failed.on("error", () => undefined).destroy(fault);
  await closed(failed);
  for (const [call, area] of [
    [(stream: Readable, options = {}) => storage.import(stream, options), storage],
    [(stream: Readable) => storage.graph.import(stream), storage.graph],
  ] as const) {
    expect(await rejection(call(createReadStream(missing)))).toMatchObject({ code: "ENOENT" });
    expect(await rejection(call(failed))).toBe(fault);
    const lines = area === storage ? text(storage.export()) : "";
    const late = new Readable({ read() {} });
    late.push(await lines);
    const importing = rejection(call(late));
    late.destroy(fault);
    expect(await importing).toBe(fault);
  }
  // The call rejects for another reason, and never reads the stream.
  const unread = createReadStream(missing);
  const closing = closed(unread);
  expect(await rejection(storage.import(unread, { nope: 1 } as never))).toBeInstanceOf(TypeError);
  await closing;
});

/** `once` of node:events rejects on an `error` event. */
function closed(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once("close", () => resolve()));
}

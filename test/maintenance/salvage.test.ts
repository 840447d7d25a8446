import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChangeArea } from "holdfast";
import { checkFile, openStorage, type SalvageResult, type StorageOptions, salvage } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { AREAS } from "../../src/areas/registry.js";
import { startChild } from "../support/child.js";
import { holdfast } from "../support/cli.js";
import { rejection } from "../support/clients.js";
import { collectClosed } from "../support/garbage.js";
import { type Random, seededRandom } from "../support/random.js";
import { rounds, SOAK_TIMEOUT_MS } from "../support/soak.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

const PAGE = 4096;

const sound = new Map<string | undefined, Promise<Buffer>>();

/** Some of everything, in a file without a log that no process has open. */
async function filled(db: TempDatabase, encryptionKey?: string): Promise<void> {
  if (!sound.has(encryptionKey)) sound.set(encryptionKey, fill(encryptionKey));
  writeFileSync(db.path, await sound.get(encryptionKey)!);
}

async function fill(encryptionKey: string | undefined): Promise<Buffer> {
  await using db = await tempDatabase();
  await write(db.path, encryptionKey === undefined ? {} : { encryptionKey });
  return readFileSync(db.path);
}

async function write(path: string, options: Omit<StorageOptions, "url">): Promise<void> {
  await using storage = await openStorage({ compressContents: true, ...options, url: path });
  await storage.sessions.start("s1");
  await storage.memories.insertMany(
    Array.from({ length: 300 }, (_, i) => ({
      id: `m${i}`,
      // Every 50th is longer than its page.
      content: `memory ${i} of the zebra `.repeat(i % 50 === 0 ? 400 : 5),
      metadata: { i },
      ...(i % 20 === 0 ? { embedding: [1, 2, i], embeddingModel: "toy" } : {}),
    })),
  );
  await storage.memories.delete("m5");
  for (let c = 0; c < 10; c++) {
    const messages = Array.from({ length: 30 }, (_, i) => ({
      id: `c${c}-${i}`,
      role: "user" as const,
      content: `message ${i} of ${c} ${"about giraffes ".repeat(20)}`,
    }));
    await storage.conversations.insert({ id: `c${c}`, title: `title ${c}`, tags: ["animal"], messages });
  }
  await storage.conversations.fork("c4", { atSeq: 20, id: "fork" });
  await storage.conversations.append("fork", { id: "own", role: "user", content: "of the fork" });
  await storage.graph.addNodes(Array.from({ length: 200 }, (_, i) => ({ id: `n${i}`, kind: "k", name: `node ${i}` })));
  await storage.graph.addEdges(
    Array.from({ length: 199 }, (_, i) => ({ id: `e${i}`, from: `n${i}`, to: `n${i + 1}`, type: "next" })),
  );
  for (let i = 0; i < 20; i++) {
    await storage.stories.saveStory(`story${i}`, { title: `Story ${i}`, body: "first ".repeat(100) });
    await storage.stories.saveStory(
      `story${i}`,
      { title: `Story ${i}`, body: "second ".repeat(100) },
      { metadata: { tags: ["t"] } },
    );
  }
}

/** What `filled` stores; nothing in areas that it does not know. */
const TOTALS: Record<ChangeArea, number> = {
  ...(Object.fromEntries(AREAS.map(({ name }) => [name, 0])) as Record<ChangeArea, number>),
  memories: 300,
  sessions: 1,
  conversations: 11 + 301,
  graph: 399,
  stories: 20,
};

/** Root and leaves of tables and indexes while the file is still whole; of a copy, so that nothing has the file open. */
async function pagesOf(path: string, encryptionKey?: string): Promise<Map<string, number[]>> {
  await using copy = await tempDatabase();
  copyFileSync(path, copy.path);
  const client = createClient({ url: copy.url, ...(encryptionKey === undefined ? {} : { encryptionKey }) });
  const { rows } = await client.execute("select name, pageno, pagetype from dbstat order by name, path");
  await client.close();
  const pages = new Map<string, number[]>();
  for (const { name, pageno, pagetype } of rows) {
    if (pagetype === "overflow") continue;
    pages.set(name as string, [...(pages.get(name as string) ?? []), Number(pageno)]);
  }
  return pages;
}

function damage(path: string, change: (bytes: Buffer) => Buffer | undefined): string {
  const bytes = readFileSync(path);
  writeFileSync(path, change(bytes) ?? bytes);
  return hashOf(path);
}

function zero(bytes: Buffer, page: number): undefined {
  bytes.fill(0, (page - 1) * PAGE, page * PAGE);
}

const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const countsOf = ({ areas }: SalvageResult, what: "saved" | "lost" | "lostAtMost") =>
  Object.fromEntries(areas.map((area) => [area.area, area[what]]));

/** What every salvage has to keep: the source, a sound result, and no record that is not what was stored. */
async function salvaged(
  db: TempDatabase,
  { encryptionKey, isTransferred = true }: { encryptionKey?: string; isTransferred?: boolean } = {},
): Promise<SalvageResult> {
  await collectClosed();
  const before = readdirSync(db.dir).map((name) => [name, hashOf(join(db.dir, name))]);
  const path = join(db.dir, "out", "salvaged.db");
  const result = await salvage(db.path, path, { encryptionKey });
  expect(
    readdirSync(db.dir)
      .filter((name) => name !== "out")
      .map((name) => [name, hashOf(join(db.dir, name))]),
  ).toEqual(before);
  expect(readdirSync(join(db.dir, "out"))).toEqual(["salvaged.db"]);
  expect(result.path).toBe(path);
  expect(await checkFile(path, { deep: true, encryptionKey })).toMatchObject({ ok: true });
  await using storage = await openStorage({ url: path, ...(encryptionKey === undefined ? {} : { encryptionKey }) });
  const memories = await storage.memories.list({ limit: 1000 });
  for (const { id, content, metadata } of memories.items) {
    const i = Number(id.slice(1));
    expect(content).toBe(`memory ${i} of the zebra `.repeat(i % 50 === 0 ? 400 : 5));
    expect(metadata).toEqual({ i });
  }
  for (const { id } of (await storage.conversations.list({ limit: 100 })).items) {
    // Nothing tells whether the messages of a conversation are sound whose own row and index entry are lost.
    if (id.startsWith("salvaged-")) continue;
    const { items } = await storage.conversations.messages(id, { limit: 100 });
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, at) => at + 1));
    const known = items.filter(({ conversationId }) => !conversationId.startsWith("salvaged-"));
    for (const message of known.filter(({ id: own }) => own !== "own")) {
      const [, c, i] = /^c(\d+)-(\d+)$/.exec(message.id)!;
      expect(message.content).toBe(`message ${i} of ${c} ${"about giraffes ".repeat(20)}`);
    }
  }
  // What an export reads and an import accepts is whole. (Names and titles have no checksum: one may be damaged still.)
  await using copy = await openStorage(":memory:");
  await copy.import(storage.export(), { onInvalid: isTransferred ? "fail" : "skip" });
  return result;
}

type Damage = (
  bytes: Buffer<ArrayBuffer>,
  random: Random,
  pages: ReadonlyMap<string, readonly number[]>,
) => Buffer<ArrayBuffer>;

/** Random bytes behind the header of the file. */
function scatter<T extends Buffer>(bytes: T, { below, pick }: Random, pages: readonly number[], count: number): T {
  for (let hit = 0; hit < count; hit++) bytes[(pick(pages) - 1) * PAGE + 100 + below(PAGE - 100)] = below(256);
  return bytes;
}

const DAMAGES: readonly Damage[] = [
  (bytes, random) =>
    scatter(
      bytes,
      random,
      Array.from({ length: bytes.length / PAGE - 1 }, (_, at) => at + 2),
      3000,
    ),
  (bytes, random, pages) => scatter(bytes, random, pages.get("sqlite_schema")!, 100),
  (bytes, random, pages) => scatter(bytes, random, pages.get("__drizzle_migrations")!, 40),
  (bytes, { below }) => {
    for (let hit = 0; hit < 80; hit++) {
      const at = below(bytes.length / PAGE) * PAGE;
      for (let i = 0; i < 12 && at > 0; i++) bytes[at + i] = below(256);
    }
    return bytes;
  },
  (bytes, { below }) => {
    for (let hit = 0; hit < 12; hit++) zero(bytes, below(bytes.length / PAGE) + 1);
    return bytes;
  },
  (bytes, { below }) => bytes.subarray(0, bytes.length / 4 + below(bytes.length / 2)),
  (bytes, { below }) => {
    for (let hit = 0; hit < 4; hit++) bytes[below(100)] = below(256);
    return bytes;
  },
];

describe("salvage", () => {
  test("of a sound file saves everything", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const result = await salvaged(db);
    expect(countsOf(result, "saved")).toEqual(TOTALS);
    expect(countsOf(result, "lostAtMost")).toEqual({
      memories: 0,
      sessions: 0,
      conversations: 0,
      graph: 0,
      stories: 0,
    });
    await using storage = await openStorage(result.path);
    expect(await storage.memories.search("zebra")).toHaveLength(10);
    expect((await storage.conversations.search("giraffes")).length).toBe(10);
    expect(await storage.stories.loadStory("story3")).toMatchObject({ body: "second ".repeat(100) });
    expect(await storage.conversations.messages("fork", { limit: 100 })).toMatchObject({ items: { length: 21 } });
    expect((await storage.conversations.list({ tags: ["animal"] })).items.length).toBe(10);
  });

  test("finds the rows of tables whose root is zeroed, by their pages", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const pages = await pagesOf(db.path);
    damage(db.path, (bytes) => {
      for (const table of ["memories", "messages", "graph_edges"]) zero(bytes, pages.get(table)![0]!);
      return undefined;
    });
    expect(countsOf(await salvaged(db), "saved")).toEqual(TOTALS);
  });

  test("loses what was in zeroed leaves, and says how much", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const pages = await pagesOf(db.path);
    damage(db.path, (bytes) => {
      for (const table of ["memories", "messages"]) zero(bytes, pages.get(table)![3]!);
      return undefined;
    });
    const { areas } = await salvaged(db);
    for (const name of ["memories", "conversations"] as const) {
      const { saved, lost, lostAtMost } = areas.find(({ area }) => area === name)!;
      expect(lost).toBeGreaterThan(0);
      expect(saved + lost).toBe(TOTALS[name]);
      expect(lostAtMost).toBe(lost);
    }
  });

  test("takes the project of a conversation from its messages, and a fork shows no messages of another project", async () => {
    // A damaged project left a fork whose first messages were in another project, so that its own began at 8.
    await using db = await tempDatabase();
    await filled(db);
    {
      await using storage = await openStorage(db.path);
      await storage.conversations.fork("c4", { atSeq: 20, id: "bare" });
      await storage.client.execute("UPDATE conversations SET project = 'defoult' WHERE id IN ('c4', 'bare')");
    }
    const { path } = await salvaged(db);
    await using storage = await openStorage(path);
    const { conversations } = storage;
    expect((await conversations.messages("fork", { limit: 100 })).items).toHaveLength(21);
    expect((await conversations.messages("c4", { limit: 100 })).items).toHaveLength(30);
    // It has no messages that would show its project.
    const { items } = await storage.project("defoult").conversations.list();
    expect(items.map(({ id, messageCount }) => ({ id, messageCount }))).toEqual([{ id: "bare", messageCount: 0 }]);
  });

  test("needs no index", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const pages = await pagesOf(db.path);
    damage(db.path, (bytes) => {
      for (const [name, numbers] of pages) {
        if (/_(id|fts_data|fts_idx|fts_docsize|seq|time)$/.test(name)) for (const page of numbers) zero(bytes, page);
      }
      return undefined;
    });
    expect(countsOf(await salvaged(db), "saved")).toEqual(TOTALS);
  });

  test("brings conversations back whose own rows are lost, under the ids that their index knows", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const pages = await pagesOf(db.path);
    damage(db.path, (bytes) => {
      for (const page of pages.get("conversations")!) zero(bytes, page);
      return undefined;
    });
    const result = await salvaged(db);
    await using storage = await openStorage(result.path);
    expect((await storage.conversations.messages("c4", { limit: 100 })).items).toHaveLength(30);
    expect(result.tables.find(({ table }) => table === "messages")).toMatchObject({
      saved: 301,
      lost: 0,
      lostAtMost: 0,
    });
  });

  test("lets a story fall back to its newest whole revision", async () => {
    await using db = await tempDatabase();
    await filled(db);
    damage(db.path, (bytes) => {
      const at = bytes.indexOf(`"title":"Story 7","body":"second`);
      bytes.write("SECOND", at + 26);
      return undefined;
    });
    const result = await salvaged(db);
    expect(result.areas.find(({ area }) => area === "stories")).toMatchObject({ saved: 20, lostAtMost: 0 });
    expect(result.tables.find(({ table }) => table === "story_revisions")).toMatchObject({
      saved: 39,
      lost: 1,
      lostAtMost: 1,
    });
    await using storage = await openStorage(result.path);
    expect(await storage.stories.loadStory("story7")).toMatchObject({ body: "first ".repeat(100) });
    expect(await storage.stories.searchStories("second")).toHaveLength(10);
  });

  test("of a file whose page 1 is zeroed finds its schema and its rows by their pages", async () => {
    await using db = await tempDatabase();
    await filled(db);
    damage(db.path, (bytes) => zero(bytes, 1));
    expect(await rejection(openStorage(db.path))).toMatchObject({ code: "NOT_A_DATABASE" });
    expect(countsOf(await salvaged(db), "saved")).toEqual(TOTALS);
  });

  test("is not stopped by text that is not UTF-8, which aborts a process that reads it through SQLite", async () => {
    await using db = await tempDatabase();
    await filled(db);
    damage(db.path, (bytes) => {
      bytes.writeUInt16BE(0xfffe, bytes.indexOf("memory 77 of the zebra"));
      return undefined;
    });
    const { areas } = await salvaged(db);
    expect(areas[0]).toEqual({ area: "memories", saved: 299, lost: 1, lostAtMost: 1 });
  });

  test("leaves out a record that is not what was stored", async () => {
    await using db = await tempDatabase();
    await filled(db);
    damage(db.path, (bytes) => {
      bytes.write("MEMORY", bytes.indexOf("memory 77 of the zebra"));
      return undefined;
    });
    const { areas } = await salvaged(db);
    expect(areas[0]).toEqual({ area: "memories", saved: 299, lost: 1, lostAtMost: 1 });
  });

  test("of a file whose end is torn off saves what is before", async () => {
    await using db = await tempDatabase();
    await filled(db);
    damage(db.path, (bytes) => bytes.subarray(0, Math.floor(bytes.length * 0.65) + 100));
    const { areas } = await salvaged(db);
    const { saved, lost, lostAtMost } = areas[0]!;
    expect(saved).toBeGreaterThan(50);
    expect(lost).toBeGreaterThan(0);
    expect(saved + lost).toBeLessThanOrEqual(300);
    expect(saved + (lostAtMost ?? 300)).toBeGreaterThanOrEqual(300);
  });

  test("takes what is in the log, up to where it is damaged; without the log, what is in the file", async () => {
    await using db = await tempDatabase();
    await filled(db);
    await using copies = await tempDatabase();
    // Copied by a process of its own while the log is not in the file yet.
    const copy = async (name: string) => {
      await using child = startChild("copy-with-log", { url: db.url, to: join(copies.dir, name) });
      await child.message(({ copied }: { copied?: boolean }) => copied === true);
    };
    await copy("whole.db");
    const whole = join(copies.dir, "whole.db");
    const torn = join(copies.dir, "torn.db");
    const bare = join(copies.dir, "bare.db");
    for (const path of [torn, bare]) copyFileSync(whole, path);
    const log = readFileSync(`${whole}-wal`);
    // Behind its last frame, a log may be longer than what it holds.
    writeFileSync(`${torn}-wal`, log.subarray(0, log.findLastIndex((byte) => byte !== 0) - 5));
    const saved = async (path: string) =>
      countsOf(await salvage(path, join(copies.dir, `out-${path.slice(-7)}`)), "saved").memories;
    expect(await saved(whole)).toBe(303);
    expect(await saved(torn)).toBe(302);
    expect(await saved(bare)).toBe(300);
  });

  test("reads encrypted files, zeroed pages of theirs too, and encrypts the new file", async () => {
    await using db = await tempDatabase();
    const encryptionKey = "a key";
    await filled(db, encryptionKey);
    const pages = await pagesOf(db.path, encryptionKey);
    damage(db.path, (bytes) => zero(bytes, pages.get("memories")![0]!));
    expect(countsOf(await salvaged(db, { encryptionKey }), "saved")).toEqual(TOTALS);
    expect(readFileSync(join(db.dir, "out", "salvaged.db")).includes("zebra")).toBe(false);
    const wrong = await rejection(salvage(db.path, join(db.dir, "x.db"), { encryptionKey: "another" }));
    expect(wrong).toMatchObject({ code: "NOT_A_DATABASE", message: expect.stringContaining("key") });
    expect(existsSync(join(db.dir, "x.db"))).toBe(false);
  });

  test("copies the caller's own tables, with indexes, views, triggers and full-text tables", async () => {
    await using db = await tempDatabase();
    await using made = await tempDatabase();
    await filled(made);
    const client = createClient({ url: made.url });
    await client.executeMultiple(`
      CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body BLOB, size AS (length(title)) STORED, price REAL);
      CREATE TABLE words (word TEXT PRIMARY KEY, n INT) WITHOUT ROWID;
      CREATE TABLE bare (a, b);
      CREATE INDEX notes_title ON notes (title);
      CREATE VIEW titles AS SELECT title FROM notes;
      CREATE TABLE seen (title TEXT);
      CREATE TRIGGER notes_seen AFTER INSERT ON notes BEGIN INSERT INTO seen VALUES (new.title); END;
      CREATE VIRTUAL TABLE texts USING fts5(text);
      CREATE VIRTUAL TABLE places USING rtree(id, a, b);`);
    for (let i = 0; i < 200; i++) {
      await client.batch([
        {
          sql: "INSERT INTO notes (title, body, price) VALUES (?, ?, ?)",
          args: [`note ${i}`, new Uint8Array([i]), i / 3],
        },
        { sql: "INSERT INTO words VALUES (?, ?)", args: [`word ${i}`, i] },
        { sql: "INSERT INTO bare VALUES (?, NULL)", args: [i] },
        { sql: "INSERT INTO texts VALUES (?)", args: [`text ${i}`] },
      ]);
    }
    await client.execute("DELETE FROM bare WHERE rowid < 10");
    const read = async (from: typeof client) => {
      const queries = ["notes", "words", "bare", "seen", "titles"].map((name) => `SELECT * FROM ${name}`);
      const answers = await from.batch([...queries, "SELECT rowid, text FROM texts WHERE texts MATCH 'text'"], "read");
      return answers.map(({ rows }) => rows.map((row) => Array.from(row as unknown as ArrayLike<unknown>)));
    };
    const wanted = await read(client);
    await client.close();
    copyFileSync(made.path, db.path);
    const result = await salvaged(db);
    expect(result.tables.find(({ table }) => table === "notes")).toEqual({
      table: "notes",
      saved: 200,
      lost: 0,
      lostAtMost: 0,
    });
    expect(result.notSaved.map(({ name }) => name)).toEqual(["places"]);
    const copy = createClient({ url: `file:${result.path}` });
    expect(await read(copy)).toEqual(wanted);
    const names = await copy.execute("SELECT name FROM sqlite_schema WHERE name IN ('notes_title', 'notes_seen')");
    expect(names.rows).toHaveLength(2);
    await copy.close();
  });

  test("never takes the place of a file, leaves nothing after an abort, and refuses a source in use", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const out = join(db.dir, "out.db");
    writeFileSync(out, "precious");
    expect(await rejection(salvage(db.path, out))).toMatchObject({ code: "EXISTS" });
    expect(readFileSync(out, "utf8")).toBe("precious");
    rmSync(out);
    expect(await rejection(salvage(join(db.dir, "none.db"), out))).toMatchObject({ code: "NOT_FOUND" });
    const controller = new AbortController();
    const aborted = salvage(db.path, out, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    expect(await rejection(aborted)).toMatchObject({ message: "enough" });
    expect(readdirSync(db.dir)).toEqual(["test.db"]);
    await using storage = await openStorage(db.path);
    expect(await rejection(salvage(db.path, out))).toMatchObject({ code: "IN_USE" });
    expect(await rejection(salvage(db.path, out, { force: true } as object))).toBeInstanceOf(TypeError);
    expect(await storage.memories.get("m1")).toBeDefined();
  });

  test("never rejects, whatever is damaged, never gives what was not stored, and never counts more than is lost", {
    timeout: SOAK_TIMEOUT_MS,
  }, async () => {
    // Salvage saved nothing where a damaged name in the schema made a table twice, or JSON was malformed.
    await using db = await tempDatabase();
    await filled(db);
    const whole = readFileSync(db.path);
    const pages = await pagesOf(db.path);
    const random = seededRandom("salvage");
    for (const round of rounds(3)) {
      const kinds = round < 2 ? [DAMAGES[round]!] : [random.pick(DAMAGES), random.pick(DAMAGES)];
      let bytes = Buffer.from(whole);
      for (const damaged of kinds) bytes = damaged(bytes, random, pages);
      writeFileSync(db.path, bytes);
      const { areas } = await salvaged(db, { isTransferred: false });
      for (const { area, saved, lost, lostAtMost } of areas.filter(({ area }) => area !== "conversations")) {
        const gone = TOTALS[area] - saved;
        expect(lost, area).toBeLessThanOrEqual(gone);
        expect(lostAtMost ?? Number.POSITIVE_INFINITY, area).toBeGreaterThanOrEqual(gone);
      }
      rmSync(join(db.dir, "out"), { recursive: true });
    }
  });

  test("is a command, and errors about damage name it", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const pages = await pagesOf(db.path);
    damage(db.path, (bytes) => zero(bytes, pages.get("memories")![2]!));
    const found = await holdfast(["check", "--json", "--url", db.path]);
    expect(JSON.parse(found.stdout).findings[0].message).toContain("salvage");
    const out = join(db.dir, "out.db");
    const { code, stdout } = await holdfast(["salvage", db.path, out, "--json"]);
    expect(code).toBe(0);
    const { areas, path } = JSON.parse(stdout);
    expect(path).toBe(out);
    expect(areas.map(({ area }: { area: string }) => area)).toEqual(Object.keys(TOTALS));
    const again = await holdfast(["salvage", db.path, out]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("EXISTS") });
    await using storage = await openStorage(db.path);
    expect(await rejection(storage.memories.list({ limit: 1000 }))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("holdfast salvage"),
    });
  });
});

import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { checkFile, openStorage, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { openSecond, rejection } from "../support/clients.js";
import { hashOfOpen } from "../support/file-bytes.js";
import { collectClosed } from "../support/garbage.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

const vector = [0.5, 0.25, -1];

const sound = new Map<number, Promise<Buffer>>();

/** A file with some of everything, without a log, that no process has open. */
async function filled(db: TempDatabase, count = 60): Promise<void> {
  if (!sound.has(count)) sound.set(count, fill(count));
  writeFileSync(db.path, await sound.get(count)!);
}

/** The bytes of that file, since making it takes much longer than copying it. */
async function fill(count: number): Promise<Buffer> {
  await using db = await tempDatabase();
  const storage = await openStorage(db.path);
  await storage.sessions.start("s1");
  await storage.memories.insertMany(
    Array.from({ length: count }, (_, i) => ({
      id: `m${i}`,
      content: `memory number ${i} of the pool ${"and its writers ".repeat(20)}`,
      metadata: { n: i },
      ...(i % 10 === 0 ? { embedding: vector, embeddingModel: "toy" } : {}),
    })),
  );
  await storage.memories.delete("m1");
  await storage.close();
  // Only then no connection of this process has the file open.
  await collectClosed();
  return readFileSync(db.path);
}

const codes = ({ findings }: Awaited<ReturnType<Storage["check"]>>) =>
  findings.filter(({ severity }) => severity !== "info").map(({ code }) => code);

describe("a check", () => {
  test("finds nothing in a sound storage in use, quick or deep, and writes nothing", async () => {
    await using db = await tempDatabase();
    await filled(db);
    await using storage = await openStorage(db.path);
    await storage.memories.insert({ content: "not yet in the file itself" });
    const before = await hashOfOpen(db.path);
    expect(await storage.check()).toMatchObject({ ok: true });
    const phases = new Set<string>();
    const deep = await storage.check({ deep: true, onProgress: ({ phase }) => phases.add(phase) });
    expect(codes(deep)).toEqual([]);
    expect(deep.ok).toBe(true);
    expect([...phases]).toEqual([
      "integrity",
      "foreign keys",
      "migrations",
      "triggers",
      "full text",
      "checksums",
      "space",
    ]);
    expect(await hashOfOpen(db.path)).toBe(before);
  });

  test("tells of free pages and of the log, and is ok all the same", async () => {
    await using db = await tempDatabase();
    await filled(db, 500);
    await using storage = await openStorage(db.path);
    for (let i = 100; i < 500; i++) await storage.memories.purge(`m${i}`);
    const { ok, findings } = await storage.check();
    expect(ok).toBe(true);
    for (const { message } of findings) expect(message).toMatch(/ bytes.*\. (New rows|It is part)/);
    expect(findings.map(({ code, severity }) => `${code} ${severity}`)).toEqual(["RECLAIMABLE info", "WAL_SIZE info"]);
  });

  test("works on a database in memory", async () => {
    await using storage = await openStorage(":memory:");
    await storage.memories.insert({ content: "only here", metadata: { a: 1 } });
    expect(await storage.check({ deep: true })).toEqual({ ok: true, findings: [] });
    await storage.client.execute(`update memories set metadata = '{"a":2}'`);
    expect(codes(await storage.check({ deep: true }))).toEqual(["CHECKSUM"]);
  });

  test("of an encrypted file needs its key, which is no argument of the process", async () => {
    await using db = await tempDatabase();
    await using storage = await openStorage({ url: db.url, encryptionKey: "secret" });
    await storage.memories.insert({ content: "hidden" });
    expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
    expect(codes(await checkFile(db.path))).toEqual(["NOT_A_DATABASE"]);
    expect(codes(await checkFile(db.path, { encryptionKey: "secret" }))).toEqual([]);
  });

  test("aborted, rejects with the reason", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const controller = new AbortController();
    const checking = checkFile(db.path, { signal: controller.signal, onProgress: () => controller.abort() });
    expect((await rejection(checking)).name).toBe("AbortError");
    const thrown = checkFile(db.path, {
      onProgress: () => {
        throw new Error("mine");
      },
    });
    expect((await rejection(thrown)).message).toBe("mine");
  });

  test("refuses wrong arguments", async () => {
    await using storage = await openStorage(":memory:");
    expect(await rejection(storage.check({ deep: 1 as never }))).toBeInstanceOf(TypeError);
    expect(await rejection(storage.check({ quick: true } as never))).toBeInstanceOf(TypeError);
    expect(await rejection(checkFile(""))).toBeInstanceOf(RangeError);
  });
});

/** Damage by SQL behind the library's back, what a deep check says of it, and whether a quick one sees it. */
const damages: [name: string, sql: string[], code: string, isQuick: boolean][] = [
  [
    "rows missing from the full-text index",
    ["DELETE FROM memories_fts WHERE rowid IN (SELECT row_id FROM memories WHERE id IN ('m3', 'm4'))"],
    "INDEX_STALE",
    true,
  ],
  [
    "full-text rows without a memory",
    ["INSERT INTO memories_fts (rowid, search_text) VALUES (9999, 'ghost')"],
    "INDEX_STALE",
    true,
  ],
  [
    "full-text rows with other words",
    ["UPDATE memories SET search_text = 'other' WHERE id = 'm5'"],
    "INDEX_STALE",
    true,
  ],
  ["a dropped trigger", ["DROP TRIGGER memories_fts_insert"], "OBJECT_MISSING", true],
  ["a dropped full-text table", ["DROP TABLE memories_fts"], "OBJECT_MISSING", true],
  ["a dropped table of the triggers", ["DROP TABLE messages_replaced"], "OBJECT_MISSING", true],
  ["a dropped table of rows to index", ["DROP TABLE search_backlog"], "OBJECT_MISSING", true],
  ["a dropped table of vector versions", ["DROP TABLE vector_versions"], "OBJECT_MISSING", true],
  [
    "rows that refer to nothing",
    ["PRAGMA foreign_keys = OFF", "UPDATE memory_embeddings SET memory_row_id = 7777 WHERE row_id = 1"],
    "FOREIGN_KEY",
    true,
  ],
  ["metadata changed by hand", [`UPDATE memories SET metadata = '{"n":-1}' WHERE id = 'm7'`], "CHECKSUM", false],
  ["content changed by hand", ["UPDATE memories SET content = 'forged' WHERE id = 'm8'"], "CHECKSUM", false],
  ["a content hash changed by hand", ["UPDATE memories SET content_hash = 'x' WHERE id = 'm8'"], "CHECKSUM", false],
  [
    "a vector changed by hand",
    ["UPDATE memory_embeddings SET vector = x'0000803f0000803f0000803f'"],
    "CHECKSUM",
    false,
  ],
  ["a vector cut short", ["UPDATE memory_embeddings SET vector = x'0000'"], "CHECKSUM", false],
  [
    "a ledger without its last entry",
    ["DELETE FROM __drizzle_migrations WHERE rowid = (SELECT max(rowid) FROM __drizzle_migrations)"],
    "MIGRATION_PENDING",
    true,
  ],
  ["an empty ledger", ["DELETE FROM __drizzle_migrations"], "MIGRATION_PENDING", true],
  [
    "a ledger of newer code",
    ["INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('feed', 9999999999999)"],
    "MIGRATION_UNKNOWN",
    true,
  ],
  [
    "an edited migration",
    ["UPDATE __drizzle_migrations SET hash = 'feed' WHERE rowid = (SELECT min(rowid) FROM __drizzle_migrations)"],
    "MIGRATION_CHANGED",
    true,
  ],
];

test.each(damages)("a check finds %s", async (_name, sql, code, isQuick) => {
  await using db = await tempDatabase();
  await filled(db);
  {
    using file = openSecond(db.path);
    for (const statement of sql) file.exec(statement);
  }
  const deep = await checkFile(db.path, { deep: true });
  expect(codes(deep)).toContain(code);
  expect(deep.ok).toBe(false);
  expect(codes(await checkFile(db.path)).includes(code as never)).toBe(isQuick);
});

describe("a file that is damaged itself", () => {
  const cases: [string, (path: string) => void, string][] = [
    ["with a page of garbage", (path) => overwrite(path, 4096 * 3, Buffer.alloc(4096, 0xee)), "CORRUPT"],
    ["with its header gone", (path) => overwrite(path, 0, Buffer.alloc(100, 0x41)), "NOT_A_DATABASE"],
    ["cut in the middle", (path) => truncateSync(path, 4096 * 4), "CORRUPT"],
    ["cut within a page", (path) => truncateSync(path, 5000), "CORRUPT"],
    ["that is none", (path) => writeFileSync(path, "hello, I am a text\n".repeat(1000)), "NOT_A_DATABASE"],
    ["that is empty", (path) => truncateSync(path, 0), "NOT_A_DATABASE"],
  ];

  test.each(cases)("%s is a finding, and is left as it is", async (_name, damage, code) => {
    await using db = await tempDatabase();
    await filled(db);
    // A copy without its log, which would put sound pages over the damaged ones.
    const path = `${db.dir}/damaged.db`;
    copyFileSync(db.path, path);
    damage(path);
    const before = readFileSync(path);
    const result = await checkFile(path, { deep: true });
    expect(result.ok).toBe(false);
    expect(codes(result)).toContain(code);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("whose text aborts the reader is a finding, and so is what else is wrong with it", async () => {
    await using db = await tempDatabase();
    await filled(db);
    {
      using file = openSecond(db.path);
      // No UTF-8: the binding aborts the process that reads it.
      file.exec("UPDATE memories SET source = CAST(x'ff' AS TEXT) WHERE id = 'm9'");
      file.exec("DROP TRIGGER memories_fts_delete");
    }
    const result = await checkFile(db.path, { deep: true });
    expect(codes(result)).toEqual(["OBJECT_MISSING", "CORRUPT"]);
    expect(result.findings.find(({ code }) => code === "CORRUPT")?.message).toMatch(/checksums/);
  });

  test("a folder is CANNOT_OPEN, and a missing file NOT_FOUND without being made", async () => {
    await using db = await tempDatabase();
    mkdirSync(`${db.dir}/folder`);
    expect(codes(await checkFile(`${db.dir}/folder`))).toEqual(["CANNOT_OPEN"]);
    expect(await rejection(checkFile(db.path))).toMatchObject({ code: "NOT_FOUND" });
    expect(() => readFileSync(db.path)).toThrow(/ENOENT/);
  });
});

describe("repair", () => {
  test.each(damages.filter(([, , code]) => code === "INDEX_STALE" || code === "OBJECT_MISSING"))(
    "of %s makes searches whole again and loses nothing",
    async (_name, sql) => {
      await using db = await tempDatabase();
      await filled(db);
      await using storage = await openStorage(db.path);
      {
        using file = openSecond(db.path);
        for (const statement of sql) file.exec(statement);
      }
      const { findings } = await storage.check({ deep: true });
      const { repaired, left } = await storage.repair(findings);
      expect(repaired.length).toBeGreaterThan(0);
      expect(left.filter(({ severity }) => severity !== "info")).toEqual([]);
      await storage.memories.insert({ content: "a zebra after the repair" });
      expect(await storage.memories.search("zebra")).toHaveLength(1);
      expect(await storage.memories.count()).toBe(60);
      expect(await storage.memories.search("number 5", { limit: 3 })).toMatchObject([{ memory: { id: "m5" } }, {}, {}]);
    },
  );

  test("leaves what it could only guess at", async () => {
    await using db = await tempDatabase();
    await filled(db);
    await using storage = await openStorage(db.path);
    await storage.client.execute("update memories set content = 'forged' where id = 'm8'");
    const { findings } = await storage.check({ deep: true });
    const { left } = await storage.repair(findings);
    expect(left.map(({ code }) => code)).toContain("CHECKSUM");
    expect((await storage.memories.require("m8")).content).toBe("forged");
  });

  test("writes nothing to a damaged file", async () => {
    await using db = await tempDatabase();
    await using storage = await openStorage(db.path);
    const error = await rejection(
      storage.repair([
        { code: "CORRUPT", severity: "error", message: "page 3" },
        { code: "OBJECT_MISSING", severity: "error", message: "trigger", repair: "triggers" },
      ]),
    );
    expect(error).toMatchObject({ code: "CORRUPT" });
    expect(await rejection(storage.repair([{ repair: "drop" }] as never))).toBeInstanceOf(TypeError);
  });
});

test.each([
  ["sessions", "metadata"],
  ["conversations", "metadata"],
  ["graph_nodes", "data"],
  ["graph_edges", "data"],
])("a deep check finds text in place of JSON in %s.%s, which reading rejects", async (table, column) => {
  await using storage = await openStorage(":memory:");
  await storage.sessions.start("one");
  await storage.conversations.insert({ id: "one" });
  await storage.graph.addNodes([
    { id: "one", kind: "k", name: "a" },
    { id: "two", kind: "k", name: "b" },
  ]);
  await storage.graph.addEdge({ id: "one", from: "one", to: "two", type: "t" });
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  await storage.client.execute(`UPDATE ${table} SET ${column} = '{broken' WHERE id = 'one'`);
  const { ok, findings } = await storage.check({ deep: true });
  expect(ok).toBe(false);
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([
    { code: "CHECKSUM", severity: "error", message: expect.stringMatching(/^"one" of project "default" in .*JSON/) },
  ]);
});

test.each([
  ["a table", "DROP TABLE notes", "notes"],
  ["a view", "DROP VIEW short_notes", "short_notes"],
  ["a column", "ALTER TABLE notes DROP COLUMN more", "more"],
])("a check of a storage finds that %s of its own migrations is gone", async (_what, damage, name) => {
  await using db = await tempDatabase();
  const sql = `CREATE TABLE notes (body text, more text);\n--> statement-breakpoint\nCREATE VIEW short_notes AS SELECT substr(body, 1, 9) AS body FROM notes`;
  const migrations = { migrations: [{ tag: "0000_notes", sql }], table: "notes_migrations" };
  await using storage = await openStorage({ url: db.path, migrations });
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  if (name === "notes") await storage.client.execute("DROP VIEW short_notes");
  await storage.client.execute(damage);
  for (const options of [{}, { deep: true }, { migrations }]) {
    const { ok, findings } = await storage.check(options);
    expect(ok).toBe(false);
    expect(findings).toContainEqual(
      expect.objectContaining({ code: "OBJECT_MISSING", severity: "error", message: expect.stringContaining(name) }),
    );
  }
});

test("a check finds a dropped table of records, and a write says what is missing", async () => {
  await using storage = await openStorage(":memory:");
  await storage.client.execute("DROP TABLE memory_embeddings");
  const { ok, findings } = await storage.check();
  expect(ok).toBe(false);
  expect(findings).toContainEqual(
    expect.objectContaining({ code: "OBJECT_MISSING", message: expect.stringContaining("memory_embeddings") }),
  );
});

test("reindex makes a dropped full-text table again, without which writes say what to do", async () => {
  await using db = await tempDatabase();
  await filled(db);
  await using storage = await openStorage(db.path);
  await storage.client.execute("DROP TABLE memories_fts");
  const error = await rejection(storage.memories.insert({ content: "lost" }));
  expect(error.message).toMatch(/reindex\(\)/);
  const seen: string[] = [];
  expect(await storage.reindex({ onProgress: ({ phase }) => seen.push(phase) })).toEqual({
    tables: expect.arrayContaining(["memories_fts"]),
  });
  expect(seen).toContain("full text");
  await storage.memories.insert({ content: "a walrus" });
  expect(await storage.memories.search("walrus")).toHaveLength(1);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test.each(["reindex", "openStorage"])("%s makes the tables again that only triggers write to", async (how) => {
  await using db = await tempDatabase();
  await filled(db);
  let storage = await openStorage(db.path);
  const tables = ["memories_replaced", "messages_replaced", "story_search_replaced"];
  tables.push("search_backlog", "vector_versions");
  await storage.client.executeMultiple(tables.map((name) => `DROP TABLE ${name};`).join(" "));
  const error = await rejection(storage.memories.insert({ content: "lost" }));
  expect(error.message).toMatch(/reindex\(\)/);
  const { ok, fts, lastError } = await storage.health();
  expect([ok, fts]).toEqual([false, true]);
  for (const name of tables) expect(lastError).toContain(name);
  if (how === "reindex") await storage.reindex();
  else {
    await storage.close();
    storage = await openStorage(db.path);
  }
  await storage.memories.insert({ content: "a walrus" });
  expect(await storage.memories.search("walrus")).toHaveLength(1);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  expect((await storage.health()).ok).toBe(true);
  await storage.close();
});

test("rows that a lost table of rows to index named are indexed again", async () => {
  await using db = await tempDatabase();
  await filled(db);
  const storage = await openStorage(db.path);
  // By hand, without the terms: only `search_backlog` says that the index lacks it.
  await storage.client.execute("UPDATE memories SET content = 'a walrus' WHERE id = 'm4'");
  await storage.client.execute("DROP TABLE search_backlog");
  await storage.close();
  await using reopened = await openStorage(db.path);
  expect(await reopened.memories.search("walrus")).toMatchObject([{ memory: { id: "m4" }, match: "keyword" }]);
});

test("reindex repairs index terms that differ from the content", async () => {
  await using db = await tempDatabase();
  await filled(db);
  await using storage = await openStorage(db.path);
  await storage.client.execute("update memories set search_text = 'nonsense' where id = 'm4'");
  const { findings } = await storage.check({ deep: true });
  expect(findings.filter(({ severity }) => severity === "error")).toMatchObject([
    { code: "INDEX_STALE", repair: "reindex" },
  ]);
  await storage.repair(findings);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

function overwrite(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

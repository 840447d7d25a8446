import { openStorage, type Storage } from "holdfast";
import { expect, test, vi } from "vitest";
import { openSecond, rejection } from "../support/clients.js";
import { seededRandom } from "../support/random.js";
import { tempDatabase } from "../support/temp.js";

const OPEN_END = 9007199254740991;
const WORDS = ["zebra", "crossing", "Ireland", "deploys", "rollback", "naïve", "数据库", "region", "v1.2.3", "don't"];
const QUERIES = [
  "zebra",
  "deploy rollbacks",
  "ire",
  "region zebra crossing",
  "数据库",
  "nothing of it",
  "v1.2.3 don't",
];

/** Stores rows that wait to be indexed, as a program does that was killed before it indexed them. */
function storeWaiting(path: string, table: "memories" | "messages", contents: readonly string[]): void {
  using file = openSecond(path);
  file.exec("BEGIN IMMEDIATE");
  file.exec(`INSERT INTO search_backlog (target, first, last)
    SELECT '${table}', coalesce(max(row_id), 0) + 1, ${OPEN_END} FROM ${table}`);
  for (const [i, content] of contents.entries()) {
    file.all(
      table === "memories"
        ? `INSERT INTO memories (project, id, session_id, type, source, content, metadata, created_at, updated_at, content_hash, checksum, search_text)
           VALUES ('default', 'w${i}', ${i % 2 === 0 ? "'s'" : "NULL"}, 'context', 'test', ?, '{}', ${i}, ${i}, '', '', '') RETURNING 1`
        : `INSERT INTO messages (project, conversation_row_id, seq, id, role, content, metadata, tags, created_at, updated_at, checksum, search_text)
           VALUES ('default', 1, ${i + 100}, 'w${i}', '${i % 3 === 0 ? "assistant" : "user"}', ?, '{}', '[]', ${i}, ${i}, '', '') RETURNING 1`,
      [content],
    );
  }
  file.exec("COMMIT");
}

async function waitingIn(storage: Storage, table: string): Promise<number> {
  const { rows } = await storage.client.execute(
    `SELECT (SELECT count(*) FROM ${table}) - (SELECT count(*) FROM ${table}_fts_docsize)`,
  );
  return Number(rows[0]![0]);
}

async function findAll({ memories, conversations }: Storage) {
  const found: unknown[] = [];
  for (const query of QUERIES) {
    const inMemories = await memories.search(query, { limit: 20 });
    const ofSession = await memories.search(query, { limit: 20, sessionId: "s" });
    const ofRole = await conversations.search(query, { limit: 20, roles: ["user"] });
    const inMessages = await conversations.search(query, { limit: 20 });
    found.push([
      inMemories.map(({ memory, match }) => [memory.id, match]),
      inMessages.map(({ message, match }) => [message.id, match]),
      ofSession.map(({ memory, match }) => [memory.id, match]),
      ofRole.map(({ message, match }) => [message.id, match]),
    ]);
  }
  return found;
}

test("rows that wait to be indexed are found as they are afterwards, by this storage and by one that cannot write", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  const { pick, below } = seededRandom("rows that wait");
  const text = () => Array.from({ length: 2 + below(6) }, () => pick(WORDS)).join(" ");
  await storage.memories.insertMany(
    Array.from({ length: 40 }, (_, i) => ({ id: `m${i}`, content: text(), sessionId: i % 3 === 0 ? "s" : null })),
  );
  await storage.conversations.insert({ messages: [{ id: "n", role: "user", content: text() }] });
  await storage.project("other").memories.insert({ content: "a zebra of another project" });
  storeWaiting(db.path, "memories", Array.from({ length: 20 }, text));
  storeWaiting(db.path, "messages", Array.from({ length: 20 }, text));
  const before = await findAll(storage);
  expect(await waitingIn(storage, "memories")).toBe(20);
  expect(await waitingIn(storage, "messages")).toBe(20);
  {
    await using reader = await openStorage({ url: db.path, readOnly: true });
    expect(await findAll(reader)).toEqual(before);
  }
  expect(await storage.health()).toMatchObject({ ok: true, fts: true });
  expect(await storage.check({ deep: true })).not.toMatchObject({ findings: [{ code: "INDEX_STALE" }] });
  await storage.reindex();
  expect(await waitingIn(storage, "memories")).toBe(0);
  expect(await findAll(storage)).toEqual(before);
});

test("filters, deletes and changes hold for rows that wait", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  storeWaiting(db.path, "memories", ["a zebra", "a second zebra", "a third zebra", "a fourth zebra"]);
  const ids = async (options = {}) =>
    (await storage.memories.search("zebras", options)).map(({ memory }) => memory.id).sort();
  expect(await ids()).toEqual(["w0", "w1", "w2", "w3"]);
  expect(await ids({ sessionId: "none" })).toEqual([]);
  await storage.memories.delete("w0");
  await storage.memories.update("w1", { content: "a horse" });
  await storage.memories.purge("w2");
  expect(await ids()).toEqual(["w3"]);
  expect(await storage.memories.search("horse")).toMatchObject([{ memory: { id: "w1" }, match: "keyword" }]);
  await storage.memories.restore("w0");
  expect(await ids()).toEqual(["w0", "w3"]);
  await storage.transaction(async (tx) => {
    await tx.memories.insert({ id: "t", content: "a zebra of the transaction" });
    expect(await tx.memories.search("zebra")).toHaveLength(3);
  });
  expect(await storage.check({ deep: true })).not.toMatchObject({ findings: [{ code: "INDEX_STALE" }] });
});

test("memories and messages stored in quick succession are found at once, and are all in the index soon", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  const { id } = await storage.conversations.insert({});
  for (let i = 0; i < 80; i++) {
    await storage.memories.insert({ content: `zebra ${i}` });
    await storage.conversations.append(id, {
      role: "user",
      content: `crossing ${i}`,
      tags: i % 7 === 0 ? ["seven"] : [],
      ...(i % 5 === 0 ? { clientId: `c${i}` } : {}),
    });
    if (i % 20 === 19)
      expect(await storage.memories.search(`zebra ${i}`, { limit: 1 })).toMatchObject([{ match: "keyword" }]);
  }
  await Promise.all(Array.from({ length: 600 }, (_, i) => storage.memories.insert({ content: `horse ${i}` })));
  expect(await storage.memories.search("horse 599", { limit: 1 })).toMatchObject([
    { memory: { content: "horse 599" } },
  ]);
  expect(await storage.conversations.search("crossings", { limit: 100 })).toHaveLength(80);
  expect(await storage.conversations.search("crossings", { limit: 100, tags: ["seven"] })).toHaveLength(12);
  const left = async () =>
    (await storage.client.execute("SELECT * FROM search_backlog")).rows.length +
    (await waitingIn(storage, "memories")) +
    (await waitingIn(storage, "messages"));
  await vi.waitFor(async () => expect(await left()).toBe(0), { timeout: 10_000, interval: 20 });
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  expect(await storage.conversations.search("crossings", { limit: 100 })).toHaveLength(80);
});

test("a storage that finds many rows waiting has them indexed", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  storeWaiting(
    db.path,
    "memories",
    Array.from({ length: 1_200 }, (_, i) => `zebra ${i}`),
  );
  expect(await storage.memories.search("zebra 7", { limit: 1 })).toMatchObject([{ memory: { id: "w7" } }]);
  await vi.waitFor(async () => expect(await waitingIn(storage, "memories")).toBe(0), { timeout: 10_000, interval: 20 });
  expect(await storage.memories.search("zebra 7", { limit: 1 })).toMatchObject([{ memory: { id: "w7" } }]);
});

test("if another program ends the indexing in between, new rows are found all the same", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  for (let i = 0; i < 40; i++) await storage.memories.insert({ content: `zebra ${i}` });
  {
    // As an earlier version does: it knows the rows from the first on as ones to index.
    using file = openSecond(db.path);
    file.exec(`UPDATE search_backlog SET last = (SELECT max(row_id) FROM memories) WHERE last = ${OPEN_END}`);
  }
  for (let i = 40; i < 80; i++) await storage.memories.insert({ content: `zebra ${i}` });
  expect(await storage.memories.search("zebras", { limit: 200 })).toHaveLength(80);
  await storage.reindex();
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("an entry that is lost from the index is reported while other rows wait", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insertMany([{ content: "a zebra" }, { content: "a horse" }]);
  storeWaiting(db.path, "memories", ["a donkey"]);
  await storage.client.execute("DELETE FROM memories_fts WHERE rowid = 1");
  expect(await storage.health()).toMatchObject({ ok: false, fts: false });
  expect(await storage.check()).toMatchObject({ ok: false });
  await storage.reindex();
  expect(await storage.check({ deep: true })).not.toMatchObject({ findings: [{ code: "INDEX_STALE" }] });
  expect(await storage.memories.search("zebra")).toHaveLength(1);
  expect(await storage.memories.search("donkey")).toHaveLength(1);
});

test("a few rows that a program left behind are indexed after a search", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  storeWaiting(db.path, "memories", ["a zebra"]);
  expect(await storage.memories.search("zebra")).toHaveLength(1);
  const left = async () => (await storage.client.execute("SELECT * FROM search_backlog")).rows;
  await vi.waitFor(async () => expect(await left()).toEqual([]), { timeout: 20_000, interval: 50 });
  expect(await waitingIn(storage, "memories")).toBe(0);
});

test("indexing that another process has kept from writing is done once it may", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage({ url: db.path, busyTimeoutMs: 50, onError: () => undefined });
  for (let i = 0; i < 40; i++) await storage.memories.insert({ content: `zebra ${i}` });
  {
    using other = openSecond(db.path);
    other.exec("BEGIN IMMEDIATE");
    for (let i = 0; i < 5; i++) await rejection(storage.memories.insert({ content: "refused" }));
    other.exec("ROLLBACK");
  }
  await vi.waitFor(async () => expect(await waitingIn(storage, "memories")).toBe(0), { timeout: 20_000, interval: 50 });
  expect(await storage.memories.search("zebras", { limit: 50 })).toHaveLength(40);
});

test("rows with a negative row id that another program stored pass a deep check", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insert({ id: "m", content: "a zebra" });
  await storage.client.execute("UPDATE memories SET row_id = -7");
  expect(await storage.memories.search("zebra")).toHaveLength(1);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  await storage.reindex();
  expect(await storage.memories.search("zebra")).toHaveLength(1);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

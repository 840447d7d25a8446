import { createHash } from "node:crypto";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { createClient } from "holdfast/client";
import { expect, test } from "vitest";
import { column, openSecond, openTestClient, rejection } from "../../support/clients.js";
import { hashOfOpen } from "../../support/file-bytes.js";
import { tempDatabase } from "../../support/temp.js";

const PAGE = 4096;

/** Makes a file whose table `bad` has a page of garbage, while `good` is sound. */
function makeDamaged(path: string): void {
  const root = rootOfBad(path);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(100, 0xee), 0, 100, (root - 1) * PAGE);
  closeSync(file);
}

/** Makes both tables, and closes the file again before anything but SQLite opens it. */
function rootOfBad(path: string): number {
  using other = openSecond(path, [
    "CREATE TABLE good (a); INSERT INTO good VALUES (1)",
    "CREATE TABLE bad (a)",
    "INSERT INTO bad WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 500) SELECT zeroblob(500) FROM c",
  ]);
  return other.all("SELECT rootpage FROM sqlite_schema WHERE name = 'bad'")[0]![0] as number;
}

const ways: [string, (client: ReturnType<typeof openTestClient>) => Promise<unknown>][] = [
  ["a read", (client) => client.execute("SELECT count(*) FROM bad")],
  ["a read batch", (client) => client.batch(["SELECT count(*) FROM bad"], "read")],
  ["a write", (client) => client.execute("DELETE FROM bad")],
  ["a script", (client) => client.executeMultiple("SELECT count(*) FROM bad")],
  [
    "a read transaction",
    async (client) => {
      const tx = await client.transaction("read");
      try {
        await tx.execute("SELECT count(*) FROM bad");
      } finally {
        tx.close();
      }
    },
  ],
  [
    "a checked out reader",
    async (client) => {
      const reader = await client.pool.acquire();
      try {
        await reader.execute("SELECT count(*) FROM bad");
      } finally {
        reader.release();
      }
    },
  ],
];

test.each(ways)("damage seen by %s stops all writes, and reads go on", async (_way, run) => {
  await using db = await tempDatabase();
  makeDamaged(db.path);
  await using client = openTestClient(db.url);
  await client.execute("INSERT INTO good VALUES (2)");
  expect((await rejection(run(client))).code).toBe("SQLITE_CORRUPT");
  for (const write of [
    () => client.execute("INSERT INTO good VALUES (3)"),
    () => client.batch(["INSERT INTO good VALUES (3)"], "write"),
    () => client.migrate(["INSERT INTO good VALUES (3)"]),
    () => client.transaction("write"),
    () => client.executeMultiple("INSERT INTO good VALUES (3)"),
    () => client.execute("VACUUM"),
    () => client.execute("PRAGMA user_version = 3"),
    () => client.checkpoint(),
    async () => {
      const tx = await client.transaction("deferred");
      try {
        await tx.execute("INSERT INTO good VALUES (3)");
      } finally {
        tx.close();
      }
    },
  ]) {
    const error = await rejection(write());
    expect(error).toMatchObject({ code: "SQLITE_CORRUPT", rawCode: 11 });
    expect(error.message).toMatch(/damaged/);
  }
  expect(await column(client, "SELECT a FROM good")).toEqual([1, 2]);
  const tx = await client.transaction("read");
  expect((await tx.execute("SELECT count(*) FROM good")).rows[0]![0]).toBe(2);
  tx.close();
});

test("a file that is not a database is SQLITE_NOTADB, and is left as it is", async () => {
  await using db = await tempDatabase();
  const content = Buffer.from("this is a text and no database, ".repeat(200));
  writeFileSync(db.path, content);
  await using client = openTestClient(db.url, { busyTimeoutMs: 50 });
  for (const call of [
    () => client.execute("SELECT 1 FROM sqlite_schema"),
    () => client.execute("CREATE TABLE t (a)"),
    () => client.transaction("write"),
    () => client.batch(["SELECT 1 FROM sqlite_schema"], "read"),
  ]) {
    expect((await rejection(call())).code).toBe("SQLITE_NOTADB");
  }
  expect(await hashOfOpen(db.path)).toBe(createHash("sha256").update(content).digest("hex"));
});

test("an encrypted file opens with its key, and is SQLITE_NOTADB with another", async () => {
  await using db = await tempDatabase();
  {
    await using client = openTestClient(db.url, { encryptionKey: "secret" });
    await client.execute("CREATE TABLE t (a)");
    await client.execute("INSERT INTO t VALUES (1)");
    const tx = await client.transaction("read");
    expect((await tx.execute("SELECT a FROM t")).rows).toHaveLength(1);
    tx.close();
  }
  {
    await using client = openTestClient(db.url, { encryptionKey: "secret" });
    expect(await column(client, "SELECT a FROM t")).toEqual([1]);
  }
  const client = createClient({ url: db.url, encryptionKey: "other" });
  expect((await rejection(client.execute("SELECT a FROM t"))).code).toBe("SQLITE_NOTADB");
  await client.close();
});

test("an FTS5 index that disagrees with its content does not stop writes: the file is sound", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple(`
    CREATE TABLE t (id INTEGER PRIMARY KEY, body);
    CREATE VIRTUAL TABLE f USING fts5(body, content = 't', content_rowid = 'id');
    INSERT INTO t VALUES (1, 'one');
  `);
  const error = await rejection(client.execute("INSERT INTO f (f, rank) VALUES ('integrity-check', 1)"));
  expect(error.rawCode).toBe(267);
  await client.execute("INSERT INTO f (f) VALUES ('rebuild')");
  await client.execute("INSERT INTO t VALUES (2, 'two')");
});

import { createClient as createStockClient } from "@libsql/client";
import { expect, test } from "vitest";
import type { CachedStatement } from "../../../src/client/local/statement-cache.js";
import { StatementCache } from "../../../src/client/local/statement-cache.js";
import { column, openSecond, openTestClient, rejection } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const fake = (name: string) => ({ name }) as unknown as CachedStatement;

test("a statement is prepared once, then hit; the least recently used one is evicted", () => {
  const cache = new StatementCache({ max: 2 });
  const prepared: string[] = [];
  const get = (sql: string) =>
    cache.getOrPrepare(sql, () => {
      prepared.push(sql);
      return fake(sql);
    });
  expect(cache.stats()).toEqual({ hits: 0, misses: 0, evictions: 0, size: 0, hitRate: 0 });
  get("a");
  get("b");
  expect(get("a")).toBe(get("a"));
  get("c");
  get("a");
  get("b");
  expect(prepared).toEqual(["a", "b", "c", "b"]);
  expect(cache.stats()).toEqual({ hits: 3, misses: 4, evictions: 2, size: 2, hitRate: 3 / 7 });
});

test("a deleted statement is prepared again, and that does not count as an eviction", () => {
  const cache = new StatementCache({ max: 2 });
  cache.getOrPrepare("a", () => fake("1"));
  expect(cache.getOrPrepare("a", () => fake("2"))).toEqual({ name: "1" });
  cache.delete("a");
  expect(cache.getOrPrepare("a", () => fake("3"))).toEqual({ name: "3" });
  cache.clear();
  expect(cache.stats()).toMatchObject({ hits: 1, misses: 2, evictions: 0, size: 0 });
});

test("a preparation that throws leaves nothing behind", () => {
  const cache = new StatementCache({ max: 2 });
  expect(() =>
    cache.getOrPrepare("a", () => {
      throw new Error("no");
    }),
  ).toThrow("no");
  expect(cache.stats()).toMatchObject({ misses: 1, size: 0 });
});

test("the client's figures sum its connections, and outlive them", async () => {
  // A reader that was closed for being idle took its hits and misses with it.
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { idleTimeoutMs: 10, statementCacheSize: 2 });
  await client.execute("CREATE TABLE t (a)");
  for (let i = 0; i < 10; i++) await client.execute("SELECT a FROM t");
  for (let i = 0; i < 4; i++) await client.execute(`SELECT ${i}`);
  const before = client.stats().statements;
  expect(before).toMatchObject({ hits: 9, misses: 6, evictions: 3 });
  expect(before.hitRate).toBeCloseTo(9 / 15);
  await expect.poll(() => client.stats().pool.idle, { timeout: 2000 }).toBe(1);
  expect(client.stats().statements).toMatchObject({ hits: 9, misses: 6, evictions: 3, size: 1 });
});

test("columns follow ADD and RENAME by another connection, for * and for names, once and again", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x');");
  using other = openSecond(db.path);
  const queries = ["SELECT * FROM t", "SELECT * FROM t WHERE id = 1", "SELECT t.*, 1 AS one FROM t LIMIT 1"];
  const shapes = async () => {
    const all: string[][] = [];
    for (const sql of queries) {
      // Often enough to reach each way of running it.
      for (let i = 0; i < 4; i++) await client.execute(sql);
      const { columns, columnTypes, rows } = await client.execute(sql);
      expect(Object.keys(rows[0]!)).toEqual(columns);
      expect(columnTypes).toHaveLength(columns.length);
      expect(Array.from(rows[0]!)).toHaveLength(columns.length);
      all.push(columns);
    }
    return all;
  };
  expect(await shapes()).toEqual([
    ["id", "a"],
    ["id", "a"],
    ["id", "a", "one"],
  ]);
  other.exec("ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 5");
  const first = await client.execute(queries[1]!);
  expect([first.columns, { ...first.rows[0] }]).toEqual([["id", "a", "b"], { id: 1, a: "x", b: 5 }]);
  expect(await shapes()).toEqual([
    ["id", "a", "b"],
    ["id", "a", "b"],
    ["id", "a", "b", "one"],
  ]);
  other.exec("ALTER TABLE t RENAME COLUMN a TO c");
  const renamed = await client.execute(queries[0]!);
  expect([renamed.columns, renamed.rows[0]!.c]).toEqual([["id", "c", "b"], "x"]);
  expect(await shapes()).toEqual([
    ["id", "c", "b"],
    ["id", "c", "b"],
    ["id", "c", "b", "one"],
  ]);
  other.exec("ALTER TABLE t DROP COLUMN c");
  expect(await shapes()).toEqual([
    ["id", "b"],
    ["id", "b"],
    ["id", "b", "one"],
  ]);
  expect((await client.execute("INSERT INTO t (b) VALUES (1) RETURNING *")).columns).toEqual(["id", "b"]);
  other.exec("ALTER TABLE t RENAME COLUMN b TO d");
  expect((await client.execute("INSERT INTO t (d) VALUES (1) RETURNING *")).columns).toEqual(["id", "d"]);
});

test("a statement that gave one row gives all once another process drops the unique index", async () => {
  // Statements proved to give one row are run by get(), which gives no more than one.
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple("CREATE TABLE t (a, b); CREATE UNIQUE INDEX u ON t (a); INSERT INTO t VALUES (1, 'x');");
  const get = async () => (await client.execute({ sql: "SELECT b FROM t WHERE a = ?", args: [1] })).rows.length;
  const first = async () => (await client.execute("SELECT b FROM t WHERE a = 1 LIMIT 1")).rows.length;
  for (let i = 0; i < 5; i++) expect([await get(), await first()]).toEqual([1, 1]);
  using other = openSecond(db.path);
  other.exec("DROP INDEX u; INSERT INTO t VALUES (1, 'y'), (1, 'z');");
  expect([await get(), await first()]).toEqual([3, 1]);
  expect([await get(), await first()]).toEqual([3, 1]);
});

test("the same within one transaction, whose own ALTERs and DROPs count too", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple("CREATE TABLE t (a, b); CREATE UNIQUE INDEX u ON t (a); INSERT INTO t VALUES (1, 'x');");
  const tx = await client.transaction();
  const get = async () => (await tx.execute({ sql: "SELECT * FROM t WHERE a = ?", args: [1] })).rows.length;
  for (let i = 0; i < 5; i++) expect(await get()).toBe(1);
  await tx.execute("DROP INDEX u");
  await tx.execute("INSERT INTO t VALUES (1, 'y')");
  expect(await get()).toBe(2);
  await tx.execute("ALTER TABLE t ADD COLUMN c");
  expect((await tx.execute({ sql: "SELECT * FROM t WHERE a = ?", args: [1] })).columns).toEqual(["a", "b", "c"]);
  await tx.rollback();
});

test("after an error the next call runs with its own values", async () => {
  // get() on a statement that threw ran again with the values of the failed call, and said OK.
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, j); INSERT INTO t VALUES (1, 1, '{}');",
  );
  const insert = (id: number, a: number) =>
    client.execute({ sql: "INSERT INTO t (id, a) VALUES (?, ?) RETURNING id, a", args: [id, a] });
  const json = (id: number) =>
    client.execute({ sql: "SELECT json_extract(j, '$'), id FROM t WHERE id = ?", args: [id] });
  for (let i = 0; i < 3; i++) {
    expect(Array.from((await insert(10 + i, 10 + i)).rows[0]!)).toEqual([10 + i, 10 + i]);
    expect((await rejection(insert(20 + i, 1))).code).toBe("SQLITE_CONSTRAINT");
    await client.execute({ sql: "INSERT OR REPLACE INTO t VALUES (?, ?, 'no json')", args: [2, 2] });
    for (let j = 0; j < 3; j++) {
      expect((await json(1)).rows[0]!.id).toBe(1);
      expect((await rejection(json(2))).code).toBe("SQLITE_ERROR");
      expect((await json(1)).rows[0]!.id).toBe(1);
      expect((await json(99)).rows).toEqual([]);
    }
  }
  expect(await column(client, "SELECT id FROM t ORDER BY id")).toEqual([1, 2, 10, 11, 12]);
});

test("values given by get are as those given by all: BLOBs, 64-bit integers, rows without values", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { intMode: "bigint" });
  await client.executeMultiple(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, b, i); INSERT INTO t VALUES (1, x'0102', 9223372036854775807), (2, NULL, NULL), (3, x'', 0.5);",
  );
  const stock = createStockClient({ url: db.url, intMode: "bigint" });
  for (let i = 0; i < 4; i++) {
    for (const id of [1, 2, 3, 4]) {
      const statement = { sql: "SELECT * FROM t WHERE id = ?", args: [id] };
      expect((await client.execute(statement)).rows).toEqual((await stock.execute(statement)).rows);
    }
  }
  stock.close();
});

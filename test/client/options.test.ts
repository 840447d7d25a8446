import * as entry from "holdfast/client";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { LocalClient } from "../../src/client/local/local-client.js";
import { resolveClientOptions } from "../../src/client/options.js";
import { column, nextTurns, openSecond, openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

describe("options", () => {
  test("have their defaults, also where undefined is given", () => {
    const defaults = {
      readers: 4,
      acquireTimeoutMs: 30_000,
      busyTimeoutMs: 5_000,
      idleTimeoutMs: 60_000,
      statementCacheSize: 256,
      durability: "full",
      transactionTimeoutMs: Number.POSITIVE_INFINITY,
      checkpoint: { walBytes: 4 * 1024 * 1024 },
      intMode: "number",
      plainRows: false,
      readOnly: false,
    };
    expect(resolveClientOptions({})).toEqual(defaults);
    const none = Object.fromEntries(Object.keys(defaults).map((key) => [key, undefined]));
    expect(resolveClientOptions(none as never)).toEqual(defaults);
  });

  test("timeout is busyTimeoutMs by another name, which wins", () => {
    expect(resolveClientOptions({ timeout: 7 }).busyTimeoutMs).toBe(7);
    expect(resolveClientOptions({ timeout: 7, busyTimeoutMs: 8 }).busyTimeoutMs).toBe(8);
  });

  test.each([
    ["readers", 0, RangeError, "Expected `readers` to be an integer of at least 1, got 0"],
    ["readers", 1.5, RangeError, "got 1.5"],
    ["readers", "4", TypeError, 'got "4"'],
    ["statementCacheSize", 0, RangeError, "at least 1, got 0"],
    ["acquireTimeoutMs", -1, RangeError, "Expected `acquireTimeoutMs` to be at least 0 ms, got -1"],
    ["busyTimeoutMs", Number.NaN, RangeError, "got NaN"],
    ["timeout", "5s", TypeError, "Expected `timeout` to be a number of milliseconds"],
    ["idleTimeoutMs", null, TypeError, "got null"],
    ["transactionTimeoutMs", -5, RangeError, "got -5"],
    ["transactionTimeoutMs", 0, RangeError, "more than 0 ms (Infinity is without a limit), got 0"],
    ["durability", "fast", TypeError, 'Expected `durability` to be "full" or "relaxed", got "fast"'],
    ["intMode", "int", TypeError, 'got "int"'],
    ["checkpoint", { walBytes: -1 }, RangeError, "Expected `checkpoint.walBytes` to be an integer of at least 0"],
    ["checkpoint", 5, TypeError, "checkpoint"],
    ["checkpoint", null, TypeError, "checkpoint"],
    ["encryptionKey", "", RangeError, "Expected `encryptionKey` not to be empty"],
    ["encryptionKey", 5, TypeError, "Expected `encryptionKey` to be a string"],
    ["authToken", 5, TypeError, "Expected `authToken` to be a string"],
    ["tls", "no", TypeError, 'Expected `tls` to be true or false, got "no"'],
    ["concurrency", -1, RangeError, "Expected `concurrency` to be an integer of at least 0, got -1"],
    ["syncInterval", Number.NaN, RangeError, "Expected `syncInterval` to be at least 0 seconds, got NaN"],
    ["fetch", 5, TypeError, "Expected `fetch` to be a function, got 5"],
  ] as const)("%s: %j is refused before anything is opened", (name, value, type, message) => {
    const create = () => createClient({ url: ":memory:", [name]: value } as never);
    expect(create).toThrow(type);
    expect(create).toThrow(message);
  });

  test("Infinity switches a limit off", async () => {
    await using db = await tempDatabase();
    const none = Number.POSITIVE_INFINITY;
    await using client = openTestClient(db.url, {
      acquireTimeoutMs: none,
      busyTimeoutMs: none,
      idleTimeoutMs: none,
      transactionTimeoutMs: none,
    });
    const tx = await client.transaction();
    const waiting = client.execute("CREATE TABLE t (a)");
    tx.close();
    await waiting;
  });

  test("busyTimeoutMs 0 gives up at once, acquireTimeoutMs 0 with the next turn of the event loop", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url, { busyTimeoutMs: 0, acquireTimeoutMs: 0 });
    await client.execute("CREATE TABLE t (a)");
    using other = openSecond(db.path);
    other.exec("BEGIN IMMEDIATE");
    expect((await rejection(client.execute("INSERT INTO t VALUES (1)"))).code).toBe("SQLITE_BUSY");
    other.exec("COMMIT");
    const tx = await client.transaction();
    expect((await rejection(client.execute("INSERT INTO t VALUES (1)"))).code).toBe("ACQUIRE_TIMEOUT");
    tx.close();
  });
});

describe("the entry", () => {
  test("refuses a path in place of a URL, and says how to write one", () => {
    for (const url of ["app.db", "./app.db", "/data/app.db", "C:\\app.db", ""]) {
      expect(() => createClient({ url })).toThrow(
        expect.objectContaining({
          code: "URL_INVALID",
          message: expect.stringContaining("write file: before the path"),
        }),
      );
    }
  });

  test("exports the stock client's names", () => {
    for (const name of ["createClient", "LibsqlError", "LibsqlBatchError"]) expect(entry).toHaveProperty(name);
    // They are types: `createClient` makes the objects.
    for (const name of ["ConnectionPool", "StatementCache", "Transaction"]) expect(entry).not.toHaveProperty(name);
  });

  test("gives a remote client the same members, and refuses those that need a local database", async () => {
    const client = createClient({ url: "http://localhost:1" });
    expect(client.protocol).toBe("http");
    expect(() => client.pool).toThrow(expect.objectContaining({ code: "NOT_SUPPORTED" }));
    expect((await rejection(client.checkpoint())).code).toBe("NOT_SUPPORTED");
    expect(client.stats().pool).toMatchObject({ active: 0, max: 0 });
    await client.close();
    expect(client.closed).toBe(true);
  });

  test.each(["reader", "writer"] as const)("counts a %s that is acquired or released at once", async (role) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    const active = () => client.stats().pool.active;
    const held = await client.pool.acquire({ role });
    expect(active()).toBe(1);
    await held.execute("SELECT 1");
    held.release();
    expect(active()).toBe(0);
    const tx = await client.transaction(role === "reader" ? "read" : "write");
    expect(active()).toBe(1);
    tx.close();
    expect(active()).toBe(0);
  });
});

test("stats tell connections, statements and writes", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  expect(client.stats()).toEqual({
    pool: { active: 0, idle: 1, waiting: 0, max: 5, opened: 1, destroyed: 0 },
    statements: { hits: 0, misses: 0, evictions: 0, size: 0, hitRate: 0 },
    writes: { commits: 0, grouped: 0, busyRetries: 0 },
  });
  await client.execute("CREATE TABLE t (a)");
  await client.execute("SELECT * FROM t");
  await client.execute("SELECT * FROM t");
  const tx = await client.transaction("read");
  const { pool, statements, writes } = client.stats();
  expect(pool).toEqual({ active: 1, idle: 2, waiting: 0, max: 5, opened: 3, destroyed: 0 });
  expect(statements).toMatchObject({ hits: 1, misses: 2, size: 2 });
  expect(writes).toEqual({ commits: 1, grouped: 0, busyRetries: 0 });
  tx.close();
});

test("two clients of one process on one file both write, in either order", async () => {
  await using db = await tempDatabase();
  await using one = openTestClient(db.url);
  await using two = openTestClient(db.url);
  await one.execute("CREATE TABLE t (a)");
  const write = async (client: typeof one) => {
    for (let i = 0; i < 20; i++) {
      const tx = await client.transaction();
      const [row] = (await tx.execute("SELECT count(*) FROM t")).rows;
      // The other client finds the lock taken.
      await nextTurns();
      await tx.execute({ sql: "INSERT INTO t VALUES (?)", args: [row![0]!] });
      await tx.commit();
    }
  };
  await Promise.all([write(one), write(two)]);
  expect(await column(two, "SELECT a FROM t ORDER BY rowid")).toEqual(Array.from({ length: 40 }, (_, i) => i));
  expect(one.stats().writes.busyRetries + two.stats().writes.busyRetries).toBeGreaterThan(0);
});

test("VACUUM and VACUUM INTO run off the main thread, with a path in the SQL or as an argument", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  await client.batch(
    Array.from({ length: 2000 }, () => ({ sql: "INSERT INTO t VALUES (zeroblob(4000))", args: [] })),
    "write",
  );
  await client.execute("DELETE FROM t WHERE rowid > 1000");
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await client.execute("VACUUM");
  await client.execute(`VACUUM INTO '${db.dir}/one.db'`);
  clearInterval(timer);
  await client.execute("VACUUM INTO ?", [`${db.dir}/two.db`]);
  expect(ticks).toBeGreaterThan(3);
  for (const name of ["one", "two"]) {
    using copy = openSecond(`${db.dir}/${name}.db`);
    expect(copy.all("SELECT count(*) FROM t")).toEqual([[1000]]);
  }
  expect((await rejection(client.execute(`VACUUM INTO '${db.dir}/one.db'`))).code).toBe("SQLITE_ERROR");
  expect(await column(client, "PRAGMA freelist_count")).toEqual([0]);
});

test("a guard is called before each call, and an error that it throws rejects the call", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  const asked: string[] = [];
  (client as unknown as LocalClient).guard = (access) => {
    asked.push(access);
    if (access === "write") throw new Error("not here");
  };
  expect(client).toBeInstanceOf(LocalClient);
  await client.execute("SELECT 1");
  await client.batch(["SELECT 1"], "write");
  (await client.transaction("read")).close();
  for (const call of [
    () => client.execute("INSERT INTO t VALUES (1)"),
    () => client.batch(["INSERT INTO t VALUES (1)"]),
    () => client.migrate([]),
    () => client.transaction("deferred"),
    () => client.executeMultiple("SELECT 1"),
    () => client.execute("VACUUM"),
    () => client.checkpoint(),
  ]) {
    expect((await rejection(call())).message).toBe("not here");
  }
  expect(asked).toEqual(["read", "read", "read", "write", "write", "write", "write", "write", "write", "write"]);
});

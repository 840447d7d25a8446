import { copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, nextTurns, openSecond, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const isSettled = async (promise: Promise<unknown>) => {
  let settled = false;
  promise.finally(() => {
    settled = true;
  });
  await nextTurns();
  return settled;
};

describe("close", () => {
  test("is true at once, finishes running calls, refuses new ones, and is idempotent", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    await client.execute("CREATE TABLE t (a)");
    const running = [
      client.execute("INSERT INTO t VALUES (1)"),
      client.batch(
        Array.from({ length: 3000 }, (_, i) => ({ sql: "INSERT INTO t VALUES (?)", args: [i] })),
        "write",
      ),
      client.execute("SELECT count(*) FROM t"),
      client.executeMultiple("INSERT INTO t VALUES (2)"),
      client.execute("CREATE TEMP TABLE tmp (a)"),
      client.batch(["SELECT 1", "SELECT 2"], "read"),
    ];
    const closing = client.close();
    expect(client.closed).toBe(true);
    const late = [client.execute("SELECT 1"), client.checkpoint(), client.transaction("read"), client.pool.acquire()];
    for (const call of late) expect((await rejection(call)).code).toBe("CLIENT_CLOSED");
    await Promise.all([...running, closing, client.close()]);
    using other = openSecond(db.path);
    expect(other.all("SELECT count(*) FROM t")).toEqual([[3002]]);
  });

  // The stock client of a server says UNKNOWN.
  test("of the client of a server makes every call CLIENT_CLOSED", async () => {
    const client = createClient({ url: "http://127.0.0.1:9" });
    await client.close();
    const calls = [
      client.execute("SELECT 1"),
      client.batch(["SELECT 1"]),
      client.transaction("read"),
      client.executeMultiple("SELECT 1"),
      client.migrate(["SELECT 1"]),
    ];
    for (const call of calls)
      expect(await rejection(call)).toMatchObject({ name: "LibsqlError", code: "CLIENT_CLOSED" });
  });

  test("leaves the log alone if the client wrote nothing, and else moves it into the file", async () => {
    await using db = await tempDatabase();
    using other = openSecond(db.path, ["PRAGMA journal_mode = WAL", "PRAGMA wal_autocheckpoint = 0"]);
    other.exec("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))");
    const state = () => [db.path, `${db.path}-wal`].map((path) => statSync(path, { bigint: true }).mtimeNs);
    const before = state();
    const reader = createClient({ url: db.url });
    expect(await column(reader, "SELECT length(a) FROM t")).toEqual([100_000]);
    await reader.batch(["SELECT 1"], "write");
    const tx = await reader.transaction("read");
    await tx.execute("SELECT * FROM t");
    await reader.close();
    expect(state()).toEqual(before);
    expect(statSync(db.path).size).toBeLessThan(100_000);

    const writer = createClient({ url: db.url });
    // What a script stored before it failed counts as well.
    expect((await rejection(writer.executeMultiple("INSERT INTO t VALUES (1); nonsense"))).code).toBe("SQLITE_ERROR");
    await writer.close();
    expect(statSync(db.path).size).toBeGreaterThan(100_000);
    expect(other.all("SELECT count(*) FROM t")).toEqual([[2]]);
  });

  test("rolls back open transactions, and refuses calls that wait for a turn", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url, readers: 2 });
    await client.execute("CREATE TABLE t (a)");
    const write = await client.transaction("write");
    await write.execute("INSERT INTO t VALUES (1)");
    const read = await client.transaction("read");
    const waiting = [client.transaction("write"), client.transaction("read"), client.pool.acquire({ role: "writer" })];
    await nextTurns(1);
    const closing = client.close();
    expect([write.state, read.state]).toEqual(["rolledBack", "rolledBack"]);
    for (const call of waiting) expect((await rejection(call)).code).toBe("CLIENT_CLOSED");
    expect((await rejection(write.commit())).code).toBe("TRANSACTION_CLOSED");
    await closing;
    using other = openSecond(db.path);
    other.exec("INSERT INTO t VALUES (2)");
    expect(other.all("SELECT a FROM t")).toEqual([[2]]);
  });

  test.each(["reader", "writer"] as const)("does not wait for a %s that is never released", async (role) => {
    // A checkout that was forgotten kept close() waiting for ever.
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    const checkout = await client.pool.acquire({ role });
    await client.close();
    expect((await rejection(checkout.execute("SELECT 1"))).code).toBe("CLIENT_CLOSED");
    checkout.release();
    expect(() => checkout.release()).not.toThrow();
  });

  test("waits for a deferred transaction's attempt to take the lock to notice", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url, busyTimeoutMs: 60_000 });
    await client.execute("CREATE TABLE t (a)");
    using other = openSecond(db.path);
    other.exec("BEGIN IMMEDIATE");
    const tx = await client.transaction("deferred");
    const write = rejection(tx.execute("INSERT INTO t VALUES (1)"));
    await nextTurns(1);
    const start = performance.now();
    await client.close();
    expect((await write).code).toBe("TRANSACTION_CLOSED");
    expect(performance.now() - start).toBeLessThan(20_000);
    other.exec("COMMIT");
  });

  test("while another process holds the lock ends within busyTimeoutMs", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url, busyTimeoutMs: 50 });
    await client.execute("CREATE TABLE t (a)");
    using other = openSecond(db.path);
    other.exec("BEGIN IMMEDIATE");
    const write = rejection(client.execute("INSERT INTO t VALUES (1)"));
    await nextTurns(1);
    await client.close();
    expect((await write).code).toBe("SQLITE_BUSY");
    other.exec("COMMIT");
  });

  test("leaves the file complete without its log", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    await client.execute("CREATE TABLE t (a)");
    for (let i = 0; i < 100; i++) await client.execute("INSERT INTO t VALUES (1)");
    await client.close();
    const copy = join(db.dir, "without-log.db");
    copyFileSync(db.path, copy);
    using other = openSecond(copy);
    expect(other.all("SELECT count(*) FROM t")).toEqual([[100]]);
  });

  test("ends no process late: nothing keeps the event loop", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url, idleTimeoutMs: 3_600_000 });
    await client.execute("SELECT 1");
    await client.close();
    expect(await isSettled(client.close())).toBe(true);
    await using child = startChild("close-and-end", { url: db.url });
    // A deadline: the timer of `idleTimeoutMs` would keep the process alive for an hour.
    const late = new Promise((resolve) => setTimeout(resolve, 20_000, "late"));
    expect(await Promise.race([child.exited, late])).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("reconnect", () => {
  test("called twice at once opens one pool, and everything works", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    await Promise.all([client.reconnect(), client.reconnect()]);
    expect(await column(client, "SELECT 1")).toEqual([1]);
    expect(client.stats().pool.opened).toBeLessThanOrEqual(2);
    await client.close();
  });

  test("does not undo a close that came after it", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    const again = client.reconnect();
    await client.close();
    await again;
    expect(client.closed).toBe(true);
    expect((await rejection(client.execute("SELECT 1"))).code).toBe("CLIENT_CLOSED");
  });

  test("ends transactions, and makes a pool that works after damage to the session", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    await client.execute("CREATE TABLE t (a)");
    await client.execute("PRAGMA cache_size = 7");
    const tx = await client.transaction();
    await tx.execute("INSERT INTO t VALUES (1)");
    await client.reconnect();
    expect(tx.state).toBe("rolledBack");
    expect(await column(client, "SELECT count(*) FROM t")).toEqual([0]);
    expect(await column(client, "PRAGMA cache_size")).toEqual([-16000]);
    await client.close();
  });
});

import { expect, test } from "vitest";
import { column, nextTurns, openSecond, openTestClient, rejection } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

test("open read transactions never keep single reads waiting", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { readers: 3, acquireTimeoutMs: 50 });
  await client.execute("CREATE TABLE t (a)");
  const open = await Promise.all([client.transaction("read"), client.transaction("read")]);
  expect(client.stats().pool).toMatchObject({ active: 2, max: 4 });
  const third = rejection(client.transaction("read"));
  await client.execute("INSERT INTO t VALUES (1)");
  expect(await column(client, "SELECT a FROM t")).toEqual([1]);
  expect((await client.batch(["SELECT a FROM t"], "read"))[0]!.rows).toHaveLength(1);
  expect((await third).code).toBe("ACQUIRE_TIMEOUT");
  for (const tx of open) tx.close();
});

test("a single reader serves read transactions one at a time, and single reads all the while", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { readers: 1 });
  const first = await client.transaction("read");
  const second = client.transaction("read");
  expect(await column(client, "SELECT 1")).toEqual([1]);
  first.close();
  (await second).close();
  const { opened, max } = client.stats().pool;
  expect(opened).toBeLessThanOrEqual(max);
});

test("a released reader goes to the oldest waiter", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { readers: 2 });
  const order: number[] = [];
  const first = await client.pool.acquire();
  const waiters = [1, 2, 3].map(async (number) => {
    const reader = await client.pool.acquire();
    order.push(number);
    await nextTurns(1);
    reader.release();
  });
  await nextTurns();
  expect(client.stats().pool).toMatchObject({ active: 1, waiting: 3 });
  first.release();
  await Promise.all(waiters);
  expect(order).toEqual([1, 2, 3]);
});

test("the timeout of a wait for a reader names the holders, since when they hold it, and where it was taken", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { readers: 2, acquireTimeoutMs: 20 });
  async function leak() {
    return client.pool.acquire();
  }
  const leaked = await leak();
  const error = await rejection(client.pool.acquire());
  expect(error).toMatchObject({ name: "LibsqlError", code: "ACQUIRE_TIMEOUT" });
  expect(error.message).toMatch(/20 ms for a read connection.*a reader taken \d+ ms ago.*leak.*reader-pool\.test\.ts/s);
  leaked.release();
});

test("a checkout released twice throws, and refuses work after its release", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  for (const role of ["reader", "writer"] as const) {
    const checkout = await client.pool.acquire({ role });
    expect(checkout.role).toBe(role);
    expect((await checkout.execute("SELECT ?", [1])).rows[0]![0]).toBe(1);
    checkout.release();
    expect(() => checkout.release()).toThrow(expect.objectContaining({ code: "CONNECTION_RELEASED" }));
    expect((await rejection(checkout.execute("SELECT 1"))).code).toBe("CONNECTION_RELEASED");
    expect((await rejection(checkout.batch(["SELECT 1"]))).code).toBe("CONNECTION_RELEASED");
  }
  for (const wrong of [{ role: "leader" }, "writer", 5, { rol: "writer" }, null, []]) {
    expect(await rejection(client.pool.acquire(wrong as never)), JSON.stringify(wrong)).toBeInstanceOf(TypeError);
  }
});

test("a checked out reader refuses writes, a writer stores them", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a UNIQUE)");
  const reader = await client.pool.acquire({ role: "reader" });
  expect((await rejection(reader.execute("INSERT INTO t VALUES (1)"))).code).toBe("SQLITE_READONLY");
  expect(await rejection(reader.batch(["SELECT 1", "INSERT INTO t VALUES (1)"]))).toMatchObject({
    name: "LibsqlBatchError",
    statementIndex: 1,
    code: "SQLITE_READONLY",
  });
  reader.release();
  const writer = await client.pool.acquire({ role: "writer" });
  await writer.execute("INSERT INTO t VALUES (1)");
  expect(await rejection(writer.batch(["INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)"]))).toMatchObject({
    statementIndex: 1,
  });
  await writer.batch([["INSERT INTO t VALUES (?)", [3]]]);
  writer.release();
  expect(await column(client, "SELECT a FROM t ORDER BY a")).toEqual([1, 3]);
});

test("a batch on a checked out reader sees one snapshot, or that of the transaction that its holder began", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  const reader = await client.pool.acquire();
  await reader.execute("BEGIN");
  await reader.execute("SELECT * FROM t");
  await client.execute("INSERT INTO t VALUES (1)");
  expect((await reader.batch(["SELECT count(*) FROM t"]))[0]!.rows[0]![0]).toBe(0);
  await reader.execute("COMMIT");
  expect((await reader.batch(["SELECT count(*) FROM t", "SELECT 1"]))[0]!.rows[0]![0]).toBe(1);
  expect((await rejection(reader.batch(["SELECT 1", "ROLLBACK", "SELECT 1"]))).code).toBe("TRANSACTION_CLOSED");
  reader.release();
});

test("calls on one checkout run in order, and its release waits for them", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  const writer = await client.pool.acquire({ role: "writer" });
  const many = Array.from({ length: 5000 }, (_, i) => ({ sql: "INSERT INTO t VALUES (?)", args: [i] }));
  const calls = [
    writer.execute("INSERT INTO t VALUES ('first')"),
    writer.batch(many),
    writer.execute("INSERT INTO t VALUES ('last')"),
  ];
  const next = client.execute("INSERT INTO t VALUES ('next')");
  writer.release();
  await Promise.all([...calls, next]);
  const values = await column(client, "SELECT a FROM t ORDER BY rowid");
  expect([values[0], values.length, values.at(-2), values.at(-1)]).toEqual(["first", 5003, "last", "next"]);
});

test("a transaction that a checkout leaves open is rolled back on release", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { readers: 2 });
  await client.execute("CREATE TABLE t (a)");
  const reader = await client.pool.acquire();
  await reader.execute("BEGIN");
  await reader.execute("SELECT * FROM t");
  reader.release();
  await client.execute("INSERT INTO t VALUES (1)");
  const again = await client.pool.acquire();
  expect((await again.execute("SELECT a FROM t")).rows).toHaveLength(1);
  again.release();
});

test("unused readers are closed after idleTimeoutMs, and opened again when needed", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { idleTimeoutMs: 20 });
  await client.execute("CREATE TABLE t (a)");
  const open = await Promise.all([client.transaction("read"), client.transaction("read")]);
  for (const tx of open) tx.close();
  await client.execute("SELECT * FROM t");
  expect(client.stats().pool).toMatchObject({ idle: 4, opened: 4 });
  await expect.poll(() => client.stats().pool.idle, { timeout: 2000 }).toBe(1);
  expect(await column(client, "SELECT count(*) FROM t")).toEqual([0]);
  expect(client.stats().pool).toMatchObject({ idle: 2, opened: 5, destroyed: 0 });
});

test("a reader in use is not closed for being idle", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { idleTimeoutMs: 5 });
  const tx = await client.transaction("read");
  (await client.transaction("read")).close();
  expect(client.stats().pool).toMatchObject({ active: 1, idle: 2 });
  // The client closes the idle reader, which was opened later.
  await expect.poll(() => client.stats().pool, { timeout: 30_000, interval: 5 }).toMatchObject({ active: 1, idle: 1 });
  expect((await tx.execute("SELECT 1")).rows).toHaveLength(1);
  tx.close();
});

test("a read transaction sees one snapshot from its start, whatever others commit", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
  const tx = await client.transaction("read");
  await client.execute("INSERT INTO t VALUES (2)");
  using other = openSecond(db.path);
  other.exec("INSERT INTO t VALUES (3)");
  expect(await column(tx as never, "SELECT count(*) FROM t")).toEqual([1]);
  await client.execute("INSERT INTO t VALUES (4)");
  expect((await tx.batch(["SELECT count(*) FROM t"]))[0]!.rows[0]![0]).toBe(1);
  expect((await rejection(tx.execute("INSERT INTO t VALUES (5)"))).code).toBe("SQLITE_READONLY");
  await tx.commit();
  expect(await column(client, "SELECT count(*) FROM t")).toEqual([4]);
});

test("a batch of reads sees one snapshot", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple("CREATE TABLE t (a); INSERT INTO t VALUES (1);");
  using other = openSecond(db.path);
  for (let i = 0; i < 20; i++) {
    const batch = client.batch(["SELECT count(*) FROM t", "SELECT count(*) FROM t"], "read");
    other.exec("INSERT INTO t VALUES (1)");
    const [first, second] = await batch;
    expect(first!.rows[0]![0]).toBe(second!.rows[0]![0]);
  }
  expect((await rejection(client.batch(["SELECT 1", "COMMIT", "SELECT 2"], "read"))).code).toBe("NOT_SUPPORTED");
  expect(await column(client, "SELECT count(*) FROM t")).toEqual([21]);
});

test("an EXPLAIN does not pin the snapshot of its connection", async () => {
  // After an EXPLAIN run with all(), every later read of that connection kept its snapshot, for good.
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  for (let i = 0; i < 3; i++) {
    await client.execute("EXPLAIN SELECT * FROM t");
    await client.execute({ sql: "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = ?", args: [1] });
    await client.execute({ sql: "EXPLAIN INSERT INTO t VALUES (?)", args: [1] });
    await client.batch(["EXPLAIN SELECT 1", "EXPLAIN QUERY PLAN SELECT * FROM t"], "read");
  }
  using other = openSecond(db.path);
  for (let i = 1; i <= 3; i++) {
    other.exec("INSERT INTO t VALUES (1)");
    expect(await column(client, "SELECT count(*) FROM t")).toEqual([i]);
    // Run again and again, a read is proved to give one row, by an EXPLAIN of the engine's own.
    expect(await column(client, "SELECT max(rowid) FROM t")).toEqual([i]);
  }
  const tx = await client.transaction("write");
  await tx.execute("EXPLAIN SELECT * FROM t");
  await tx.execute("INSERT INTO t VALUES (2)");
  await tx.commit();
  expect(other.all("SELECT count(*) FROM t")).toEqual([[4]]);
  const { checkpointedFrames, logFrames } = await client.checkpoint();
  expect(checkpointedFrames).toBe(logFrames);
});

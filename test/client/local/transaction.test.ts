import type { PooledClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { column, nextTurns, openSecond, openTestClient, rejection } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const open = async (config = {}) => {
  const db = await tempDatabase();
  const client = openTestClient(db.url, config);
  await client.executeMultiple("CREATE TABLE t (a); INSERT INTO t VALUES (0);");
  const other = openSecond(db.path);
  return {
    db,
    client,
    other,
    async [Symbol.asyncDispose]() {
      other[Symbol.dispose]();
      await client[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
};

/** Waits until the client has tried in vain, `times` times, to take the lock that another connection holds. */
const hasMetTheLock = (client: PooledClient, times = 1) =>
  expect.poll(() => client.stats().writes.busyRetries, { timeout: 30_000, interval: 1 }).toBeGreaterThanOrEqual(times);

describe("a write transaction", () => {
  test("holds the write lock from its start", async () => {
    await using it = await open();
    const tx = await it.client.transaction();
    expect(tx.mode).toBe("write");
    expect(() => it.other.exec("INSERT INTO t VALUES (1)")).toThrow(/locked/);
    tx.close();
    it.other.exec("INSERT INTO t VALUES (1)");
  });

  test("tells its state", async () => {
    await using it = await open();
    const [committed, rolledBack] = [await it.client.transaction(), it.client.transaction()];
    expect(committed.state).toBe("active");
    await committed.commit();
    expect([committed.state, committed.closed]).toEqual(["committed", true]);
    const second = await rolledBack;
    await second.rollback();
    expect([second.state, second.closed]).toEqual(["rolledBack", true]);
    const ended = await it.client.transaction();
    await ended.execute("COMMIT");
    expect(ended.state).toBe("committed");
  });

  test("a commit after a trigger rolled back rejects with TRANSACTION_CLOSED", async () => {
    await using it = await open();
    const trigger = "CREATE TRIGGER no BEFORE INSERT ON t WHEN new.a = 'no' BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
    await it.client.execute(trigger);
    const tx = await it.client.transaction();
    await tx.execute("INSERT INTO t VALUES (1)");
    expect((await rejection(tx.execute("INSERT INTO t VALUES ('no')"))).extendedCode).toBe("SQLITE_CONSTRAINT_TRIGGER");
    expect(tx.state).toBe("rolledBack");
    expect((await rejection(tx.commit())).code).toBe("TRANSACTION_CLOSED");
    expect(await column(it.client, "SELECT a FROM t")).toEqual([0]);
  });
});

describe("a deferred transaction", () => {
  test("leaves the lock to others until its first write", async () => {
    await using it = await open();
    const tx = await it.client.transaction("deferred");
    it.other.exec("INSERT INTO t VALUES (1)");
    await tx.execute("INSERT INTO t VALUES (2)");
    expect(() => it.other.exec("INSERT INTO t VALUES (3)")).toThrow(/locked/);
    await tx.commit();
    expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 1, 2]);
  });

  test("takes the writer's turn at once", async () => {
    await using it = await open({ acquireTimeoutMs: 20 });
    const tx = await it.client.transaction("deferred");
    expect((await rejection(it.client.execute("INSERT INTO t VALUES (1)"))).code).toBe("ACQUIRE_TIMEOUT");
    tx.close();
  });

  const reads = {
    "a query": "SELECT * FROM t",
    "a PRAGMA": "PRAGMA user_version",
  };
  test.each(Object.entries(reads))(
    "that has read by %s fails with SQLITE_BUSY_SNAPSHOT at once when another connection has committed since",
    async (_what, read) => {
      // A PRAGMA that read did not count as a read: the snapshot was quietly exchanged for a newer one.
      // A call that waited for the lock would wait longer than the test may take.
      await using it = await open({ busyTimeoutMs: 600_000 });
      const tx = await it.client.transaction("deferred");
      await tx.execute(read);
      it.other.exec("PRAGMA user_version = 5; INSERT INTO t VALUES (1)");
      const error = await rejection(tx.execute("INSERT INTO t VALUES (2)"));
      expect(error).toMatchObject({ code: "SQLITE_BUSY", extendedCode: "SQLITE_BUSY_SNAPSHOT", rawCode: 517 });
      // It still reads what it saw, and is to be rolled back and run again as a whole.
      expect((await tx.execute("SELECT count(*) FROM t")).rows[0]![0]).toBe(1);
      await tx.rollback();
      const again = await it.client.transaction("deferred");
      await again.execute(read);
      await again.execute("INSERT INTO t VALUES (2)");
      await again.commit();
      expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 1, 2]);
    },
  );

  test("that has not read waits for the lock of another process, without stopping the event loop", async () => {
    await using it = await open();
    await using child = startChild("hold-lock", { url: it.db.url, insert: 1 });
    await child.message<{ locked?: boolean }>(({ locked }) => locked === true);
    const tx = await it.client.transaction("deferred");
    const write = tx.execute("INSERT INTO t VALUES (2)");
    const read = tx.execute("SELECT count(*) FROM t");
    let hasLock = false;
    void write.then(() => {
      hasLock = true;
    });
    await hasMetTheLock(it.client, 6);
    expect(hasLock).toBe(false);
    child.send("commit");
    await write;
    expect((await read).rows[0]![0]).toBe(3);
    await tx.commit();
  });

  test("that has read waits for the lock while its snapshot is still good", async () => {
    await using it = await open({ busyTimeoutMs: 2000 });
    const tx = await it.client.transaction("deferred");
    await tx.execute("SELECT * FROM t");
    it.other.exec("BEGIN IMMEDIATE");
    const write = tx.execute("INSERT INTO t VALUES (2)");
    await hasMetTheLock(it.client);
    it.other.exec("ROLLBACK");
    await write;
    await tx.commit();
    expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 2]);
  });

  test("whose write met SQLITE_BUSY is still one transaction", async () => {
    // The attempt to take the lock left no transaction behind: each later read saw a snapshot of its own.
    await using it = await open({ busyTimeoutMs: 10 });
    const tx = await it.client.transaction("deferred");
    it.other.exec("BEGIN IMMEDIATE");
    expect((await rejection(tx.execute("INSERT INTO t VALUES (1)"))).code).toBe("SQLITE_BUSY");
    it.other.exec("ROLLBACK");
    expect(tx.state).toBe("active");
    expect((await tx.execute("SELECT count(*) FROM t")).rows[0]![0]).toBe(1);
    it.other.exec("INSERT INTO t VALUES (2)");
    expect((await tx.execute("SELECT count(*) FROM t")).rows[0]![0]).toBe(1);
    await tx.rollback();
    const again = await it.client.transaction("deferred");
    await again.execute("INSERT INTO t VALUES (3)");
    await again.execute("INSERT INTO t VALUES (4)");
    await again.rollback();
    expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 2]);
  });

  test("closed while it waits for the lock takes it no more", async () => {
    // The attempts went on after the end, and took the lock when the connection was another one's already.
    await using it = await open({ busyTimeoutMs: 1000 });
    const tx = await it.client.transaction("deferred");
    it.other.exec("BEGIN IMMEDIATE");
    const write = rejection(tx.execute("INSERT INTO t VALUES (1)"));
    await hasMetTheLock(it.client);
    tx.close();
    expect((await write).code).toBe("TRANSACTION_CLOSED");
    const next = it.client.execute("INSERT INTO t VALUES (2)");
    it.other.exec("ROLLBACK");
    await next;
    it.other.exec("INSERT INTO t VALUES (3)");
    expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 2, 3]);
  });

  test("keeps the order of calls that were not awaited", async () => {
    await using it = await open();
    const tx = await it.client.transaction("deferred");
    const calls = [
      tx.execute("SELECT count(*) FROM t"),
      tx.execute("INSERT INTO t VALUES (1)"),
      tx.execute("SELECT count(*) FROM t"),
      tx.batch(["INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)"]),
      tx.execute("SELECT count(*) FROM t"),
    ] as const;
    const commit = tx.commit();
    const counts = [(await calls[0]).rows[0]![0], (await calls[2]).rows[0]![0], (await calls[4]).rows[0]![0]];
    await commit;
    expect(counts).toEqual([1, 2, 4]);
    expect(await column(it.client, "SELECT count(*) FROM t")).toEqual([4]);
  });

  test("that only reads, or does nothing, commits", async () => {
    await using it = await open();
    const reading = await it.client.transaction("deferred");
    await reading.execute("SELECT * FROM t");
    await reading.commit();
    const idle = await it.client.transaction("deferred");
    await idle.commit();
  });
});

describe("savepoints", () => {
  test("nest, are undone one by one, and tell their depth", async () => {
    await using it = await open();
    const tx = await it.client.transaction();
    expect(tx.depth).toBe(0);
    await tx.execute("INSERT INTO t VALUES (1)");
    const outer = await tx.savepoint();
    await tx.execute("INSERT INTO t VALUES (2)");
    const inner = await tx.savepoint();
    expect(tx.depth).toBe(2);
    await tx.execute("INSERT INTO t VALUES (3)");
    await tx.rollbackTo(inner);
    expect(tx.depth).toBe(2);
    await tx.execute("INSERT INTO t VALUES (4)");
    await tx.release(inner);
    expect(tx.depth).toBe(1);
    await tx.rollbackTo(outer);
    await tx.execute("INSERT INTO t VALUES (5)");
    await tx.release(outer);
    expect(tx.depth).toBe(0);
    await tx.commit();
    expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 1, 5]);
  });

  test("end with the one around them, and with the transaction", async () => {
    await using it = await open();
    const tx = await it.client.transaction();
    const outer = await tx.savepoint();
    const inner = await tx.savepoint();
    await tx.rollbackTo(outer);
    expect((await rejection(tx.rollbackTo(inner))).code).toBe("SAVEPOINT_CLOSED");
    await tx.release(outer);
    expect((await rejection(tx.release(outer))).code).toBe("SAVEPOINT_CLOSED");
    const last = await tx.savepoint();
    await tx.commit();
    expect((await rejection(tx.rollbackTo(last))).code).toBe("TRANSACTION_CLOSED");
    expect((await rejection(tx.savepoint())).code).toBe("TRANSACTION_CLOSED");
    expect(tx.depth).toBe(0);
  });

  test("work in deferred and in read transactions", async () => {
    await using it = await open();
    const deferred = await it.client.transaction("deferred");
    const mark = await deferred.savepoint();
    await deferred.execute("INSERT INTO t VALUES (1)");
    await deferred.rollbackTo(mark);
    await deferred.execute("INSERT INTO t VALUES (2)");
    await deferred.commit();
    const reading = await it.client.transaction("read");
    const point = await reading.savepoint();
    await reading.release(point);
    await reading.commit();
    expect(await column(it.client, "SELECT a FROM t ORDER BY a")).toEqual([0, 2]);
  });

  test("of a name that is open wait until it ends, in order, however their siblings end", async () => {
    await using it = await open();
    const tx = await it.client.transaction();
    const sibling = async (value: number, fails: boolean) => {
      await tx.execute("SAVEPOINT sp1");
      await tx.execute({ sql: "INSERT INTO t VALUES (?)", args: [value] });
      await nextTurns(1);
      await tx.execute({ sql: "INSERT INTO t VALUES (?)", args: [value + 0.5] });
      await tx.execute(fails ? "ROLLBACK TO SAVEPOINT sp1" : "RELEASE SAVEPOINT sp1");
    };
    await Promise.all([1, 2, 3, 4, 5, 6].map((value) => sibling(value, value % 2 === 0)));
    expect(tx.depth).toBeLessThanOrEqual(1);
    await tx.commit();
    expect(await column(it.client, "SELECT a FROM t ORDER BY rowid")).toEqual([0, 1, 1.5, 3, 3.5, 5, 5.5]);
  });

  test("of a name that became free go to the waiter, not to a new call", async () => {
    // The name was free for a moment between the release and the waiter's turn, and a newcomer slipped in.
    await using it = await open();
    const tx = await it.client.transaction();
    await tx.execute("SAVEPOINT sp1");
    const order: string[] = [];
    const use = async (who: string) => {
      await tx.execute("SAVEPOINT sp1");
      order.push(who);
      expect(tx.depth).toBe(1);
      await nextTurns(1);
      await tx.execute("RELEASE sp1");
    };
    const waiting = use("waiting");
    await nextTurns(1);
    const released = tx.execute("RELEASE sp1");
    const newcomer = use("newcomer");
    await released;
    const latecomer = use("latecomer");
    await Promise.all([waiting, newcomer, latecomer]);
    expect(order).toEqual(["waiting", "newcomer", "latecomer"]);
    await tx.commit();
  });

  test("that wait when the transaction ends are refused", async () => {
    await using it = await open();
    const tx = await it.client.transaction();
    await tx.execute("SAVEPOINT sp1");
    const waiting = rejection(tx.execute("SAVEPOINT SP1"));
    await nextTurns(1);
    await tx.rollback();
    expect((await waiting).code).toBe("TRANSACTION_CLOSED");
  });
});

test("500 transactions of all modes leave no connection in use", async () => {
  await using it = await open();
  const modes = ["write", "deferred", "read"] as const;
  for (let i = 0; i < 500; i++) {
    const tx = await it.client.transaction(modes[i % 3]);
    await tx.execute("SELECT * FROM t");
    if (i % 2 === 0) await tx.commit();
    else tx.close();
  }
  expect(it.client.stats().pool).toMatchObject({ waiting: 0, destroyed: 0 });
  expect(it.client.stats().pool.opened).toBeLessThanOrEqual(it.client.stats().pool.max);
});

test("a write transaction that is never ended does not keep the process alive", async () => {
  await using db = await tempDatabase();
  await using child = startChild("hold-writer", { url: db.url });
  // The timer of whoever waits for a turn, an hour here, stayed armed after the turn was given.
  expect(await child.exited).toMatchObject({ code: 0 });
});

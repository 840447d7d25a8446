import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { caughtUp, freePort, startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

test("a namespace that the server does not have is NOT_FOUND", async () => {
  await using server = await startServer({ args: ["--enable-namespaces"] });
  await using folder = await tempDatabase();
  // Of this address, the namespace is 127.
  const nowhere = {
    code: "NOT_FOUND",
    retryable: false,
    message: expect.stringContaining("no database at this address"),
  };
  expect(await rejection(openStorage(server.url))).toMatchObject(nowhere);
  expect(await rejection(openStorage({ url: folder.url, syncUrl: server.url }))).toMatchObject(nowhere);
});

test("a server whose operator blocks writes is READONLY and goes on answering reads", async () => {
  const adminPort = await freePort();
  await using server = await startServer({ args: ["--admin-listen-addr", `127.0.0.1:${adminPort}`] });
  await using storage = await openStorage(server.url);
  await storage.memories.insert({ id: "a", content: "x" });
  const block = (isBlocked: boolean) =>
    fetch(`http://127.0.0.1:${adminPort}/v1/namespaces/default/config`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ block_reads: false, block_writes: isBlocked, block_reason: "over quota" }),
    });
  expect((await block(true)).status).toBe(200);
  const works = [
    () => storage.memories.insert({ content: "x" }),
    () => storage.memories.insertMany([{ content: "x" }, { content: "y" }]),
    () => storage.transaction((tx) => tx.memories.insert({ content: "x" })),
  ];
  for (const work of works) {
    const error = await rejection(work());
    expect(error).toMatchObject({ code: "READONLY", retryable: false, message: expect.stringContaining("over quota") });
  }
  expect(await storage.memories.get("a")).toBeDefined();
  await using late = await openStorage(server.url);
  expect(await late.memories.count()).toBe(1);
  expect((await block(false)).status).toBe(200);
  await storage.memories.insert({ id: "b", content: "x" });
});

describe("a storage on a server", () => {
  test("shows a second client what is committed, and nothing else", async () => {
    await using server = await startServer();
    await using storage = await openStorage(server.url);
    await using second = await openStorage(server.url);
    await storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "a", content: "x" });
      expect(await second.memories.get("a")).toBeUndefined();
      expect(await storage.memories.get("a")).toBeUndefined();
      expect(await tx.memories.get("a")).toBeDefined();
    });
    expect(await second.memories.get("a")).toBeDefined();
    await rejection(
      storage.transaction(async (tx) => {
        await tx.memories.insert({ id: "b", content: "x" });
        throw new Error("no");
      }),
    );
    expect(await second.memories.get("b")).toBeUndefined();
  });

  test("serves transactions that are started together one after the other, single writes between them", async () => {
    await using server = await startServer();
    await using storage = await openStorage(server.url);
    await storage.memories.insert({ id: "sum", content: "0" });
    const add = () =>
      storage.transaction(async (tx) => {
        const { content } = await tx.memories.require("sum");
        await tx.memories.update("sum", { content: String(Number(content) + 1) });
      });
    const work = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0 ? add() : storage.memories.insert({ content: "x" }),
    );
    await Promise.all(work);
    expect((await storage.memories.require("sum")).content).toBe("10");
    expect(await storage.memories.count()).toBe(11);
  });

  test("lets transactions of two clients wait for each other", async () => {
    await using server = await startServer();
    await using one = await openStorage(server.url);
    await using other = await openStorage(server.url);
    await one.memories.insert({ id: "sum", content: "0" });
    const add = (storage: typeof one) =>
      storage.transaction(async (tx) => {
        const { content } = await tx.memories.require("sum");
        await tx.memories.update("sum", { content: String(Number(content) + 1) });
      });
    await Promise.all(Array.from({ length: 10 }, (_, i) => add(i % 2 === 0 ? one : other)));
    expect((await one.memories.require("sum")).content).toBe("10");
  });

  test("takes hundreds of writes that are started together, from several clients", async () => {
    await using server = await startServer();
    await using one = await openStorage(server.url);
    await using other = await openStorage(server.url);
    const inserts = Array.from({ length: 300 }, (_, i) =>
      (i % 2 === 0 ? one : other).memories.insert({ content: `x ${i}` }),
    );
    await Promise.all(inserts);
    expect(await one.memories.count()).toBe(300);
    // They share requests, and each has its own result: one that fails takes no other along.
    const before = (await one.stats()).remote!.requests;
    const settled = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => one.sessions.start(i % 10 === 9 ? "taken" : `s${i}`)),
    );
    const failed = settled.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    expect(failed).toHaveLength(4);
    expect(failed[0]).toMatchObject({ code: "CONFLICT", cause: { name: "LibsqlError" } });
    expect(await one.sessions.latest(100)).toHaveLength(46);
    expect((await one.stats()).remote!.requests - before).toBeLessThan(20);
    const mixed = [
      one.client.execute("INSERT INTO missing VALUES (1)"),
      one.client.execute("UPDATE sessions SET summary = 'x'"),
      one.client.execute("INSERT INTO sessions SELEKT"),
      one.client.execute("DELETE FROM sessions"),
    ];
    const outcome = (await Promise.allSettled(mixed)).map((result) =>
      result.status === "fulfilled" ? result.value.rowsAffected : "failed",
    );
    expect(outcome).toEqual(["failed", 46, "failed", 46]);
  });

  test("binds and reads values as a file does", async () => {
    await using server = await startServer();
    await using storage = await openStorage({ url: server.url, migrate: "skip" });
    const { client } = storage;
    await client.execute("CREATE TABLE t (a TEXT, b)");
    const date = new Date(1_700_000_000_000);
    const bytes = new Float32Array([1, 2, 3]).subarray(1);
    await client.execute({ sql: "INSERT INTO t VALUES (?, ?), (?, ?)", args: [5, date, true, bytes as never] });
    const { rows } = await client.execute("SELECT a, b, 'x' || ? AS c FROM t ORDER BY rowid", [7]);
    expect([...rows].map((row) => [row.a, row.b, row.c])).toEqual([
      ["5", date.getTime(), "x7"],
      ["1", bytes.slice().buffer, "x7"],
    ]);
    for (const args of [[1], [1, 2, 3], [Number.NaN, 1], ["\0", 1], [{} as never, 1]]) {
      const error = await rejection(client.execute({ sql: "INSERT INTO t VALUES (?, ?)", args }));
      expect(["TypeError", "RangeError"]).toContain(error.name);
    }
    expect(await rejection(client.execute("BEGIN"))).toMatchObject({ code: "NOT_SUPPORTED" });
    expect(await rejection(client.execute("SELECT 1; SELECT 2"))).toMatchObject({ code: "SQL_MANY_STATEMENTS" });
    expect(await rejection(client.execute("INSERT INTO missing VALUES (1)"))).toMatchObject({ name: "LibsqlError" });
    expect((await client.batch(["INSERT INTO t VALUES (1, 1)", "SELECT count(*) FROM t"]))[1]?.rows[0]?.[0]).toBe(3);
    const failed = client.batch(["INSERT INTO t VALUES (2, 2)", "INSERT INTO missing VALUES (1)"], "write");
    expect(await rejection(failed)).toMatchObject({ name: "LibsqlBatchError", statementIndex: 1 });
    await client.executeMultiple("INSERT INTO t VALUES (3, 3); DELETE FROM t WHERE a = '3'");
    expect((await client.execute("SELECT count(*) FROM t")).rows[0]?.[0]).toBe(3);
  });

  test("names the constraint, its table and its columns", async () => {
    await using server = await startServer();
    await using storage = await openStorage(server.url);
    await storage.sessions.start("s");
    expect(await rejection(storage.sessions.start("s"))).toMatchObject({
      code: "CONFLICT",
      table: "sessions",
      columns: ["project", "id"],
      retryable: false,
    });
  });

  test("tells its health and figures", async () => {
    await using server = await startServer();
    await using storage = await openStorage(server.url);
    await storage.memories.insert({ content: "x" });
    const health = await storage.health();
    expect(health).toMatchObject({ ok: true, path: server.url, fts: true, walBytes: 0, lastError: undefined });
    expect(health.tables).toContainEqual({ table: "memories", rows: 1 });
    const stats = await storage.stats();
    expect(stats).toMatchObject({ schemaVersion: health.schemaVersion, fileBytes: 0, client: undefined });
    expect(stats.remote).toMatchObject({ unavailable: 0, active: 0, waiting: 0 });
    expect(stats.remote?.requests).toBeGreaterThan(2);
  });

  test("refuses what a server does not support, and names the alternative", async () => {
    await using server = await startServer();
    await using storage = await openStorage({ url: server.url, readers: 2, durability: "relaxed", syncInterval: 5 });
    expect(await rejection(storage.sync())).toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringMatching(/syncUrl/),
    });
    expect(await rejection(storage.client.sync())).toMatchObject({ code: "SYNC_NOT_SUPPORTED" });
    const encrypted = openStorage({ url: server.url, encryptionKey: "secret" });
    expect(await rejection(encrypted)).toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringMatching(/remoteEncryptionKey/),
    });
    const inMemory = openStorage({ url: ":memory:", syncUrl: server.url });
    expect(await rejection(inMemory)).toMatchObject({ code: "NOT_SUPPORTED", message: expect.stringMatching(/file:/) });
    const offline = openStorage({ url: "file:never-made.db", syncUrl: server.url, offline: true });
    expect(await rejection(offline)).toMatchObject({ code: "NOT_SUPPORTED" });
    for (const wrong of [-1, "5", Number.NaN]) {
      const error = await rejection(openStorage({ url: server.url, requestTimeoutMs: wrong as number }));
      expect(["TypeError", "RangeError"]).toContain(error.name);
    }
    expect((await rejection(openStorage({ url: server.url, readers: 0 }))).name).toBe("RangeError");
  });

  test("continues a transaction after a statement that names a missing table or column", async () => {
    await using server = await startServer();
    await using storage = await openStorage(server.url);
    for (const mode of ["write", "read", "deferred"] as const) {
      const transaction = await storage.client.transaction(mode);
      if (mode !== "read") {
        const sql = "insert into sessions (project, id, started_at, metadata) values ('p', ?, 0, '{}')";
        await transaction.execute({ sql, args: [mode] });
      }
      for (const wrong of ["select * from nope", "select nope from sessions", "select nope(1)"]) {
        expect((await rejection(transaction.execute(wrong))).message).toMatch(/no such/);
      }
      expect((await transaction.execute("select count(*) from sessions where project = 'p'")).rows[0]![0]).toBe(
        mode === "deferred" ? 2 : 1,
      );
      await transaction.commit();
    }
    expect((await storage.client.execute("select id from sessions order by id")).rows.map((row) => row.id)).toEqual([
      "deferred",
      "write",
    ]);
  });

  test("refuses calls after close, which lets running calls finish and rolls back open transactions", async () => {
    await using server = await startServer();
    const storage = await openStorage(server.url);
    const open = await storage.client.transaction("write");
    await open.execute("DELETE FROM sqlite_schema WHERE 0").catch(() => undefined);
    const running = storage.memories.list();
    await storage.close();
    expect((await running).items).toEqual([]);
    expect(open.closed).toBe(true);
    expect(await rejection(storage.memories.count())).toMatchObject({ code: "CLOSED" });
    await storage.close();
    await using again = await openStorage(server.url);
    await again.memories.insert({ content: "the lock is free" });
  });

  test("that ends a transaction held too long says so, and stores none of it", async () => {
    await using server = await startServer();
    await using slow = await openStorage(server.url);
    await using other = await openStorage(server.url);
    let lost!: unknown;
    const error = await rejection(
      slow.transaction(async (tx) => {
        await tx.memories.insert({ id: "slow", content: "x" });
        // Waits at the server until that takes the lock away from the transaction above.
        await other.memories.insert({ id: "other", content: "x" });
        lost = await rejection(tx.memories.insert({ id: "slow-2", content: "x" }));
        // A statement that was sent now would be stored by itself.
        await tx.memories.insert({ id: "slow-3", content: "x" });
      }),
    );
    expect(lost).toMatchObject({ code: "TRANSACTION_CLOSED", retryable: true, message: expect.stringMatching(/5 s/) });
    expect(error).toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect((await other.memories.list()).items.map(({ id }) => id)).toEqual(["other"]);
  });
});

describe("a read replica of the server", () => {
  test("serves reads and forwards writes", async () => {
    await using primary = await startServer();
    await using storage = await openStorage(primary.url);
    await storage.memories.insert({ id: "a", content: "from the primary" });
    await using server = await startServer({ primaryGrpcUrl: primary.grpcUrl });
    await caughtUp(server);
    await using replica = await openStorage({ url: server.url, requestTimeoutMs: 4_000 });
    expect(await replica.memories.get("a")).toBeDefined();
    await replica.memories.insert({ id: "b", content: "by way of the replica" });
    await replica.transaction(async (tx) => {
      await tx.memories.insert({ id: "c", content: "in a transaction" });
      await tx.savepoint((inner) => inner.sessions.start("s"));
    });
    expect(await storage.memories.getMany(["b", "c"])).toHaveLength(2);
    expect(await storage.sessions.get("s")).toBeDefined();
    await expect.poll(() => replica.memories.search("transaction"), { timeout: 30_000 }).toHaveLength(1);
    await primary.kill();
    expect(await replica.memories.get("a")).toBeDefined();
    const error = await rejection(replica.memories.insert({ content: "nobody to take it" }));
    expect(error).toMatchObject({ code: "UNAVAILABLE" });
  });
});

import { rmSync } from "node:fs";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { createClient, type PooledClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const things = sqliteTable("things", { id: integer().primaryKey() });
const TAKEN = "INSERT INTO things VALUES (1)";
const LIMITS = { acquireTimeoutMs: 20, busyTimeoutMs: 20, readers: 2 };

type Call = (client: PooledClient) => Promise<unknown>;

/** Calls `run` with a transaction, and rolls it back. */
const within =
  (run: (tx: Awaited<ReturnType<PooledClient["transaction"]>>, client: PooledClient) => Promise<unknown>): Call =>
  async (client) => {
    const tx = await client.transaction();
    try {
      await run(tx, client);
    } finally {
      tx.close();
    }
  };

const calls: Record<string, Call> = {
  "a read": (client) => client.execute("SELECT * FROM missing"),
  "a write": (client) => client.execute(TAKEN),
  "a write with a result that is refused": (client) =>
    client.execute("INSERT INTO things VALUES (9007199254740993) RETURNING id"),
  "a write that shares its commit": (client) =>
    Promise.all([client.execute("DELETE FROM things"), client.execute("x")]),
  "a batch": (client) => client.batch([TAKEN], "write"),
  "a batch of reads": (client) => client.batch(["SELECT missing"], "read"),
  migrate: (client) => client.migrate([TAKEN]),
  executeMultiple: (client) => client.executeMultiple(`SELECT 1; ${TAKEN}`),
  "an ATTACH": (client) => client.execute("ATTACH '/missing/folder/a.db' AS a"),
  "a statement of a transaction": within((tx) => tx.execute(TAKEN)),
  // As in a transaction of Kysely: the promise has two handlers, so V8 does not know which function awaits the call.
  "a statement of a transaction whose promise is kept": within(async (tx) => {
    const kept = tx.execute(TAKEN);
    kept.catch(() => undefined);
    await kept;
  }),
  "a batch of a transaction": within((tx) => tx.batch([TAKEN])),
  "a script of a transaction": within((tx) => tx.executeMultiple(TAKEN)),
  "a closed transaction": within(async (tx) => {
    await tx.rollback();
    await tx.commit();
  }),
  "a write that waits too long": within((_tx, client) => client.execute("DELETE FROM things")),
  "a transaction that waits too long": within((_tx, client) => client.transaction()),
  "a checkout that waits too long": within((_tx, client) => client.pool.acquire({ role: "writer" })),
  "a statement of a checkout": async (client) => {
    const writer = await client.pool.acquire({ role: "writer" });
    try {
      await writer.execute(TAKEN);
    } finally {
      writer.release();
    }
  },
  "an insert of Drizzle": (client) => drizzle({ client }).insert(things).values({ id: 1 }),
  "a transaction of Drizzle": (client) =>
    drizzle({ client }).transaction(async (tx) => {
      await tx.insert(things).values({ id: 1 });
    }),
};

describe.each(["file", ":memory:"])("on %s, the stack of a rejection names the caller:", (place) => {
  test.each(Object.entries(calls))("%s", async (_name, call) => {
    await using db = await tempDatabase();
    await using client = openTestClient(place === "file" ? db.url : ":memory:", LIMITS);
    await client.executeMultiple("CREATE TABLE things (id INTEGER PRIMARY KEY); INSERT INTO things VALUES (1)");
    async function theCaller() {
      // By now, no frame of the test itself is on the stack.
      await new Promise((resolve) => setImmediate(resolve));
      await call(client);
    }
    expect((await rejection(theCaller())).stack).toContain("theCaller");
  });
});

test("a write that another process's lock keeps waiting, and a checkpoint, name their callers", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, LIMITS);
  await using other = openTestClient(db.url);
  await client.execute("CREATE TABLE things (id INTEGER PRIMARY KEY)");
  const tx = await other.transaction();
  async function theWriter() {
    await client.execute(TAKEN);
  }
  async function theCheckpoint() {
    await client.checkpoint();
  }
  const [write, checkpoint] = [await rejection(theWriter()), await rejection(theCheckpoint())];
  expect([write.code, checkpoint.code]).toEqual(["SQLITE_BUSY", "SQLITE_BUSY"]);
  expect(write.stack).toMatch(/^LibsqlError: SQLITE_BUSY: .*\n {4}at (?:async )?theWriter /);
  expect(checkpoint.stack).toMatch(/^LibsqlError: SQLITE_BUSY: .*\n {4}at (?:async )?theCheckpoint /);
  tx.close();
});

test("calls that fail for one reason have each their own error, which names the caller", async () => {
  await using db = await tempDatabase();
  const client = createClient({ url: db.url });
  await client.execute("CREATE TABLE things (id INTEGER PRIMARY KEY)");
  // The file has no name any more, so that the commit that both share is refused.
  rmSync(db.path);
  const one = async () => await client.execute("INSERT INTO things VALUES (2)");
  const two = async () => await client.execute("INSERT INTO things VALUES (3)");
  const [first, second] = await Promise.all([rejection(one()), rejection(two())]);
  expect([first.code, second.code]).toEqual(["FILE_REPLACED", "FILE_REPLACED"]);
  expect(first.stack).toMatch(/^LibsqlError: FILE_REPLACED: .*\n {4}at (?:async )?one /);
  expect(second.stack).toMatch(/^LibsqlError: FILE_REPLACED: .*\n {4}at (?:async )?two /);
  expect(second.message).toBe(first.message);
  await client.close();
});

test.each<[string, (client: PooledClient) => Promise<unknown>]>([
  ["execute", (client) => client.execute("SELECT 1")],
  ["batch", (client) => client.batch(["SELECT 1"])],
  ["executeMultiple", (client) => client.executeMultiple("SELECT 1")],
  ["migrate", (client) => client.migrate(["SELECT 1"])],
])("on a server, the stack of a rejected %s names the caller", async (_name, call) => {
  // Nothing listens on this port, which only root may use.
  const client = createClient({ url: "http://127.0.0.1:1" });
  async function theCaller() {
    await new Promise((resolve) => setImmediate(resolve));
    await call(client);
  }
  expect((await rejection(theCaller())).stack).toContain("theCaller");
  await client.close();
});

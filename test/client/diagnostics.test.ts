import { AsyncLocalStorage } from "node:async_hooks";
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { listen } from "../support/channels.js";
import { openTestClient, rejection } from "../support/clients.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

const time = expect.any(Number);
const CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)";
const INSERT = "INSERT INTO t (name) VALUES (?)";

describe("on a file", () => {
  test("a read and a write send their SQL, times and rows, and no values", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute(CREATE);
    using messages = listen();
    await client.execute({ sql: INSERT, args: ["secret"] });
    await client.execute("SELECT name FROM t WHERE name = ?", ["secret"]);
    expect(messages.statement).toEqual([
      { sql: INSERT, durationMs: time, waitMs: time, rows: 1, role: "writer" },
      { sql: "SELECT name FROM t WHERE name = ?", durationMs: time, waitMs: time, rows: 1, role: "reader" },
    ]);
    expect(messages.wait[0]).toEqual({ waitMs: messages.statement[0]!.waitMs, role: "writer" });
    expect(JSON.stringify(messages)).not.toContain("secret");
    for (const { durationMs } of messages.statement) expect(durationMs).toBeGreaterThan(0);
  });

  test("a write that waits for a transaction says for how long", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute(CREATE);
    using messages = listen();
    const transaction = await client.transaction("write");
    const calledAt = performance.now();
    const write = client.execute(INSERT, ["after"]);
    await transaction.execute(INSERT, ["first"]);
    const heldMs = performance.now() - calledAt;
    await transaction.commit();
    await write;
    expect(messages.statement.map(({ sql, role }) => [sql, role])).toEqual([
      [INSERT, "writer"],
      [INSERT, "writer"],
    ]);
    expect(messages.statement[1]!.waitMs).toBeGreaterThanOrEqual(heldMs);
    expect(messages.wait.at(-1)).toEqual({ waitMs: messages.statement[1]!.waitMs, role: "writer" });
    expect(messages.transaction).toEqual([{ durationMs: time, waitMs: time, role: "writer", state: "committed" }]);
  });

  test("errors are in the messages of the statement, the wait and the transaction that they belong to", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url, { acquireTimeoutMs: 20 });
    await client.execute(CREATE);
    await client.execute(INSERT, ["taken"]);
    using messages = listen();
    const taken = await rejection(client.execute(INSERT, ["taken"]));
    const unknown = await rejection(client.execute("SELECT * FROM nothing"));
    const batch = await rejection(
      client.batch([{ sql: INSERT, args: ["a"] }, { sql: INSERT, args: ["taken"] }, CREATE]),
    );
    expect(messages.statement).toEqual([
      { sql: INSERT, durationMs: time, waitMs: time, role: "writer", error: taken },
      { sql: "SELECT * FROM nothing", durationMs: time, waitMs: time, role: "reader", error: unknown },
      { sql: INSERT, durationMs: time, waitMs: time, rows: 1, role: "writer" },
      { sql: INSERT, durationMs: time, waitMs: 0, role: "writer", error: batch },
    ]);
    expect(messages.transaction).toEqual([
      { durationMs: time, waitMs: time, role: "writer", state: "rolledBack", error: batch },
    ]);

    const held = await client.pool.acquire({ role: "writer" });
    const write = await rejection(client.execute(INSERT, ["late"]));
    const begin = await rejection(client.transaction("write"));
    held.release();
    expect([write, begin]).toMatchObject([{ code: "ACQUIRE_TIMEOUT" }, { code: "ACQUIRE_TIMEOUT" }]);
    expect(messages.statement.at(-1)).toMatchObject({ sql: INSERT, durationMs: 0, error: write });
    expect(messages.wait.slice(-2)).toEqual([
      { waitMs: time, role: "writer", error: write },
      { waitMs: time, role: "writer", error: begin },
    ]);
    expect(messages.transaction.at(-1)).toMatchObject({ state: "rolledBack", error: begin });
  });

  test("the errors in messages have no values of parameters, and the rejections have them", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute("CREATE VIRTUAL TABLE f USING fts5(x)");
    await client.execute("CREATE TABLE j (x)");
    using messages = listen();
    const calls: [string, string, RegExp][] = [
      ["SELECT * FROM f WHERE f MATCH ?", 'secret"', /unterminated string/],
      ["SELECT * FROM f WHERE f MATCH ?", "secret : x", /no such column: secret/],
      ["SELECT * FROM f WHERE f MATCH ?", "secret secret(", /syntax error near/],
      ["SELECT json_extract('{}', ?)", "secret", /bad JSON path: 'secret'|secret/],
      ["INSERT INTO j SELECT json_extract('{}', ?)", "secret", /secret/],
      ["INSERT INTO f (f) VALUES (?)", "secret", /./],
      ["ATTACH ? AS other", "/secret/no/such", /secret/],
    ];
    for (const [sql, value, message] of calls) {
      const { length } = messages.statement;
      const error = await rejection(client.execute(sql, [value]));
      expect(error.message).toMatch(message);
      await rejection(client.batch([{ sql, args: [value] }], sql.startsWith("SELECT") ? "read" : "write"));
      if (!sql.startsWith("ATTACH")) {
        const transaction = await client.transaction("write");
        await rejection(transaction.execute({ sql, args: [value] }));
        transaction.close();
      }
      const sent = messages.statement.slice(length);
      expect(sent.length).toBeGreaterThanOrEqual(sql.startsWith("ATTACH") ? 1 : 3);
      for (const { error: told } of sent) expect(told).toMatchObject({ code: error.code });
      expect((sent[0]!.error as Error).stack).toContain("diagnostics.test.ts");
    }
    const { code, message } = await rejection(client.execute("SELECT * FROM none WHERE x = ?", ["secret"]));
    expect(messages.statement.at(-1)!.error).toMatchObject({ code, message });
    expect(inspect(messages, { depth: 20, maxStringLength: 10_000 })).not.toContain("secret");
  });

  test("every way to run a statement sends one message for it", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    using messages = listen();
    const sent = () => messages.statement.splice(0).map(({ sql, role, rows }) => `${role} ${rows} ${sql}`);
    await client.executeMultiple(`${CREATE}; SELECT 1`);
    await client.migrate(["CREATE TABLE u (x)"]);
    expect(sent()).toEqual([`writer undefined ${CREATE}; SELECT 1`, "writer 0 CREATE TABLE u (x)"]);
    await Promise.all(["a", "b"].map((name) => client.execute(INSERT, [name])));
    await client.batch(["SELECT 1", "SELECT 2"]);
    await client.execute("PRAGMA user_version");
    await client.execute("PRAGMA user_version = 3");
    await client.execute("VACUUM");
    expect(sent()).toEqual([
      `writer 1 ${INSERT}`,
      `writer 1 ${INSERT}`,
      "reader 1 SELECT 1",
      "reader 1 SELECT 2",
      "writer 1 PRAGMA user_version",
      "writer 0 PRAGMA user_version = 3",
      "writer 0 VACUUM",
    ]);
    for (const mode of ["write", "read"] as const) {
      const role = mode === "read" ? "reader" : "writer";
      const transaction = await client.transaction(mode);
      await transaction.execute("SELECT name FROM t");
      await transaction.batch(["SELECT 1", "SELECT 2"]);
      await transaction.executeMultiple("SELECT 3; SELECT 4");
      await transaction.commit();
      expect(sent()).toEqual([
        `${role} 2 SELECT name FROM t`,
        `${role} 1 SELECT 1`,
        `${role} 1 SELECT 2`,
        `${role} undefined SELECT 3; SELECT 4`,
      ]);
      const checkout = await client.pool.acquire({ role });
      await checkout.execute("SELECT name FROM t");
      await checkout.batch(["SELECT 1"]);
      checkout.release();
      expect(sent()).toEqual([`${role} 2 SELECT name FROM t`, `${role} 1 SELECT 1`]);
    }
    const long = "x".repeat(200_000);
    await client.execute(INSERT, [long]);
    const transaction = await client.transaction();
    await transaction.execute(INSERT, [`${long}y`]);
    transaction.close();
    expect(sent()).toEqual([`writer 1 ${INSERT}`, `writer 1 ${INSERT}`]);
    expect(messages.transaction.map(({ state }) => state)).toEqual([
      ...["committed", "committed", "committed", "committed", "committed", "committed"],
      "rolledBack",
    ]);
  });

  test("a checkpoint says how many frames it moved, and whether a reader kept it from ending", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute(CREATE);
    using messages = listen();
    const { checkpointedFrames } = await client.checkpoint();
    const reader = await client.transaction("read");
    await client.execute(INSERT, ["unseen"]);
    const second = await client.checkpoint();
    reader.close();
    expect(messages.checkpoint).toEqual([
      { durationMs: time, frames: checkpointedFrames, busy: false },
      { durationMs: time, frames: second.checkpointedFrames, busy: true },
    ]);
  });

  test("messages are sent in the async context of the call, also when calls share a commit", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute(CREATE);
    const request = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const note = () => void seen.push(request.getStore());
    subscribe("holdfast:statement", note);
    try {
      await Promise.all(
        ["a", "b", "c"].map((id) =>
          request.run(id, async () => {
            await client.execute(INSERT, [id]);
            await client.execute("SELECT 1");
            await client.batch([{ sql: INSERT, args: [`${id}2`] }], "write");
            const transaction = await client.transaction();
            await transaction.execute("SELECT 2");
            await transaction.commit();
          }),
        ),
      );
    } finally {
      unsubscribe("holdfast:statement", note);
    }
    expect(seen.sort()).toEqual(["a", "b", "c"].flatMap((id) => [id, id, id, id]));
  });

  test("a subscriber that throws disturbs neither the call nor other subscribers, and the process gets one warning", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    const broken = () => {
      throw new Error("broken subscriber");
    };
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    subscribe("holdfast:statement", broken);
    using messages = listen();
    try {
      await client.execute(CREATE);
      await client.execute(INSERT, ["a"]);
      expect((await client.execute("SELECT name FROM t")).rows).toHaveLength(1);
    } finally {
      unsubscribe("holdfast:statement", broken);
    }
    expect(messages.statement).toHaveLength(3);
    expect((await warned).message).toContain("broken subscriber");
  });

  test("calls answer the same with a subscriber and without", async () => {
    const run = async () => {
      await using db = await tempDatabase();
      await using client = openTestClient(db.url);
      const results = [
        await client.execute(CREATE),
        ...(await client.batch([{ sql: INSERT, args: ["a"] }, "SELECT * FROM t"])),
        await client.execute("INSERT INTO t (name) VALUES ('b') RETURNING id"),
      ];
      const errors = await Promise.all(
        [
          client.execute("SELECT"),
          client.execute("BEGIN"),
          client.execute("SELECT ?"),
          client.batch(["SELECT", "x"]),
        ].map(rejection),
      );
      return JSON.stringify([results, errors.map(({ name, code, message }) => [name, code, message])]);
    };
    const plain = await run();
    using _messages = listen();
    expect(channel("holdfast:statement").hasSubscribers).toBe(true);
    expect(await run()).toBe(plain);
  });

  test("the repositories of a storage send messages too", async () => {
    await using db = await tempDatabase();
    await using storage = await openStorage(db.url);
    using messages = listen();
    await storage.memories.insert({ content: "a secret" });
    await storage.memories.search("secret");
    expect(messages.statement.length).toBeGreaterThan(1);
    expect(messages.statement.map(({ role }) => role)).toEqual(expect.arrayContaining(["reader", "writer"]));
    expect(JSON.stringify(messages)).not.toContain("secret");
  });
});

test("a client in memory sends messages, also of a read that waits for a transaction", async () => {
  await using client = openTestClient(":memory:");
  using messages = listen();
  const transaction = await client.transaction();
  const read = client.execute("SELECT 1");
  await transaction.rollback();
  await read;
  expect(messages.statement).toEqual([{ sql: "SELECT 1", durationMs: time, waitMs: time, rows: 1, role: "reader" }]);
  expect(messages.statement[0]!.waitMs).toBeGreaterThan(0);
});

describe("on a server and an embedded replica", () => {
  test("calls of a storage send messages, and those of a replica as well", async () => {
    await using server = await startServer();
    await using folder = await tempDatabase();
    await using primary = await openStorage(server.url);
    await using replica = await openStorage({ url: folder.url, syncUrl: server.url });
    for (const { client } of [primary, replica]) {
      await client.execute("DROP TABLE IF EXISTS t");
      await client.execute(CREATE);
      using messages = listen();
      await Promise.all(["a", "b"].map((name) => client.execute(INSERT, [name])));
      await client.execute("SELECT name FROM t");
      const batch = await rejection(client.batch([{ sql: INSERT, args: ["c"] }, { sql: INSERT, args: ["a"] }, CREATE]));
      const transaction = await client.transaction();
      await transaction.execute(INSERT, ["d"]);
      await transaction.commit();
      expect(messages.statement).toEqual([
        { sql: INSERT, durationMs: time, waitMs: time, rows: 1, role: "writer" },
        { sql: INSERT, durationMs: time, waitMs: time, rows: 1, role: "writer" },
        { sql: "SELECT name FROM t", durationMs: time, waitMs: time, rows: 2, role: "reader" },
        { sql: INSERT, durationMs: time, waitMs: time, role: "writer" },
        { sql: INSERT, durationMs: time, waitMs: 0, role: "writer", error: batch },
        { sql: INSERT, durationMs: time, waitMs: time, rows: 1, role: "writer" },
      ]);
      expect(messages.transaction).toEqual([
        { durationMs: time, waitMs: time, role: "writer", state: "rolledBack", error: batch },
        { durationMs: time, waitMs: time, role: "writer", state: "committed" },
      ]);
    }
  });

  test("calls of createClient with the URL of a server send messages", async () => {
    await using server = await startServer();
    const client = createClient({ url: server.url });
    using messages = listen();
    await client.executeMultiple(CREATE);
    await client.execute(INSERT, ["a"]);
    await client.batch([{ sql: INSERT, args: ["b"] }, ["SELECT ?", ["x"]]], "write");
    const taken = await rejection(client.execute({ sql: INSERT, args: ["a"] }));
    const transaction = await client.transaction();
    await transaction.execute("SELECT name FROM t");
    await transaction.rollback();
    await client.close();
    expect(messages.statement).toEqual([
      { sql: CREATE, durationMs: time, waitMs: 0, role: "writer" },
      { sql: INSERT, durationMs: time, waitMs: 0, rows: 1, role: "writer" },
      { sql: INSERT, durationMs: time, waitMs: 0, rows: 1, role: "writer" },
      { sql: "SELECT ?", durationMs: time, waitMs: 0, rows: 1, role: "writer" },
      { sql: INSERT, durationMs: time, waitMs: 0, role: "writer", error: taken },
      { sql: "SELECT name FROM t", durationMs: time, waitMs: 0, rows: 2, role: "writer" },
    ]);
    expect(messages.transaction.map(({ state }) => state)).toEqual(["committed", "rolledBack"]);
  });
});

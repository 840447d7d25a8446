import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openStorage, StorageError } from "holdfast";
import type { PooledClient } from "holdfast/client";
import { migrate } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { column, openSecond, openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

// SQLite goes on writing to a file that has lost its name: such writes were acknowledged, and nobody could read them.

const INSERT = "INSERT INTO t VALUES (2)";

/** What takes the file away from under an open client. */
const EVENTS: Record<string, (path: string) => void> = {
  "its folder is removed": (path) => rmSync(dirname(path), { recursive: true }),
  "it is deleted": (path) => rmSync(path),
  "it is moved away": (path) => renameSync(path, `${path}.old`),
  "another database takes its place": (path) => {
    makeOther(`${path}.new`);
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
    renameSync(`${path}.new`, path);
  },
  "a file that is not a database takes its place": (path) => {
    writeFileSync(`${path}.new`, "text");
    renameSync(`${path}.new`, path);
  },
};

/** Everything that commits. */
const WRITES: Record<string, (client: PooledClient, lateTransaction: LateTransaction) => Promise<unknown>> = {
  execute: (client) => client.execute(INSERT),
  "100 concurrent writes": async (client) => {
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => client.execute(INSERT)));
    for (const outcome of outcomes) expect(outcome.status).toBe("rejected");
    throw (outcomes[99] as PromiseRejectedResult).reason;
  },
  batch: (client) => client.batch([INSERT, INSERT], "write"),
  "migrate of the client": (client) => client.migrate([INSERT]),
  executeMultiple: (client) => client.executeMultiple(`${INSERT}; ${INSERT}`),
  "a script with its own transaction": (client) => client.executeMultiple(`BEGIN; ${INSERT}; COMMIT`),
  "a PRAGMA that writes": (client) => client.execute("PRAGMA user_version = 7"),
  VACUUM: (client) => client.execute("VACUUM"),
  "commit of a transaction begun after": async (client) => {
    const transaction = await client.transaction("write");
    await transaction.execute(INSERT);
    await transaction.commit();
  },
  "commit of a transaction begun before": (_, late) => late.commit(),
  "COMMIT as a statement": (_, late) => late.commitByStatement(),
  "a writer of one's own": async (client) => {
    const writer = await client.pool.acquire({ role: "writer" });
    try {
      await writer.execute(INSERT);
    } finally {
      writer.release();
    }
  },
};

interface LateTransaction {
  readonly commit: () => Promise<unknown>;
  readonly commitByStatement: () => Promise<unknown>;
}

/** By another connection, so that its content is all in the file. */
function makeOther(path: string): void {
  using other = openSecond(path);
  other.exec("PRAGMA journal_mode = DELETE; CREATE TABLE t (a); INSERT INTO t VALUES (99)");
}

describe.each(Object.entries(EVENTS))("after %s", (_, takeAway) => {
  test.each(Object.entries(WRITES))("%s rejects with FILE_REPLACED, again and again", async (name, write) => {
    await using db = await tempDatabase(join("data", "test.db"));
    mkdirSync(dirname(db.path));
    await using client = openTestClient(db.url);
    await client.execute("CREATE TABLE t (a)");
    await client.execute("INSERT INTO t VALUES (1)");
    await client.execute("SELECT a FROM t");
    const isLate = name.includes("before") || name.includes("as a statement");
    const transaction = isLate ? await client.transaction("write") : undefined;
    await transaction?.execute(INSERT);
    takeAway(db.path);
    const late: LateTransaction = {
      commit: () => transaction!.commit(),
      commitByStatement: () => transaction!.execute("COMMIT"),
    };
    const error = await rejection(write(client, late));
    expect(error).toMatchObject({ name: "LibsqlError", code: "FILE_REPLACED" });
    expect(error.message).toContain(db.path);
    expect(error.message).toContain("open it again");
    if (transaction !== undefined) expect(transaction.closed).toBe(true);
    expect((await rejection(client.execute(INSERT))).code).toBe("FILE_REPLACED");
    // What was there is still read, and nothing of what was refused.
    expect(await column(client, "SELECT a FROM t")).toEqual([1]);
  });
});

test("the file that has taken the place is left alone, by reads and by closing too", async () => {
  await using db = await tempDatabase();
  const client = openTestClient(db.url, { idleTimeoutMs: 1 });
  await client.execute("CREATE TABLE t (a)");
  EVENTS["another database takes its place"]!(db.path);
  expect((await rejection(client.execute(INSERT))).code).toBe("FILE_REPLACED");
  // A read connection that would have to be opened now would read the other file.
  const reads = await Promise.allSettled([client.transaction("read"), client.transaction("read")]);
  for (const read of reads) if (read.status === "rejected") expect(read.reason.code).toBe("FILE_REPLACED");
  await client.close();
  using other = openSecond(db.path);
  expect(other.all("SELECT a FROM t")).toEqual([[99]]);
  expect(other.all("PRAGMA integrity_check")).toEqual([["ok"]]);
});

test("a file that is put back takes writes again, and opening again takes the one that is there", async () => {
  await using db = await tempDatabase();
  const client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  renameSync(db.path, `${db.path}.old`);
  expect((await rejection(client.execute(INSERT))).code).toBe("FILE_REPLACED");
  renameSync(`${db.path}.old`, db.path);
  await client.execute(INSERT);
  expect(await column(client, "SELECT a FROM t")).toEqual([2]);
  EVENTS["another database takes its place"]!(db.path);
  expect((await rejection(client.execute(INSERT))).code).toBe("FILE_REPLACED");
  await client.reconnect();
  await client.execute(INSERT);
  expect(await column(client, "SELECT a FROM t")).toEqual([99, 2]);
  await client.close();
});

test("no change of the file itself counts as another file", async () => {
  await using db = await tempDatabase(join("data", "test.db"));
  mkdirSync(dirname(db.path));
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  const changes: (() => unknown)[] = [
    () => chmodSync(db.path, 0o640),
    () => execFileSync("touch", [db.path]),
    () => linkSync(db.path, `${db.path}.link`),
    () => rmSync(`${db.path}.link`),
    () => client.execute("VACUUM"),
    () => client.checkpoint(),
    () => openSecond(db.path).exec("INSERT INTO t VALUES (5)"),
    () => {
      // The folder moves, and the old path leads to the new one.
      const folder = dirname(db.path);
      renameSync(folder, `${folder}-2`);
      symlinkSync(`${folder}-2`, folder);
    },
  ];
  for (const change of changes) {
    await change();
    await client.execute(INSERT);
    await client.batch([INSERT], "write");
  }
  expect(await column(client, "SELECT count(*) FROM t WHERE a = 2")).toEqual([changes.length * 2]);
});

test("a storage rejects with FILE_REPLACED, and its health says why", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage({ url: db.path, onError: () => undefined });
  await storage.memories.insert({ content: "stored" });
  expect((await storage.health()).ok).toBe(true);
  rmSync(db.path);
  const { ok, lastError } = await storage.health();
  expect(ok).toBe(false);
  expect(lastError).toContain("has been removed");
  for (const write of [
    storage.memories.insert({ content: "lost" }),
    storage.transaction((tx) => tx.memories.insert({ content: "lost" })),
    storage.memories.insertMany([{ content: "lost" }]),
    storage.reindex(),
  ]) {
    const error = await rejection(write);
    expect(error).toBeInstanceOf(StorageError);
    expect(error.code).toBe("FILE_REPLACED");
    expect(error.retryable).toBe(false);
  }
  expect((await rejection(storage.backup(join(db.dir, "backup.db")))).code).toBe("NOT_FOUND");
  makeOther(db.path);
  expect((await rejection(storage.backup(join(db.dir, "backup.db")))).code).toBe("FILE_REPLACED");
  expect(existsSync(join(db.dir, "backup.db"))).toBe(false);
  expect((await storage.health()).lastError).toContain("has been replaced");
});

test("a migration of a file that is removed while it runs rejects with FILE_REPLACED", async () => {
  await using db = await tempDatabase();
  const folder = join(db.dir, "drizzle");
  mkdirSync(join(folder, "meta"), { recursive: true });
  writeFileSync(join(folder, "0000_first.sql"), "CREATE TABLE own (a);");
  const entries = [{ idx: 0, version: "6", when: 1, tag: "0000_first", breakpoints: true }];
  writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify({ version: "7", dialect: "sqlite", entries }));
  await using client = openTestClient(db.url);
  const before = () => rmSync(db.path);
  const error = await rejection(migrate(client, { folder, table: "own_migrations", before }));
  expect(error.code).toBe("FILE_REPLACED");
});

// The prepared statements of a closed connection kept its descriptors as long as the program kept the storage.
test("a file that was moved is opened by its process once the closed connections are collected", async () => {
  await using db = await tempDatabase();
  const answer = await runChild("moved-file", { dir: db.dir });
  expect(answer).toEqual({
    refused: "FILE_REPLACED",
    collected: { count: 2 },
    uncollected: {
      code: "IO",
      message: expect.stringMatching(/moved\.db.* another process .* restart it, or try later$/),
    },
    kept: "function",
    held: true,
  });
});

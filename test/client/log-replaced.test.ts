import { renameSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

// SQLite goes on writing to a log that has lost its name: such commits were acknowledged, and gone with the process.

const MOST_COMMITS = 64;

interface Report {
  readonly stored: number;
  readonly codes: readonly string[];
  readonly ok: boolean;
  readonly lastError: string;
  readonly reopened?: string;
}

async function idsIn(path: string): Promise<string[]> {
  await using storage = await openStorage(path);
  expect((await storage.check({ deep: true })).ok).toBe(true);
  return (await column(storage.client, "SELECT id FROM memories")) as string[];
}

describe.each([[["-wal"]], [["-shm"]], [["-wal", "-shm"]]])("without its %s", (remove) => {
  test.each(["exit", "reopen", "end"])("a storage stores no more, and closing saves the rest (%s)", async (end) => {
    await using db = await tempDatabase();
    await using child = startChild("lost-log", { path: db.path, remove, end });
    const { stored, codes, ok, lastError, reopened } = await child.message<Report>((message) => "stored" in message);
    expect((await child.exited).code).toBe(0);
    expect(codes).toEqual(["FILE_REPLACED"]);
    expect(stored).toBeGreaterThan(0);
    expect(stored).toBeLessThanOrEqual(MOST_COMMITS);
    expect(ok).toBe(false);
    expect(lastError).toContain(`${db.path}${remove[0]} has been removed`);
    if (end === "reopen") expect(reopened).toBe("FILE_REPLACED");
    const expected = Array.from({ length: stored }, (_, at) => `after-${at}`);
    const found = await idsIn(db.path);
    expect(found.filter((id) => id.startsWith("after-")).sort()).toEqual(expected.sort());
    expect(found).toHaveLength(5 + stored);
  });
});

test("a process that is killed instead of closed loses no more than what it wrote since", async () => {
  await using db = await tempDatabase();
  await using child = startChild("lost-log", { path: db.path, remove: ["-wal"], end: "kill" });
  const { stored } = await child.message<Report>((message) => "stored" in message);
  expect(stored).toBeLessThanOrEqual(MOST_COMMITS);
  child.kill();
  await child.exited;
  expect((await idsIn(db.path)).length).toBeGreaterThanOrEqual(5);
});

test("health looks at once, and few writes find it as well", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage({ url: db.path, onError: () => undefined });
  await storage.memories.insert({ content: "stored" });
  expect((await storage.health()).ok).toBe(true);
  renameSync(`${db.path}-wal`, `${db.path}-wal.old`);
  const { ok, lastError } = await storage.health();
  expect(ok).toBe(false);
  expect(lastError).toContain("remove nothing before that");
  const refused = [
    storage.memories.insert({ content: "lost" }),
    storage.transaction((tx) => tx.memories.insert({ content: "lost" })),
    storage.client.checkpoint(),
  ];
  for (const write of refused) expect((await rejection(write)).code).toBe("FILE_REPLACED");
  // Reads still work. Writes are refused for good: another process may have opened the file in between.
  expect(await storage.memories.count()).toBe(1);
  renameSync(`${db.path}-wal.old`, `${db.path}-wal`);
  expect((await rejection(storage.memories.insert({ content: "lost" }))).code).toBe("FILE_REPLACED");
});

test("a single write is followed by a look, whether or not others follow", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  rmSync(`${db.path}-wal`);
  let writes = 0;
  const write = async () => {
    await client.execute("INSERT INTO t VALUES (1)");
    writes++;
    await sleep(30);
    return writes < MOST_COMMITS / 2;
  };
  expect(
    (
      await rejection(
        (async () => {
          while (await write());
        })(),
      )
    ).code,
  ).toBe("FILE_REPLACED");
});

test("what SQLite and other processes do with the log is no loss", async () => {
  await using db = await tempDatabase(join("data", "test.db"));
  await mkdir(dirname(db.path), { recursive: true });
  const options = { url: db.path, checkpoint: { walBytes: 32 * 1024 }, onError: () => undefined };
  let rows = 0;
  const other = async () => {
    await using child = startChild("open-and-insert", { path: db.path });
    child.send({ insert: crypto.randomUUID() });
    child.send({ end: true });
    await child.exited;
  };
  for (let round = 0; round < 3; round++) {
    await using storage = await openStorage(options);
    const before = await storage.memories.count();
    const steps: (() => unknown)[] = [
      () => undefined,
      other,
      () => storage.client.checkpoint(),
      () => storage.client.execute("VACUUM"),
      () => storage.client.reconnect(),
      async () => {
        await using second = openTestClient(db.url);
        await second.execute("CREATE TABLE IF NOT EXISTS own (a)");
        await second.checkpoint();
      },
      async () => {
        await using reader = await openStorage({ url: db.path, readOnly: true });
        expect((await reader.health()).ok).toBe(true);
      },
      async () => {
        const { id } = await storage.memories.insert({ content: "erased" });
        await storage.memories.delete(id);
      },
      () => {
        const folder = dirname(db.path);
        renameSync(folder, `${folder}-2`);
        renameSync(`${folder}-2`, folder);
      },
    ];
    for (const step of steps) {
      await step();
      await Promise.all(Array.from({ length: 5 }, () => storage.memories.insert({ content: "x".repeat(9000) })));
      const { ok, lastError } = await storage.health();
      expect({ ok, lastError }).toEqual({ ok: true, lastError: undefined });
    }
    rows = await storage.memories.count();
    expect(rows).toBeGreaterThanOrEqual(before + steps.length * 5);
  }
  expect((await idsIn(db.path)).length).toBeGreaterThanOrEqual(rows);
});

test("a folder that is away for a while takes no log with it", async () => {
  await using db = await tempDatabase(join("data", "test.db"));
  await mkdir(dirname(db.path), { recursive: true });
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a)");
  const folder = dirname(db.path);
  renameSync(folder, `${folder}-2`);
  expect((await rejection(client.execute("INSERT INTO t VALUES (1)"))).code).toBe("FILE_REPLACED");
  expect(() => client.pool.assertInPlace()).toThrow(/database file .* has been removed/);
  renameSync(`${folder}-2`, folder);
  await client.execute("INSERT INTO t VALUES (2)");
  client.pool.assertInPlace();
  expect(await column(client, "SELECT a FROM t")).toEqual([2]);
});

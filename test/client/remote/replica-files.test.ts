import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { openNative } from "../../../src/client/local/native.js";
import { runChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { startServer, type TestServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

interface Setting extends AsyncDisposable {
  readonly server: TestServer;
  readonly dir: string;
  readonly path: string;
  readonly url: string;
  readonly options: { readonly url: string; readonly syncUrl: string };
}

/** The closed file of a replica that has the memory `a`. */
async function fetched(): Promise<Setting> {
  const server = await startServer();
  const folder = await tempDatabase("replica.db");
  const options = { url: folder.url, syncUrl: server.url };
  const replica = await openStorage(options);
  await replica.memories.insert({ id: "a", content: "first" });
  await replica.memories.get("a");
  await replica.close();
  return {
    server,
    dir: folder.dir,
    path: folder.path,
    url: folder.url,
    options,
    async [Symbol.asyncDispose]() {
      await folder[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const UNUSABLE = { code: "REPLICA_UNUSABLE", retryable: false };
const METADATA = "-client_wal_index";

async function expectUnusable(setting: Setting): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const error = await rejection(openStorage(setting.options));
    expect(error).toMatchObject(UNUSABLE);
    for (const suffix of ["-wal", "-shm", METADATA]) expect(error.message).toContain(`replica.db${suffix}`);
    expect(error.message).not.toMatch(/backup/i);
  }
  for (const file of readdirSync(setting.dir)) rmSync(`${setting.dir}/${file}`);
  await using again = await openStorage(setting.options);
  expect(await again.memories.get("a")).toMatchObject({ content: "first" });
}

describe("a file that cannot be used as a replica is REPLICA_UNUSABLE, and deleting the files that the error names helps", () => {
  test("a plain database, which stays as it is", async () => {
    await using setting = await fetched();
    await using folder = await tempDatabase();
    await using plain = await openStorage(folder.url);
    await plain.memories.insert({ id: "own", content: "x" });
    await plain.close();
    const before = readdirSync(folder.dir);
    const bytes = readFileSync(folder.path);
    const error = await rejection(openStorage({ ...setting.options, url: folder.url }));
    expect(error).toMatchObject(UNUSABLE);
    expect(error.message).toMatch(/without `syncUrl`/);
    expect(readdirSync(folder.dir)).toEqual(before);
    expect(readFileSync(folder.path).equals(bytes)).toBe(true);
    await setting.server.kill();
    expect(await rejection(openStorage({ ...setting.options, url: folder.url }))).toMatchObject(UNUSABLE);
  });

  test("a replica without its metadata", async () => {
    await using setting = await fetched();
    rmSync(setting.path + METADATA);
    await expectUnusable(setting);
  });

  test("metadata without its database", async () => {
    await using setting = await fetched();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(setting.path + suffix, { force: true });
    expect(await rejection(openStorage(setting.url))).toMatchObject(UNUSABLE);
    expect(existsSync(setting.path)).toBe(false);
    await expectUnusable(setting);
  });

  test("a database older than its metadata, also while the primary is away", async () => {
    await using setting = await fetched();
    for (const file of readdirSync(setting.dir)) rmSync(`${setting.dir}/${file}`);
    const input = { ...setting.options, requestTimeoutMs: 30_000, rounds: 1 };
    // In processes of their own, so that none of them has the file open any more.
    await runChild("replica-writer", { ...input, name: "old" });
    const old = ["", "-wal"].filter((suffix) => existsSync(setting.path + suffix));
    for (const suffix of old) copyFileSync(setting.path + suffix, `${setting.dir}/old${suffix}`);
    await runChild("replica-writer", { ...input, name: "new" });
    for (const suffix of ["", "-wal", "-shm"]) rmSync(setting.path + suffix, { force: true });
    for (const suffix of old) copyFileSync(`${setting.dir}/old${suffix}`, setting.path + suffix);
    await setting.server.kill();
    expect(await rejection(openStorage(setting.options))).toMatchObject(UNUSABLE);
    await setting.server.restart();
    await expectUnusable(setting);
  });

  test("a file that is not a database", async () => {
    await using setting = await fetched();
    writeFileSync(setting.path, "no database at all ".repeat(1_000));
    rmSync(`${setting.path}-wal`, { force: true });
    await expectUnusable(setting);
  });
});

test("a replica opened without syncUrl is read-only, until its metadata is deleted", async () => {
  await using setting = await fetched();
  {
    await using replica = await openStorage(setting.options);
    await replica.stories.saveStory("s", { text: "an albatross" });
  }
  const alone = await openStorage(setting.url);
  expect(await alone.memories.get("a")).toBeDefined();
  expect(await alone.memories.search("first")).toHaveLength(1);
  expect(await alone.stories.searchStories("albatross")).toMatchObject([{ metadata: { id: "s" }, match: "keyword" }]);
  expect(await alone.health()).toMatchObject({ ok: true });
  for (const work of [
    () => alone.memories.insert({ content: "x" }),
    () => alone.transaction((tx) => tx.memories.insert({ content: "x" })),
    () => alone.graph.addNode({ id: "n", kind: "k", name: "n" }),
    () => alone.purgeProject("default"),
    () => alone.reindex(),
    () => alone.repair([]),
    () => alone.prune({ maxRows: 1 }),
  ]) {
    const error = await rejection(work());
    expect(error).toMatchObject({ code: "READONLY", retryable: false });
    expect(error.message).toContain(`delete ${setting.path}${METADATA}`);
    expect(error.message).not.toMatch(/mode write/);
  }
  expect(await rejection(alone.client.executeMultiple("CREATE TABLE t (a)"))).toMatchObject({
    code: "SQLITE_READONLY",
  });
  await alone.close();
  await using replica = await openStorage(setting.options);
  expect(await replica.memories.get("a")).toBeDefined();
  await replica.close();
  rmSync(setting.path + METADATA);
  await using plain = await openStorage(setting.url);
  await plain.memories.insert({ id: "own", content: "x" });
  expect(await plain.memories.count()).toBe(2);
});

test("files that are deleted while open: health says so, writes are acknowledged by the primary, reads are right", async () => {
  await using setting = await fetched();
  const replica = await openStorage(setting.options);
  expect(await replica.memories.get("a")).toBeDefined();
  expect(await replica.health()).toMatchObject({ ok: true });
  for (const file of readdirSync(setting.dir)) rmSync(`${setting.dir}/${file}`);
  const health = await replica.health();
  expect(health.ok).toBe(false);
  expect(health.lastError).toMatch(/deleted or replaced/);
  await replica.memories.insert({ id: "b", content: "second" });
  expect(await replica.memories.get("b")).toBeDefined();
  expect(await rejection(replica.sync())).toMatchObject(UNUSABLE);
  expect((await replica.health()).ok).toBe(false);
  expect(readdirSync(setting.dir).filter((file) => file === "replica.db")).toEqual([]);
  await replica.close();
  await using again = await openStorage(setting.options);
  expect(await again.memories.count()).toBe(2);
});

test("check of a replica advises to fetch it again, not to restore a backup", async () => {
  await using setting = await fetched();
  const database = openNative(setting.path, {});
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  const bytes = readFileSync(setting.path);
  await using replica = await openStorage(setting.options);
  // Pages in the middle, so that it still opens.
  bytes.fill(0x5a, 4096 * 20, 4096 * 60);
  writeFileSync(setting.path, bytes);
  const { findings } = await replica.check({ deep: true });
  expect(findings.length).toBeGreaterThan(0);
  for (const { message } of findings) expect(message).not.toMatch(/restore a backup/i);
  expect(findings.map(({ message }) => message).join("\n")).toMatch(/fetches everything from the primary/);
});

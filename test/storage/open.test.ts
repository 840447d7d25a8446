import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { resolveStorageOptions } from "../../src/storage/options.js";
import { runChild } from "../support/child.js";
import { openSecond, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

describe("openStorage", () => {
  test("creates folder and file for the owner only, with incremental vacuum in WAL mode", async () => {
    await using db = await tempDatabase();
    const path = join(db.dir, "deep", "er", "app.db");
    await using storage = await openStorage(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(db.dir, "deep")).mode & 0o777).toBe(0o700);
    const pragma = async (name: string) => (await storage.client.execute(`PRAGMA ${name}`)).rows[0]![0];
    expect(await pragma("auto_vacuum")).toBe(2);
    expect(await pragma("journal_mode")).toBe("wal");
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
  });

  test("a file of another tool keeps its vacuum setting", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url });
    await client.execute("CREATE TABLE theirs (a)");
    await client.close();
    await using storage = await openStorage(db.path);
    expect((await storage.client.execute("PRAGMA auto_vacuum")).rows[0]![0]).toBe(0);
  });

  test.each([
    ["a text file", "this is a text file, not a database\n".repeat(100), "NOT_A_DATABASE"],
    ["a short text file", "hello", "NOT_A_DATABASE"],
    ["zeros", "\0".repeat(8192), "NOT_A_DATABASE"],
  ])("%s is refused by name and left untouched", async (_name, bytes, code) => {
    await using db = await tempDatabase();
    writeFileSync(db.path, bytes);
    const error = await rejection(openStorage(db.path));
    expect(error).toMatchObject({ name: "StorageError", code });
    expect(error.message).toContain(db.path);
    expect(readFileSync(db.path, "latin1")).toBe(bytes);
  });

  test("a damaged database is CORRUPT and is not changed", async () => {
    await using db = await tempDatabase();
    const storage = await openStorage(db.path);
    await storage.memories.insertMany(Array.from({ length: 200 }, (_, i) => ({ content: `memory ${i}` })));
    await storage.close();
    // A copy without its log, which would restore the damaged pages.
    const bytes = readFileSync(db.path);
    bytes.fill(0xaa, 100, 4096);
    const damaged = join(db.dir, "damaged.db");
    writeFileSync(damaged, bytes);
    expect(await rejection(openStorage(damaged))).toMatchObject({ code: "CORRUPT" });
    expect(readFileSync(damaged).equals(bytes)).toBe(true);
  });

  test("a folder, or a path below a file, is CANNOT_OPEN", async () => {
    await using db = await tempDatabase();
    mkdirSync(join(db.dir, "folder"));
    writeFileSync(join(db.dir, "file"), "x");
    expect(await rejection(openStorage(join(db.dir, "folder")))).toMatchObject({ code: "CANNOT_OPEN" });
    expect(await rejection(openStorage(join(db.dir, "file", "app.db")))).toMatchObject({ code: "CANNOT_OPEN" });
  });

  test("the error names a wrong option", async () => {
    const wrong = [
      5,
      null,
      { url: "" },
      { url: 5 },
      { migrate: "maybe" },
      { url: ":memory:", readers: 0 },
      { maxContentChars: 0 },
      "ftp://host/app.db",
      { dataDir: "" },
      { dataDir: 5 },
      { url: ":memory:", backupBeforeMigrate: "no" },
      { url: ":memory:", keepMigrationBackups: -1 },
      { url: ":memory:", keepMigrationBackups: "3" },
      { url: ":memory:", migrate: "skip", logger: 5 },
    ];
    for (const target of wrong) {
      const error = await rejection(openStorage(target as never));
      expect(["TypeError", "RangeError"], String(error)).toContain(error.name);
    }
  });

  test("a path may contain any characters that a file name may", async () => {
    await using db = await tempDatabase();
    const path = join(db.dir, "we?ird #name %41 é 😀.db");
    const storage = await openStorage(path);
    await storage.memories.insert({ content: "x" });
    await storage.close();
    expect(statSync(path).size).toBeGreaterThan(0);
  });

  test("an encrypted file opens only with its key", async () => {
    await using db = await tempDatabase();
    const storage = await openStorage({ url: db.url, encryptionKey: "secret" });
    await storage.memories.insert({ content: "hidden words" });
    await storage.close();
    expect(readFileSync(db.path).includes("hidden words")).toBe(false);
    expect(await rejection(openStorage(db.path))).toMatchObject({ code: "NOT_A_DATABASE" });
    expect(await rejection(openStorage({ url: db.url, encryptionKey: "wrong" }))).toMatchObject({
      code: "NOT_A_DATABASE",
    });
    await using again = await openStorage({ url: db.url, encryptionKey: "secret" });
    expect(await again.memories.search("hidden")).toHaveLength(1);
  });

  test("migrate: verify refuses an empty file, and skip does not change it", async () => {
    await using db = await tempDatabase();
    expect(await rejection(openStorage({ url: db.url, migrate: "verify" }))).toMatchObject({
      code: "MIGRATION_PENDING",
    });
    const skipped = await openStorage({ url: db.url, migrate: "skip" });
    expect((await skipped.health()).ok).toBe(false);
    await skipped.close();
    await (await openStorage(db.path)).close();
    await (await openStorage({ url: db.url, migrate: "verify" })).close();
  });

  test("close drains and is idempotent, and later calls are CLOSED", async () => {
    await using db = await tempDatabase();
    const storage = await openStorage(db.path);
    const running = Promise.all(Array.from({ length: 50 }, (_, i) => storage.memories.insert({ content: `x ${i}` })));
    const closing = storage.close();
    expect(await rejection(storage.memories.count())).toMatchObject({ code: "CLOSED" });
    await running;
    await Promise.all([closing, storage.close()]);
    expect(await storage.health()).toMatchObject({ ok: false });
    await using again = await openStorage(db.path);
    expect(await again.memories.count()).toBe(50);
  });
});

test("a file whose ledger belongs to another program is not changed by a single byte", async () => {
  await using db = await tempDatabase();
  {
    using other = openSecond(db.path, []);
    other.exec("PRAGMA journal_mode = DELETE; CREATE TABLE u (a)");
    other.exec("CREATE TABLE __drizzle_migrations (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)");
    other.exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('abc', 1)");
  }
  const before = readFileSync(db.path);
  for (const migrate of ["apply", "verify"] as const) {
    expect(await rejection(openStorage({ url: db.url, migrate }))).toMatchObject({ code: "FOREIGN_LEDGER" });
  }
  expect(readFileSync(db.path).equals(before)).toBe(true);
  expect(readdirSync(db.dir)).toEqual([basename(db.path)]);
});

describe("wrong options", () => {
  test.each<[string, unknown]>([
    ["a list", []],
    ["NUL in the path", "/tmp/x\0.db"],
    ["a file URL without a path", "file:"],
    ["an empty encryption key", { url: ":memory:", encryptionKey: "" }],
    ["an encryption key that is none", { url: ":memory:", encryptionKey: 5 }],
    ["a token that is none", { url: "http://127.0.0.1:1", authToken: 5 }],
    ["a schema that is none", { url: ":memory:", schema: 5 }],
    ["a password in the URL", "http://user:PASSWORD@127.0.0.1:1"],
    ["a password in the URL of the primary", { url: "file:/tmp/x.db", syncUrl: "libsql://user:PASSWORD@127.0.0.1:1" }],
  ])("%s is refused before anything is opened, and not repeated where it is secret", async (_, target) => {
    const error = await rejection(openStorage(target as string));
    expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
    expect(error.message).not.toContain("PASSWORD");
  });
});

describe("the place of the file", () => {
  const urlOf = (target: Parameters<typeof openStorage>[0], environment = {}) =>
    resolveStorageOptions(target, environment).client.url;

  test("an explicit target overrides the environment, a URL overrides a folder, and the platform's folder is last", () => {
    expect(urlOf("/a/b.db", { HOLDFAST_URL: "file:/c" })).toBe("file:/a/b.db");
    expect(urlOf({ dataDir: "/data" }, { HOLDFAST_URL: "file:/c" })).toBe("file:/data/holdfast.db");
    expect(urlOf(undefined, { HOLDFAST_URL: "http://host:1", HOLDFAST_DATA_DIR: "/d" })).toBe("http://host:1");
    expect(urlOf(undefined, { HOLDFAST_DATA_DIR: "/d" })).toBe("file:/d/holdfast.db");
    expect(urlOf(undefined, { XDG_DATA_HOME: "/x" })).toMatch(/holdfast\/holdfast\.db$/);
    expect(urlOf(":memory:")).toBe(":memory:");
  });

  test("secrets come from the environment if no option sets them", () => {
    const environment = { HOLDFAST_AUTH_TOKEN: "t", HOLDFAST_ENCRYPTION_KEY: "k" };
    expect(resolveStorageOptions(":memory:", environment).client).toMatchObject({ authToken: "t", encryptionKey: "k" });
    expect(resolveStorageOptions({ url: ":memory:", encryptionKey: "own" }, environment).client.encryptionKey).toBe(
      "own",
    );
  });
});

test("if three processes migrate a new file and write 100 memories each, it has 300", async () => {
  await using db = await tempDatabase();
  const writers = [0, 1, 2].map((writer) => runChild("storage-writer", { path: db.path, writer, count: 100 }));
  await Promise.all(writers);
  await using storage = await openStorage(db.path);
  expect(await storage.memories.count()).toBe(300);
  expect((await storage.client.execute("PRAGMA integrity_check")).rows[0]![0]).toBe("ok");
  expect(await storage.memories.search("writer 1 wrote number 77")).not.toHaveLength(0);
});

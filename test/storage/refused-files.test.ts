import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { openStorage, StorageError } from "holdfast";
import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { openSecond, rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

/** The checksum of a file, read by another process, because this one may have the file open. */
const checksum = (path: string) => execFileSync("sha256sum", [path], { encoding: "utf8" }).split(" ")[0];

test.each(["DELETE", "WAL"])(
  "a file with a table that has one of our names is not changed, including journal mode %s",
  async (mode) => {
    // The file was switched to WAL mode and a backups folder was created, although the message said that nothing was
    // changed.
    await using db = await tempDatabase("app.db");
    {
      using file = openSecond(db.path);
      file.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE sessions (token); INSERT INTO sessions VALUES ('theirs')`);
    }
    const before = checksum(db.path);
    for (let i = 0; i < 2; i++) {
      const error = await rejection(openStorage(db.path));
      expect(error).toBeInstanceOf(StorageError);
      expect(error.code).toBe("MIGRATION_FAILED");
      expect(error.message).toMatch(/"sessions" already exists in the file.*Use another file.*Nothing was changed/);
    }
    expect(existsSync(join(db.dir, "backups"))).toBe(false);
    if (mode === "DELETE") expect(checksum(db.path)).toBe(before);
    using file = openSecond(db.path);
    expect(file.all("PRAGMA journal_mode")).toEqual([[mode.toLowerCase()]]);
    expect(file.all("SELECT name FROM sqlite_schema")).toEqual([["sessions"]]);
  },
);

test("a storage that only verifies does not change a file without our schema", async () => {
  await using db = await tempDatabase("app.db");
  {
    using file = openSecond(db.path);
    file.exec("CREATE TABLE notes (a)");
  }
  const before = checksum(db.path);
  expect((await rejection(openStorage({ url: db.path, migrate: "verify" }))).code).toBe("MIGRATION_PENDING");
  expect(checksum(db.path)).toBe(before);
});

test("an error about a file that cannot be opened appears once, with one piece of advice", async () => {
  await using db = await tempDatabase();
  const folder = join(db.dir, "folder.db");
  mkdirSync(folder);
  const { code, message } = await rejection(openStorage(folder));
  expect(code).toBe("CANNOT_OPEN");
  expect(message.match(/Cannot open/g)).toHaveLength(1);
  expect(message.match(/Name a database file/g)).toHaveLength(1);
});

test("the tenth storage that is open on one file causes one warning", async () => {
  await using t = await tempStorage();
  const warnings: string[] = [];
  const logger = { info() {}, warn: (text: string) => void warnings.push(text), error() {} };
  const storages = [];
  for (let i = 0; i < 11; i++) storages.push(await openStorage({ url: t.db.path, logger }));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(`10 storages are open on ${t.db.path}`);
  for (const storage of storages) await storage.close();
  const again = await openStorage({ url: t.db.path, logger });
  expect(warnings).toHaveLength(1);
  await again.close();
});

test("a file with a second name is opened with a warning", async () => {
  await using t = await tempStorage();
  await t.storage.close();
  await runChild("replace-file", { link: t.db.path, to: join(t.db.dir, "second.db") });
  const warnings: string[] = [];
  const logger = { info() {}, warn: (text: string) => void warnings.push(text), error() {} };
  await using storage = await openStorage({ url: t.db.path, logger });
  await storage.memories.insert({ content: "stored" });
  expect(warnings).toEqual([expect.stringContaining("2 names (hard links)")]);
});

// A process that could not be started had no streams, which caused an uncaught exception.
test("without descriptors, every call that opens files rejects with the reason, and the process continues", async () => {
  await using db = await tempDatabase();
  interface Failure {
    readonly call: string;
    readonly type: string;
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
  }
  const { errors, left, kept } = await runChild<{ errors: Failure[]; left: string[]; kept: number }>("too-many-files", {
    path: db.path,
    folder: db.dir,
  });
  const short = errors.filter(({ code }) => code !== "INVALID_IMPORT");
  const calls = ["open", "check", "checkFile", "salvage", "restore", "backup", "firstImport", "import"];
  expect([...new Set(short.map(({ call }) => call))]).toEqual(calls);
  for (const failure of short) {
    expect(failure).toMatchObject({ type: "StorageError", code: "CANNOT_OPEN", retryable: true });
    const { message } = failure;
    expect(message).toMatch(/EMFILE.*Close storages and clients.*ulimit -n/s);
    expect(message).not.toContain("_journal.json");
  }
  expect(left).toEqual([]);
  expect(kept).toBe(1);
});

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { openStorage, StorageError } from "holdfast";
import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { openBeside, rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

/** The checksum of a file, read by another process: this one may have it open. */
const checksum = (path: string) => execFileSync("sha256sum", [path], { encoding: "utf8" }).split(" ")[0];

test.each(["DELETE", "WAL"])(
  "a file with a table of a name of ours is left as it is, journal mode %s included",
  async (mode) => {
    // The file went into WAL mode and a backups folder was left, while the message said that nothing was changed.
    await using db = await tempDatabase("app.db");
    {
      using file = openBeside(db.path);
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
    using file = openBeside(db.path);
    expect(file.all("PRAGMA journal_mode")).toEqual([[mode.toLowerCase()]]);
    expect(file.all("SELECT name FROM sqlite_schema")).toEqual([["sessions"]]);
  },
);

test("a file without our schema is left as it is by a storage that only verifies", async () => {
  await using db = await tempDatabase("app.db");
  {
    using file = openBeside(db.path);
    file.exec("CREATE TABLE notes (a)");
  }
  const before = checksum(db.path);
  expect((await rejection(openStorage({ url: db.path, migrate: "verify" }))).code).toBe("MIGRATION_PENDING");
  expect(checksum(db.path)).toBe(before);
});

test("a file that cannot be opened is told once, with one piece of advice", async () => {
  await using db = await tempDatabase();
  const folder = join(db.dir, "folder.db");
  mkdirSync(folder);
  const { code, message } = await rejection(openStorage(folder));
  expect(code).toBe("CANNOT_OPEN");
  expect(message.match(/Cannot open/g)).toHaveLength(1);
  expect(message.match(/Check that/g)).toHaveLength(1);
});

test("the tenth storage that is open on one file is worth a warning, once", async () => {
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

test("a process without descriptors is told so, and not that a file of the package is broken", async () => {
  await using db = await tempDatabase();
  const { codes, message } = await runChild<{ codes: string[]; message: string }>("too-many-files", { path: db.path });
  expect(new Set(codes)).toEqual(new Set(["CANNOT_OPEN"]));
  expect(message).toContain("EMFILE");
  expect(message).toContain("Close storages and clients");
  expect(message).not.toContain("_journal.json");
});

import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readlinkSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { checkFile, openStorage, restore, salvage } from "holdfast";
import { createClient } from "holdfast/client";
import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { openSecond } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
const modeOf = (path: string) => statSync(path).mode & 0o777;

/** A folder with the link `a.db` to `real/a.db`, which need not exist. */
async function linkedDatabase() {
  const folder = await tempDatabase("a.db");
  const real = join(folder.dir, "real", "a.db");
  mkdirSync(join(folder.dir, "real"));
  symlinkSync(join("real", "a.db"), folder.path);
  return { ...folder, real, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("a database behind a link is checkpointed, measured and closed like one with its own name", async () => {
  // The log of a database behind a link used to grow without bound, because it was looked for next to the link.
  await using db = await linkedDatabase();
  const walBytes = 256 * 1024;
  const storage = await openStorage({ url: db.path, checkpoint: { walBytes }, durability: "relaxed" });
  let largest = 0;
  for (let i = 0; i < 40; i++) {
    await storage.memories.insertMany(Array.from({ length: 10 }, () => ({ content: `a long text ${i} `.repeat(200) })));
    largest = Math.max(largest, sizeOf(`${db.real}-wal`));
  }
  expect(largest).toBeGreaterThan(walBytes);
  await expect.poll(() => sizeOf(`${db.real}-wal`), { timeout: 30_000, interval: 20 }).toBeLessThanOrEqual(walBytes);
  const { ok, path, walBytes: measured } = await storage.health();
  expect({ ok, path }).toEqual({ ok: true, path: db.real });
  expect(measured).toBeGreaterThan(0);
  expect((await storage.check()).ok).toBe(true);
  await storage.close();
  // Without its log, the file is complete. (Another process copies it, because this one may still have it open.)
  const copy = join(db.dir, "copy.db");
  execFileSync("cp", [db.real, copy]);
  using file = openSecond(copy);
  expect(file.all("SELECT count(*) FROM memories")).toEqual([[400]]);
});

test("a link to a missing file creates that file, for its owner only", async () => {
  await using db = await linkedDatabase();
  const storage = await openStorage(db.path);
  await storage.close();
  expect(modeOf(db.real)).toBe(0o600);
  expect(readlinkSync(db.path)).toBe(join("real", "a.db"));

  await using other = await linkedDatabase();
  const client = createClient({ url: `file:${other.path}` });
  await client.execute("CREATE TABLE t (a)");
  expect([modeOf(other.real), modeOf(`${other.real}-wal`)]).toEqual([0o600, 0o600]);
  await client.close();
});

test("links that form a circle are CANNOT_OPEN", async () => {
  await using db = await tempDatabase();
  symlinkSync("two.db", join(db.dir, "one.db"));
  symlinkSync("one.db", join(db.dir, "two.db"));
  await expect(openStorage(join(db.dir, "one.db"))).rejects.toMatchObject({ code: "CANNOT_OPEN" });
});

test("a restore through a link replaces the file, and the link stays", async () => {
  await using db = await linkedDatabase();
  const backup = join(db.dir, "backup.db");
  {
    await using storage = await openStorage(db.path);
    await storage.memories.insert({ content: "in the backup" });
    await storage.backup(backup);
    await storage.memories.insert({ content: "after it" });
  }
  const { path, setAside } = await restore(backup, db.path);
  expect(path).toBe(db.real);
  expect(setAside?.startsWith(`${db.real}.`)).toBe(true);
  expect(lstatSync(db.path).isSymbolicLink()).toBe(true);
  await using storage = await openStorage(db.path);
  expect((await storage.memories.list()).items.map(({ content }) => content)).toEqual(["in the backup"]);
  expect((await checkFile(db.path)).ok).toBe(true);
});

test("salvage through a link reads the log that is next to the file", async () => {
  await using db = await linkedDatabase();
  await using child = startChild("open-and-insert", { path: db.real });
  child.send({ insert: "one" });
  await child.message<{ outcome?: string }>(({ outcome }) => outcome === "stored");
  // Its records are only in the log.
  child.kill();
  await child.exited;
  const { areas } = await salvage(db.path, join(db.dir, "saved.db"));
  expect(areas.find(({ area }) => area === "memories")).toMatchObject({ saved: 1, lost: 0 });
});

test("the backup before a migration is next to the file, not next to the link", async () => {
  await using db = await linkedDatabase();
  {
    using file = openSecond(db.real);
    file.exec("CREATE TABLE notes (a); INSERT INTO notes VALUES (1)");
  }
  await using storage = await openStorage(db.path);
  expect((await storage.health()).ok).toBe(true);
  expect(statSync(join(db.dir, "real", "backups")).isDirectory()).toBe(true);
  expect(statSync(join(db.dir, "backups"), { throwIfNoEntry: false })).toBeUndefined();
});

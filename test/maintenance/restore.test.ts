import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { openStorage, restore } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { openSecond, rejection } from "../support/clients.js";
import { copyOpen } from "../support/file-bytes.js";
import { collectClosed } from "../support/garbage.js";
import { tempStorage } from "../support/storage.js";

/** A storage that is closed, with a backup of its state before the last row. */
async function backedUp(options: { encryptionKey?: string } = {}) {
  const t = await tempStorage(options);
  await t.storage.memories.insert({ id: "old", content: "in the backup" });
  const { path: backup } = await t.storage.backup(join(t.db.dir, "copies", "copy.db"));
  await t.storage.memories.insert({ id: "new", content: "after the backup" });
  await t.storage.close();
  // Tests put files of their own in place of its log.
  await collectClosed();
  return {
    dir: t.db.dir,
    path: t.db.path,
    backup,
    ids: async (path: string, encryptionKey?: string) => {
      const storage = await openStorage({ url: path, ...(encryptionKey === undefined ? {} : { encryptionKey }) });
      try {
        const { items } = await storage.memories.list();
        return items.map(({ id }) => id).sort();
      } finally {
        await storage.close();
      }
    },
    [Symbol.asyncDispose]: () => t[Symbol.asyncDispose](),
  };
}

function damageLastPage(path: string): void {
  const bytes = readFileSync(path);
  bytes.fill(0xee, bytes.length - 4096);
  writeFileSync(path, bytes);
}

/** What is there, but for what goes once the connections that this process has closed are collected. */
const inDir = (dir: string) =>
  readdirSync(dir)
    .filter((name) => name !== "copies" && !/^test\.db-(wal|shm)$/.test(name))
    .sort();

describe("restoring", () => {
  test("replaces a file that this process has just closed, and renames the old file", async () => {
    await using p = await backedUp();
    const { path, setAside, setAsideFiles } = await restore(p.backup, p.path);
    expect(path).toBe(p.path);
    expect(setAsideFiles).toEqual([setAside]);
    expect(inDir(p.dir).filter((name) => name.includes("-before-restore"))).toEqual([basename(setAside!)]);
    expect(setAside).toMatch(/test\.db\.\d{8}-\d{6}-\d{3}-before-restore$/);
    expect(await p.ids(p.path)).toEqual(["old"]);
    expect(await p.ids(setAside!)).toEqual(["new", "old"]);
    expect(existsSync(p.backup)).toBe(true);
    expect(statSync(p.path).mode & 0o777).toBe(0o600);
    expect(inDir(p.dir).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("a copy in WAL mode leaves only the file", async () => {
    await using p = await backedUp();
    const copy = join(p.dir, "copies", "raw.db");
    copyFileSync(p.path, copy);
    const target = join(p.dir, "fresh", "new.db");
    await restore(copy, target);
    expect(readdirSync(join(p.dir, "fresh"))).toEqual(["new.db"]);
    expect(await p.ids(target)).toEqual(["new", "old"]);
  });

  test("creates the file and its folder if they are missing", async () => {
    await using p = await backedUp();
    const target = join(p.dir, "a", "b", "new.db");
    expect(await restore(`file:${p.backup}`, `file:${target}`)).toEqual({
      path: target,
      setAside: undefined,
      setAsideFiles: [],
    });
    expect(await p.ids(target)).toEqual(["old"]);
  });

  test("keeps the rows of the old log, and leaves no log for the new file to read", async () => {
    await using p = await backedUp();
    // A killed process leaves its last rows in the log.
    await using child = startChild("hold-open", { path: p.path });
    await child.message<{ open?: boolean }>(({ open }) => open === true);
    using second = openSecond(p.path, ["PRAGMA wal_autocheckpoint = 0"]);
    second.exec("UPDATE memories SET source = 'of the log' WHERE id = 'new'");
    child.kill();
    await child.exited;
    expect(statSync(`${p.path}-wal`).size).toBeGreaterThan(0);
    const { setAside, setAsideFiles } = await restore(p.backup, p.path);
    expect(setAsideFiles).toEqual([setAside]);
    expect(existsSync(`${setAside}-wal`)).toBe(false);
    expect(existsSync(`${p.path}-wal`)).toBe(false);
    expect(existsSync(`${p.path}-shm`)).toBe(false);
    using old = openSecond(setAside!);
    expect(old.all("SELECT source FROM memories WHERE id = 'new'")).toEqual([["of the log"]]);
    expect(await p.ids(p.path)).toEqual(["old"]);
  });

  test("replaces a damaged file, which is renamed with its log", async () => {
    await using p = await backedUp();
    // A connection of this process to the file, once it is collected, would remove such a log.
    const path = join(p.dir, "never-opened.db");
    writeFileSync(path, "garbage");
    writeFileSync(`${path}-wal`, "its log");
    writeFileSync(`${path}-journal`, "");
    const { setAside, setAsideFiles } = await restore(p.backup, path);
    expect(setAsideFiles).toEqual([setAside, `${setAside}-wal`]);
    expect(inDir(p.dir).filter((name) => name.includes("-before-restore"))).toHaveLength(2);
    expect(readFileSync(setAside!, "utf8")).toBe("garbage");
    expect(readFileSync(`${setAside}-wal`, "utf8")).toBe("its log");
    expect(await p.ids(path)).toEqual(["old"]);
  });

  test("leaves no log of a missing file", async () => {
    await using p = await backedUp();
    const path = join(p.dir, "never-opened.db");
    writeFileSync(`${path}-wal`, "its log");
    const { setAside, setAsideFiles } = await restore(p.backup, path);
    expect(setAside).toBeUndefined();
    expect(setAsideFiles).toEqual([expect.stringMatching(/-before-restore-wal$/)]);
    expect(await p.ids(path)).toEqual(["old"]);
  });

  test("restores an encrypted file with its key", async () => {
    await using p = await backedUp({ encryptionKey: "a key" });
    expect(await rejection(restore(p.backup, p.path))).toMatchObject({ code: "NOT_A_DATABASE" });
    expect(await rejection(restore(p.backup, p.path, { encryptionKey: "wrong" }))).toMatchObject({
      code: "NOT_A_DATABASE",
    });
    await restore(p.backup, p.path, { encryptionKey: "a key" });
    expect(await p.ids(p.path, "a key")).toEqual(["old"]);
  });

  test("restores a copied pair of file and log", async () => {
    await using p = await backedUp();
    const pair = join(p.dir, "copies", "pair.db");
    using second = openSecond(p.path, ["PRAGMA wal_autocheckpoint = 0"]);
    second.exec("UPDATE memories SET id = 'of the log' WHERE id = 'new'");
    await copyOpen(p.path, pair);
    const target = join(p.dir, "restored.db");
    await restore(pair, target);
    expect(inDir(p.dir).filter((name) => name.startsWith("restored"))).toEqual(["restored.db"]);
    expect(await p.ids(target)).toEqual(["of the log", "old"]);
  });

  test("connections that are collected later do not touch the log of the new file", async () => {
    await using p = await backedUp();
    await restore(p.backup, p.path);
    await using storage = await openStorage(p.path);
    await storage.memories.insert({ id: "later", content: "in the log" });
    for (let round = 0; round < 5; round++) {
      globalThis.gc!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(statSync(`${p.path}-wal`).size).toBeGreaterThan(0);
    using second = openSecond(p.path);
    expect(second.all("SELECT id FROM memories ORDER BY id")).toEqual([["later"], ["old"]]);
  });
});

describe("restoring is refused, with nothing changed,", () => {
  test("with IN_USE while another process has the file open, by any name", async () => {
    await using p = await backedUp();
    await using child = startChild("hold-open", { path: p.path });
    await child.message<{ open?: boolean }>(({ open }) => open === true);
    const before = inDir(p.dir);
    const error = await rejection(restore(p.backup, p.path));
    expect(error).toMatchObject({ code: "IN_USE", retryable: true });
    expect(error.message).toContain(`process ${child.process.pid} has it open`);
    expect(inDir(p.dir)).toEqual(before);
    child.send("close");
    await child.exited;
    await restore(p.backup, p.path);
    expect(await p.ids(p.path)).toEqual(["old"]);
  });

  test("with IN_USE while this process has it open, by a storage or by a client", async () => {
    await using p = await backedUp();
    const storage = await openStorage(p.path);
    expect(await rejection(restore(p.backup, p.path))).toMatchObject({ code: "IN_USE" });
    await storage.close();
    const client = createClient({ url: `file:${p.path}` });
    expect(await rejection(restore(p.backup, p.path))).toMatchObject({ code: "IN_USE" });
    await client.close();
    await restore(p.backup, p.path);
  });

  test("with IN_USE before anything is copied, and when the file is opened during the call", async () => {
    await using p = await backedUp();
    const phases: string[] = [];
    let client: ReturnType<typeof createClient> | undefined = createClient({ url: `file:${p.path}` });
    const onProgress = ({ phase }: { phase: string }) => {
      phases.push(phase);
      if (phase === "verify") client ??= createClient({ url: `file:${p.path}` });
    };
    expect(await rejection(restore(p.backup, p.path, { onProgress }))).toMatchObject({ code: "IN_USE" });
    expect(phases).toEqual([]);
    await client.close();
    client = undefined;
    expect(await rejection(restore(p.backup, p.path, { onProgress }))).toMatchObject({ code: "IN_USE" });
    expect(phases).toContain("verify");
    await (client as unknown as ReturnType<typeof createClient>).close();
    expect(await p.ids(p.path)).toEqual(["new", "old"]);
  });

  test("with IN_USE while a connection that is not found otherwise holds its write lock", async () => {
    await using p = await backedUp();
    using _ = openSecond(p.path, ["BEGIN IMMEDIATE"]);
    expect(await rejection(restore(p.backup, p.path))).toMatchObject({ code: "IN_USE", retryable: true });
  });

  test("with IN_USE for a copied pair of file and log that another process writes to", async () => {
    await using p = await backedUp();
    const pair = join(p.dir, "copies", "pair.db");
    copyFileSync(p.path, pair);
    await using child = startChild("hold-open", { path: pair });
    await child.message<{ open?: boolean }>(({ open }) => open === true);
    using second = openSecond(pair, ["PRAGMA wal_autocheckpoint = 0"]);
    second.exec("UPDATE memories SET source = 'x'");
    expect(await rejection(restore(pair, p.path))).toMatchObject({ code: "IN_USE" });
  });

  test("with NOT_FOUND if there is no backup", async () => {
    await using p = await backedUp();
    const error = await rejection(restore(join(p.dir, "none.db"), p.path));
    expect(error).toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("none.db") });
    expect(await p.ids(p.path)).toEqual(["new", "old"]);
  });

  test.each([
    ["cut short", "CORRUPT", (path: string) => truncateSync(path, statSync(path).size - 4096 * 3)],
    ["empty", "NOT_A_DATABASE", (path: string) => truncateSync(path, 0)],
    ["damaged in a page that opening does not read", "CORRUPT", (path: string) => damageLastPage(path)],
    ["no database", "NOT_A_DATABASE", (path: string) => writeFileSync(path, "x".repeat(10_000))],
  ])("for a backup that is %s: %s", async (_, code, damage) => {
    await using p = await backedUp();
    damage(p.backup);
    const before = inDir(p.dir);
    const error = await rejection(restore(p.backup, p.path));
    expect(error).toMatchObject({ code, message: expect.stringContaining(p.backup) });
    expect(inDir(p.dir)).toEqual(before);
    expect(await p.ids(p.path)).toEqual(["new", "old"]);
  });

  test("by an abort at each of its phases", async () => {
    await using p = await backedUp();
    const before = inDir(p.dir);
    for (const phase of ["copy", "verify"]) {
      const controller = new AbortController();
      const onProgress = (progress: { phase: string }) => {
        if (progress.phase === phase) controller.abort();
      };
      const error = await rejection(restore(p.backup, p.path, { signal: controller.signal, onProgress }));
      expect(error.name).toBe("AbortError");
      expect(inDir(p.dir)).toEqual(before);
    }
    expect(await p.ids(p.path)).toEqual(["new", "old"]);
  });

  test("for a target that is the backup, a folder, or remote", async () => {
    await using p = await backedUp();
    expect(await rejection(restore(p.backup, p.backup))).toBeInstanceOf(RangeError);
    expect(await rejection(restore(p.backup, p.dir))).toMatchObject({ code: "CANNOT_OPEN" });
    expect(await rejection(restore(p.dir, p.path))).toMatchObject({ code: "CANNOT_OPEN" });
    expect(await rejection(restore(p.backup, "libsql://host"))).toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringContaining("import()"),
    });
    expect(await rejection(restore(p.backup, 1 as never))).toBeInstanceOf(TypeError);
  });
});

test("a restore killed at any moment leaves one of the two files whole in its place, and the backup", async () => {
  await using made = await tempStorage();
  const { storage, db } = made;
  await storage.client.executeMultiple(
    "CREATE TABLE bulk (body BLOB); INSERT INTO bulk WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT randomblob(3900) FROM n;",
  );
  await storage.memories.insert({ id: "old", content: "x" });
  const { path: backup } = await storage.backup(join(db.dir, "copies", "copy.db"));
  await storage.memories.insert({ id: "new", content: "x" });
  await storage.close();
  const backupBytes = readFileSync(backup);
  // This process opens copies only: what it has had open is in use until its garbage is collected.
  let copies = 0;
  const idsIn = (path: string): unknown => {
    const copy = join(db.dir, "copies", `seen-${copies++}.db`);
    for (const end of ["", "-wal"]) if (existsSync(path + end)) copyFileSync(path + end, copy + end);
    using file = openSecond(copy);
    expect(file.all("PRAGMA integrity_check")).toEqual([["ok"]]);
    return file.all("SELECT group_concat(id) FROM (SELECT id FROM memories ORDER BY id)")[0]![0];
  };
  /** Restores over a separate file. If `delay` is given, kills the process after so many milliseconds. */
  const restored = async (delay?: number) => {
    const dir = join(db.dir, `restore-${copies}`);
    const target = join(dir, "test.db");
    mkdirSync(dir);
    copyFileSync(db.path, target);
    await using child = startChild("restore", { backup, target });
    await child.message<{ event: string }>(({ event }) => event === "begun");
    const start = performance.now();
    const timer = delay === undefined ? undefined : setTimeout(() => child.kill(), delay);
    const { code, stderr } = await child.exited;
    clearTimeout(timer);
    const lasted = performance.now() - start;
    // The folder stays to the end of the test: the copying process of a killed one may be writing still.
    return { code, stderr, lasted, ids: idsIn(target) };
  };
  expect(idsIn(db.path)).toBe("new,old");
  const whole = await restored();
  expect(whole).toMatchObject({ code: 0, ids: "old" });
  const found: string[] = [];
  const moments = 16;
  for (let moment = 0; moment < moments; moment++) {
    const { code, stderr, ids } = await restored((whole.lasted * moment) / moments);
    // Killed, or done before that.
    expect([null, 0], stderr).toContain(code);
    expect(code === 0 ? ["old"] : ["new,old", "old"]).toContain(ids);
    found.push(`${code === 0 ? "done" : "killed"}: ${ids}`);
  }
  console.log(found.join("; "));
  expect(backupBytes.equals(readFileSync(backup))).toBe(true);
});

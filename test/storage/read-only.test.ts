import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { createStorage, use } from "holdfast/memvid";
import { openStories } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { holdfast } from "../support/cli.js";
import { openSecond, rejection } from "../support/clients.js";
import { canMount, withReadOnlyMount } from "../support/read-only-mount.js";
import { runSql } from "../support/stock-sql.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

const NOBODY = 65_534;
const FORGET = [
  "DELETE FROM __drizzle_migrations WHERE created_at = (SELECT max(created_at) FROM __drizzle_migrations)",
  "PRAGMA wal_checkpoint(TRUNCATE)",
];
const isRoot = process.getuid?.() === 0;

/** Written and closed by a separate process, so that the file has no log and no process has it open. */
async function filled(db: TempDatabase): Promise<void> {
  await runChild("write-memories", { url: db.path, contents: ["a zebra", "a giraffe", "another zebra"] });
  chmodSync(db.dir, 0o755);
  chmodSync(db.path, 0o644);
}

/** Names, sizes, times and bytes, as another process sees them. */
const stateOf = (db: TempDatabase) =>
  execFileSync("sh", ["-c", 'ls -A --full-time "$0" | grep -v -e "^total"; sha256sum "$0"/*.db', db.dir], {
    encoding: "utf8",
  });
const withoutShm = (state: string) => state.replace(/^.*-shm\n/gm, "").replace(/^.* 0 .*-wal\n/gm, "");

describe("readOnly", () => {
  test("reads, refuses to write with advice that fits, and changes nothing", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const before = stateOf(db);
    const answer = await runChild("read-only", { options: { url: db.path, readOnly: true }, write: true });
    expect(answer).toEqual({
      count: 3,
      found: 2,
      health: true,
      failure: { code: "READONLY", message: expect.stringContaining("`readOnly`") },
    });
    expect(JSON.stringify(answer)).not.toContain("mode write");
    expect(withoutShm(stateOf(db))).toBe(withoutShm(before));
  });

  test("sees commits of another process that has the file open", async () => {
    await using db = await tempDatabase();
    await using writer = await openStorage(db.path);
    await writer.memories.insert({ content: "a zebra in the log" });
    await using reader = await openStorage({ url: db.path, readOnly: true });
    expect(await reader.memories.count()).toBe(1);
    await writer.memories.insert({ content: "and another" });
    expect(await reader.memories.count()).toBe(2);
    const refused = await rejection(reader.transaction((tx) => tx.memories.insert({ content: "no" })));
    expect(refused).toMatchObject({ code: "READONLY" });
    await expect(reader.transaction((tx) => tx.memories.count(), { mode: "read" })).resolves.toBe(2);
    expect(await rejection(reader.prune({ maxRows: 0 }))).toMatchObject({ code: "READONLY" });
    expect(await rejection(reader.reindex())).toMatchObject({ code: "READONLY" });
  });

  test.each([true, "immutable"] as const)("%j finds rows that other programs changed", async (readOnly) => {
    await using db = await tempDatabase();
    {
      await using storage = await openStorage(db.path);
      await storage.memories.insert({ id: "m", content: "a kiwi" });
      await storage.memories.insert({ id: "n", content: "a mango" });
      await storage.conversations.insert({ id: "c" });
      const contents = ["a kiwi", "a mango and more", "another thing"];
      await storage.conversations.append(
        "c",
        contents.map((content) => ({ role: "user" as const, content })),
      );
      await storage.conversations.fork("c", { id: "f", atSeq: 1 });
    }
    runSql(db.path, "UPDATE messages SET content = 'some mangoes' WHERE seq = 1", "PRAGMA wal_checkpoint(TRUNCATE)");
    runSql(db.path, "UPDATE memories SET content = 'a quince' WHERE id = 'm'", "PRAGMA wal_checkpoint(TRUNCATE)");
    await using reader = await openStorage({ url: db.path, readOnly });
    const found = async (text: string, options = {}) =>
      (await reader.conversations.search(text, options)).map(({ message, match }) => `${message.seq} ${match}`);
    expect((await found("mango")).sort()).toEqual(["1 keyword", "2 keyword"]);
    expect(await found("kiwi")).toEqual([]);
    expect(await found("mango", { conversationId: "f" })).toEqual(["1 keyword"]);
    expect(await found("thing", { conversationId: "c", roles: ["user"], since: new Date(0) })).toEqual(["3 keyword"]);
    expect(await found("mang")).toHaveLength(2);
    expect(await found("")).toHaveLength(3);
    const memories = async (text: string) => (await reader.memories.search(text)).map(({ memory }) => memory.id);
    expect([await memories("quince"), await memories("mango")]).toEqual([["m"], ["n"]]);
  });

  test("refuses an ATTACH, which would create the other file", async () => {
    await using db = await tempDatabase();
    const other = join(db.dir, "other.db");
    await (await openStorage(db.path)).close();
    for (const readOnly of [true, "immutable"] as const) {
      const client = createClient({ url: `file:${db.path}`, readOnly });
      const sql = `ATTACH '${other}' AS other`;
      const transaction = await client.transaction("read");
      const calls = [client.execute(sql), client.batch([sql], "read"), transaction.execute(sql)];
      for (const call of calls) {
        expect(await rejection(call)).toMatchObject({
          code: "SQLITE_READONLY",
          message: expect.stringContaining("ATTACH opens the other file for writing"),
        });
      }
      transaction.close();
      await client.close();
    }
    expect(existsSync(other)).toBe(false);
  });

  // The attempt to store the index terms failed each time, and was the last error of health().
  test.each([true, "immutable"] as const)(
    "%j searches rows without index terms and attempts no write",
    async (readOnly) => {
      await using db = await tempDatabase();
      await filled(db);
      {
        await using writer = await openStorage(db.path);
        await writer.conversations.insert({ id: "c" });
        await writer.conversations.append("c", { role: "user", content: "a zebra" });
        await writer.client.execute("UPDATE messages SET content = 'a giraffe'");
        await writer.stories.saveStory("s", { text: "a giraffe" });
      }
      await using reader = await openStorage({ url: db.path, readOnly });
      for (let n = 0; n < 2; n++) {
        expect(await reader.conversations.search("giraffe")).toHaveLength(1);
        expect(await reader.stories.searchStories("giraffe")).toHaveLength(1);
      }
      expect(await reader.health()).toMatchObject({ ok: true, lastError: undefined });
      expect(await rejection(reader.memories.insert({ content: "x" }))).toMatchObject({ code: "READONLY" });
    },
  );

  test("creates no file and no folder, and keeps a rollback journal mode", async () => {
    await using db = await tempDatabase();
    const missing = join(db.dir, "folder", "none.db");
    expect(await rejection(openStorage({ url: missing, readOnly: true }))).toMatchObject({ code: "NOT_FOUND" });
    expect(existsSync(join(db.dir, "folder"))).toBe(false);
    await filled(db);
    runSql(db.path, "PRAGMA journal_mode = DELETE");
    const before = stateOf(db);
    expect(await runChild("read-only", { options: { url: db.path, readOnly: true } })).toMatchObject({ count: 3 });
    expect(stateOf(db)).toBe(before);
  });

  test("reads an older schema, and the error says which call needs a migration", async () => {
    await using db = await tempDatabase();
    await filled(db);
    runSql(db.path, ...FORGET);
    const before = stateOf(db);
    expect(await runChild("read-only", { options: { url: db.path, readOnly: true } })).toMatchObject({ count: 3 });
    const verified = await runChild("read-only", { options: { url: db.path, readOnly: true, migrate: "verify" } });
    expect(verified).toMatchObject({ error: { code: "MIGRATION_PENDING" } });
    for (const command of [["search", "zebra"], ["stats"], ["status"], ["export"]]) {
      const { code, stderr } = await holdfast([...command, "--url", db.path]);
      expect({ command, code, stderr }).toMatchObject({ code: 0 });
    }
    expect(withoutShm(stateOf(db))).toBe(withoutShm(before));
  });

  test.skipIf(!isRoot)("reads a file of another user, in a folder of that user", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const before = stateOf(db);
    const options = { url: db.path, readOnly: true };
    const refused = await runChild("read-only", { options, uid: NOBODY });
    expect(refused).toMatchObject({ error: { message: expect.stringContaining('readOnly: "immutable"') } });
    const answer = await runChild("read-only", {
      options: { ...options, readOnly: "immutable" },
      uid: NOBODY,
      write: true,
    });
    expect(answer).toMatchObject({ count: 3, found: 2, failure: { code: "READONLY" } });
    expect(stateOf(db)).toBe(before);
  });

  test.skipIf(!canMount)("reads on a read-only mount, and backs up from there", async () => {
    await using db = await tempDatabase();
    await using out = await tempDatabase();
    await filled(db);
    await withReadOnlyMount(db.dir, async (mount) => {
      const options = { url: join(mount, "test.db"), readOnly: "immutable" };
      const answer = await runChild("read-only", { options, write: true, backup: join(out.dir, "copy.db") });
      expect(answer).toMatchObject({
        count: 3,
        found: 2,
        backup: true,
        failure: { code: "READONLY", message: expect.stringContaining("make a copy with `backup`") },
      });
    });
    // It advised to check the user's rights on the folder.
    openSecond(join(out.dir, "copy.db"), ["PRAGMA journal_mode = WAL"])[Symbol.dispose]();
    expect(readdirSync(out.dir)).toEqual(["copy.db"]);
    await withReadOnlyMount(out.dir, async (mount) => {
      const { error } = await runChild("read-only", { options: { url: join(mount, "copy.db") } });
      expect(error).toMatchObject({ code: "CANNOT_OPEN", message: expect.stringContaining('`readOnly: "immutable"`') });
    });
  });

  test("is an option of openStories, createStorage and memvid's use, but not of a folder of stories", async () => {
    await using db = await tempDatabase();
    {
      await using storage = await openStorage(db.path);
      await storage.memories.insert({ id: "m", content: "a zebra" });
      await storage.stories.saveStory("s", { title: "t" });
    }
    const stories = await openStories({ path: db.path, readOnly: true });
    expect(await stories.loadStory("s")).toEqual({ title: "t" });
    expect(await rejection(stories.saveStory("s", { title: "u" }))).toMatchObject({ code: "READONLY" });
    await stories.close();
    for (const backend of ["filesystem", stories.backend] as const) {
      const refused = await rejection(openStories({ backend, path: join(db.dir, "folder"), readOnly: true }));
      expect(refused).toMatchObject({ code: "NOT_SUPPORTED", message: expect.stringContaining("copyStories") });
    }
    expect(existsSync(join(db.dir, "folder"))).toBe(false);
    const entries = await createStorage({ path: db.path, readOnly: true, strict: true });
    expect(await entries.read("m")).toMatchObject({ content: "a zebra" });
    const entry = { id: "n", type: "tool", content: "x", metadata: {}, createdAt: new Date() };
    expect(await rejection(entries.write("n", entry))).toMatchObject({ code: "READONLY" });
    await entries.close();
    const memvid = await use("basic", db.path, { readOnly: true });
    expect((await memvid.find("zebra")).total_hits).toBe(1);
    await memvid.close();
    const missing = join(db.dir, "none.db");
    expect(await rejection(createStorage({ path: missing, readOnly: true, strict: true }))).toMatchObject({
      code: "NOT_FOUND",
    });
    expect(await rejection(use("basic", missing, { mode: "auto", readOnly: true }))).toMatchObject({ code: "MV013" });
    expect(existsSync(missing)).toBe(false);
  });

  test("is validated, and is an option of createClient", async () => {
    await using db = await tempDatabase();
    await filled(db);
    const wrong = await rejection(openStorage({ url: db.path, readOnly: "yes" as never }));
    expect(wrong).toBeInstanceOf(TypeError);
    const client = createClient({ url: `file:${db.path}`, readOnly: true });
    expect((await client.execute("SELECT count(*) FROM memories")).rows[0]![0]).toBe(3);
    expect(await rejection(client.execute("DELETE FROM memories"))).toMatchObject({ code: "SQLITE_READONLY" });
    expect(await rejection(client.executeMultiple("DELETE FROM memories"))).toMatchObject({ code: "SQLITE_READONLY" });
    await client.close();
    expect(statSync(db.path).size).toBeGreaterThan(0);
    expect(readdirSync(db.dir)).toContain("test.db");
  });
});

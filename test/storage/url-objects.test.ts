import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";
import { checkFile, openStorage, restore, salvage } from "holdfast";
import { createClient } from "holdfast/client";
import { backupDb, initDb } from "holdfast/conversations";
import { acquireLock, create, createStorage, FileLock, lockWho } from "holdfast/memvid";
import { migrate } from "holdfast/migrate";
import { openStories, StoryMigrations } from "holdfast/stories";
import { expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

/** A folder whose name needs escapes in a URL, and URLs below it. */
async function tempFolder() {
  const db = await tempDatabase();
  const dir = join(db.dir, "a b%20#ü");
  mkdirSync(dir);
  const at = (name: string) => pathToFileURL(join(dir, name));
  return { dir, at, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

test("a storage opens with a URL object, alone or as an option, and copies and restores with one", async () => {
  await using folder = await tempFolder();
  const { dir, at } = folder;
  const storage = await openStorage(at("app.db"));
  expect((await storage.health()).path).toBe(join(dir, "app.db"));
  await storage.memories.insert({ id: "m", content: "kept" });
  expect((await storage.backup(at("copy.db"))).path).toBe(join(dir, "copy.db"));
  const { path } = await storage.backups(at("rotated"));
  expect(path.startsWith(join(dir, "rotated"))).toBe(true);
  await storage.close();
  expect((await checkFile(at("copy.db"))).ok).toBe(true);
  await restore(at("copy.db"), at("back.db"));
  expect(await rejection(salvage(at("none.db"), at("saved.db")))).toMatchObject({
    code: "NOT_FOUND",
    message: expect.stringContaining(join(dir, "none.db")),
  });
  await using again = await openStorage({ url: at("back.db") });
  expect((await again.memories.require("m")).content).toBe("kept");
  await using inFolder = await openStorage({ dataDir: at("data") });
  expect((await inFolder.health()).path).toBe(join(dir, "data", "holdfast.db"));
});

test("a URL object of another realm counts too", async () => {
  await using folder = await tempFolder();
  const { href } = folder.at("app.db");
  // In jsdom and vm contexts, URL is another class with the same name.
  const foreign = vm.runInNewContext(
    `({ href: ${JSON.stringify(href)}, protocol: "file:", get [Symbol.toStringTag]() { return "URL"; } })`,
  );
  expect(foreign).not.toBeInstanceOf(URL);
  await using storage = await openStorage(foreign);
  expect((await storage.health()).path).toBe(join(folder.dir, "app.db"));
});

test("a client, migrations and the conversation functions accept URL objects", async () => {
  await using folder = await tempFolder();
  const { dir, at } = folder;
  const client = createClient({ url: at("app.db") });
  const drizzle = new URL("../../drizzle/", import.meta.url);
  await client.execute("CREATE TABLE theirs (a)");
  await client.execute("INSERT INTO theirs VALUES (1)");
  const { backup } = await migrate(client, { folder: drizzle, backupTo: at("before") });
  expect(backup?.startsWith(join(dir, "before"))).toBe(true);
  await client.close();
  await using own = await openStorage({
    url: at("own.db"),
    migrations: { folder: drizzle, table: "own_ledger" },
  }).catch((error) => ({ error, async [Symbol.asyncDispose]() {} }));
  // The folder was read: its tables are those of Holdfast, which already exist.
  expect((own as { error: Error }).error.message).toMatch(/already exists/);
  expect(await initDb(at("log.db"))).toBeGreaterThan(0);
  expect((await backupDb(at("log.db"), at("logs"))).startsWith(join(dir, "logs"))).toBe(true);
});

test("stories, locks and memvid files accept URL objects", async () => {
  await using folder = await tempFolder();
  const { dir, at } = folder;
  const files = await openStories({ backend: "filesystem", path: at("stories") });
  await files.saveStory("s", { name: "old" });
  await new StoryMigrations({ service: files, backupDir: at("story-backups") }).migrate("s", { validate: false });
  const [backup] = readdirSync(join(dir, "story-backups"));
  await new StoryMigrations({ service: files }).rollback("s", at(`story-backups/${backup}`));
  expect(await files.loadStory("s")).toEqual({ name: "old" });
  await files.close();
  const rows = await openStories({ path: at("stories.db") });
  await rows.saveStory("s", { title: "s" });
  await rows.close();
  expect(existsSync(join(dir, "stories.db"))).toBe(true);
  const lock = new FileLock(at("held"));
  expect(lock.path).toBe(join(dir, "held.lock"));
  const held = await acquireLock(at("held"), 0);
  expect((await lockWho(at("held"))).locked).toBe(true);
  await held!.release();
  const entries = await createStorage({ path: at("entries.db"), strict: true });
  await entries.close();
  expect(existsSync(join(dir, "entries.db"))).toBe(true);
  const memvid = await create(at("frames.db"));
  expect(await memvid.path()).toBe(join(dir, "frames.db"));
  writeFileSync(at("note.txt"), "a note");
  expect(await memvid.view(await memvid.put({ file: at("note.txt") }))).toBe("a note");
  await memvid.close();
});

test("a server and a replica accept URL objects, and their tokens do not appear in messages", async () => {
  await using server = await startServer();
  await using folder = await tempFolder();
  const remote = await openStorage(new URL(server.url));
  await remote.memories.insert({ id: "m", content: "kept" });
  await remote.close();
  const replica = await openStorage({ url: folder.at("replica.db"), syncUrl: new URL(server.url) });
  expect((await replica.memories.require("m")).content).toBe("kept");
  await replica.close();
  const client = createClient({ url: new URL(server.url) });
  expect((await client.execute("SELECT count(*) FROM memories")).rows[0]![0]).toBe(1);
  await client.close();
  const wrong = [
    () => openStorage(new URL("ftp://host/?authToken=hunter2")),
    () => openStories({ backend: "filesystem", path: new URL("libsql://host/?authToken=hunter2") }),
    async () => new FileLock(new URL("https://host/?authToken=hunter2")),
    () => restore(new URL("https://host/?authToken=hunter2"), folder.at("x.db")),
  ];
  for (const call of wrong) expect((await rejection(call())).message).not.toMatch("hunter2");
});

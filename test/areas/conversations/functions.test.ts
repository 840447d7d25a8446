import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { openStorage } from "holdfast";
import {
  backupDb,
  initDb,
  insertConversation,
  insertMessage,
  linkMessageRef,
  migrateDb,
  tagMessage,
} from "holdfast/conversations";
import { expect, test } from "vitest";
import { tempDatabase } from "../../support/temp.js";

test("the functions make a database, fill it, and back it up while it is open", async () => {
  await using db = await tempDatabase("talks.db");
  const version = await initDb(db.path);
  expect(version).toBeGreaterThan(0);
  expect(await migrateDb(db.path)).toBe(version);
  await using storage = await openStorage(db.path);
  const { id } = await insertConversation(storage, { title: "a talk" });
  const message = await insertMessage(storage, id, { role: "user", content: "hello" });
  expect(await linkMessageRef(storage, message.id, { kind: "commit", target: "abc" })).toMatchObject({
    kind: "commit",
  });
  expect(await tagMessage(storage, message.id, "greeting")).toEqual(["greeting"]);
  const copy = await backupDb(db.path, join(db.dir, "copies"));
  expect(relative(db.dir, copy)).toMatch(/^copies\/\d{8}\/\d{6}\/talks\.db$/);
  await using backup = await openStorage(copy);
  expect(await backup.conversations.search("hello")).toHaveLength(1);
  await storage.transaction(async (tx) => insertMessage(tx, id, { role: "assistant", content: "hi" }));
  const again = await backupDb(db.path);
  expect(relative(db.dir, again)).toMatch(/^backups\/\d{8}\//);
  await expect(backupDb(join(db.dir, "none.db"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(existsSync(join(db.dir, "none.db"))).toBe(false);
  await expect(backupDb(":memory:")).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
});

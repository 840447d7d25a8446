// Imports every entry of the installed package and stores, finds and re-reads one memory.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStorage, StorageError } from "holdfast";
import { createClient } from "holdfast/client";
import { insertConversation, insertMessage } from "holdfast/conversations";
import { create, createStorage, FileLock, MemvidError } from "holdfast/memvid";
import { MigrationError, status } from "holdfast/migrate";
import { memories } from "holdfast/schema";
import { openStories } from "holdfast/stories";
import { storyBackendCases } from "holdfast/stories/testing";

const folder = mkdtempSync(join(tmpdir(), "holdfast-package-"));
try {
  const storage = await openStorage(join(folder, "app.db"));
  await storage.memories.insert({ id: "first", content: "the package works when installed" });
  const [found] = await storage.memories.search("installed packages");
  if (found?.memory.id !== "first") throw new Error("the memory was not found");
  const rows = await storage.db.select({ id: memories.id }).from(memories);
  if (rows.length !== 1) throw new Error("Drizzle did not see the memory");
  const { id } = await insertConversation(storage, { title: "a talk" });
  await insertMessage(storage, id, { role: "user", content: "does it work when installed?" });
  const [turn] = await storage.conversations.search("is it installed");
  if (turn?.message.conversationId !== id) throw new Error("the message was not found");
  const conflict = await storage.memories.insert({ id: "first", content: "again" }).catch((error) => error);
  if (!(conflict instanceof StorageError) || conflict.code !== "CONFLICT") throw new Error("no CONFLICT");
  // Bundling renames classes that refer to themselves.
  const names = [StorageError, MigrationError, MemvidError].map(({ name }) => name).join();
  if (names !== "StorageError,MigrationError,MemvidError") throw new Error(`the classes are named ${names}`);
  const required = createRequire(import.meta.url)("holdfast");
  if (required.openStorage !== openStorage) throw new Error("require() does not give the same module");
  const checked = await storage.check({ deep: true });
  if (!checked.ok) throw new Error(`a check found ${JSON.stringify(checked.findings)}`);
  const copy = await openStorage(":memory:");
  if ((await copy.import(storage.export())).inserted !== 2) throw new Error("the export was not imported");
  await copy.close();
  await storage.close();
  const client = createClient({ url: `file:${join(folder, "app.db")}` });
  const { rows: counted } = await client.execute("select count(*) as count from memories");
  if (counted[0].count !== 1) throw new Error("the row is gone");
  if (typeof status !== "function") throw new Error("holdfast/migrate is empty");
  await client.close();
  const memory = await create(join(folder, "notes.mv2"));
  await memory.put({ title: "A note", text: "frames work when installed" });
  if ((await memory.find("frame")).hits[0]?.title !== "A note") throw new Error("the frame was not found");
  await memory.close();
  const entries = await createStorage({ path: join(folder, "entries.db"), strict: true });
  if ((await entries.read("none")) !== null) throw new Error("an entry that was never written");
  await entries.close();
  const locked = await new FileLock(join(folder, "app.db")).withLock(() => "alone");
  if (locked !== "alone") throw new Error("the lock was not free");
  for (const backend of ["libsql", "filesystem"]) {
    const open = () => openStories({ backend, path: join(mkdtempSync(join(folder, "stories-")), "place") });
    for (const { run } of storyBackendCases(async () => (await open()).backend)) await run();
  }
  const { stdout } = spawnSync("npx", ["holdfast", "stats", "--json", "--url", join(folder, "app.db")]);
  if (JSON.parse(String(stdout)).projects[0].project !== "default") throw new Error("the command does not work");
  const { bun, deno, node } = process.versions;
  const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`;
  console.log(`holdfast works when installed, under ${runtime}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

import { readFileSync } from "node:fs";
import { getTableName } from "drizzle-orm";
import * as schema from "holdfast/schema";
import { expect, test } from "vitest";
import { fileTest, tempFileStorage, tempStorage } from "../support/storage.js";

const journal = JSON.parse(readFileSync(new URL("../../drizzle/meta/_journal.json", import.meta.url), "utf8"));
const MIGRATIONS: number = journal.entries.length;

/** Names that a filter built from strings could confuse. */
const NAMES = ["a", "A", "a ", "á", "a%", "%", "_", "' OR 1=1 --", "*", '"', "a\nb", "😀", "default", "p".repeat(200)];

test("project B gets nothing of project A through any method, whatever the names", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  for (const name of NAMES) {
    const { memories, sessions } = storage.project(name);
    const secret = {
      id: "shared-id",
      content: `secret of one project`,
      sessionId: "s",
      embedding: [1, 0],
      embeddingModel: "m",
    };
    await memories.insert({ ...secret, metadata: { owner: name } });
    await sessions.start("shared-session", { metadata: { owner: name } });
  }
  for (const name of NAMES) {
    const { memories, sessions } = storage.project(name);
    const owners = (list: { metadata: Record<string, unknown>; project: string }[]) =>
      list.map((memory) => {
        expect(memory.project).toBe(name);
        return memory.metadata.owner;
      });
    expect(owners([await memories.require("shared-id")])).toEqual([name]);
    expect(owners(await memories.getMany(["shared-id"]))).toEqual([name]);
    expect(owners((await memories.list()).items)).toEqual([name]);
    expect(owners([(await memories.find("shared"))!])).toEqual([name]);
    for (const text of ["secret", "secre", "ecret of", "", "*"]) {
      expect(owners((await memories.search(text, { limit: 100 })).map(({ memory }) => memory)), text).toEqual([name]);
    }
    expect(owners((await memories.nearest([1, 0], { model: "m", limit: 100 })).map(({ memory }) => memory))).toEqual([
      name,
    ]);
    expect(owners(await memories.timeline({ around: "shared-id" }))).toEqual([name]);
    expect(owners(await memories.unembedded({ model: "other" }))).toEqual([name]);
    expect(await memories.findDuplicates()).toEqual([]);
    expect(await memories.count()).toBe(1);
    expect((await memories.stats()).count).toBe(1);
    expect((await sessions.getMany(["shared-session"])).map(({ metadata }) => metadata.owner)).toEqual([name]);
    expect((await sessions.list()).items).toHaveLength(1);
    expect((await sessions.active())?.metadata.owner).toBe(name);
  }
  const { memories } = storage.project("a");
  await memories.update("shared-id", { content: "changed" });
  await memories.setEmbedding("shared-id", [0, 1], { model: "m" });
  await memories.dropModel("m");
  await memories.delete("shared-id");
  await memories.purge("shared-id");
  expect(await storage.purgeProject("a")).toBe(1);
  for (const name of NAMES.filter((other) => other !== "a")) {
    expect(await storage.project(name).memories.get("shared-id")).toMatchObject({
      content: "secret of one project",
      embedding: new Float32Array([1, 0]),
    });
  }
  expect((await storage.projects()).map(({ project }) => project).sort()).toEqual(
    NAMES.filter((name) => name !== "a").sort(),
  );
});

test("search without the full-text tables still works, and health reports that they are missing", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await storage.memories.insertMany([{ content: "migrations take the lock" }, { content: "kubernetes" }]);
  expect(await storage.health()).toMatchObject({
    ok: true,
    fts: true,
    schemaVersion: MIGRATIONS,
    lastError: undefined,
  });
  for (const name of ["insert", "delete", "update"]) await storage.client.execute(`DROP TRIGGER memories_fts_${name}`);
  await storage.client.execute("DROP TABLE memories_fts");
  expect((await storage.memories.search("the migration lock"))[0]?.memory.content).toBe("migrations take the lock");
  expect(await storage.memories.search("bernete")).toHaveLength(1);
  expect(await storage.health()).toMatchObject({ ok: false, fts: false });
});

fileTest("stats and health tell tables, sizes and the pool", async () => {
  await using temp = await tempFileStorage();
  await temp.storage.memories.insert({ content: "x" });
  const health = await temp.storage.health();
  expect(health.path).toBe(temp.db.path);
  const tables = Object.values(schema).map((table) => getTableName(table));
  expect(health.tables.map(({ table }) => table).sort()).toEqual(tables.sort());
  expect(health.tables.filter(({ rows }) => rows > 0)).toEqual([{ table: "memories", rows: 1 }]);
  const stats = await temp.storage.stats();
  expect(stats).toMatchObject({ schemaVersion: MIGRATIONS, client: { pool: { active: 0 } } });
  expect(stats.walBytes + stats.fileBytes).toBeGreaterThan(0);
});

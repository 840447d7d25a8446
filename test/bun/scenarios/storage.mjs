import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eq, sql } from "drizzle-orm";
import { openStorage, StorageError } from "holdfast";
import { memories as memoriesTable } from "holdfast/schema";
import { transcript } from "../transcript.mjs";

await transcript(async ({ dir, note }) => {
  const path = join(dir, "a/app.db");
  let clock = 1_700_000_000_000;
  const storage = await openStorage({ url: path, now: () => clock++ });
  const changes = [];
  storage.on("change", (change) => changes.push(change));
  const { memories, sessions } = storage.project("one");

  await note(
    "insert",
    memories.insert({
      id: "a",
      content: "Migrations run under the write lock",
      type: "decision",
      metadata: { team: "db", n: 1 },
    }),
  );
  await note("insert taken", memories.insert({ id: "a", content: "again" }));
  await note(
    "insertMany",
    memories.insertMany([
      {
        id: "b",
        content: "TypeError in src/storage/db.ts: pool.acquire is not a function",
        type: "error",
        source: "ci",
      },
      { id: "c", content: "The kubernetes cluster doesn't start in café 数据库 v1.2.3 #1234", sessionId: "s1" },
      { id: "d", content: "snake_case and camelCase 🚀", embedding: [1, 0, 0.5], embeddingModel: "toy" },
      { id: "e", content: "old", createdAt: new Date("2020-01-01T00:00:00Z") },
    ]),
  );
  await note(
    "insertMany, one taken",
    memories.insertMany([
      { id: "f", content: "x" },
      { id: "a", content: "y" },
    ]),
  );
  await note("none of it", memories.get("f"));
  for (const input of [
    {},
    { content: "" },
    { content: 5 },
    { content: "x", type: "No" },
    { content: "a\0b" },
    { content: "x", embedding: [1] },
    { content: "x", wrong: 1 },
    { content: "x", metadata: { n: Number.NaN } },
  ]) {
    await note(`refused ${JSON.stringify(input)}`, memories.insert(input));
  }
  await note("put", memories.put("a", { content: "Migrations run under the lock", type: "decision" }));
  await note("get", memories.get("a"));
  await note("getMany", async () => (await memories.getMany(["c", "none", "a"])).map(({ id }) => id));
  await note("require", memories.require("none"));
  await note("find", memories.find("a"));
  await note("update", memories.update("b", { metadata: { fixed: true } }));
  await note("update none", memories.update("none", { content: "x" }));
  await note("list", async () => {
    const pages = [];
    let cursor;
    do {
      const page = await memories.list({ limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(page.items.map(({ id }) => id));
      cursor = page.nextCursor ?? page.cursor ?? undefined;
    } while (cursor !== undefined && pages.length < 9);
    return pages;
  });
  await note("list by metadata", async () =>
    (await memories.list({ metadata: { fixed: true } })).items.map(({ id }) => id),
  );
  await note(
    "list since",
    async () => (await memories.list({ since: new Date("2021-01-01"), type: "error" })).items.length,
  );
  await note("bad cursor", memories.list({ cursor: "x" }));

  const queries = [
    "migration",
    "src/storage/db.ts",
    "don't",
    "doesn't start",
    "cafe",
    "数据",
    "v1.2.3",
    "#1234",
    "bernete",
    "kube",
    "snake_case",
    "camel case",
    '"quoted',
    "AND OR NOT",
    "(",
    "***",
    "🚀",
    "",
    "zebra",
    "how do migrations lock?",
    "a".repeat(50_000),
  ];
  for (const text of queries) {
    await note(`search ${text.slice(0, 30)}`, async () =>
      (await memories.search(text)).map(({ memory, score, match, snippet }) => [
        memory.id,
        match,
        Math.round(score * 1e9),
        snippet,
      ]),
    );
  }
  await note("search filtered", async () => (await memories.search("the", { type: "error", limit: 1 })).length);
  await note("hybrid", async () =>
    (await memories.search("snake", { embedding: [1, 0, 0], embeddingModel: "toy" })).map(({ memory, match }) => [
      memory.id,
      match,
    ]),
  );
  await note("nearest", memories.nearest([1, 0, 0], { model: "toy" }));
  await note("dimension", memories.nearest([1, 0], { model: "toy" }));
  await note("setEmbedding, wrong length", memories.setEmbedding("a", [1, 2], { model: "toy" }));
  await note(
    "reembed",
    memories.reembed(async (texts) => texts.map((text) => [text.length % 7, 1, 2]), { model: "toy", batchSize: 2 }),
  );
  await note("vector search", () => memories.search("x", { mode: "vector" }));
  await note("dropModel", memories.dropModel("toy"));
  await note("timeline", async () =>
    (await memories.timeline({ around: "b", before: 2, after: 2 })).map(({ id }) => id),
  );
  await note("delete", memories.delete("c"));
  await note("deleted", memories.get("c"));
  await note("restore", memories.restore("c"));
  await note("purge", memories.purge("e"));
  await note("duplicates", async () => {
    await memories.insertMany([
      { id: "x1", content: "same" },
      { id: "x2", content: "same" },
    ]);
    return (await memories.findDuplicates()).map((group) => group.map(({ id }) => id));
  });
  await note("stats", memories.stats());
  await note("count", memories.count({ type: "context" }));

  await note("session", sessions.start("s1"));
  await note("session taken", sessions.start("s1"));
  await note("active", sessions.active());
  await note("end", sessions.end("s1", "done"));
  await note("end none", sessions.end("none"));
  await note("latest", sessions.latest(1));

  await note("wall", async () => {
    const other = storage.project("two");
    await other.memories.insert({ id: "a", content: "Migrations of another project" });
    return {
      other: await other.memories.search("migrations"),
      own: (await memories.search("project")).length,
      purged: await other.memories.purge("b"),
    };
  });
  await note(
    "transaction",
    storage.transaction(async (tx) => {
      const { id } = await tx.project("two").memories.insert({ id: "t", content: "in a transaction" });
      await tx.db.update(memoriesTable).set({ source: "drizzle" }).where(eq(memoriesTable.id, id));
      const kept = await tx.savepoint((sp) => sp.memories.insert({ id: "sp", content: "kept" }));
      const undone = await tx
        .savepoint(async (sp) => {
          await sp.memories.insert({ id: "undone", content: "undone" });
          throw new Error("undo");
        })
        .catch(({ message }) => message);
      const outside = await storage.memories.insert({ content: "x" }).catch(({ code }) => code);
      return { kept: kept.id, undone, outside, source: (await tx.project("two").memories.require("t")).source };
    }),
  );
  await note("what is kept", async () => [
    await storage.memories.get("undone"),
    (await storage.memories.require("sp")).id,
  ]);
  await note(
    "rolled back",
    storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "lost", content: "lost" });
      throw new StorageError("INVALID", "mine");
    }),
  );
  await note("handle after its end", async () => {
    let handle;
    await storage.transaction(async (tx) => {
      handle = tx;
    });
    return handle.memories.insert({ content: "late" });
  });
  await note("at once", async () => {
    const inserts = Array.from({ length: 50 }, (_, i) =>
      storage.project("three").memories.insert({ id: `n${i}`, content: `number ${i}` }),
    );
    const transactions = Array.from({ length: 10 }, (_, i) =>
      storage.transaction((tx) => tx.project("three").memories.insert({ id: `t${i}`, content: "x" })),
    );
    await Promise.all([...inserts, ...transactions]);
    return storage.project("three").memories.count();
  });
  await note(
    "Drizzle",
    storage.db
      .select({ project: memoriesTable.project, count: sql`count(*)` })
      .from(memoriesTable)
      .groupBy(memoriesTable.project),
  );
  await note("Drizzle's error", storage.db.run(sql`select * from nowhere`));
  await note("projects", storage.projects());
  await note("purgeProject", storage.purgeProject("three"));
  await note(
    "changes",
    changes.map(({ project, area, action, ids }) => [project, area, action, ids.length]),
  );
  await note("health", async () => {
    const { ok, fts, tables, schemaVersion, lastError } = await storage.health();
    return { ok, fts, tables, schemaVersion, lastError };
  });
  await note("without the index", async () => {
    await storage.client.execute("DROP TABLE memories_fts");
    const found = (await memories.search("migrations")).map(({ memory }) => memory.id);
    return { found, fts: (await storage.health()).fts };
  });
  await note("close", storage.close());
  await note("closed", memories.get("a"));

  await note("again", async () => {
    const again = await openStorage({ url: path, migrate: "verify" });
    const { content } = await again.project("one").memories.require("a");
    await again.close();
    return content;
  });
  writeFileSync(join(dir, "garbage.db"), "garbage ".repeat(1000));
  await note("not a database", openStorage(join(dir, "garbage.db")));
  mkdirSync(join(dir, "folder.db"));
  await note("a folder", openStorage(join(dir, "folder.db")));
  await note("wrong option", openStorage({ url: path, migrate: "maybe" }));
  await note("in memory", async () => {
    const memory = await openStorage(":memory:");
    await memory.memories.insert({ id: "m", content: "in memory" });
    const found = await memory.memories.search("memory");
    await memory.close();
    return found.length;
  });
});

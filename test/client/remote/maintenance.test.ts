import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openStorage, restore, type Storage } from "holdfast";
import { revert, status } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { writeMigrations } from "../../support/migrations.js";
import { startServer, type TestServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

interface Setting extends AsyncDisposable {
  readonly server: TestServer;
  readonly storage: Storage;
  /** Of a replica; a server has its own. */
  readonly path: string;
  readonly dir: string;
}

const TARGETS = ["a server", "an embedded replica"] as const;

async function open(target: (typeof TARGETS)[number]): Promise<Setting> {
  const server = await startServer();
  const folder = await tempDatabase("replica.db");
  const place = target === "a server" ? { url: server.url } : { url: folder.url, syncUrl: server.url };
  const storage = await openStorage(place);
  return {
    server,
    storage,
    path: folder.path,
    dir: folder.dir,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await folder[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Something of every area. */
async function fill(storage: Storage): Promise<void> {
  const { memories, sessions, conversations, graph, stories } = storage.project("a");
  await sessions.start("s");
  await memories.insertMany(
    Array.from({ length: 12 }, (_, i) => ({
      id: `m${i}`,
      content: `memory ${i} of the cluster`,
      createdAt: new Date(i),
    })),
  );
  await memories.setEmbedding("m0", [1, 2, 3], { model: "m" });
  await memories.delete("m1");
  await conversations.insert({ id: "c" });
  await conversations.append("c", [
    { role: "user", content: "which region?" },
    { role: "assistant", content: "Ireland" },
  ]);
  await graph.addNodes(["x", "y"].map((id) => ({ id, kind: "k", name: id })));
  await graph.addEdge({ id: "e", from: "x", to: "y", type: "t" });
  await stories.saveStory("s", { title: "A" });
}

async function linesOf(storage: Storage): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of storage.export()) lines.push(String(line));
  return lines;
}

describe.each(TARGETS)("%s", (target) => {
  test("is checked: sound it has no finding, damaged it has those that say where", async () => {
    await using setting = await open(target);
    const { storage } = setting;
    await fill(storage);
    const severe = async () =>
      (await storage.check({ deep: true })).findings.filter(({ severity }) => severity !== "info");
    expect(await severe()).toEqual([]);
    expect((await storage.check()).ok).toBe(true);
    await storage.client.executeMultiple(`UPDATE memories SET metadata = '{"x":1}' WHERE id = 'm7'`);
    await storage.client.executeMultiple("DROP TABLE messages_fts");
    const phases = new Set<string>();
    const { ok, findings } = await storage.check({ deep: true, onProgress: ({ phase }) => phases.add(phase) });
    expect(ok).toBe(false);
    const found = findings.filter(({ severity }) => severity === "error");
    expect(found.map(({ code }) => code).sort()).toEqual(["CHECKSUM", "OBJECT_MISSING"]);
    expect(found.find(({ code }) => code === "CHECKSUM")?.message).toMatch(/"m7" of project "a"/);
    expect([...phases]).toContain("checksums");
    const { repaired, left } = await storage.repair(findings.filter(({ severity }) => severity === "error"));
    expect(repaired.map(({ code }) => code).sort()).toEqual(["OBJECT_MISSING"]);
    expect(left.map(({ code }) => code)).toEqual(["CHECKSUM"]);
    expect((await severe()).map(({ code }) => code)).toEqual(["CHECKSUM"]);
    expect(await storage.project("a").conversations.search("Ireland")).toHaveLength(1);
    const gone = AbortSignal.abort(new Error("stop"));
    expect((await rejection(storage.check({ signal: gone }))).message).toBe("stop");
  });

  test("reindexes stale entries", async () => {
    await using setting = await open(target);
    const { storage } = setting;
    await fill(storage);
    await storage.client.executeMultiple("INSERT INTO memories_fts(memories_fts) VALUES('delete-all')");
    const { memories } = storage.project("a");
    expect((await memories.search("cluster")).every(({ match }) => match !== "keyword")).toBe(true);
    expect((await storage.reindex()).tables.sort()).toEqual(["memories_fts", "messages_fts", "story_search_fts"]);
    const found = await memories.search("cluster");
    expect(found.length).toBeGreaterThan(5);
    expect(found.every(({ match }) => match === "keyword")).toBe(true);
  });

  test("is pruned as the dry run said, for every client of the primary", async () => {
    await using setting = await open(target);
    const { storage, server } = setting;
    await fill(storage);
    const policy = { project: "a", area: "memories", maxRows: 4 } as const;
    const plan = await storage.prune({ ...policy, dryRun: true });
    expect(plan).toMatchObject({ removed: [{ project: "a", area: "memories", rows: 8 }], dryRun: true });
    expect(await storage.project("a").memories.count()).toBe(11);
    const ids: string[] = [];
    storage.on("change", (change) => ids.push(...change.ids));
    expect(await storage.prune(policy)).toEqual({ ...plan, dryRun: false });
    // The deleted one first, then the oldest.
    expect(ids.sort()).toEqual(["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"]);
    await using other = await openStorage(server.url);
    for (const one of [storage, other]) expect(await one.project("a").memories.count()).toBe(4);
    expect(await storage.prune(policy)).toMatchObject({ removed: [], bytes: 0 });
  });

  test("is exported whole, and imported elsewhere gives the same; what is there already is a conflict", async () => {
    await using setting = await open(target);
    await using other = await open(target);
    await fill(setting.storage);
    const lines = await linesOf(setting.storage);
    const count = lines.length - 1;
    expect(await other.storage.import(lines)).toMatchObject({ inserted: count, replaced: 0, skipped: 0, invalid: [] });
    expect((await linesOf(other.storage)).slice(1)).toEqual(lines.slice(1));
    expect(await rejection(other.storage.import(lines))).toMatchObject({ code: "CONFLICT", line: 2 });
    expect(await other.storage.import(lines, { onConflict: "skip" })).toMatchObject({ skipped: count });
    expect(await other.storage.import(lines, { onConflict: "replace" })).toMatchObject({ replaced: count });
    expect((await linesOf(other.storage)).slice(1).sort()).toEqual(lines.slice(1).sort());
    const bad = [...lines.slice(0, 3), '{"area":"memories"}\n', ...lines.slice(3)];
    expect(await rejection(other.storage.import(bad))).toMatchObject({ code: "INVALID_IMPORT", line: 4 });
    // Into a file, and back out of one.
    await using folder = await tempDatabase();
    await using file = await openStorage(folder.url);
    await file.import(lines);
    expect((await linesOf(file)).slice(1)).toEqual(lines.slice(1));
  });

  test("tells its figures and its health, also when its server is gone", async () => {
    await using setting = await open(target);
    const { storage, server, path } = setting;
    await fill(storage);
    const isReplica = target === "an embedded replica";
    const health = await storage.health();
    expect(health).toMatchObject({ ok: true, path: isReplica ? path : server.url, fts: true, lastError: undefined });
    expect(health.tables).toContainEqual({ table: "memories", rows: 12 });
    const stats = await storage.stats();
    expect(stats.schemaVersion).toBe(health.schemaVersion);
    expect(stats.fileBytes > 0).toBe(isReplica);
    expect(stats.client !== undefined).toBe(isReplica);
    expect(stats.remote).toMatchObject({ unavailable: 0, active: 0, waiting: 0 });
    const lines = await linesOf(storage);
    await server.kill();
    if (isReplica) {
      expect(await storage.health()).toMatchObject({ ok: true });
      expect((await storage.check()).ok).toBe(true);
      expect((await linesOf(storage)).slice(1)).toEqual(lines.slice(1));
    } else {
      expect(await storage.health()).toMatchObject({ ok: false, lastError: expect.stringMatching(/did not answer/) });
      const { ok, findings } = await storage.check();
      expect(ok).toBe(false);
      expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(["NOT_CHECKED"]));
      expect(await rejection(linesOf(storage))).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    }
    for (const work of [
      () => storage.prune({ maxRows: 1 }),
      () => storage.reindex(),
      () => storage.import(lines, { onConflict: "skip" }),
    ]) {
      const error = await rejection(work());
      expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    }
  });

  test("refuses calls that need a file, and names the alternative", async () => {
    await using setting = await open(target);
    const { storage, dir, server } = setting;
    await storage.memories.insert({ id: "a", content: "x" });
    const refused = { code: "NOT_SUPPORTED", message: expect.stringMatching(/backups of its server.*export\(\)/s) };
    expect(await rejection(storage.backup(join(dir, "copy.db")))).toMatchObject(refused);
    expect(await rejection(storage.backups(join(dir, "backups")))).toMatchObject(refused);
    expect(readdirSync(dir).filter((name) => /copy|backups/.test(name))).toEqual([]);
    expect(await rejection(restore(join(dir, "copy.db"), server.url))).toMatchObject({ code: "NOT_SUPPORTED" });
  });

  test("goes back by the down files of a caller's own migrations", async () => {
    await using setting = await open(target);
    await using temp = await tempDatabase();
    const { server } = setting;
    const folder = writeMigrations(temp.dir, [
      { tag: "0000_one", sql: "CREATE TABLE own (x text);", down: "DROP TABLE own;" },
      { tag: "0001_two", sql: "ALTER TABLE own ADD COLUMN y text;", down: "ALTER TABLE own DROP COLUMN y;" },
    ]);
    const migrations = { folder, table: "own_ledger" };
    const place = target === "a server" ? { url: server.url } : { url: temp.url, syncUrl: server.url };
    await using own = await openStorage({ ...place, migrations });
    await own.client.execute("INSERT INTO own VALUES ('kept', 'gone')");
    expect(await revert(own.client, { ...migrations, steps: 1 })).toEqual({
      reverted: ["0001_two"],
      from: "0001_two",
      to: "0000_one",
    });
    expect((await own.client.execute("SELECT * FROM own")).columns).toEqual(["x"]);
    expect(await status(own.client, migrations)).toMatchObject({ applied: ["0000_one"], pending: ["0001_two"] });
  });
});

test("the file of a replica that is closed is backed up from a storage opened on it alone", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase("replica.db");
  const replica = await openStorage({ url: folder.url, syncUrl: server.url });
  await fill(replica);
  await replica.close();
  const destination = join(folder.dir, "copy.db");
  {
    await using alone = await openStorage(folder.url);
    await alone.backup(destination);
  }
  await using copy = await openStorage(destination);
  expect(await copy.project("a").memories.count()).toBe(11);
  // Having been read and copied so, it is a replica as before.
  await using again = await openStorage({ url: folder.url, syncUrl: server.url });
  await again.memories.insert({ id: "later", content: "x" });
  expect(await again.memories.get("later")).toBeDefined();
});

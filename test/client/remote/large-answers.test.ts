import { MultiDirectedGraph } from "graphology";
import { openStorage, type Storage } from "holdfast";
import { expect, test, vi } from "vitest";
import { rejection } from "../../support/clients.js";
import { startServer, type TestServer } from "../../support/server.js";

// Tens of megabytes are indexed, stored and read while the machine does other work.
vi.setConfig({ testTimeout: 120_000 });

/** A tenth of what a server answers by itself: so a tenth of the bytes shows the same. */
const SMALL = ["--max-response-size", "1MB"];
const COUNT = 300;

interface Setting extends AsyncDisposable {
  readonly server: TestServer;
  readonly storage: Storage;
}

async function onServer(args: readonly string[] = SMALL): Promise<Setting> {
  const server = await startServer({ args });
  const storage = await openStorage({ url: server.url, maxContentChars: 10_000_000 });
  return {
    server,
    storage,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A text that says which one it is, and takes its room with words. */
function text(number: number, chars: number): string {
  return `record${number} `.padEnd(chars, "the kubernetes cluster in Ireland has fallen over again, ");
}

function memoriesOf(count: number, chars: number) {
  return Array.from({ length: count }, (_, i) => ({ id: `m${i}`, content: text(i, chars) }));
}

async function linesOf(storage: Storage): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of storage.export()) lines.push(String(line));
  return lines;
}

const withoutHeader = (lines: readonly string[]) => lines.slice(1).sort();

test("110 memories of 100 kB are exported, checked, pruned and imported again at a server's own limits", async () => {
  await using setting = await onServer([]);
  await using other = await onServer([]);
  const { storage } = setting;
  await storage.memories.insertMany(memoriesOf(110, 100_000));
  const lines = await linesOf(storage);
  expect(lines).toHaveLength(111);
  expect(await other.storage.import(lines)).toMatchObject({ inserted: 110 });
  expect(withoutHeader(await linesOf(other.storage))).toEqual(withoutHeader(lines));
  expect(await storage.check({ deep: true })).toEqual({ ok: true, findings: [] });
  expect((await storage.reindex()).tables).toHaveLength(3);
  const { removed } = await storage.prune({ area: "memories", maxRows: 100 });
  expect(removed).toEqual([{ project: "default", area: "memories", rows: 10 }]);
  expect((await storage.memories.search("record109"))[0]?.memory.id).toBe("m109");
});

test("a deep check finds the one damaged record among large ones, and repair makes the repairs that it can", async () => {
  await using setting = await onServer();
  const { storage } = setting;
  await storage.memories.insertMany(memoriesOf(COUNT, 10_000));
  await storage.client.execute("UPDATE memories SET metadata = '{\"x\":1}' WHERE id = 'm7'");
  await storage.client.execute("DROP TRIGGER memories_fts_update");
  const { findings } = await storage.check({ deep: true });
  expect(findings.map(({ code, message }) => [code, /"?(m\d+|memories_fts_update)"?/.exec(message)?.[1]])).toEqual([
    ["OBJECT_MISSING", "memories_fts_update"],
    ["CHECKSUM", "m7"],
  ]);
  const { repaired, left } = await storage.repair(findings);
  expect([repaired.length, left.length]).toEqual([1, 1]);
  expect((await storage.memories.search("record250"))[0]?.memory.id).toBe("m250");
});

test("conversations of large messages are exported, imported, windowed and searched", async () => {
  await using setting = await onServer();
  await using other = await onServer();
  const { conversations } = setting.storage;
  await conversations.insert({ id: "talk" });
  const messages = Array.from({ length: COUNT }, (_, i) => ({ role: "user" as const, content: text(i, 20_000) }));
  // 6 MB of contents in one call: more than a server takes in one value.
  const stored = await conversations.append("talk", messages);
  expect(stored.map(({ seq }) => seq)).toEqual(messages.map((_, i) => i + 1));
  for (let i = 0; i < 30; i++)
    await conversations.addSummary("talk", { date: "2026-01-01", title: "x", text: text(i, 90_000) });
  const document = await conversations.export("talk");
  expect(document.messages.map(({ content }) => content)).toEqual(messages.map(({ content }) => content));
  expect(document.summaries).toHaveLength(30);
  await other.storage.conversations.import(document);
  const again = await other.storage.conversations.export("talk");
  expect({ ...again, conversation: { ...again.conversation, updatedAt: 0 } }).toEqual({
    ...document,
    conversation: { ...document.conversation, updatedAt: 0 },
  });
  expect(await conversations.window("talk", { lastMessages: 200 })).toHaveLength(200);
  const found = await conversations.search("kubernetes", { limit: 20, context: 60 });
  expect(found).toHaveLength(20);
  expect(found.every(({ before, after }) => before!.length + after!.length >= 60)).toBe(true);
  // As somebody else would have left them, in Studio say.
  await setting.storage.client.execute("UPDATE messages SET search_text = NULL");
  expect((await conversations.search("record42"))[0]?.message.seq).toBe(43);
  const lines = await linesOf(setting.storage);
  await using third = await onServer();
  await third.storage.import(lines);
  expect(withoutHeader(await linesOf(third.storage))).toEqual(withoutHeader(lines));
});

test("a graph whose nodes and edges carry much is added, exported, imported, read and walked", async () => {
  await using setting = await onServer();
  await using other = await onServer();
  const { graph } = setting.storage;
  const nodes = Array.from({ length: COUNT }, (_, i) => ({
    id: `n${String(i).padStart(3, "0")}`,
    kind: "k",
    name: `node ${i}`,
    data: { text: text(i, 20_000) },
  }));
  await graph.addNodes(nodes);
  const edges = nodes.slice(1).map(({ id }, i) => ({
    id: `e${i}`,
    from: nodes[i]!.id,
    to: id,
    type: "next",
    data: { text: text(i, 20_000) },
  }));
  await graph.addEdges(edges);
  const lines: string[] = [];
  for await (const line of graph.export()) lines.push(line);
  expect(lines).toHaveLength(2 * COUNT - 1);
  expect(await other.storage.graph.import(lines)).toEqual({ nodes: COUNT, edges: COUNT - 1 });
  const copy = await other.storage.graph.toGraphology(MultiDirectedGraph);
  expect([copy.order, copy.size]).toEqual([COUNT, COUNT - 1]);
  expect(copy.getNodeAttribute("n299", "data")).toEqual(nodes[299]!.data);
  const path = await graph.shortestPath("n000", "n299");
  expect(path?.edges.map(({ id }) => id)).toEqual(edges.map(({ id }) => id));
  expect(path?.edges[298]?.data).toEqual(edges[298]!.data);
  const part = await graph.subgraph({ start: "n000", depth: 100 });
  expect([part.nodes.length, part.edges.length]).toEqual([101, 100]);
  const all = await linesOf(setting.storage);
  await using third = await onServer();
  await third.storage.import(all);
  expect(withoutHeader(await linesOf(third.storage))).toEqual(withoutHeader(all));
});

test("a graph whose ids are more than a server takes in one value is read in pieces", async () => {
  await using setting = await onServer([]);
  const { storage } = setting;
  // Ids of 200 characters: 6 MB of them.
  const name = (i: number) => `${i}`.padStart(6, "0").padEnd(200, "-");
  const sql = `with recursive n(i) as (select 0 union all select i + 1 from n where i < 29999)
    insert into graph_nodes (project, id, kind, name, data, created_at, updated_at)
    select 'default', printf('%06d', i) || substr(replace(hex(zeroblob(97)), '0', '-'), 1, 194), 'k', 'x', '{}', 0, 0 from n`;
  await storage.client.execute(sql);
  await storage.graph.addEdge({ from: name(0), to: name(29_999), type: "t" });
  expect(await storage.graph.bfs(name(0))).toEqual([name(0), name(29_999)]);
  expect(await storage.graph.degree(name(29_999))).toMatchObject({ in: 1 });
  expect((await storage.graph.components()).length).toBe(29_999);
});

test("stories with long histories are listed, searched, copied and exported", async () => {
  await using setting = await onServer();
  await using other = await onServer();
  const { stories } = setting.storage;
  for (let i = 0; i < 10; i++) {
    for (const revision of [0, 1, 2]) {
      await stories.saveStory(`s${i}`, { title: `Story ${i}`, revision, text: text(i, 400_000) });
    }
  }
  expect(await stories.listStories()).toHaveLength(10);
  const found = await stories.searchStories("kubernetes", { limit: 10 });
  expect(found).toHaveLength(10);
  await expectCopy(setting.storage, other.storage);
  const lines = await linesOf(setting.storage);
  await using third = await onServer();
  await third.storage.import(lines);
  expect(withoutHeader(await linesOf(third.storage))).toEqual(withoutHeader(lines));
});

async function expectCopy(from: Storage, to: Storage): Promise<void> {
  const { copyStories } = await import("holdfast/stories");
  expect(await copyStories(from.stories, to.stories)).toMatchObject({ copied: 10 });
  expect((await to.stories.revisions("s7")).length).toBe(3);
}

test("a search whose candidates are large has the same results as on a file, with and without its index", async () => {
  await using setting = await onServer();
  const { storage } = setting;
  await storage.memories.insertMany(memoriesOf(COUNT, 10_000));
  const ids = (found: readonly { readonly memory: { readonly id: string } }[]) => found.map(({ memory }) => memory.id);
  const words = ids(await storage.memories.search("kubernetes record17", { limit: 250 }));
  expect(words[0]).toBe("m17");
  expect(new Set(words).size).toBe(250);
  expect(ids(await storage.memories.search("uberne", { limit: 250 }))).toHaveLength(250);
  await storage.transaction(
    async (tx) => expect(ids(await tx.memories.search("kubernetes record17", { limit: 250 }))).toEqual(words),
    { mode: "read" },
  );
  await storage.client.executeMultiple("DROP TABLE memories_fts");
  const scanned = ids(await storage.memories.search("kubernetes record17", { limit: 250 }));
  expect(scanned[0]).toBe("m17");
  expect(new Set(scanned).size).toBe(250);
});

test("vectors are made of large memories in batches that fit", async () => {
  await using setting = await onServer();
  const { memories } = setting.storage;
  await memories.insertMany(memoriesOf(100, 30_000));
  const sizes: number[] = [];
  const result = await memories.reembed(
    (texts) => {
      sizes.push(texts.length);
      return Promise.resolve(texts.map(() => [1, 2, 3]));
    },
    { model: "m" },
  );
  expect(result).toMatchObject({ embedded: 100 });
  expect(Math.max(...sizes)).toBeLessThan(64);
  expect(await memories.nearest([1, 2, 3], { model: "m", limit: 100 })).toHaveLength(100);
});

test("prune and purgeProject reach records whose ids alone are more than an answer holds", async () => {
  await using setting = await onServer(["--max-response-size", "100KB"]);
  const { storage } = setting;
  const purged = Array.from({ length: 3_000 }, (_, i) => ({ id: `m${i}`.padEnd(60, "-"), content: "x" }));
  await storage.project("a").memories.insertMany(purged);
  await storage.project("b").memories.insertMany(purged);
  const ids: string[] = [];
  storage.on("change", (change) => ids.push(...change.ids));
  const plan = await storage.prune({ project: "b", maxRows: 10, dryRun: true });
  expect(plan.removed).toEqual([{ project: "b", area: "memories", rows: 2_990 }]);
  expect(await storage.purgeProject("a")).toBe(3_000);
  expect(new Set(ids).size).toBe(3_000);
  expect(await storage.projects()).toEqual([{ project: "b", count: 3_000 }]);
});

test("a call whose size the caller chose rejects with the way out, and the storage goes on", async () => {
  await using setting = await onServer();
  const { storage } = setting;
  await storage.memories.insertMany(memoriesOf(COUNT, 10_000));
  const failures: unknown[] = [];
  storage.on("error", (error) => failures.push(error));
  const refused = {
    name: "StorageError",
    code: "RESPONSE_TOO_LARGE",
    retryable: false,
    message: expect.stringMatching(/fewer at a time.*/),
  };
  expect(await rejection(storage.memories.list({ limit: COUNT }))).toMatchObject(refused);
  const ids = Array.from({ length: COUNT }, (_, i) => `m${i}`);
  expect(await rejection(storage.memories.getMany(ids))).toMatchObject(refused);
  expect(await rejection(storage.client.execute("SELECT * FROM memories"))).toMatchObject({
    name: "LibsqlError",
    code: "RESPONSE_TOO_LARGE",
    message: expect.stringMatching(/--max-response-size/),
  });
  expect((await storage.memories.list({ limit: 20 })).items).toHaveLength(20);
  expect(failures).toEqual([]);
  expect(await storage.health()).toMatchObject({ ok: true, lastError: undefined });
});

test("a read that is refused leaves its transaction open; a write that is refused stores nothing", async () => {
  await using setting = await onServer();
  const { storage } = setting;
  await storage.memories.insertMany(memoriesOf(COUNT, 10_000));
  await storage.transaction(async (tx) => {
    await tx.memories.insert({ id: "before", content: "x" });
    expect(await rejection(tx.memories.list({ limit: COUNT }))).toMatchObject({ code: "RESPONSE_TOO_LARGE" });
    await tx.savepoint(async (inner) => {
      expect(await rejection(inner.memories.list({ limit: COUNT }))).toMatchObject({ code: "RESPONSE_TOO_LARGE" });
    });
    await tx.memories.insert({ id: "after", content: "x" });
  });
  expect(await storage.memories.getMany(["before", "after"])).toHaveLength(2);
  const write = "UPDATE memories SET source = 'changed' RETURNING content";
  const changed = async () =>
    (await storage.client.execute("SELECT count(*) FROM memories WHERE source = 'changed'")).rows[0]![0];
  const refused = {
    name: "LibsqlError",
    code: "RESPONSE_TOO_LARGE",
    message: expect.stringMatching(/nothing was stored/),
  };
  expect(await rejection(storage.client.execute(write))).toMatchObject(refused);
  expect(await changed()).toBe(0);
  // Writes that travel with it are not refused along.
  const together = await Promise.allSettled([
    storage.sessions.start("one"),
    storage.client.execute(write),
    storage.sessions.start("two"),
  ]);
  expect(together.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await changed()).toBe(0);
  const transaction = await storage.client.transaction("write");
  expect(await rejection(transaction.execute(write))).toMatchObject({ code: "RESPONSE_TOO_LARGE" });
  expect(await rejection(transaction.commit())).toMatchObject({ code: "TRANSACTION_CLOSED" });
  expect(await changed()).toBe(0);
});

test("many records travel in one call; one that is larger than a server takes is refused with its limit", async () => {
  await using setting = await onServer([]);
  const { storage } = setting;
  expect(await storage.memories.insertMany(memoriesOf(60, 200_000))).toHaveLength(60);
  const tooLarge = { name: "StorageError", code: "INVALID", message: expect.stringMatching(/5 MB.*store it in parts/) };
  expect(await rejection(storage.memories.insert({ id: "big", content: text(0, 6_000_000) }))).toMatchObject(tooLarge);
  expect(await rejection(storage.stories.saveStory("big", { title: "A", text: text(0, 20_000_000) }))).toMatchObject(
    tooLarge,
  );
  await storage.transaction(async (tx) => {
    expect(await rejection(tx.memories.insert({ id: "big", content: text(0, 6_000_000) }))).toMatchObject(tooLarge);
    await tx.memories.insert({ id: "small", content: "x" });
  });
  expect(await storage.memories.getMany(["big", "small"])).toMatchObject([{ id: "small" }]);
  const raw = storage.client.execute({ sql: "SELECT ?", args: ["x".repeat(6_000_000)] });
  expect(await rejection(raw)).toMatchObject({ name: "LibsqlError", code: "SQLITE_TOOBIG" });
});

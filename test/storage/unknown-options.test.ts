import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkFile, openStorage, restore } from "holdfast";
import { createClient } from "holdfast/client";
import { create, createStorage, FileLock, open, use } from "holdfast/memvid";
import { findMissingObjects, migrate, restoreMissingObjects, revert, status, verify } from "holdfast/migrate";
import { Autosave, copyStories, openStories, StoryMigrations } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { tempFileStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

/** An options object with a name that no call has. */
// biome-ignore lint/suspicious/noExplicitAny: what a caller without types may give
type Wrong = any;
type Call = (wrong: Wrong) => unknown;

/** The message of the TypeError that a call throws or rejects with. */
async function refusal(call: () => unknown, name = "the call"): Promise<string> {
  try {
    await call();
  } catch (error) {
    // The calls in the shape of memvid wrap the error.
    const own = error instanceof TypeError ? error : (error as Error).cause;
    expect(own).toBeInstanceOf(TypeError);
    return (own as Error).message;
  }
  throw new Error(`${name} took the option`);
}

describe("the error names an unknown option", () => {
  test("by every call of a storage and its repositories", async () => {
    await using temp = await tempFileStorage();
    const { storage, db } = temp;
    const { memories, sessions, conversations, graph, stories } = storage;
    await memories.insert({ id: "m", content: "one" });
    const { id } = await conversations.insert({ id: "c", messages: [{ id: "m1", role: "user", content: "x" }] });
    await graph.addNodes([
      { id: "a", kind: "k", name: "a" },
      { id: "b", kind: "k", name: "b" },
    ]);
    await graph.addEdge({ id: "e", from: "a", to: "b", type: "t" });
    await stories.saveStory("s", { title: "s" });
    const vector = [1, 2];
    const embed = async () => [];
    const calls: Record<string, Call> = {
      transaction: (o) => storage.transaction(async () => undefined, o),
      "project().transaction": (o) => storage.project("p").transaction(async () => undefined, o),
      backup: (o) => storage.backup(join(db.dir, "copy.db"), o),
      backups: (o) => storage.backups(join(db.dir, "copies"), o),
      check: (o) => storage.check(o),
      repair: (o) => storage.repair([], o),
      reindex: (o) => storage.reindex(o),
      prune: (o) => storage.prune({ maxRows: 1, ...o }),
      export: (o) => storage.export(o),
      import: (o) => storage.import("", o),
      "pool.acquire": (o) => (storage.client as Wrong).pool.acquire(o),
      "memories.insert": (o) => memories.insert({ content: "x", ...o }),
      "memories.insertMany": (o) => memories.insertMany([{ content: "x", ...o }]),
      "memories.put": (o) => memories.put("m", { content: "x", ...o }),
      "memories.get": (o) => memories.get("m", o),
      "memories.list": (o) => memories.list(o),
      "memories.update": (o) => memories.update("m", o),
      "memories.count": (o) => memories.count(o),
      "memories.findDuplicates": (o) => memories.findDuplicates(o),
      "memories.timeline": (o) => memories.timeline({ around: "m", ...o }),
      "memories.search": (o) => memories.search("x", o),
      "memories.search snippet": (o) => memories.search("x", { snippet: o }),
      "memories.nearest": (o) => memories.nearest(vector, { model: "m", ...o }),
      "memories.setEmbedding": (o) => memories.setEmbedding("m", vector, { model: "m", ...o }),
      "memories.unembedded": (o) => memories.unembedded({ model: "m", ...o }),
      "memories.reembed": (o) => memories.reembed(embed, { model: "m", ...o }),
      "sessions.start": (o) => sessions.start("x", o),
      "sessions.insertMany": (o) => sessions.insertMany([o]),
      "sessions.list": (o) => sessions.list(o),
      "conversations.insert": (o) => conversations.insert(o),
      "conversations.insertMany": (o) => conversations.insertMany([o]),
      "conversations.insert message": (o) => conversations.insert({ messages: [{ role: "user", content: "x", ...o }] }),
      "conversations.append": (o) => conversations.append(id, { role: "user", content: "x", ...o }),
      "conversations.get": (o) => conversations.get(id, o),
      "conversations.list": (o) => conversations.list(o),
      "conversations.update": (o) => conversations.update(id, o),
      "conversations.messages": (o) => conversations.messages(id, o),
      "conversations.window": (o) => conversations.window(id, o),
      "conversations.updateMessage": (o) => conversations.updateMessage("m1", o),
      "conversations.search": (o) => conversations.search("x", o),
      "conversations.linkRef": (o) => conversations.linkRef("m1", { kind: "k", target: "t", ...o }),
      "conversations.unlinkRef": (o) => conversations.unlinkRef("m1", { kind: "k", target: "t", ...o }),
      "conversations.addSummary": (o) =>
        conversations.addSummary(id, { date: "2026-01-31", title: "t", text: "t", ...o }),
      "conversations.summaries": (o) => conversations.summaries(o),
      "conversations.fork": (o) => conversations.fork(id, o),
      "graph.addNode": (o) => graph.addNode({ kind: "k", name: "x", ...o }),
      "graph.addNodes": (o) => graph.addNodes([{ kind: "k", name: "x", ...o }]),
      "graph.putNode": (o) => graph.putNode({ id: "a", kind: "k", name: "x", ...o }),
      "graph.findNodes": (o) => graph.findNodes(o),
      "graph.updateNode": (o) => graph.updateNode("a", o),
      "graph.addEdge": (o) => graph.addEdge({ from: "a", to: "b", type: "x", ...o }),
      "graph.addEdges": (o) => graph.addEdges([{ from: "a", to: "b", type: "x", ...o }]),
      "graph.edges": (o) => graph.edges(o),
      "graph.updateEdge": (o) => graph.updateEdge("e", o),
      "graph.neighbors": (o) => graph.neighbors("a", o),
      "graph.bfs": (o) => graph.bfs("a", o),
      "graph.kHop": (o) => graph.kHop("a", 1, o),
      "graph.shortestPath": (o) => graph.shortestPath("a", "b", o),
      "graph.hasPath": (o) => graph.hasPath("a", "b", 1, o),
      "graph.cycles": (o) => graph.cycles(o),
      "graph.chain": (o) => graph.chain("a", [{ direction: "out", ...o }]),
      "graph.match": (o) => graph.match([{ as: "x" }], o),
      "graph.match node": (o) => graph.match([{ as: "x", ...o }]),
      "graph.match edge": (o) => graph.match([{ as: "x" }, o, { as: "y" }]),
      "graph.subgraph": (o) => graph.subgraph({ start: "a", ...o }),
      "graph.pageRank": (o) => graph.pageRank(o),
      "graph.rankedBy": (o) => graph.rankedBy("in", o),
      "stories.saveStory": (o) => stories.saveStory("s", { title: "x" }, o),
      "stories.saveStory metadata": (o) => stories.saveStory("s", { title: "x" }, { metadata: o }),
      "stories.loadStory": (o) => stories.loadStory("s", o),
      "stories.listStories": (o) => stories.listStories(o),
      "stories.updateMetadata": (o) => stories.updateMetadata("s", o),
      "stories.searchStories": (o) => stories.searchStories("x", o),
      "stories.batchSave": (o) => stories.batchSave({}, o),
      Autosave: (o) => new Autosave({ service: stories, ...o }),
      StoryMigrations: (o) => new StoryMigrations({ service: stories, ...o }),
      "StoryMigrations.migrate": (o) => new StoryMigrations({ service: stories }).migrate("s", o),
      "StoryMigrations.migrateAll": (o) => new StoryMigrations({ service: stories }).migrateAll(o),
      copyStories: (o) => copyStories(stories, storage.project("p").stories, o),
    };
    let changes = 0;
    storage.on("change", () => changes++);
    for (const [name, call] of Object.entries(calls)) {
      const message = await refusal(() => call({ nope: 1 }), name);
      expect(message, name).toMatch(/^Unknown option `nope` of .+\. Known options: \w+/);
      // A key without a value is a mistake too.
      expect(await refusal(() => call({ nope: undefined }), name), name).toBe(message);
    }
    expect(changes).toBe(0);
    expect(existsSync(join(db.dir, "copies"))).toBe(false);
  });

  test("in calls that open a storage, a client, stories, a lock or a file, and in migrations", async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: ":memory:" });
    const folder = new URL("../../drizzle", import.meta.url);
    const calls: Record<string, Call> = {
      openStorage: (o) => openStorage({ url: db.url, ...o }),
      "openStorage checkpoint": (o) => openStorage({ url: db.url, checkpoint: o }),
      "openStorage migrations": (o) => openStorage({ url: db.url, migrations: { folder, table: "own", ...o } }),
      "openStorage stories": (o) => openStorage({ url: db.url, stories: o }),
      createClient: (o) => createClient({ url: db.url, ...o }),
      "createClient of a server": (o) => createClient({ url: "http://127.0.0.1:1", ...o }),
      openStories: (o) => openStories({ path: db.path, ...o }),
      createStorage: (o) => createStorage({ path: db.path, ...o }),
      create: (o) => create(db.path, "basic", "key", o),
      use: (o) => use("basic", db.path, "key", { mode: "create", ...o }),
      FileLock: (o) => new FileLock(db.path, o),
      restore: (o) => restore(db.path, join(db.dir, "target.db"), o),
      checkFile: (o) => checkFile(db.path, o),
      migrate: (o) => migrate(client, { folder, ...o }),
      status: (o) => status(client, { folder, ...o }),
      verify: (o) => verify(client, { folder, ...o }),
      revert: (o) => revert(client, { folder, steps: 1, ...o }),
      findMissingObjects: (o) => findMissingObjects(client, { folder, ...o }),
      restoreMissingObjects: (o) => restoreMissingObjects(client, { folder, ...o }),
    };
    for (const [name, call] of Object.entries(calls)) {
      const message = await refusal(() => call({ nope: 1 }), name);
      expect(message, name).toMatch(/^Unknown option `nope` of .+\. Known options: \w+/);
      expect(existsSync(db.path), name).toBe(false);
    }
    expect(existsSync(db.path)).toBe(false);
    await client.close();
  });

  test("in the calls in the shape of memvid", async () => {
    await using db = await tempDatabase();
    const memvid = await create(db.path);
    const calls: Record<string, Call> = {
      put: (o) => memvid.put({ text: "x", ...o }),
      putMany: (o) => memvid.putMany([], o),
      find: (o) => memvid.find("x", o),
      vecSearch: (o) => memvid.vecSearch("x", [1], o),
      timeline: (o) => memvid.timeline(o),
      verify: (o) => memvid.verify(o),
      doctor: (o) => memvid.doctor(o),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect(await refusal(() => call({ nope: 1 }), name), name).toMatch(
        /^Unknown option `nope` of .+ Known options: \w+/,
      );
    }
    await memvid.close();
  });
});

test.each([
  ["path", "url"],
  ["file", "url"],
  ["filename", "url"],
  ["dbPath", "url"],
  ["database", "url"],
  ["ulr", "url"],
  ["datadir", "dataDir"],
  ["data_dir", "dataDir"],
  ["auth_token", "authToken"],
  ["busyTimeout", "busyTimeoutMs"],
  ["Durability", "durability"],
  ["durabilty", "durability"],
  ["loger", "logger"],
])("openStorage({ %s }) suggests the option `%s`", async (slip, right) => {
  await using db = await tempDatabase();
  const message = await refusal(() => openStorage({ [slip]: db.path } as never));
  expect(message).toMatch(`Unknown option \`${slip}\` of openStorage: did you mean \`${right}\`? Known options: url, `);
  expect(existsSync(db.path)).toBe(false);
});

test("every call that opens something suggests `readOnly` for `readonly`", async () => {
  await using db = await tempDatabase();
  const slip: Wrong = { readonly: true };
  const openers: Record<string, () => unknown> = {
    openStorage: () => openStorage({ url: db.url, ...slip }),
    createClient: () => createClient({ url: db.url, ...slip }),
    openStories: () => openStories({ path: db.path, ...slip }),
    createStorage: () => createStorage({ path: db.path, ...slip }),
    create: () => create(db.path, "basic", "key", slip),
    open: () => open(db.path, "basic", slip),
    use: () => use("basic", db.path, slip),
  };
  for (const [name, open] of Object.entries(openers)) {
    expect(await refusal(open, name), name).toMatch("Unknown option `readonly`");
    expect(await refusal(open, name), name).toMatch("did you mean `readOnly`?");
  }
  expect(existsSync(db.path)).toBe(false);
});

test("a name unlike any option gets no suggestion, and a call suggests its own name for a misspelled one", async () => {
  expect(await refusal(() => openStorage({ xyzzy: 1 } as never))).toMatch(/^Unknown option `xyzzy` of openStorage\. /);
  expect(await refusal(() => openStories({ url: "x" } as never))).toMatch("did you mean `path`?");
  expect(await refusal(() => createClient({ path: "x" } as never))).toMatch("did you mean `url`?");
});

test("createClient accepts every option of @libsql/client", async () => {
  const config = {
    url: ":memory:",
    authToken: "t",
    encryptionKey: undefined as never,
    remoteEncryptionKey: "k",
    syncUrl: "",
    syncInterval: 0,
    readYourWrites: true,
    offline: false,
    tls: true,
    intMode: "number" as const,
    fetch: globalThis.fetch,
    concurrency: 4,
    timeout: 100,
  };
  const client = createClient(config);
  expect((await client.execute("SELECT 1")).rows[0]![0]).toBe(1);
  await client.close();
});

describe("a promise, a Map or a Date is refused as options", () => {
  const objects = { Promise: Promise.resolve("./mine.db"), Map: new Map([["project", "none"]]), Date: new Date() };

  test.each(Object.entries(objects))("%s", async (_name, value: Wrong) => {
    // A forgotten await once opened the default database.
    const expected = "a plain object, got ";
    expect(await refusal(() => openStorage(value))).toMatch(expected);
    expect(await refusal(() => openStories(value))).toMatch(expected);
    await using temp = await tempFileStorage();
    const { storage } = temp;
    expect(await refusal(() => storage.export(value))).toMatch(expected);
    expect(await refusal(() => storage.memories.list(value))).toMatch(expected);
    expect(await refusal(() => storage.transaction(async () => undefined, value))).toMatch(expected);
    expect(await refusal(() => storage.conversations.insert(value))).toMatch(expected);
  });
});

describe("options as an argument more than the call takes are refused", () => {
  test("by calls that open something, which would leave a file unencrypted or writable", async () => {
    await using db = await tempDatabase();
    const options: Wrong = { encryptionKey: "k", readOnly: true };
    const calls: Record<string, (more: Wrong) => unknown> = {
      openStorage: (more) => (openStorage as Wrong)(db.url, more),
      openStories: (more) => (openStories as Wrong)({ path: db.path }, more),
      createClient: (more) => (createClient as Wrong)({ url: db.url }, more),
      createStorage: (more) => (createStorage as Wrong)({ path: db.path }, more),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect(await refusal(() => call(options), name)).toMatch(
        new RegExp(
          `^Expected ${name} to get one argument at most, got Object as argument 2: pass (all )?options in its place, with the`,
        ),
      );
      // It may be a key.
      expect(await refusal(() => call("secret"), name)).not.toContain("secret");
    }
    expect(existsSync(db.path)).toBe(false);
  });
});

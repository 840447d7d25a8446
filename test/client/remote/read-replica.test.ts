import { openStorage, type Storage } from "holdfast";
import { Autosave, copyStories, StoryMigrations } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { holdReplication } from "../../support/held-replication.js";
import { caughtUp, startServer, type TestServer } from "../../support/server.js";

interface Setting extends AsyncDisposable {
  readonly primary: TestServer;
  readonly replica: TestServer;
  /** Opened on the replica. */
  readonly storage: Storage;
  readonly hold: () => void;
}

const REQUEST_TIMEOUT_MS = 4_000;
/** The server's own tries to reach each other come about once a second. */
const RECOVERY = { timeout: 40_000, interval: 100 };

/** A primary with the memory `before`, and a read replica that has it; with `isHeld`, `hold` makes it lag from then on. */
async function replicated({ isHeld = false } = {}): Promise<Setting> {
  const primary = await startServer();
  const direct = await openStorage(primary.url);
  await direct.memories.insert({ id: "before", content: "from before" });
  await direct.close();
  const replication = isHeld ? await holdReplication(primary.grpcUrl) : undefined;
  const replica = await startServer({ primaryGrpcUrl: replication?.url ?? primary.grpcUrl });
  await caughtUp(replica);
  const storage = await openStorage({ url: replica.url, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  return {
    primary,
    replica,
    storage,
    hold: () => replication?.hold(),
    async [Symbol.asyncDispose]() {
      await storage.close();
      await replica[Symbol.asyncDispose]();
      await replication?.[Symbol.asyncDispose]();
      await primary[Symbol.asyncDispose]();
    },
  };
}

test("a read replica whose primary is killed serves reads, refuses writes in time, and recovers by itself", async () => {
  await using setting = await replicated();
  const { primary, replica, storage } = setting;
  await primary.kill();
  expect(await storage.memories.get("before")).toBeDefined();
  expect(await storage.memories.search("before")).toHaveLength(1);
  expect(await storage.memories.list()).toMatchObject({ items: [{ id: "before" }] });
  expect(await storage.health()).toMatchObject({ ok: true });
  const start = performance.now();
  const errors = await Promise.all([
    rejection(storage.memories.insert({ id: "lost", content: "x" })),
    rejection(storage.memories.insertMany([{ content: "x" }, { content: "y" }])),
    rejection(storage.transaction((tx) => tx.memories.insert({ content: "x" }))),
    // sqld runs every transaction on the primary, those that only read too.
    rejection(storage.transaction((tx) => tx.memories.count(), { mode: "read" })),
  ]);
  expect(performance.now() - start).toBeLessThan(30_000);
  for (const error of errors) expect(error).toMatchObject({ code: "UNAVAILABLE" });
  // It has been sent to a server that is there: that one may still have passed it on.
  expect(errors[0]).toMatchObject({ retryable: false, outcome: "unknown" });
  expect(errors[2]).toMatchObject({ outcome: undefined });
  expect(errors[3]).toMatchObject({ retryable: true });
  // Who opens a storage now can read as well.
  await using late = await openStorage({ url: replica.url, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  expect(await late.memories.get("before")).toBeDefined();
  await primary.restart();
  const write = () => storage.memories.put("after", { content: "x" }).catch(() => undefined);
  await expect.poll(write, RECOVERY).toMatchObject({ id: "after" });
  await expect.poll(() => storage.memories.get("after"), RECOVERY).toBeDefined();
  await storage.transaction((tx) => tx.sessions.start("after"));
  await using direct = await openStorage(primary.url);
  expect(await direct.sessions.get("after")).toBeDefined();
  expect((await storage.stats()).remote).toMatchObject({ active: 0, waiting: 0 });
});

test("a read replica that has not caught up since its start cannot answer reads without its primary", async () => {
  await using primary = await startServer();
  const direct = await openStorage(primary.url);
  await direct.memories.insert({ id: "before", content: "from before" });
  await direct.close();
  await using replication = await holdReplication(primary.grpcUrl);
  replication.hold();
  await using replica = await startServer({ primaryGrpcUrl: replication.url });
  // The answers that migrating reads are as large as pages, and so would be held.
  await using storage = await openStorage({ url: replica.url, requestTimeoutMs: 1_000, migrate: "skip" });
  const read = () => storage.memories.get("before");
  expect(await read()).toBeDefined();
  await primary.kill();
  expect(await rejection(read())).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  await primary.restart();
  replication.release();
  await expect.poll(() => read().catch(() => undefined), RECOVERY).toBeDefined();
  await caughtUp(replica);
  await primary.kill();
  expect(await read()).toBeDefined();
});

test("a read replica that is killed is UNAVAILABLE at once, and has the missed writes when it is back", async () => {
  await using setting = await replicated();
  const { primary, replica, storage } = setting;
  await replica.kill();
  for (const work of [
    () => storage.memories.get("before"),
    () => storage.memories.insert({ content: "x" }),
    () => storage.transaction((tx) => tx.memories.insert({ content: "x" })),
  ]) {
    expect(await rejection(work())).toMatchObject({ code: "UNAVAILABLE", retryable: true, outcome: undefined });
  }
  await using direct = await openStorage(primary.url);
  await direct.memories.insert({ id: "meanwhile", content: "x" });
  await replica.restart();
  const read = (id: string) => () => storage.memories.get(id).catch(() => undefined);
  await expect.poll(read("meanwhile"), RECOVERY).toBeDefined();
  await storage.memories.insert({ id: "through", content: "x" });
  expect(await direct.memories.get("through")).toBeDefined();
  await expect.poll(read("through"), RECOVERY).toBeDefined();
});

test("a read replica that is restarted without its primary answers once that is back", async () => {
  await using setting = await replicated();
  const { primary, replica, storage } = setting;
  await replica.kill();
  await primary.kill();
  await replica.restart();
  // It opens its database only when it has reached the primary.
  const [read, written] = [storage.memories.get("before"), storage.memories.insert({ content: "x" })].map(rejection);
  expect(await read).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  expect(await written).toMatchObject({ code: "UNAVAILABLE" });
  await primary.restart();
  await expect.poll(() => storage.memories.get("before").catch(() => undefined), RECOVERY).toBeDefined();
  const write = () => storage.memories.put("after", { content: "x" }).catch(() => undefined);
  await expect.poll(write, RECOVERY).toMatchObject({ id: "after" });
});

test("a write through a read replica fails with the code, table and columns of the primary, and alone", async () => {
  await using setting = await replicated();
  const { storage, primary } = setting;
  await using direct = await openStorage(primary.url);
  const ids = ["a", "b", "before", "c", "d"];
  const settled = await Promise.allSettled(ids.map((id) => storage.memories.insert({ id, content: "x" })));
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect((settled[2] as PromiseRejectedResult).reason).toMatchObject({
    code: "CONFLICT",
    table: "memories",
    columns: ["project", "id"],
  });
  await direct.client.execute(
    "CREATE TABLE rules (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, n INT CHECK (n > 0), up INT REFERENCES rules)",
  );
  await direct.client.execute("INSERT INTO rules VALUES (1, 'x', 1, NULL)");
  const failures = [
    "INSERT INTO rules VALUES (1, 'y', 1, NULL)",
    "INSERT INTO rules VALUES (2, 'x', 1, NULL)",
    "INSERT INTO rules VALUES (2, NULL, 1, NULL)",
    "INSERT INTO rules VALUES (2, 'y', 0, NULL)",
    "INSERT INTO rules VALUES (2, 'y', 1, 9)",
    "INSERT INTO rules VALUES ('text', 'y', 1, NULL)",
    "INSERT INTO nowhere VALUES (1)",
    "INSERT INTO rules (unheard) VALUES (1)",
    "UPDATE rules SET name = json('{')",
  ];
  const told = (error: unknown) => {
    const { code, extendedCode, message } = error as { code: string; extendedCode?: string; message: string };
    return { code, extendedCode, message };
  };
  for (const sql of failures) {
    const expected = told(await rejection(direct.client.execute(sql)));
    expect(told(await rejection(storage.client.execute(sql))), sql).toEqual(expected);
    const inBatch = ["SELECT 1", sql];
    const ofBatch = await rejection(direct.client.batch(inBatch, "write"));
    const throughReplica = await rejection(storage.client.batch(inBatch, "write"));
    expect(told(throughReplica), sql).toEqual(told(ofBatch));
    expect(throughReplica, sql).toMatchObject({ statementIndex: 1 });
  }
  for (const { client } of [direct, storage]) {
    await client.execute("DELETE FROM rules WHERE id > 1");
    const together = ["'a'", "json('{')", "'b'"].map((name, i) =>
      client.execute(`INSERT INTO rules (id, name, n) VALUES (${i + 2}, ${name}, 1)`),
    );
    const states = (await Promise.allSettled(together)).map(({ status }) => status);
    expect(states).toEqual(["fulfilled", "rejected", "fulfilled"]);
  }
  // The transaction survives what ends no transaction on the primary.
  await storage.transaction(async (tx) => {
    await tx.memories.insert({ id: "kept", content: "x" });
    expect(await rejection(tx.memories.insert({ id: "before", content: "x" }))).toMatchObject({ code: "CONFLICT" });
    await tx.memories.insert({ id: "kept-2", content: "x" });
  });
  expect(await direct.memories.getMany(["kept", "kept-2"])).toHaveLength(2);
});

describe("through a read replica that surely lags, since its replication is held", () => {
  test("the primary's state decides what a call writes", async () => {
    await using setting = await replicated({ isHeld: true });
    const { storage, hold } = setting;
    const thread = await storage.conversations.insert({ id: "thread" });
    hold();
    await storage.memories.insert({ id: "m", content: "first" });
    expect(await storage.memories.get("m")).toBeUndefined();
    expect(await storage.memories.update("m", { content: "second" })).toMatchObject({ content: "second" });
    expect(await storage.memories.delete("m")).toBe(true);
    expect(await storage.memories.restore("m")).toBe(true);
    const message = { role: "user", content: "x", clientId: "c" } as const;
    const first = await storage.conversations.append(thread.id, message);
    expect(await storage.conversations.append(thread.id, message)).toEqual({ ...first, repeated: true });
    expect(await storage.memories.update("unknown", { content: "x" })).toBeUndefined();
    expect(await storage.memories.restore("unknown")).toBe(false);
    expect(await storage.prune({ area: "memories", maxRows: 0 })).toMatchObject({ removed: [{ rows: 2 }] });
  });

  test("a batch that fails names the record whose id the primary has", async () => {
    await using setting = await replicated({ isHeld: true });
    const { storage, hold } = setting;
    hold();
    await storage.graph.addNode({ id: "n", kind: "k", name: "n" });
    await storage.conversations.insert({ id: "c" });
    const node = (id: string) => ({ id, kind: "k", name: id });
    const taken = { code: "CONFLICT", index: 1 };
    expect(await rejection(storage.graph.addNodes([node("a"), node("n")]))).toMatchObject({ ...taken, id: "n" });
    await storage.graph.addNode(node("o"));
    const edge = { id: "e", from: "n", to: "o", type: "t" };
    await storage.graph.addEdge(edge);
    const edges = [{ ...edge, id: "f", type: "u" }, edge];
    expect(await rejection(storage.graph.addEdges(edges))).toMatchObject({ ...taken, id: "e" });
    const threads = [{ id: "b" }, { id: "c" }];
    expect(await rejection(storage.conversations.insertMany(threads))).toMatchObject({ ...taken, id: "c" });
  });

  test("reembed asks for each vector once", async () => {
    await using setting = await replicated({ isHeld: true });
    const { storage, hold } = setting;
    await storage.memories.insertMany([{ content: "one" }, { content: "two" }]);
    await expect.poll(() => storage.memories.count(), RECOVERY).toBe(3);
    hold();
    await storage.memories.insert({ content: "three" });
    const texts: string[] = [];
    const embed = async (batch: string[]) => {
      texts.push(...batch);
      if (texts.length > 8) throw new Error(`asked for ${texts.join()}`);
      return batch.map(() => new Float32Array([1, 2]));
    };
    expect(await storage.memories.reembed(embed, { model: "m", batchSize: 2 })).toEqual({ embedded: 4, remaining: 0 });
    expect(texts.sort()).toEqual(["from before", "one", "three", "two"]);
  });

  test("stories are restored, reverted, copied and migrated as the primary has them", async () => {
    await using setting = await replicated({ isHeld: true });
    const { storage, primary, hold } = setting;
    const { stories } = storage;
    await stories.saveStory("s", { title: "one" });
    await expect.poll(() => stories.hasStory("s"), RECOVERY).toBe(true);
    hold();
    await stories.deleteStory("s");
    expect(await stories.restore("s")).toMatchObject({ id: "s", revision: 2 });
    await stories.saveStory("s", { title: "three" });
    expect(await stories.revert("s", 3)).toMatchObject({ title: "three", revision: 4 });
    await using direct = await openStorage(primary.url);
    expect(await direct.stories.loadStory("s")).toEqual({ title: "three" });
    await using source = await openStorage(":memory:");
    await source.stories.saveStory("s", { title: "copied" });
    await copyStories(source.stories, stories);
    const autosave = new Autosave({ service: stories, resolve: () => "local" });
    autosave.markDirty("s", { title: "mine" }, { revision: 1 });
    const told: number[] = [];
    autosave.on("conflict", ({ remoteRevision }) => told.push(remoteRevision));
    expect(await autosave.saveNow("s")).toBe(true);
    expect(told).toEqual([5]);
    autosave.stop();
    await stories.saveStory("old", { name: "old", passages: [{ id: "p" }] });
    const migrations = new StoryMigrations({ service: stories });
    expect(await migrations.migrate("old", { backup: false })).toMatchObject({ migrated: true });
  });
});

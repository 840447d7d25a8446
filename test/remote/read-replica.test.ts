import { openStorage, type Storage } from "holdfast";
import { expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { startServer, type TestServer } from "../support/server.js";

interface Setting extends AsyncDisposable {
  readonly primary: TestServer;
  readonly replica: TestServer;
  /** Opened on the replica. */
  readonly storage: Storage;
}

const REQUEST_TIMEOUT_MS = 4_000;
/** The server's own tries to reach each other come about once a second. */
const RECOVERY = { timeout: 40_000, interval: 100 };

/** A primary with the memory `before`, and a read replica that has it. */
async function replicated(): Promise<Setting> {
  const primary = await startServer();
  const direct = await openStorage(primary.url);
  await direct.memories.insert({ id: "before", content: "from before" });
  await direct.close();
  const replica = await startServer({ primaryGrpcUrl: primary.grpcUrl });
  const storage = await openStorage({ url: replica.url, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  await expect.poll(() => storage.memories.get("before"), RECOVERY).toBeDefined();
  return {
    primary,
    replica,
    storage,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await replica[Symbol.asyncDispose]();
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
  ]);
  expect(performance.now() - start).toBeLessThan(30_000);
  for (const error of errors) expect(error).toMatchObject({ code: "UNAVAILABLE" });
  // It has been sent to a server that is there: that one may still have passed it on.
  expect(errors[0]).toMatchObject({ retryable: false, outcome: "unknown" });
  expect(errors[2]).toMatchObject({ outcome: undefined });
  // sqld runs every transaction on the primary, those that only read too.
  const reading = storage.transaction((tx) => tx.memories.count(), { mode: "read" });
  expect(await rejection(reading)).toMatchObject({ code: "UNAVAILABLE", retryable: true });
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

test("a read replica that is killed is UNAVAILABLE at once, and serves what it missed when it is back", async () => {
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
  expect(await rejection(storage.memories.get("before"))).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  expect(await rejection(storage.memories.insert({ content: "x" }))).toMatchObject({ code: "UNAVAILABLE" });
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

// The read before a write came from the replica, which had not got the row yet.
test("a write right after another one through a read replica is decided by what the primary has", async () => {
  await using setting = await replicated();
  const { storage } = setting;
  const thread = await storage.conversations.insert({ id: "thread" });
  for (let i = 0; i < 10; i++) {
    const id = `m${i}`;
    await storage.memories.insert({ id, content: "first" });
    expect(await storage.memories.update(id, { content: "second" }), id).toMatchObject({ content: "second" });
    expect(await storage.memories.delete(id), id).toBe(true);
    expect(await storage.memories.restore(id), id).toBe(true);
    const message = { role: "user", content: id, clientId: id } as const;
    const first = await storage.conversations.append(thread.id, message);
    expect(await storage.conversations.append(thread.id, message)).toEqual({ ...first, repeated: true });
  }
  expect(await storage.memories.update("unknown", { content: "x" })).toBeUndefined();
  expect(await storage.memories.restore("unknown")).toBe(false);
});

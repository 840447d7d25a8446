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

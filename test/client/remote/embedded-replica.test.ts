import { statSync } from "node:fs";
import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { startProxy } from "../../support/proxy.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

describe("an embedded replica", () => {
  test("reads its own writes from the local file, and catches up with sync()", async () => {
    await using server = await startServer();
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await primary.memories.insert({ id: "before", content: "x" });
    await using replica = await openStorage({ url: folder.url, syncUrl: server.url });
    expect(await replica.memories.get("before")).toBeDefined();
    await replica.memories.insert({ id: "own", content: "written here" });
    expect(await replica.memories.get("own")).toBeDefined();
    expect(await primary.memories.get("own")).toBeDefined();
    await primary.memories.insert({ id: "other", content: "written there" });
    expect(await replica.memories.get("other")).toBeUndefined();
    await replica.sync();
    expect(await replica.memories.get("other")).toBeDefined();
    expect(await replica.memories.search("written")).toHaveLength(2);
    expect(statSync(folder.path).mode & 0o777).toBe(0o600);
    const before = (await replica.stats()).remote!.requests;
    await replica.memories.list();
    expect((await replica.stats()).remote!.requests).toBe(before);
  });

  test("runs transactions on the primary, and has their writes in the file afterwards", async () => {
    await using server = await startServer();
    await using folder = await tempDatabase();
    await using replica = await openStorage({ url: folder.url, syncUrl: server.url });
    await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        replica.transaction(async (tx) => {
          await tx.memories.insert({ id: `m${i}`, content: "x" });
          expect(await tx.memories.get(`m${i}`)).toBeDefined();
          // What others see is what is committed.
          expect(await replica.memories.get(`m${i}`)).toBeUndefined();
        }),
      ),
    );
    expect(await replica.memories.count()).toBe(8);
    await replica.transaction(
      async (tx) => {
        expect(await tx.memories.count()).toBe(8);
        await replica.client.sync();
        expect(await tx.memories.count()).toBe(8);
        expect(await rejection(tx.memories.insert({ content: "x" }))).toMatchObject({ code: "READONLY" });
      },
      { mode: "read" },
    );
  });

  test("serves reads while the primary is away, also when opened then, and goes on when it is back", async () => {
    await using server = await startServer();
    await using folder = await tempDatabase();
    const options = { url: folder.url, syncUrl: server.url, requestTimeoutMs: 5_000 };
    await using replica = await openStorage(options);
    await replica.memories.insert({ id: "a", content: "x" });
    await replica.stories.saveStory("s", { text: "an albatross" });
    await server.kill();
    expect(await replica.stories.searchStories("albatross")).toMatchObject([{ metadata: { id: "s" } }]);
    expect(await replica.memories.get("a")).toBeDefined();
    expect(await rejection(replica.memories.insert({ content: "y" }))).toMatchObject({
      code: "UNAVAILABLE",
      retryable: true,
    });
    expect(await rejection(replica.sync())).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    await using again = await openStorage(options);
    expect(await again.memories.get("a")).toBeDefined();
    expect(await again.health()).toMatchObject({ ok: true, path: folder.path });
    await using empty = await tempDatabase();
    const nowhere = openStorage({ ...options, url: empty.url });
    expect(await rejection(nowhere)).toMatchObject({ code: "UNAVAILABLE" });
    await server.restart();
    await replica.memories.insert({ id: "b", content: "y" });
    expect(await replica.memories.get("b")).toBeDefined();
    await again.sync();
    expect(await again.memories.get("b")).toBeDefined();
  });

  test("whose write was stored but not fetched answers no read without it", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase();
    await using replica = await openStorage({ url: folder.url, syncUrl: proxy.url, requestTimeoutMs: 5_000 });
    await replica.memories.insert({ id: "a", content: "x" });
    proxy.behave({ cutsAnswers: true });
    expect(await rejection(replica.memories.insert({ id: "b", content: "x" }))).toMatchObject({ outcome: "unknown" });
    expect(await rejection(replica.memories.get("b"))).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    proxy.behave({});
    await expect.poll(() => replica.memories.get("b").catch(() => undefined), { timeout: 30_000 }).toBeDefined();
  });

  test("never keeps the event loop waiting for the network", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase();
    await using replica = await openStorage({ url: folder.url, syncUrl: proxy.url, requestTimeoutMs: 5_000 });
    proxy.behave({ isSilent: true });
    let ended = 0;
    const calls = [
      rejection(replica.sync()),
      rejection(replica.memories.insert({ content: "x" })),
      rejection(replica.transaction((tx) => tx.memories.insert({ content: "x" }))),
    ];
    for (const call of calls) void call.then(() => ended++);
    // Timers are the subject: a blocked event loop runs none before one of the calls has ended.
    for (let tick = 0; tick < 20; tick++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(ended).toBe(0);
    const errors = await Promise.all(calls);
    expect(errors.map((error) => error.code)).toEqual([
      "UNAVAILABLE",
      "UNAVAILABLE",
      expect.stringMatching(/UNAVAILABLE|ACQUIRE_TIMEOUT/),
    ]);
  });

  test("fetches by itself where syncInterval says so", async () => {
    await using server = await startServer();
    await using folder = await tempDatabase();
    await using replica = await openStorage({ url: folder.url, syncUrl: server.url, syncInterval: 0.05 });
    await using primary = await openStorage(server.url);
    await primary.memories.insert({ id: "a", content: "x" });
    await expect.poll(() => replica.memories.get("a"), { timeout: 30_000 }).toBeDefined();
  });
});

test("an embedded replica changes records that another client has stored since its last fetch", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase();
  await using replica = await openStorage({ url: folder.url, syncUrl: server.url });
  await using other = await openStorage(server.url);
  await other.memories.insertMany(["a", "b"].map((id) => ({ id, content: "x" })));
  await other.memories.delete("b");
  expect(await replica.memories.get("a")).toBeUndefined();
  expect(await replica.memories.update("a", { content: "y" })).toMatchObject({ content: "y" });
  await other.memories.delete("a");
  expect(await replica.memories.restore("a")).toBe(true);
});

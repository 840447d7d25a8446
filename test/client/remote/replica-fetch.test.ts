import { openStorage, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { startProxy } from "../../support/proxy.js";
import { contentStatements, differences, readReplicaFile, serverContents } from "../../support/replica-contents.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

const FRAMES = "/wal_log.ReplicationLog/BatchLogEntries";

/** The file has every row of the primary, and SQLite finds no fault in it. */
async function expectEqual(path: string, serverUrl: string): Promise<void> {
  const statements = await contentStatements(serverUrl);
  await using file = readReplicaFile(path);
  const { integrity, answers } = await file.read(statements);
  expect(integrity).toEqual(["ok"]);
  expect(differences(statements, answers, await serverContents(serverUrl, statements))).toEqual([]);
}

/** Several transactions, each of a few pages. */
async function insertMany(storage: Storage, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at += 5) {
    const ids = [0, 1, 2, 3, 4].map((i) => `m${at + i}`);
    await storage.memories.insertMany(ids.map((id) => ({ id, content: `memory ${id} `.repeat(150) })));
    await storage.memories.delete(ids[1] as string);
  }
}

describe("fetching into the file of an embedded replica", () => {
  // The second call began another fetch; the first one then wrote older pages over the newer ones.
  test("a fetch whose caller has given up is never overtaken by the next one", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await insertMany(primary, 0, 5);
    await using replica = await openStorage({ url: folder.url, syncUrl: proxy.url, requestTimeoutMs: 2_000 });
    await insertMany(primary, 100, 20);
    let isFirst = true;
    const lateAnswer = new Promise<void>((resolve) => {
      proxy.behave({
        fault: (path) => {
          if (path !== FRAMES || !isFirst) return undefined;
          isFirst = false;
          return { delayMs: 6_000, onSent: resolve };
        },
      });
    });
    expect(await rejection(replica.sync())).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    await insertMany(primary, 200, 20);
    const synced = () =>
      replica.sync().then(
        () => true,
        () => false,
      );
    await expect.poll(synced, { timeout: 60_000 }).toBe(true);
    await lateAnswer;
    await expectEqual(folder.path, server.url);
    await insertMany(primary, 300, 5);
    await replica.sync();
    await expectEqual(folder.path, server.url);
  });

  test("a primary that goes silent during a fetch is given up, and the next fetch goes on", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await using replica = await openStorage({ url: folder.url, syncUrl: proxy.url, requestTimeoutMs: 2_000 });
    await insertMany(primary, 0, 20);
    proxy.behave({ fault: () => ({ isSilent: true }) });
    expect(await rejection(replica.sync())).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    // The silent connections stay open.
    proxy.behave({});
    const synced = () =>
      replica.sync().then(
        () => true,
        () => false,
      );
    await expect.poll(synced, { timeout: 60_000 }).toBe(true);
    await expectEqual(folder.path, server.url);
  });

  test("an answer that is cut midway rejects at once, and the file keeps whole transactions", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await using replica = await openStorage({ url: folder.url, syncUrl: proxy.url });
    await insertMany(primary, 0, 20);
    for (const cutAfterBytes of [10, 1_000, 50_000]) {
      proxy.behave({ fault: () => ({ cutAfterBytes }) });
      expect(await rejection(replica.sync())).toMatchObject({ code: "UNAVAILABLE", retryable: true });
      proxy.behave({});
      await using file = readReplicaFile(folder.path);
      expect((await file.read([])).integrity).toEqual(["ok"]);
    }
    await replica.sync();
    await expectEqual(folder.path, server.url);
  });

  test("a large file comes over a slow line, although that takes longer than requestTimeoutMs", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await primary.memories.insertMany(Array.from({ length: 300 }, (_, i) => ({ content: `text ${i} `.repeat(100) })));
    proxy.behave({ fault: (path) => (path === FRAMES ? { bytesPerSecond: 400_000 } : undefined) });
    await using replica = await openStorage({ url: folder.url, syncUrl: proxy.url, requestTimeoutMs: 1_500 });
    expect(await replica.memories.count()).toBe(300);
    await expectEqual(folder.path, server.url);
  });

  test("two clients of one process and two processes share a file: each fetch is whole", async () => {
    await using server = await startServer();
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await insertMany(primary, 0, 5);
    await using first = await openStorage({ url: folder.url, syncUrl: server.url });
    await using second = await openStorage({ url: folder.url, syncUrl: server.url });
    const input = { url: folder.url, syncUrl: server.url, requestTimeoutMs: 60_000, rounds: 8 };
    const children = ["a", "b"].map((name) => startChild("replica-writer", { ...input, name }));
    const work = async (storage: Storage, name: string) => {
      for (let i = 0; i < 8; i++) {
        await storage.memories.insert({ id: `${name}${i}`, content: `${name} ${i} `.repeat(50) });
        expect(await storage.memories.get(`${name}${i}`)).toBeDefined();
      }
    };
    await Promise.all([work(first, "first"), work(second, "second")]);
    for (const child of children) {
      expect(await child.exited).toMatchObject({ code: 0 });
      const failed = (child.messages as { synced?: unknown }[]).filter(({ synced = true }) => synced !== true);
      expect(failed).toEqual([]);
    }
    await first.sync();
    await expectEqual(folder.path, server.url);
    await primary.memories.insert({ id: "last", content: "x" });
    await second.sync();
    await expectEqual(folder.path, server.url);
  });

  test("a process that is killed during a fetch leaves a file that the next one goes on with", async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.port);
    await using folder = await tempDatabase("replica.db");
    await using primary = await openStorage(server.url);
    await insertMany(primary, 0, 5);
    const input = { url: folder.url, syncUrl: proxy.url, requestTimeoutMs: 30_000 };
    for (let kill = 0; kill < 3; kill++) {
      await insertMany(primary, (kill + 1) * 100, 30);
      let isFetching!: () => void;
      const fetching = new Promise<void>((resolve) => {
        isFetching = resolve;
      });
      proxy.behave({
        fault: (path) => {
          if (path !== FRAMES) return undefined;
          isFetching();
          return { bytesPerSecond: 800_000 };
        },
      });
      await using child = startChild("replica-writer", { ...input, name: `kill${kill}` });
      await fetching;
      await proxy.nextRequest();
      child.kill();
      await child.exited;
      proxy.behave({});
      await using replica = await openStorage({ url: folder.url, syncUrl: server.url });
      await replica.sync();
      await expectEqual(folder.path, server.url);
    }
  });
});

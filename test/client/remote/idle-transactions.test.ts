import { setTimeout as sleep } from "node:timers/promises";
import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { startServer } from "../../support/server.js";

/** The server ends a transaction that is idle for 10 s. */
const IDLE_MS = 11_000;

test("a transaction that is idle for 11 s goes on, and an export is whole however slowly it is read", async () => {
  await using server = await startServer();
  await using storage = await openStorage(server.url);
  await storage.memories.insertMany(Array.from({ length: 300 }, (_, i) => ({ id: `m${i}`, content: "x".repeat(200) })));
  const exported = async () => {
    const lines: string[] = [];
    for await (const line of storage.export()) {
      if (lines.length === 2) await sleep(IDLE_MS);
      lines.push(line as string);
    }
    return lines;
  };
  const work = async () =>
    storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "before", content: "x" });
      await sleep(IDLE_MS);
      await tx.memories.insert({ id: "after", content: "x" });
    });
  const [lines] = await Promise.all([exported(), work()]);
  expect(JSON.parse(lines[0]!).counts.memories).toBe(300);
  expect(lines).toHaveLength(301);
  expect(await storage.memories.getMany(["before", "after"])).toHaveLength(2);
});

test("a transaction whose process was blocked for 11 s is TRANSACTION_CLOSED, retryable, and nothing is stored", async () => {
  await using server = await startServer();
  await using storage = await openStorage(server.url);
  let attempt = 0;
  const work = () =>
    storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "before", content: "x" });
      if (attempt++ === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, IDLE_MS);
      await tx.memories.insert({ id: "after", content: "x" });
    });
  const error = await rejection(work());
  expect(error).toMatchObject({ code: "TRANSACTION_CLOSED", retryable: true, outcome: undefined });
  expect(error.message).toMatch(/\b10 s\b/);
  expect(await storage.memories.getMany(["before", "after"])).toEqual([]);
  await work();
  expect(await storage.memories.getMany(["before", "after"])).toHaveLength(2);
});

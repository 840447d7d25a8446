import { gzipSync } from "node:zlib";
import { openStorage, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { startFront } from "../../support/answers.js";
import { rejection } from "../../support/clients.js";
import { startProxy } from "../../support/proxy.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

const TOKEN = "token-that-goes-nowhere-else";

describe("a server that sends its client elsewhere", () => {
  test.each(["base_url", "redirect"])("by %s gets no token and no data there", async (kind) => {
    await using server = await startServer();
    await (await openStorage(server.url)).close();
    await using elsewhere = await startFront(server.url, (text, outgoing) => outgoing.end(text));
    let isHostile = false;
    await using front = await startFront(server.url, (text, outgoing, { url = "" }) => {
      if (!isHostile || !url.includes("pipeline")) outgoing.end(text);
      else if (kind === "base_url") outgoing.end(JSON.stringify({ ...JSON.parse(text), base_url: elsewhere.url }));
      else outgoing.writeHead(307, { location: `${elsewhere.url}${url}` }).end();
    });
    await using storage = await openStorage({ url: front.url, authToken: TOKEN, migrate: "skip" });
    await storage.memories.insert({ id: "a", content: "x" });
    expect(front.requests.some(({ token }) => token === `Bearer ${TOKEN}`)).toBe(true);
    isHostile = true;
    const work = storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "b", content: "x" });
      await tx.memories.insert({ id: "c", content: "x" });
    });
    const error = await rejection(work);
    expect(error).toMatchObject({ code: "NOT_SUPPORTED", message: expect.stringContaining(elsewhere.url) });
    expect(String(error.stack)).not.toContain(TOKEN);
    await storage.memories.get("a").catch(() => undefined);
    expect(elsewhere.requests).toEqual([]);
    isHostile = false;
    expect(await storage.memories.getMany(["b", "c"])).toEqual([]);
  });
});

describe("an answer that is too large", () => {
  async function behind(
    compressed: boolean,
  ): Promise<AsyncDisposable & { storage: Storage; swell(isSwollen: boolean): void }> {
    const server = await startServer();
    await (await openStorage(server.url)).close();
    let isSwollen = false;
    const front = await startFront(server.url, (text, outgoing) => {
      if (!isSwollen) {
        outgoing.end(text);
        return;
      }
      // Within the JSON, where it is skipped.
      const swollen = text.replace(/^\{/, `{${" ".repeat(3_000_000)}`);
      if (compressed) outgoing.setHeader("content-encoding", "gzip");
      outgoing.end(compressed ? gzipSync(swollen) : swollen);
    });
    const storage = await openStorage({ url: front.url, migrate: "skip", maxResponseBytes: 1_000_000 });
    return {
      storage,
      swell: (next) => {
        isSwollen = next;
      },
      async [Symbol.asyncDispose]() {
        await storage.close();
        await front[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  }

  test.each([false, true])("is refused as it arrives, compressed: %s", async (compressed) => {
    await using setting = await behind(compressed);
    const { storage, swell } = setting;
    await storage.memories.insert({ id: "a", content: "x" });
    swell(true);
    const error = await rejection(storage.memories.get("a"));
    expect(error).toMatchObject({ code: "RESPONSE_TOO_LARGE", message: expect.stringContaining("maxResponseBytes") });
    // What it did is known to the server alone.
    const write = await rejection(storage.memories.insert({ id: "b", content: "x" }));
    expect(write).toMatchObject({ code: "RESPONSE_TOO_LARGE", outcome: "unknown", retryable: false });
    swell(false);
    expect(await storage.memories.get("b")).toBeDefined();
  });

  test("has a limit that is checked when the storage is opened", async () => {
    for (const maxResponseBytes of [0, 1.5, Number.NaN]) {
      const error = await rejection(openStorage({ url: "http://127.0.0.1:1", maxResponseBytes }));
      expect(error.name).toBe("RangeError");
    }
  });
});

test("health of a server that is silent takes the time of one request", async () => {
  await using server = await startServer();
  await using proxy = await startProxy(server.port);
  await using storage = await openStorage({ url: proxy.url, requestTimeoutMs: 4_000 });
  proxy.behave({ isSilent: true });
  const before = performance.now();
  expect(await storage.health()).toMatchObject({ ok: false, lastError: expect.stringContaining("4000 ms") });
  expect(performance.now() - before).toBeLessThan(7_900);
});

test("reads of an embedded replica go on after a write that was never sent", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase();
  await using replica = await openStorage({ url: folder.url, syncUrl: server.url, requestTimeoutMs: 5_000 });
  await replica.memories.insert({ id: "a", content: "x" });
  await server.kill();
  for (let i = 0; i < 2; i++) {
    const writes = [
      replica.memories.insert({ content: "y" }),
      replica.memories.insertMany([{ content: "y" }]),
      replica.transaction((tx) => tx.memories.insert({ content: "y" })),
    ];
    for (const write of writes) expect(await rejection(write)).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(await replica.memories.get("a")).toBeDefined();
    expect(await replica.memories.search("x")).toHaveLength(1);
  }
});

test("a mistake in a URL is a RangeError that quotes no part of it", async () => {
  const SECRET = "S3CRET";
  await using folder = await tempDatabase();
  const urls = [
    `http://127.0.0.1:1/#authToken=${SECRET}`,
    `libsql://host#${SECRET}`,
    `http://user:${SECRET}@127.0.0.1:1/`,
    `https://${SECRET}@host`,
    `http://127.0.0.1:1/?token=${SECRET}`,
    `http://127.0.0.1:1/?${SECRET}`,
    `libsql://host?tls=${SECRET}`,
    `http://127.0.0.1:port${SECRET}`,
    `http://?authToken=${SECRET}`,
    `libsql:///${SECRET}`,
  ];
  const files = [`file:x.db#${SECRET}`, `file:x.db?key=${SECRET}`, `file://${SECRET}/x.db`, `file:x.db?tls=${SECRET}`];
  for (const options of [
    ...[...urls, ...files].map((url) => ({ url })),
    ...urls.map((syncUrl) => ({ url: folder.url, syncUrl })),
  ]) {
    const error = await rejection(openStorage(options));
    expect(error.name, JSON.stringify(options)).toBe("RangeError");
    expect(`${error.message} ${error.stack} ${String((error as Error).cause)}`).not.toContain(SECRET);
  }
});

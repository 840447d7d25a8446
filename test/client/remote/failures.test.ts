import { openStorage, type Storage, type StorageError } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { startProxy, type TestProxy } from "../../support/proxy.js";
import { startServer, type TestServer } from "../../support/server.js";

interface Setting extends AsyncDisposable {
  readonly server: TestServer;
  readonly proxy: TestProxy;
  readonly storage: Storage;
}

/** A server behind a proxy, and a storage that has been used once. */
async function behindProxy(requestTimeoutMs = 2_000): Promise<Setting> {
  const server = await startServer();
  // The migrations are none of what the short time limit is for.
  await (await openStorage({ url: server.url })).close();
  const proxy = await startProxy(server.port);
  const storage = await openStorage({ url: proxy.url, requestTimeoutMs });
  await storage.memories.insert({ id: "before", content: "x" });
  return {
    server,
    proxy,
    storage,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function timed<T>(work: Promise<T>): Promise<{ result: T; ms: number }> {
  const start = performance.now();
  const result = await work;
  return { result, ms: performance.now() - start };
}

const KNOWN = { code: "UNAVAILABLE", retryable: true, outcome: undefined };
const UNKNOWN = { code: "UNAVAILABLE", retryable: false, outcome: "unknown" };

describe("a server that does not answer", () => {
  test("fails each call within requestTimeoutMs: reads and statements of a transaction may be repeated, writes not blindly", async () => {
    await using setting = await behindProxy();
    const { storage, proxy } = setting;
    // It has no lock yet: the server would keep that for seconds.
    const open = await storage.client.transaction("deferred");
    await open.execute("SELECT 1");
    proxy.behave({ isSilent: true });
    const read = await timed(rejection(storage.memories.get("before")));
    expect(read.result).toMatchObject(KNOWN);
    expect(read.ms).toBeLessThan(20_000);
    const inTransaction = await timed(rejection(open.execute("SELECT 2")));
    expect(inTransaction.result).toMatchObject({ code: "UNAVAILABLE", outcome: "notApplied" });
    expect(inTransaction.ms).toBeLessThan(20_000);
    expect(open.closed).toBe(true);
    const write = await timed(rejection(storage.memories.insert({ id: "a", content: "x" })));
    expect(write.result).toMatchObject(UNKNOWN);
    expect(write.result.message).toMatch(/same id or `clientId`/);
    expect(write.ms).toBeLessThan(20_000);
    proxy.behave({});
    proxy.dropAll();
    expect(await storage.memories.get("a")).toBeUndefined();
    await storage.memories.insert({ id: "a", content: "x" });
    expect(await storage.memories.count()).toBe(2);
  });

  test("lets a call that waits for its turn to be sent fail in time as well, and never sends it", async () => {
    await using setting = await behindProxy();
    const { storage, proxy } = setting;
    proxy.behave({ isSilent: true });
    const insert = (i: number) => storage.memories.insert({ id: `n${i}`, content: "x" });
    const sentOne = proxy.nextRequest();
    const inserts = [insert(0)];
    await sentOne;
    inserts.push(...Array.from({ length: 59 }, (_, i) => insert(i + 1)));
    const { result, ms } = await timed(Promise.allSettled(inserts));
    expect(ms).toBeLessThan(20_000);
    const errors = result.map((settled) => (settled as PromiseRejectedResult).reason as StorageError);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(["UNAVAILABLE"]));
    const sent = errors.filter(({ outcome }) => outcome === "unknown").length;
    expect(sent).toBeGreaterThanOrEqual(1);
    expect(sent).toBeLessThan(60);
    expect(errors.filter(({ retryable }) => retryable)).toHaveLength(60 - sent);
    proxy.dropAll();
    proxy.behave({});
    const neverSent = errors.flatMap(({ retryable }, i) => (retryable ? [`n${i}`] : []));
    expect(await storage.memories.getMany(neverSent)).toEqual([]);
  });

  test("is reported as an error event and in health, which does not reject", async () => {
    await using setting = await behindProxy();
    const { storage, proxy } = setting;
    const errors: unknown[] = [];
    storage.on("error", (error) => errors.push(error));
    proxy.behave({ refuses: true });
    proxy.dropAll();
    await rejection(storage.memories.count());
    expect(errors).toEqual([expect.objectContaining({ code: "UNAVAILABLE" })]);
    expect(await storage.health()).toMatchObject({ ok: false, lastError: expect.stringContaining("did not answer") });
    expect((await rejection(storage.stats())).code).toBe("UNAVAILABLE");
    proxy.behave({});
    expect(await storage.health()).toMatchObject({ ok: true });
    expect((await storage.stats()).remote).toMatchObject({ active: 0, waiting: 0 });
  });
});

describe("a connection that drops", () => {
  test("leaves the outcome of a write unknown, and repeating it under its id stores it once", async () => {
    await using setting = await behindProxy();
    const { storage, proxy } = setting;
    proxy.behave({ cutsAnswers: true });
    const before = storage.client.stats().remote!.requests;
    const error = await rejection(storage.memories.insert({ id: "cut", content: "x" }));
    expect(error).toMatchObject(UNKNOWN);
    // Sent again, it could be stored twice.
    expect(storage.client.stats().remote!.requests - before).toBe(1);
    expect(await rejection(storage.memories.count())).toMatchObject(KNOWN);
    proxy.behave({});
    // The server had it: the repeated call says so, and nothing is there twice.
    expect(await rejection(storage.memories.insert({ id: "cut", content: "x" }))).toMatchObject({ code: "CONFLICT" });
    expect(await storage.memories.count()).toBe(2);
  });

  test("during the statements of a transaction undoes it, at COMMIT it leaves the outcome unknown", async () => {
    // The server notices an abandoned transaction after seconds; until then it keeps the write lock.
    await using setting = await behindProxy(15_000);
    const { storage, proxy } = setting;
    const changes: unknown[] = [];
    storage.on("change", (change) => changes.push(change));
    const early = storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "early", content: "x" });
      proxy.behave({ cutsAnswers: true });
      await tx.memories.insert({ id: "early-2", content: "x" });
    });
    expect(await rejection(early)).toMatchObject(KNOWN);
    proxy.behave({});
    const late = storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "late", content: "x" });
      proxy.behave({ cutsAnswers: true });
    });
    expect(await rejection(late)).toMatchObject(UNKNOWN);
    proxy.behave({});
    expect((await storage.memories.list()).items.map(({ id }) => id)).toEqual(["late", "before"]);
    expect(changes).toEqual([]);
  });

  test("before anything is sent leaves nothing to be unsure of", async () => {
    await using setting = await behindProxy();
    await setting.server.kill();
    await using storage = await openStorage({ url: setting.server.url, migrate: "skip" });
    const error = await rejection(storage.memories.insert({ content: "x" }));
    expect(error).toMatchObject(KNOWN);
    const { host } = new URL(setting.server.url);
    expect(error.message).toMatch(`The server http://${host} did not answer (`);
    expect(error.message).toMatch(/\. Nothing was stored: try again/);
    // Of a read it would say nothing.
    const read = await rejection(storage.memories.count());
    expect(read.message).toMatch(/\)\. Try again once it can be reached$/);
    expect(await rejection(openStorage(setting.server.url))).toMatchObject(KNOWN);
  });

  test("and an answer of a gateway in between leaves the outcome of a write unknown as well", async () => {
    await using setting = await behindProxy();
    let isBroken = false;
    const gateway = (async (request: Request, init?: RequestInit) => {
      const answer = await fetch(request, init);
      return isBroken ? new Response("bad gateway", { status: 502 }) : answer;
    }) as typeof fetch;
    await using storage = await openStorage({ url: setting.server.url, migrate: "skip", fetch: gateway });
    await storage.memories.count();
    isBroken = true;
    expect(await rejection(storage.memories.insert({ id: "b", content: "x" }))).toMatchObject(UNKNOWN);
    isBroken = false;
    expect(await storage.memories.get("b")).toBeDefined();
  });

  test("is only slow when it is slow", async () => {
    await using setting = await behindProxy(10_000);
    setting.proxy.behave({ delayMs: 100 });
    const { ms } = await timed(setting.storage.memories.get("before"));
    expect(ms).toBeGreaterThanOrEqual(99);
    expect((await setting.storage.memories.put("before", { content: "y" })).content).toBe("y");
  });
});

describe("a server that is killed in the midst of writes", () => {
  test("has everything acknowledged after its restart, nothing twice, and the storage goes on by itself", async () => {
    await using server = await startServer();
    await using storage = await openStorage({ url: server.url, requestTimeoutMs: 5_000 });
    const acknowledged = new Set<string>();
    const unknown = new Set<string>();
    const refused = new Set<string>();
    let enough!: () => void;
    const isBusy = new Promise<void>((resolve) => {
      enough = resolve;
    });
    let isDown = false;
    const writer = async (name: string) => {
      for (let n = 0; !isDown || n < 5; n++) {
        const id = `${name}-${n}`;
        try {
          await storage.transaction(async (tx) => {
            await tx.memories.insert({ id, content: `of ${name}` });
            await tx.project("copies").memories.insert({ id, content: `of ${name}` });
          });
          acknowledged.add(id);
          if (acknowledged.size === 10) enough();
        } catch (error) {
          const { code, outcome, retryable } = error as StorageError;
          expect(code).toBe("UNAVAILABLE");
          expect(retryable).toBe(outcome !== "unknown");
          (outcome === "unknown" ? unknown : refused).add(id);
        }
        if (isDown) return;
      }
    };
    const single = async (name: string) => {
      for (let n = 0; ; n++) {
        const id = `single-${name}-${n}`;
        try {
          await storage.memories.insert({ id, content: "x" });
          acknowledged.add(id);
        } catch (error) {
          ((error as StorageError).outcome === "unknown" ? unknown : refused).add(id);
        }
        if (isDown) return;
      }
    };
    const writers = [writer("a"), writer("b"), single("c"), single("d")];
    await Promise.race([isBusy, ...writers]);
    await server.kill();
    isDown = true;
    await Promise.all(writers);
    expect(refused.size + unknown.size).toBeGreaterThan(0);
    expect(await rejection(storage.memories.count())).toMatchObject(KNOWN);
    await server.restart();
    const stored = (await storage.memories.list({ limit: 100_000 })).items.map(({ id }) => id);
    const copies = (await storage.project("copies").memories.list({ limit: 100_000 })).items.map(({ id }) => id);
    expect(new Set(stored).size).toBe(stored.length);
    const lost = [...acknowledged].filter((id) => !stored.includes(id));
    expect(lost).toEqual([]);
    expect(stored.filter((id) => !acknowledged.has(id) && !unknown.has(id))).toEqual([]);
    // Whole transactions or nothing.
    expect(stored.filter((id) => !id.startsWith("single")).sort()).toEqual([...copies].sort());
    await storage.memories.insert({ id: "after", content: "x" });
    expect(await storage.memories.get("after")).toBeDefined();
  });
});

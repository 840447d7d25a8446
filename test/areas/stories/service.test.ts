import { openStories, RevisionConflictError, type StoryData, type StoryService } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { MemoryBackend } from "../../../examples/custom-backend.js";
import { rejection } from "../../support/clients.js";
import { delivered, tempStories } from "../../support/stories.js";

const KINDS = ["libsql", "filesystem", "custom"] as const;
const BUILT_IN = ["libsql", "filesystem"] as const;

/** All events of a service, in order. */
function recorded(service: StoryService) {
  const events: [string, unknown][] = [];
  for (const name of [
    "story_saved",
    "story_created",
    "story_updated",
    "story_loaded",
    "story_deleted",
    "metadata_updated",
    "storage_cleared",
    "storage_error",
  ] as const) {
    service.on(name, (payload: unknown) => events.push([name, payload]));
  }
  return events;
}

describe("openStories", () => {
  test("an unknown backend name, a bad option or a missing method rejects with TypeError or RangeError", async () => {
    const open = (options: object) => rejection(openStories(options));
    expect((await open({ backend: "mongo" })).message).toMatch(/`backend`.*"libsql" or "sqlite" or "filesystem"/);
    expect(await open({ backend: "filesystem", path: "" })).toBeInstanceOf(TypeError);
    expect(await open({ backend: {} })).toMatchObject({ message: "Backend must implement initialize() method" });
    expect(await open({ bakend: "libsql" })).toBeInstanceOf(TypeError);
    expect(await open({ backend: new MemoryBackend(), cacheSize: -1 })).toBeInstanceOf(RangeError);
    expect(await open({ backend: new MemoryBackend(), historyLimit: 0 })).toBeInstanceOf(RangeError);
    expect(await open({ backend: new MemoryBackend(), events: "yes" })).toBeInstanceOf(TypeError);
    expect(await open({ path: ":memory:", secret: "short" })).toBeInstanceOf(TypeError);
  });

  test("projects of one place do not see each other", async () => {
    for (const kind of BUILT_IN) {
      await using temp = await tempStories(kind);
      const other = await temp.openAnother({ project: "other" });
      await temp.service.saveStory("a", { of: "default" });
      await other.saveStory("a", { of: "other" });
      await temp.service.backend.savePreference("p", { value: 1 });
      expect(await temp.service.loadStory("a")).toEqual({ of: "default" });
      expect(await other.listStories()).toHaveLength(1);
      expect(await other.backend.listPreferences("")).toEqual([]);
      await other.clear();
      expect(await temp.service.loadStory("a")).toEqual({ of: "default" });
      expect(await other.loadStory("a")).toBeUndefined();
    }
  });

  test("the backend property is the given backend", async () => {
    const backend = new MemoryBackend();
    await using service = await openStories({ backend });
    await service.backend.save("a", { n: 1 }, {});
    expect(await backend.load("a")).toEqual({ n: 1 });
    expect(await service.loadStory("a")).toEqual({ n: 1 });
  });

  test("a closed service rejects with CLOSED, and a second close does nothing", async () => {
    await using temp = await tempStories("filesystem");
    await temp.service.close();
    await temp.service.close();
    expect(await rejection(temp.service.saveStory("a", {}))).toMatchObject({ code: "CLOSED" });
  });
});

describe.each(KINDS)("a service on %s", (kind) => {
  test("saves, loads, lists, updates and deletes", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const story = { title: "My Adventure", passages: [{ id: "start", content: "You wake up" }] };
    const metadata = await service.saveStory("my", story, { metadata: { tags: ["fantasy"] } });
    expect(metadata).toMatchObject({ id: "my", title: "My Adventure", tags: ["fantasy"], revision: 1 });
    expect(await service.hasStory("my")).toBe(true);
    expect(await service.getMetadata("my")).toEqual(metadata);
    expect(await service.listStories({ tags: ["fantasy"] })).toEqual([metadata]);
    expect(await service.updateMetadata("my", { title: "Set" })).toMatchObject({ title: "Set", revision: 2 });
    const text = (await service.exportStory("my"))!;
    expect(JSON.parse(text)).toMatchObject({ ...story, metadata: { title: "Set", tags: ["fantasy"] } });
    expect(await service.importStory({ ...story, id: "imported" })).toBe("imported");
    const id = await service.importStory(text);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await service.loadStory(id)).toEqual(story);
    expect(await service.getMetadata(id)).toMatchObject({ title: "Set", tags: ["fantasy"] });
    expect(await service.deleteStory("my")).toBe(true);
    expect(await service.deleteStory("my")).toBe(false);
    expect(await service.loadStory("my")).toBeUndefined();
    expect(await service.updateMetadata("my", { title: "x" })).toBeUndefined();
    expect(await service.exportStory("my")).toBeUndefined();
    expect(await service.hasStory("my")).toBe(false);
    await service.clear();
    expect(await service.listStories()).toEqual([]);
  });

  test("a failed conditional save overwrites nothing, and its conflict has the actual revision", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const { revision } = await service.saveStory("a", { n: 1 }, { expectedRevision: 0 });
    const error = await rejection(service.saveStory("a", { n: 2 }, { expectedRevision: 0 }));
    expect(error).toMatchObject({ code: "CONFLICT", actualRevision: revision });
    expect(await rejection(service.saveStory("b", { n: 2 }, { expectedRevision: 3 }))).toMatchObject({
      code: "CONFLICT",
      actualRevision: 0,
    });
    expect(error).toBeInstanceOf(RevisionConflictError);
    expect(await service.loadStory("a")).toEqual({ n: 1 });
    expect(await service.hasStory("b")).toBe(false);
  });

  test("of 100 concurrent conditional saves one wins each revision", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    let { revision } = await service.saveStory("a", { n: 0 });
    for (let round = 0; round < 3; round++) {
      const attempts = await Promise.allSettled(
        Array.from({ length: 100 }, (_, n) => service.saveStory("a", { round, n }, { expectedRevision: revision })),
      );
      const winners = attempts.flatMap((attempt, n) =>
        attempt.status === "fulfilled" ? [{ n, ...attempt.value }] : [],
      );
      expect(winners).toHaveLength(1);
      expect(winners[0]!.revision).toBe(revision + 1);
      for (const attempt of attempts) {
        if (attempt.status === "rejected") {
          expect(attempt.reason).toMatchObject({ code: "CONFLICT", actualRevision: revision + 1 });
        }
      }
      expect(await service.loadStory("a")).toEqual({ round, n: winners[0]!.n });
      revision = winners[0]!.revision;
    }
  });

  test("events come after the fact, in order, and with copies", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const events = recorded(service);
    const story = { title: "T", list: [1] };
    const saving = service.saveStory("a", story);
    story.list.push(2);
    await saving;
    await service.saveStory("a", { title: "U" });
    await service.loadStory("a");
    await service.loadStory("a", { skipCache: true });
    await service.updateMetadata("a", { tags: ["x"] });
    await service.deleteStory("a");
    await service.deleteStory("a");
    await service.loadStory("a");
    await service.clear();
    await delivered();
    expect(events).toEqual([
      ["story_saved", { id: "a", data: { title: "T", list: [1] }, isNew: true }],
      ["story_created", { id: "a" }],
      ["story_saved", { id: "a", data: { title: "U" }, isNew: false }],
      ["story_updated", { id: "a" }],
      ["story_loaded", { id: "a", fromCache: true }],
      ["story_loaded", { id: "a", fromCache: false }],
      ["metadata_updated", { id: "a", metadata: expect.objectContaining({ id: "a", tags: ["x"] }) }],
      ["story_deleted", { id: "a" }],
      ["storage_cleared", {}],
    ]);
  });

  test("an event is not delivered while its listener's caller still runs", async () => {
    await using temp = await tempStories(kind);
    const told: string[] = [];
    temp.service.on("storage_error", () => void told.push("error"));
    temp.service.on("story_saved", () => {
      told.push("first");
      throw new Error("tells of itself");
    });
    temp.service.on("story_saved", () => void told.push("second"));
    await temp.service.saveStory("a", {});
    await delivered();
    expect(told).toEqual(["first", "second", "error"]);
  });

  test("a listener that throws or rejects is reported as a storage_error and stops no other", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const errors: unknown[] = [];
    const ids: string[] = [];
    service.on("story_saved", () => {
      throw new Error("thrown");
    });
    service.on("story_saved", async () => {
      throw new Error("rejected");
    });
    service.on("story_saved", ({ data }) => {
      data.changed = true;
    });
    service.on("story_saved", ({ id, data }) => void ids.push(`${id} ${JSON.stringify(data)}`));
    service.on("storage_error", ({ error }) => {
      errors.push((error as Error).message);
      throw new Error("again");
    });
    await service.saveStory("a", { n: 1 });
    await delivered();
    expect(ids).toEqual(['a {"n":1}']);
    expect(errors.sort()).toEqual(["rejected", "thrown"]);
    expect(await service.loadStory("a")).toEqual({ n: 1 });
  });

  test("on returns a function that removes the listener, and refuses an unknown event", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    let count = 0;
    const listener = () => count++;
    const first = service.on("story_saved", listener);
    service.on("story_saved", listener);
    await service.saveStory("a", {});
    first();
    first();
    await service.saveStory("a", {});
    await delivered();
    expect(count).toBe(3);
    expect(() => service.on("saved" as "story_saved", listener)).toThrow(TypeError);
  });

  test("with events off no listener is called", async () => {
    await using temp = await tempStories(kind, { events: false });
    const events = recorded(temp.service);
    await temp.service.saveStory("a", {});
    await delivered();
    expect(events).toEqual([]);
  });

  test("statistics count saves, backend loads, deletes, hits and misses", async () => {
    await using temp = await tempStories(kind, { cacheSize: 7 });
    const { service } = temp;
    await service.saveStory("a", { text: "x".repeat(100) });
    await service.saveStory("b", {}, { skipCache: true });
    await service.loadStory("a"); // hit: a save leaves the story in the cache
    await service.loadStory("b"); // miss
    await service.loadStory("b"); // hit
    await service.loadStory("a", { skipCache: true }); // counts as a miss
    await service.loadStory("none"); // miss
    await service.deleteStory("b");
    await service.deleteStory("b");
    expect(await service.getStatistics()).toEqual({
      saves: 2,
      loads: 3,
      deletes: 1,
      cacheHits: 2,
      cacheMisses: 3,
      cacheHitRate: 0.4,
      cacheSize: 1,
      cacheMaxSize: 7,
      totalSizeBytes: Buffer.byteLength(JSON.stringify({ text: "x".repeat(100) })),
    });
  });

  test("the cache evicts the least recently used story, and a hit counts as a use", async () => {
    await using temp = await tempStories(kind, { cacheSize: 2 });
    const { service } = temp;
    const isCached = async (id: string) => {
      const before = (await service.getStatistics()).cacheHits;
      await service.loadStory(id, {});
      return (await service.getStatistics()).cacheHits > before;
    };
    await service.saveStory("a", { n: 1 });
    await service.saveStory("b", { n: 2 });
    expect(await isCached("a")).toBe(true);
    await service.saveStory("c", { n: 3 });
    expect((await service.getStatistics()).cacheSize).toBe(2);
    expect(await isCached("a")).toBe(true);
    expect(await isCached("b")).toBe(false);
    expect(await isCached("c")).toBe(false);
  });

  test("the cache is bounded by bytes too", async () => {
    await using temp = await tempStories(kind, { cacheBytes: 100_000 });
    const { service } = temp;
    for (let n = 0; n < 10; n++) await service.saveStory(`s${n}`, { text: "x".repeat(10_000) });
    expect((await service.getStatistics()).cacheSize).toBe(4);
    await service.saveStory("huge", { text: "x".repeat(200_000) });
    expect(await service.loadStory("huge")).toEqual({ text: "x".repeat(200_000) });
    expect((await service.getStatistics()).cacheSize).toBe(4);
    await service.deleteStory("s9");
    expect((await service.getStatistics()).cacheSize).toBe(3);
    await service.clear();
    expect((await service.getStatistics()).cacheSize).toBe(0);
  });

  test("a loaded story is a copy: changing it changes neither cache nor store", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const story = { list: [1] };
    await service.saveStory("a", story);
    story.list.push(2);
    const first = await service.loadStory<typeof story>("a");
    first!.list.push(3);
    expect(await service.loadStory("a")).toEqual({ list: [1] });
    expect(await service.loadStory("a", { skipCache: true })).toEqual({ list: [1] });
  });

  test("a cached story that was changed through the backend is loaded again", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const other = await temp.openAnother();
    await service.saveStory("a", { n: 1 });
    expect(await service.loadStory("a")).toEqual({ n: 1 });
    await other.saveStory("a", { n: 2 });
    expect(await service.loadStory("a")).toEqual({ n: 2 });
    await other.updateMetadata("a", { tags: ["x"] });
    await service.loadStory("a");
    expect((await service.getStatistics()).cacheHits).toBe(1);
    await other.deleteStory("a");
    expect(await service.loadStory("a")).toBeUndefined();
    await other.saveStory("a", { n: 3 });
    expect(await service.loadStory("a")).toEqual({ n: 3 });
    await other.clear();
    await other.saveStory("a", { cleared: true });
    expect(await service.loadStory("a")).toEqual({ cleared: true });
  });

  test("batches take and give plain objects by id", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const bad = { n: Number.NaN };
    const { saved, errors } = await service.batchSave({ a: { n: 1 }, bad, b: { n: 2 }, "": {} });
    expect(saved).toBe(2);
    expect(Object.keys(errors).sort()).toEqual(["", "bad"]);
    expect(errors.bad).toBeInstanceOf(RangeError);
    expect(errors.bad).toMatchObject({ index: 1, id: "bad", message: expect.stringContaining('at index 1, id "bad"') });
    const loaded = await service.batchLoad(["a", "b", "none", ""]);
    expect(loaded.stories).toEqual({ a: { n: 1 }, b: { n: 2 } });
    expect(Object.keys(loaded.errors).sort()).toEqual(["", "none"]);
    expect(loaded.errors.none).toMatchObject({ code: "NOT_FOUND" });
    expect(await service.batchSave({})).toEqual({ saved: 0, errors: {} });
    // It has no keys, so its stories would be lost without a word.
    const map = new Map([["c", {}]]) as unknown as Record<string, StoryData>;
    await expect(service.batchSave(map)).rejects.toThrow(/`stories` to be a plain object/);
  });

  test("an atomic batch stores all, or rejects and stores nothing", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    expect(await service.batchSave({ a: { n: 1 }, b: { n: 2 } }, { atomic: true })).toEqual({ saved: 2, errors: {} });
    const events = recorded(service);
    await expect(service.batchSave({ c: {}, bad: { n: Number.POSITIVE_INFINITY } }, { atomic: true })).rejects.toThrow(
      RangeError,
    );
    expect(await service.hasStory("c")).toBe(false);
    await delivered();
    expect(events).toEqual([]);
  });

  test("values that JSON would lose are refused before any work starts", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    for (const data of [
      null,
      undefined,
      "text",
      1,
      [],
      new Map(),
      new Date(),
      circular,
      { n: 1n },
      { n: Number.NaN },
      { passages: [{ tags: new Set(["a"]) }] },
      { at: { by: new Map([["a", 1]]) } },
      { vector: new Float32Array([1, 2]) },
    ]) {
      const error = await rejection(service.saveStory("a", data as unknown as Record<string, unknown>));
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
    }
    for (const id of ["", "a\0b", "\ud800", "x".repeat(1001), 5 as unknown as string]) {
      const error = await rejection(service.saveStory(id, {}));
      expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true);
      await expect(service.loadStory(id)).rejects.toThrow();
    }
    for (const metadata of [{ tags: "x" }, { tags: [1] }, { title: 5 }, { author: "x" }]) {
      await expect(service.saveStory("a", {}, { metadata: metadata as object })).rejects.toThrow();
    }
    await expect(service.saveStory("a", {}, { expectedRevision: -1 })).rejects.toThrow(RangeError);
    await expect(service.listStories({ limit: -1 })).rejects.toThrow(RangeError);
    await expect(service.listStories({ tag: ["x"] } as object)).rejects.toThrow(TypeError);
    expect(await service.listStories()).toEqual([]);
  });
});

test("a failure of the store is a storage_error with its operation and key; a conflict is not", async () => {
  const broken = new (class extends MemoryBackend {
    override async save(): Promise<never> {
      throw new Error("disk on fire");
    }
  })();
  await using service = await openStories({ backend: broken });
  const events = recorded(service);
  await expect(service.saveStory("a", {})).rejects.toThrow("disk on fire");
  await expect(service.saveStory("a", {}, { expectedRevision: 4 })).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(service.revisions("a")).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  await expect(service.saveStory("", {})).rejects.toThrow(RangeError);
  await delivered();
  expect(events).toEqual([["storage_error", { operation: "saveStory", key: "a", error: new Error("disk on fire") }]]);
  const { saved, errors } = await service.batchSave({ a: {}, b: {} });
  expect(saved).toBe(0);
  expect(Object.keys(errors)).toEqual(["a", "b"]);
});

test("a TypeError of a custom backend is a storage_error too", async () => {
  const unreachable = new (class extends MemoryBackend {
    override async getMetadata(): Promise<never> {
      throw new TypeError("fetch failed");
    }
  })();
  await using service = await openStories({ backend: unreachable });
  const events = recorded(service);
  await expect(service.loadStory("a")).rejects.toThrow("fetch failed");
  await delivered();
  const error = new TypeError("fetch failed");
  expect(events).toEqual([["storage_error", { operation: "loadStory", key: "a", error }]]);
});

test("no delete and no change of metadata comes between the check of a conditional save and the save", async () => {
  let during: (() => Promise<unknown>) | undefined;
  let running: Promise<unknown> | undefined;
  const backend = new (class extends MemoryBackend {
    override async save(...args: Parameters<MemoryBackend["save"]>) {
      running = during?.();
      await delivered();
      return super.save(...args);
    }
  })();
  await using service = await openStories({ backend });
  const { revision } = await service.saveStory("a", { n: 1 });
  during = () => service.updateMetadata("a", { title: "Set" });
  expect(await service.saveStory("a", { n: 2 }, { expectedRevision: revision })).toMatchObject({
    revision: revision + 1,
  });
  expect(await running).toMatchObject({ title: "Set", revision: revision + 2 });
  during = () => service.deleteStory("a");
  await service.saveStory("a", { n: 3 }, { expectedRevision: revision + 2 });
  expect(await running).toBe(true);
  expect(await service.hasStory("a")).toBe(false);
});

test("an atomic batch on a backend without transactions undoes its saves", async () => {
  const backend = new (class extends MemoryBackend {
    override async save(...[id, data, metadata]: Parameters<MemoryBackend["save"]>) {
      if (id === "c") throw new Error("no c");
      return super.save(id, data, metadata);
    }
  })();
  await using service = await openStories({ backend });
  await service.saveStory("b", { n: "old" });
  await expect(service.batchSave({ a: {}, b: { n: "new" }, c: {} }, { atomic: true })).rejects.toThrow("no c");
  expect(await service.hasStory("a")).toBe(false);
  expect(await service.loadStory("b")).toEqual({ n: "old" });
});

describe.each(BUILT_IN)("history on %s", (kind) => {
  test("keeps the last revisions up to historyLimit, newest first, with the current one", async () => {
    await using temp = await tempStories(kind, { historyLimit: 3 });
    const { service } = temp;
    for (let n = 1; n <= 5; n++) await service.saveStory("a", { n, text: "x".repeat(n) });
    const revisions = await service.revisions("a");
    expect(revisions.map(({ revision }) => revision)).toEqual([5, 4, 3]);
    for (const { revision, size, createdAt } of revisions) {
      const data = await service.loadRevision("a", revision);
      expect(data).toEqual({ n: revision, text: "x".repeat(revision) });
      expect(size).toBe(JSON.stringify(data).length);
      expect(createdAt).toBeInstanceOf(Date);
    }
    expect(await service.loadRevision("a", 2)).toBeUndefined();
    expect(await service.loadRevision("a", 6)).toBeUndefined();
  });

  test("the default limit is 20", async () => {
    await using temp = await tempStories(kind);
    for (let n = 1; n <= 25; n++) await temp.service.saveStory("a", { n });
    expect((await temp.service.revisions("a")).map(({ revision }) => revision)).toEqual(
      Array.from({ length: 20 }, (_, n) => 25 - n),
    );
  });

  test("revert saves an old revision as a new one", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    await service.saveStory("a", { title: "one" }, { metadata: { tags: ["x"] } });
    await service.saveStory("a", { title: "two" });
    expect(await service.revert("a", 1)).toMatchObject({ revision: 3, title: "one", tags: ["x"] });
    expect(await service.loadStory("a")).toEqual({ title: "one" });
    expect(await service.loadRevision("a", 2)).toEqual({ title: "two" });
    expect(await rejection(service.revert("a", 9))).toMatchObject({ code: "NOT_FOUND" });
    expect(await rejection(service.revert("none", 1))).toMatchObject({ code: "NOT_FOUND" });
    await expect(service.revert("a", 0)).rejects.toThrow(RangeError);
  });

  test("restore brings a deleted story back with tags, title and time of creation", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const first = await service.saveStory("a", { n: 1 }, { metadata: { tags: ["x"] } });
    await service.updateMetadata("a", { title: "Set" });
    await service.deleteStory("a");
    expect((await service.revisions("a")).map(({ revision }) => revision)).toEqual([2, 1]);
    const events = recorded(service);
    const restored = await service.restore("a");
    expect(restored).toMatchObject({ revision: 3, title: "Set", tags: ["x"], createdAt: first.createdAt });
    expect(await service.loadStory("a")).toEqual({ n: 1 });
    expect(await service.listStories({ tags: ["x"] })).toEqual([restored]);
    expect(await service.restore("a")).toEqual(restored);
    expect(await rejection(service.restore("none"))).toMatchObject({ code: "NOT_FOUND" });
    await delivered();
    expect(events.map(([name]) => name).slice(0, 2)).toEqual(["story_saved", "story_created"]);
  });

  test("revision numbers continue after a delete, so an old expectation cannot match by chance", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    await service.saveStory("a", { n: 1 });
    await service.deleteStory("a");
    expect(await service.saveStory("a", { n: 2 }, { expectedRevision: 0 })).toMatchObject({ revision: 2, tags: [] });
    expect(await rejection(service.saveStory("a", {}, { expectedRevision: 1 }))).toMatchObject({ actualRevision: 2 });
  });

  test("a change of metadata, and a save of equal content, are revisions of the same story", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    await service.saveStory("a", { n: 1 });
    await service.updateMetadata("a", { tags: ["x"] });
    await service.saveStory("a", { n: 1 });
    await service.saveStory("a", { n: 2 });
    expect(await service.updateMetadata("a", {})).toMatchObject({ revision: 4 });
    expect((await service.revisions("a")).map(({ revision }) => revision)).toEqual([4, 3, 2, 1]);
    for (const n of [1, 2, 3]) expect(await service.loadRevision("a", n)).toEqual({ n: 1 });
  });

  test("a story of 20 MB is saved, loaded and kept in its history", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const story = { passages: Array.from({ length: 20_000 }, (_, n) => ({ id: `p${n}`, content: "€".repeat(340) })) };
    const { size } = await service.saveStory("large", story);
    expect(size).toBeGreaterThan(20_000_000);
    await service.saveStory("large", { small: true });
    expect(await service.loadRevision("large", 1)).toEqual(story);
    await service.revert("large", 1);
    expect(await service.loadStory("large", { skipCache: true })).toEqual(story);
  });

  test("two thousand stories are listed by tag and page, newest first", async () => {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const ids = Array.from({ length: 2_000 }, (_, n) => `story-${n}`);
    const { saved } = await service.batchSave(Object.fromEntries(ids.map((id, n) => [id, { n }])));
    expect(saved).toBe(2_000);
    for (const n of [5, 800, 1_800]) await service.updateMetadata(`story-${n}`, { tags: ["chosen", `t${n}`] });
    expect((await service.listStories({ tags: ["chosen"] })).map(({ id }) => id)).toEqual([
      "story-1800",
      "story-800",
      "story-5",
    ]);
    expect((await service.listStories({ tags: ["chosen", "none"], limit: 1, offset: 1 })).map(({ id }) => id)).toEqual([
      "story-800",
    ]);
    const seen = new Set<string>();
    for (let offset = 0; offset < 2_000; offset += 500) {
      for (const { id } of await service.listStories({ limit: 500, offset })) seen.add(id);
    }
    expect(seen.size).toBe(2_000);
    expect((await service.listStories({ offset: 3, limit: 2 })).map(({ id }) => id)).toEqual([
      "story-1999",
      "story-1998",
    ]);
  });
});

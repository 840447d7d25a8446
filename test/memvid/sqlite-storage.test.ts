import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { createStorage, type MemoryEntry, SQLiteStorage, type StorageInterface } from "holdfast/memvid";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { tempDatabase } from "../support/temp.js";

const entry = (id: string, fields: Partial<MemoryEntry> = {}): MemoryEntry => ({
  id,
  type: "tool",
  content: `content of ${id}`,
  metadata: {},
  createdAt: new Date("2026-01-02T03:04:05.678Z"),
  ...fields,
});

/** What was logged, in place of the console. */
let logged: string[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(line));
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("a store of entries", () => {
  test("gives back what was written, and null for what was not", async () => {
    await using db = await tempDatabase("mind.mv2");
    await using storage: StorageInterface & AsyncDisposable = await createStorage({ path: db.path, compression: true });
    expect(storage).toBeInstanceOf(SQLiteStorage);
    const plain = entry("one", { type: "decision", metadata: { sessionId: "s", nested: { list: [1, "2", null] } } });
    const withVector = entry("two", { vector: [0.5, -0.25, 1] });
    await storage.write("one", plain);
    await storage.write("two", withVector);
    expect(await storage.read("one")).toEqual(plain);
    expect(await storage.read("two")).toEqual(withVector);
    expect(await storage.read("three")).toBeNull();
    expect(await storage.stats()).toMatchObject({ errors: 0, lastError: null });
  });

  test("replaces the whole of an entry, its time and vector included", async () => {
    await using db = await tempDatabase();
    await using storage = await createStorage({ path: db.path, strict: true });
    await storage.write("one", entry("one", { vector: [1, 2], metadata: { old: true } }));
    const later = entry("one", { content: "another", type: "error", createdAt: new Date("2026-03-01T00:00:00Z") });
    await storage.write("one", later);
    expect(await storage.read("one")).toEqual(later);
    expect((await storage.stats()).count).toBe(1);
  });

  test("finds entries by any text", async () => {
    await using db = await tempDatabase();
    await using storage = await createStorage({ path: db.path, strict: true });
    for (let i = 0; i < 12; i++) await storage.write(`n${i}`, entry(`n${i}`, { content: `note ${i} on migrations` }));
    await storage.write("k", entry("k", { content: 'The "kubernetes" cluster (eu-west-1) does not start' }));
    expect(await storage.search("migration")).toHaveLength(10);
    expect(await storage.search("migration", 3)).toHaveLength(3);
    for (const text of ['"kubernetes" AND (cluster', "NOT NEAR(kubernetes*", "cluster's -start OR"]) {
      expect((await storage.search(text))[0]!.id).toBe("k");
    }
    expect(await storage.search("zebra")).toEqual([]);
  });

  test("counts entries and their bytes", async () => {
    await using db = await tempDatabase();
    await using storage = await createStorage({ path: db.path });
    const empty = { count: 0, bytes: 0, oldest: null, newest: null, errors: 0, lastError: null };
    expect(await storage.stats()).toEqual(empty);
    const [older, newer] = [new Date(1000), new Date(2000)];
    await storage.write("a", entry("a", { content: "né", createdAt: newer }));
    await storage.write("b", entry("b", { content: "12345", createdAt: older }));
    expect(await storage.stats()).toEqual({ ...empty, count: 2, bytes: 8, oldest: older, newest: newer });
  });

  test("opens an existing file as it is, with the memories of its default project", async () => {
    await using db = await tempDatabase();
    const first = await createStorage({ path: db.path });
    await first.write("one", entry("one"));
    await first.close();
    await using again = await createStorage({ path: db.path });
    expect(await again.read("one")).toEqual(entry("one"));
    await using storage = await openStorage(db.path);
    expect((await storage.memories.require("one")).content).toBe("content of one");
  });

  test("refuses entries beyond `maxSize`, and keeps the others", async () => {
    await using db = await tempDatabase();
    await using storage = await createStorage({ path: db.path, maxSize: 1000, strict: true });
    for (let i = 0; i < 10; i++) await storage.write(`n${i}`, entry(`n${i}`, { content: "x".repeat(100) }));
    await expect(storage.write("n10", entry("n10", { content: "y" }))).rejects.toMatchObject({ code: "FULL" });
    expect(await storage.read("n10")).toBeNull();
    await expect(storage.write("n9", entry("n9", { content: "y".repeat(101) }))).rejects.toMatchObject({
      code: "FULL",
    });
    expect(await storage.read("n9")).toEqual(entry("n9", { content: "x".repeat(100) }));
    await storage.write("n9", entry("n9", { content: "short" }));
    await storage.write("n10", entry("n10", { content: "y".repeat(95) }));
    expect((await storage.stats()).bytes).toBe(1000);
  });
});

describe("a failure", () => {
  test("does not reject: it is logged, passed to `onError`, counted and kept", async () => {
    await using db = await tempDatabase();
    const told: unknown[] = [];
    await using storage = await createStorage({ path: db.path, onError: (error) => told.push(error) });
    await storage.write("one", entry("one"));
    const wrong: (() => Promise<unknown>)[] = [
      () => storage.write("", entry("")),
      () => storage.write("two", null as unknown as MemoryEntry),
      () => storage.write("two", entry("three")),
      () => storage.write("two", entry("two", { content: 5 as unknown as string })),
      () => storage.write("two", entry("two", { metadata: [] as unknown as Record<string, unknown> })),
      () => storage.write("two", entry("two", { createdAt: new Date(Number.NaN) })),
      () => storage.write("two", entry("two", { vector: [] })),
    ];
    for (const call of wrong) expect(await call()).toBeUndefined();
    expect(await storage.read(5 as unknown as string)).toBeNull();
    expect(await storage.search(undefined as unknown as string)).toEqual([]);
    expect(await storage.search("one", -1)).toEqual([]);
    const { count, errors, lastError } = await storage.stats();
    expect({ count, errors }).toEqual({ count: 1, errors: 10 });
    expect(lastError).toBeInstanceOf(RangeError);
    expect(storage.lastError).toBe(lastError);
    expect(told).toHaveLength(10);
    expect(logged).toHaveLength(10);
    expect(logged[0]).toContain("RangeError");
    expect(await storage.read("one")).toEqual(entry("one"));
  });

  test("is thrown with `strict`, and neither logged nor told", async () => {
    await using db = await tempDatabase();
    const told: unknown[] = [];
    await using storage = await createStorage({ path: db.path, strict: true, onError: (error) => told.push(error) });
    await expect(storage.write("two", entry("three"))).rejects.toThrow(TypeError);
    await expect(storage.read(5 as unknown as string)).rejects.toThrow(TypeError);
    expect(await storage.stats()).toMatchObject({ errors: 2, lastError: expect.any(TypeError) });
    expect(told).toEqual([]);
    expect(logged).toEqual([]);
  });

  test("to open is one as well, and the file is tried again by the next call", async () => {
    await using db = await tempDatabase();
    mkdirSync(db.path);
    await expect(createStorage({ path: db.path, strict: true })).rejects.toMatchObject({ code: "CANNOT_OPEN" });
    const told: unknown[] = [];
    const storage = await createStorage({ path: db.path, onError: (error) => told.push(error) });
    expect(told).toMatchObject([{ code: "CANNOT_OPEN" }]);
    expect(await storage.read("one")).toBeNull();
    expect(await storage.stats()).toMatchObject({ count: 0, bytes: 0, oldest: null, newest: null, errors: 3 });
    await storage.close();

    const other = join(db.dir, "other.db");
    writeFileSync(other, "not a database ".repeat(100));
    const silent = await createStorage({ path: other });
    expect(silent.lastError).toMatchObject({ code: "NOT_A_DATABASE" });
    expect(statSync(other).size).toBe(1500);
    writeFileSync(other, "");
    await silent.write("one", entry("one"));
    expect(await silent.read("one")).toEqual(entry("one"));
    await silent.close();
  });

  test("of a listener or a logger does not stop the caller", async () => {
    await using db = await tempDatabase();
    const onError = () => {
      throw new Error("the listener failed");
    };
    await using storage = await createStorage({ path: db.path, onError });
    expect(await storage.read(5 as unknown as string)).toBeNull();
    expect((await storage.stats()).errors).toBe(1);
  });

  test("is every call after close, which may be called twice", async () => {
    await using db = await tempDatabase();
    const storage = await createStorage({ path: db.path });
    await storage.close();
    await storage.close();
    expect(await storage.read("one")).toBeNull();
    expect(storage.lastError).toMatchObject({ code: "CLOSED" });
  });

  test("wrong options are thrown in any case, before a file is made", async () => {
    await using db = await tempDatabase();
    const wrong = [
      {},
      { path: "" },
      { maxSize: 0 },
      { maxSize: "1" },
      { compression: 1 },
      { strict: 1 },
      { onError: 1 },
      { maxContentChars: 0 },
      { busyTimeoutMs: -1 },
    ];
    for (const options of [...wrong, { maxsize: 1 }]) {
      const path = "path" in options || Object.keys(options).length === 0 ? {} : { path: db.path };
      await expect(createStorage({ ...path, ...options } as never)).rejects.toThrow(/^Expected|^Unknown option/);
    }
    expect(existsSync(db.path)).toBe(false);
  });
});

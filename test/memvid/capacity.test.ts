import { statSync } from "node:fs";
import { openStorage } from "holdfast";
import { createStorage, type MemoryEntry } from "holdfast/memvid";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Random, seededRandom } from "../support/random.js";
import { tempDatabase } from "../support/temp.js";

const entry = (id: string, content: string, createdAt = new Date(2026, 0, 1)): MemoryEntry => ({
  id,
  type: "tool",
  content,
  metadata: {},
  createdAt,
});

/** Text of many different words, as an index has them. */
function words(random: Random, chars: number): string {
  let text = "";
  while (text.length < chars) text += `word${Math.floor(random.next() ** 2 * 5000).toString(36)} `;
  return text.slice(0, chars);
}

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("maxSize", () => {
  test("bounds the file: beyond it a write is refused, and what is there stays", async () => {
    const random = seededRandom("maxSize");
    await using db = await tempDatabase();
    const maxSize = 2_000_000;
    const storage = await createStorage({ path: db.path, maxSize });
    const ids = Array.from({ length: 300 }, (_, i) => `n${i}`);
    await Promise.all(ids.map((id) => storage.write(id, entry(id, words(random, 4000)))));
    const { count, errors, lastError } = await storage.stats();
    expect(lastError).toMatchObject({ code: "FULL", message: expect.stringContaining("evict") });
    expect(count + errors).toBe(300);
    // The indexes take their share; most of the file is still the entries'.
    expect(count).toBeGreaterThan(80);
    expect(errors).toBeGreaterThan(50);
    for (const id of ids.slice(0, 50)) expect(await storage.read(id)).not.toBeNull();
    await storage.close();
    expect(statSync(db.path).size).toBeLessThanOrEqual(maxSize);
  });

  test('with onFull "evict" bounds the file however much is written: the oldest entries make room', async () => {
    const random = seededRandom("evict");
    await using db = await tempDatabase();
    const maxSize = 2_000_000;
    const storage = await createStorage({ path: db.path, maxSize, onFull: "evict" });
    const ids = Array.from({ length: 900 }, (_, i) => `n${i}`);
    for (let i = 0; i < ids.length; i += 300) {
      const some = ids.slice(i, i + 300);
      await Promise.all(some.map((id, j) => storage.write(id, entry(id, words(random, 2000), new Date(1e12 + i + j)))));
    }
    expect(await storage.stats()).toMatchObject({ errors: 0, lastError: null });
    const kept: boolean[] = [];
    for (const id of ids) kept.push((await storage.read(id)) !== null);
    const first = kept.indexOf(true);
    // All that is left is the latest, without a gap.
    expect(kept.slice(first)).not.toContain(false);
    expect(kept.length - first).toBeGreaterThan(100);
    expect(first).toBeGreaterThan(300);
    await storage.close();
    expect(statSync(db.path).size).toBeLessThanOrEqual(maxSize);
    await using plain = await openStorage(db.path);
    expect(await plain.check({ deep: true })).toMatchObject({ ok: true });
  });

  test("below a megabyte bounds the contents, of which the latest stay, deleted ones first out", async () => {
    await using db = await tempDatabase();
    await using storage = await createStorage({ path: db.path, maxSize: 1000, onFull: "evict", strict: true });
    for (let i = 0; i < 13; i++) await storage.write(`n${i}`, entry(`n${i}`, "x".repeat(100), new Date(1e12 + i)));
    for (let i = 0; i < 13; i++) expect((await storage.read(`n${i}`)) !== null).toBe(i >= 3);
    expect((await storage.stats()).bytes).toBe(1000);
    await storage.write("n12", entry("n12", "y".repeat(100)));
    expect((await storage.stats()).count).toBe(10);
    await storage.write("big", entry("big", "z".repeat(950)));
    expect((await storage.stats()).count).toBe(1);
    await expect(storage.write("huge", entry("huge", "z".repeat(1001)))).rejects.toMatchObject({ code: "FULL" });
    expect((await storage.read("big"))!.content).toHaveLength(950);
  });
});

import { expect, test } from "vitest";
import { LruCache } from "../../src/shared/lru-cache.js";
import { seededRandom } from "../support/random.js";

test("a cache holds what a plain list of its most recently used entries holds", () => {
  const random = seededRandom("lru cache");
  const removed: string[] = [];
  const cache = new LruCache<string>({
    max: 8,
    maxSize: 40,
    sizeOf: (value, key) => value.length + key.length,
    onRemove: (value, isEvicted) => removed.push(`${value} ${isEvicted}`),
  });
  let model: { key: string; value: string }[] = [];
  const expected: string[] = [];
  const leave = (leaving: typeof model, isEvicted: boolean) => {
    model = model.filter((entry) => !leaving.includes(entry));
    expected.push(...leaving.map(({ value }) => `${value} ${isEvicted}`));
  };
  const total = () => model.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  for (let step = 0; step < 20_000; step++) {
    const key = `k${random.below(12)}`;
    const same = model.filter((entry) => entry.key === key);
    const choice = random.below(100);
    if (choice < 50) {
      expect(cache.get(key)).toBe(same[0]?.value);
      model = [...model.filter((entry) => entry.key !== key), ...same];
    } else if (choice < 90) {
      const value = "v".repeat(random.below(45));
      cache.set(key, value);
      leave(same, false);
      if (value.length + key.length <= 40) model.push({ key, value });
      while (model.length > 8 || total() > 40) leave([model[0]!], true);
    } else if (choice < 99) {
      cache.delete(key);
      leave(same, false);
    } else {
      cache.clear();
      leave(model, false);
    }
    expect([...cache.keys()]).toEqual(model.map((entry) => entry.key));
    expect(cache.size).toBe(model.length);
    expect(cache.has(key)).toBe(model.some((entry) => entry.key === key));
  }
  expect(removed).toEqual(expected);
  expect(removed.filter((text) => text.endsWith("true")).length).toBeGreaterThan(1000);
});

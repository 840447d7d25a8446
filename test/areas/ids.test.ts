import { expect, test } from "vitest";
import { newId } from "../../src/areas/ids.js";

test("ids are UUIDs of version 7 with the time of now, and sort as they were made", () => {
  const before = Date.now();
  const ids = Array.from({ length: 5000 }, newId);
  const after = Date.now();
  for (const id of ids) expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  const millis = ids.map((id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
  expect(Math.min(...millis)).toBeGreaterThanOrEqual(before);
  expect(Math.max(...millis)).toBeLessThanOrEqual(after);
});

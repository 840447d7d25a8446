import { describe, expect, test } from "vitest";
import { fuse } from "../../src/search/fuse.js";

const scored = (list: readonly (readonly [number, number])[]) => list.map(([id, score]) => ({ id, score }));

describe("fuse", () => {
  const words = scored([
    [1, 0.8],
    [2, 0.76],
    [3, 0.2],
  ]);
  const vectors = scored([
    [3, 0.9],
    [2, 0.7],
    [4, 0.5],
  ]);

  test("adds shares of the best score of words and places of the vectors between last and first, by the weight", () => {
    const fused = fuse(words, vectors, 0.2);
    expect(fused.map(({ id }) => id)).toEqual([2, 1, 3, 4]);
    const scores = fused.map(({ score }) => score);
    for (const [i, score] of [0.8 * 0.95 + 0.2 * 0.5, 0.8, 0.8 * 0.25 + 0.2, 0].entries()) {
      expect(scores[i]).toBeCloseTo(score, 10);
    }
  });

  test("a clear difference between words outweighs the vectors, and a high weight turns it", () => {
    expect(fuse(words, vectors, 0.1).at(-2)?.id).toBe(3);
    expect(fuse(words, vectors, 0.9)[0]?.id).toBe(3);
  });

  test("equal scores keep the order of first appearance, and one list alone keeps its order", () => {
    expect(
      fuse(
        scored([
          [1, 1],
          [2, 1],
        ]),
        [],
        0.2,
      ).map(({ id }) => id),
    ).toEqual([1, 2]);
    expect(
      fuse(
        [],
        scored([
          [1, 0.5],
          [2, 0.5],
        ]),
        0.2,
      ).map(({ id }) => id),
    ).toEqual([1, 2]);
    expect(fuse([], [])).toEqual([]);
  });

  test("longer lists only add places, each id once, with falling scores", () => {
    const long = (factor: number) =>
      Array.from({ length: 350 }, (_, i) => ({ id: (i * factor) % 401, score: 1 - i / 400 }));
    const [one, other] = [long(7), long(11)];
    const all = fuse(one, other);
    for (const places of [100, 200, 300]) {
      const some = fuse(one.slice(0, places), other.slice(0, places));
      expect(all.slice(0, some.length)).toEqual(some);
    }
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const scores = all.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });
});

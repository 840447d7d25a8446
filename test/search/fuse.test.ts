import { expect, test } from "vitest";
import { fuse } from "../../src/search/fuse.js";

test("an id that ranks high in both lists beats the first of either list", () => {
  expect(
    fuse([
      [1, 2, 3],
      [4, 2, 5],
    ])[0],
  ).toEqual({ id: 2, score: 2 / 62 });
});

test("equal scores keep the order of first appearance", () => {
  expect(fuse([["a", "b"], ["c"]]).map(({ id }) => id)).toEqual(["a", "c", "b"]);
});

test("an id counts once for each list", () => {
  expect(fuse([[7, 7, 8]])).toEqual([
    { id: 7, score: 1 / 61 },
    { id: 8, score: 1 / 62 },
  ]);
});

test("no lists give no result, and a `k` that is not a number of at least 0 is refused", () => {
  expect(fuse([])).toEqual([]);
  expect(fuse([[], []])).toEqual([]);
  expect(() => fuse([[1]], -1)).toThrow(RangeError);
  expect(() => fuse([[1]], Number.NaN)).toThrow(RangeError);
});

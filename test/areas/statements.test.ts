import { expect, test } from "vitest";
import { inParts } from "../../src/areas/statements.js";

const statement = (rows: readonly object[]) => ({ sql: "insert", args: [JSON.stringify(rows)] });
const sizes = (rows: readonly object[]) =>
  inParts(rows, statement).map(({ args }) => (JSON.parse(args[0] as string) as unknown[]).length);

test.each<[string, readonly object[], number[]]>([
  ["no rows", [], [0]],
  ["as many rows as fit", Array.from({ length: 1_000 }, () => [1]), [1_000]],
  ["more", Array.from({ length: 2_500 }, () => [1]), [1_000, 1_000, 500]],
  ["long texts", Array.from({ length: 9 }, () => ["id", "x".repeat(1_000_000)]), [3, 3, 3]],
  ["texts of more bytes than characters", Array.from({ length: 4 }, () => ["\u3042".repeat(999_999)]), [1, 1, 1, 1]],
  ["a text that is too long by itself", [["x".repeat(5_000_000)], ["y"]], [1, 1]],
])("%s go into statements in order, none too long for a server or a string", (_, rows, expected) => {
  expect(sizes(rows)).toEqual(expected);
});

import { describe, expect, test } from "vitest";
import { toSearchText, toTerms } from "../../src/search/terms.js";
import { type Random, seededRandom } from "../support/random.js";

const SCOPE = "0ab";
/** The expected index text: the terms of the words one by one, as in queries. */
const expected = (text: string) =>
  toTerms(text)
    .map((term) => SCOPE + term)
    .join(" ");

const PIECES = [
  "a",
  "B",
  "9",
  "'",
  " ",
  "_",
  "v",
  "V",
  "'s",
  "running",
  "camelCase",
  "HTTPServer2",
  "v12",
  "\n",
  "-",
  ".",
];

function randomText(random: Random): string {
  return Array.from({ length: random.below(60) }, () =>
    random.below(40) === 0 ? "x".repeat(random.below(150)) : random.pick(PIECES),
  ).join("");
}

describe("the index text of ASCII", () => {
  test("is that of its words, whatever separates them and whatever they contain", () => {
    const random = seededRandom("ASCII terms");
    for (let round = 0; round < 3_000; round++) {
      const text = randomText(random);
      expect(toSearchText(text, SCOPE), JSON.stringify(text)).toBe(expected(text));
    }
  });

  test.each([
    ["nothing", ""],
    ["no word", "'' -- ''"],
    ["quotes around a word", "'quoted' 'tis dogs'"],
    ["contractions", "don't we've l'aria O'Brien's"],
    ["versions", "v1 V22 v1a va1 version1"],
    ["numbers and hashes", "2024 9f3ab1 9F3AB1 0x1f"],
    [
      "a word of the longest kept length, and longer ones",
      `${"a".repeat(64)} ${"b".repeat(65)} ${"9".repeat(64)} ${"9".repeat(65)}`,
    ],
    ["a letter as an emoji's neighbour", "word 😀 Naïve don’t"],
  ])("of %s", (_name, text) => {
    expect(toSearchText(text, SCOPE)).toBe(expected(text));
  });

  test("stays correct after more words than the cache holds, and after a long text", () => {
    const letters = (n: number) => n.toString(26).replace(/[0-9]/g, (digit) => "qrstuvwxyz"[Number(digit)]!);
    const words = Array.from({ length: 80_000 }, (_, n) => `${letters(n)}ing`);
    for (let start = 0; start < words.length; start += 10_000) {
      const text = words.slice(start, start + 10_000).join(" ");
      expect(toSearchText(text, SCOPE)).toBe(expected(text));
    }
    const first = words.slice(0, 100).join(" ");
    expect(toSearchText(first, SCOPE)).toBe(expected(first));
    const long = "word Mixed's ".repeat(80_000);
    expect(toSearchText(long, SCOPE)).toBe(expected(long));
    expect(toSearchText("the end", SCOPE)).toBe(expected("the end"));
  });
});

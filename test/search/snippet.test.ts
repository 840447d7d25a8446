import { describe, expect, test } from "vitest";
import { planQuery } from "../../src/search/query.js";
import { resolveSnippetOptions, type SnippetOptions, snippet } from "../../src/search/snippet.js";

function snippetFor(content: string, query: string, options?: SnippetOptions): string {
  return snippet(content, planQuery(query), resolveSnippetOptions(options));
}

describe("marks", () => {
  test.each([
    ["The migrations ran.", "migration", "The <mark>migrations</mark> ran."],
    ["Ein Café hier", "cafe", "Ein <mark>Café</mark> hier"],
    ["call getUserName()", "user", "call <mark>getUserName</mark>()"],
    ["I don’t know", "don't", "I <mark>don’t</mark> know"],
    ["在数据库系统中", "数据库", "在<mark>数据库</mark>系统中"],
    ["在数据库系统中", "库", "在数据<mark>库</mark>系统中"],
    ["用𠮷野家", "野家", "用𠮷<mark>野家</mark>"],
    ["on kubernetes now", "kube", "on <mark>kubernetes</mark> now"],
    ["on kubernetes now", "bernete", "on ku<mark>bernete</mark>s now"],
    ["on KUBERNETES now", "bernete", "on KU<mark>BERNETE</mark>S now"],
    ["50% (a+b) off", "xyz", "50% (a+b) off"],
    ["party 🎉 now", "🎉", "party <mark>🎉</mark> now"],
    ["nothing asked", "", "nothing asked"],
    ["he went home", "go", "he <mark>went</mark> home"],
  ])("%j for %j", (content, query, expected) => {
    expect(snippetFor(content, query)).toBe(expected);
  });
});

test("the place with the most matches is shown, with ellipses where text is left out", () => {
  const content = `apple ${"filler ".repeat(100)}an apple and a banana together ${"filler ".repeat(100)}`;
  const shown = snippetFor(content, "apple banana", { maxChars: 120 });
  expect(shown).toContain("<mark>apple</mark> and a <mark>banana</mark>");
  expect(shown.startsWith("…")).toBe(true);
  expect(shown.endsWith("…")).toBe(true);
  expect(shown.length).toBeLessThanOrEqual(120);
});

test("a custom mark is used", () => {
  expect(snippetFor("one two", "two", { open: "[", close: "]" })).toBe("one [two]");
});

test("a `maxChars` that is too small or fractional is refused", () => {
  expect(() => snippetFor("x", "x", { maxChars: 9 })).toThrow(RangeError);
  expect(() => snippetFor("x", "x", { maxChars: 20.5 })).toThrow(RangeError);
});

test("contents of 100,000 characters are read once, not once for every match", () => {
  // A snippet that compared each match with the whole text took minutes, far longer than the time limit of a test.
  for (const piece of ["word ", "数据库", "aB", "é "]) {
    const content = piece.repeat(100_000 / piece.length);
    for (const query of ["word", "数据", "zzz", "ab", "missing words in a question"]) {
      expect(snippetFor(content, query).length).toBeLessThanOrEqual(300);
    }
  }
});

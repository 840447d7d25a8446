import { describe, expect, test } from "vitest";
import { searchScope, toSearchText, toTerms } from "../../src/search/terms.js";
import { indexedRows } from "./indexed-rows.js";

describe("toTerms", () => {
  test.each([
    ["src/storage/db.ts", "src storag db ts"],
    ["v1.2.3", "v1 1 2 3"],
    ["don't don’t DON'T", "dont dont dont"],
    ["Caroline's we'll", "carolin we"],
    ["l'été O'Brien", "lete et obrien brien"],
    ["café CAFÉ cafe\u0301 cafe", "cafe cafe cafe cafe"],
    ["straße Łódź Ærø", "strass lodz aero"],
    ["snake_case kebab-case #1234", "snake case kebab case 1234"],
    ["camelCase getHTTPServer iPhone", "camelcas camel case gethttpserv get http server iphon phone"],
    ["migrations migrating migrated", "migrat migrat migrat"],
    ["went children wrote", "go child write"],
    ["数据库", "数据 据库 库"],
    ["用 db 数据x", "用 db 数据 据 x"],
    ["データ ﾃﾞｰﾀ", "デー ータ タ デー ータ タ"],
    ["한국어", "한국 국어 어"],
    ["𠮷野家", "𠮷野 野家 家"],
    ["Ünïcode ｆｕｌｌ ﬁne", "unicod full fine"],
    ["Ёлка ёлка", "елка елка"],
    ["a\0b \ud800c d\udc00e", "a b c d e"],
    ["👍🏽 ❤️ ok", "ok"],
    ["2024-05-01 10:30 1,000", "2024 05 01 10 30 1 000"],
    ["", ""],
    ["*** -> '' \u0301", ""],
  ])("%j is indexed as %j", (text, terms) => {
    expect(toTerms(text).join(" ")).toBe(terms);
  });

  test("a long word is cut to 64 characters and is not split into parts", () => {
    expect(toTerms("aB".repeat(1000))).toEqual(["ab".repeat(32)]);
  });

  test("a word that is cut in the middle of a character stays well-formed", () => {
    const [term] = toTerms(`x${"\u{10400}".repeat(100)}`);
    expect(term!.isWellFormed()).toBe(true);
  });

  test.each([
    ["plain English", "the quick brown fox jumps over the lazy dog "],
    ["one word", "a"],
    ["apostrophes", "a'"],
    ["changing case", "aB"],
    ["a script without spaces", "数据库"],
    ["mixed scripts", "数a"],
    ["bare accents", "\u0301"],
    ["characters that expand", "\ufdfa"],
  ])("100,000 characters of %s take no time that grows with their square", (_, piece) => {
    const text = piece.repeat(100_000 / piece.length);
    const started = process.cpuUsage();
    toSearchText(text, "abc");
    // CPU time, because other processes do not affect it. The limit finds work that grows with the square of the
    // length.
    expect(process.cpuUsage(started).user).toBeLessThan(10_000_000);
  });
});

test("the tokenizer does not change any term", async () => {
  const text = "src/db.ts don't naïve 数据库 データ สวัสดี हिन्दी 𠮷野 Ёлка שָׁלוֹם ½ ² x́ﬁ İstanbul ŉ ẞ ǆ ʼn";
  await using rows = await indexedRows([text]);
  rows.database.exec("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(notes_fts, 'row')");
  const indexed = rows.database.prepare("SELECT term FROM vocabulary").raw(true).all([]).flat() as string[];
  expect(indexed.map((term) => term.slice(3)).sort()).toEqual([...new Set(toTerms(text))].sort());
});

test("a scope has three characters and is always the same", () => {
  for (const project of ["p", "a much longer name", "项目", ""]) {
    expect(searchScope(project)).toMatch(/^[0-9a-z]{3}$/);
    expect(searchScope(project)).toBe(searchScope(project));
  }
  // Every row stores it, so another value would hide all stored rows.
  expect(searchScope("p")).toBe("8oz");
});

test("search text is the terms with their scope", () => {
  expect(toSearchText("Two words, 数据", "k3f")).toBe("k3ftwo k3fword k3f数据 k3f据");
});

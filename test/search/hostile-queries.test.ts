import { expect, test } from "vitest";
import { planQuery } from "../../src/search/query.js";
import { resolveSnippetOptions, snippet } from "../../src/search/snippet.js";
import { seededRandom } from "../support/random.js";
import { times } from "../support/soak.js";
import { indexedRows } from "./indexed-rows.js";

const QUERIES = times(1_000, 10_000);
const LONG_QUERIES = 20;
const MAX_PIECES = 12;
const MAX_SNIPPET_CHARS = 60;
const SHAPE = resolveSnippetOptions({ maxChars: MAX_SNIPPET_CHARS });

const PIECES = [
  '"',
  "'",
  "(",
  ")",
  "*",
  "^",
  ":",
  "-",
  "+",
  "{",
  "}",
  "[",
  "]",
  "\\",
  "/",
  "%",
  "_",
  ",",
  ".",
  "#",
  "?",
  "!",
  "|",
  "&",
  ";",
  "AND",
  "OR",
  "NOT",
  "NEAR",
  "NEAR(a b, 2)",
  "search_text:",
  "rowid",
  "-foo",
  "***",
  "--",
  "/*",
  "'; DROP TABLE notes; --",
  " ",
  "  ",
  "\t",
  "\n",
  "\0",
  "\ud800",
  "\udc00",
  "\u200d",
  "\u0301",
  "\ufe0f",
  "\ufeff",
  "\ufdfa",
  "👩‍👩‍👧",
  "👍🏽",
  "❤️",
  "🎉",
  "a",
  "the",
  "word",
  "don't",
  "l'été",
  "café",
  "camelCase",
  "HTTPServer",
  "v1.2.3",
  "src/db.ts",
  "#1234",
  "pre-edit",
  "x".repeat(80),
  "数据库",
  "数",
  "データ",
  "한국어",
  "สวัสดี",
  "हिन्दी",
  "שָׁלוֹם",
  "مَرْحَبًا",
  "𠮷野",
  "İ",
  "ß",
  "ǆ",
  "ŉ",
  "½",
  "٣",
  "constructor",
  "__proto__",
]; // prettier-ignore

test(`${QUERIES} hostile queries and their snippets throw nothing`, async () => {
  const random = seededRandom("hostile queries");
  const text = (most: number): string => {
    let out = "";
    for (let left = random.below(most + 1); left > 0; left--) {
      const isAnyUnit = random.below(10) === 0;
      out += isAnyUnit ? String.fromCharCode(random.below(0x10000)) : random.pick(PIECES);
      if (random.below(2) === 0) out += " ";
    }
    return out;
  };
  const stored = Array.from({ length: 40 }, () => `${text(MAX_PIECES)} content`.replaceAll("\0", "").toWellFormed());
  await using rows = await indexedRows(stored);
  for (let i = 0; i < QUERIES; i++) {
    const query = text(i < LONG_QUERIES ? 20_000 : MAX_PIECES);
    const found = await rows.search(query, { limit: 3 });
    expect(found.length).toBeLessThanOrEqual(3);
    for (const { content, score } of found) {
      if (!(score > 0 && score <= 1)) throw new Error(`score ${score} of ${quoted(content)} for ${quoted(query)}`);
      const shown = snippet(content, planQuery(query), SHAPE);
      if (shown.length > MAX_SNIPPET_CHARS || !shown.isWellFormed()) {
        throw new Error(`snippet ${JSON.stringify(shown)} of ${quoted(content)} for ${quoted(query)}`);
      }
      const original = shown.replaceAll("<mark>", "").replaceAll("</mark>", "").replace(/^…|…$/g, "");
      if (!content.includes(original)) {
        throw new Error(`snippet ${JSON.stringify(shown)} is no part of ${quoted(content)} for ${quoted(query)}`);
      }
    }
  }
});

test("every stored text is found by itself", async () => {
  const random = seededRandom("texts found by themselves");
  const words = PIECES.filter((piece) => /\p{L}/u.test(piece) && piece.isWellFormed());
  const stored = Array.from(
    { length: 300 },
    (_, i) => `n${i} ${Array.from({ length: 5 }, () => random.pick(words)).join(" ")}`,
  );
  await using rows = await indexedRows(stored);
  for (const content of stored) expect((await rows.find(content))[0]).toBe(content);
});

function quoted(text: string): string {
  return text.length > 1_000
    ? `${JSON.stringify(text.slice(0, 1_000))} … (${text.length} characters)`
    : JSON.stringify(text);
}

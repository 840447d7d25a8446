import { describe, expect, test } from "vitest";
import { likePattern, matchExpression, planQuery } from "../../src/search/query.js";

const words = (text: string): string[] =>
  planQuery(text).terms.map((term) => (term.isPrefix ? `${term.text}*` : term.text));

test.each(["", "*", "  \n", "***", '"', "( ) -", "?!", "\0", "\ud800", "\u0301"])(
  "%j asks for the most recent rows",
  (text) => {
    expect(planQuery(text).isRecent).toBe(true);
  },
);

test.each([
  ["When did Caroline go to the support group?", ["carolin", "go", "support", "group"]],
  ["what is it", ["what", "is", "it"]],
  ["the US election", ["us", "elect"]],
  ["foo AND bar OR NOT baz", ["foo", "bar", "baz"]],
  ["don't panic", ["panic"]],
  ["数据", ["数据"]],
  ["数据库", ["数据", "据库"]],
  ["库", ["库*"]],
  ["same same SAME", ["same"]],
])("%j looks for %j", (text, terms) => {
  expect(words(text)).toEqual(terms.map((term) => (term === "us" ? "us" : term)));
});

test("a whole camelCase word is optional if its parts match", () => {
  expect(
    planQuery("camelCase")
      .terms.filter((term) => !term.isRequired)
      .map((term) => term.text),
  ).toEqual(["camelcas"]);
});

test("a phrase keeps stop words, and a single word is not a phrase", () => {
  expect(planQuery("to be or not").phrase.map((term) => term.text)).toEqual(["to", "be", "or", "not"]);
  expect(planQuery("word").phrase).toEqual([]);
});

describe("bounds", () => {
  test("a text of 100 kB asks for 64 terms, 8 needles and no phrase", () => {
    const plan = planQuery(Array.from({ length: 15_000 }, (_, i) => `w${i}x`).join(" "));
    expect(plan.terms.length).toBe(64);
    expect(plan.phrase).toEqual([]);
    expect(plan.needles.length).toBe(8);
  });

  test("a needle is cut to 128 characters", () => {
    expect(planQuery("x".repeat(100_000)).needles).toEqual([["x".repeat(128)]]);
  });
});

test("every expression quotes its terms after the scope", () => {
  const { terms, phrase } = planQuery("NEAR(apple banana) 库");
  expect(matchExpression(terms, "k3f", "any")).toBe('"k3fnear" OR "k3fappl" OR "k3fbanana" OR "k3f库"*');
  expect(matchExpression(terms, "k3f", "all")).toBe('"k3fnear" AND "k3fappl" AND "k3fbanana" AND "k3f库"*');
  expect(matchExpression(phrase, "k3f", "phrase")).toBe('"k3fnear k3fappl k3fbanana k3f库"*');
});

test("wildcards of LIKE are escaped", () => {
  expect(likePattern("50%_\\")).toBe("%50\\%\\_\\\\%");
});

test("of a text longer than 100,000 characters, the beginning and the end are read", () => {
  const filler = Array.from({ length: 200_000 }, (_, i) => `w${i % 50}`).join(" ");
  const texts = ({ terms }: ReturnType<typeof planQuery>) => terms.map(({ text }) => text);
  const found = texts(planQuery(`beginning ${filler} middleword ${filler} ending`));
  expect(found).toEqual(expect.arrayContaining(["begin", "end"]));
  expect(found).not.toContain("middleword");
  expect(texts(planQuery(`${" ".repeat(500_000)}needle${" ".repeat(500_000)}`))).toEqual(["needl"]);
  expect(planQuery(" ".repeat(500_000)).isRecent).toBe(true);
});

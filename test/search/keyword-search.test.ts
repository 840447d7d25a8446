import { describe, expect, test } from "vitest";
import { indexedRows } from "./indexed-rows.js";

describe("texts that people type", () => {
  const contents = [
    "opened src/storage/db.ts to look",
    "released v1.2.3 today",
    "I don't know",
    "met at the café",
    "renamed to snake_case everywhere",
    "the camelCase helper and PascalCase types",
    "fixes #1234 at last",
    "a pre-edit hook",
    "数据库迁移完成",
    "deployed on kubernetes",
    "search AND replace",
    "naïve façade",
    "東京タワーに行った",
    "wrote the migrations",
    "50% off_by_one C:\\temp",
    "party 🎉 tonight",
  ];

  test.each([
    ["src/storage/db.ts", 0, "keyword"],
    ["storage/db", 0, "keyword"],
    ["db.ts", 0, "keyword"],
    ["v1.2.3", 1, "keyword"],
    ["1.2.3", 1, "keyword"],
    ["don't", 2, "keyword"],
    ["don’t", 2, "keyword"],
    ["dont", 2, "keyword"],
    ["café", 3, "keyword"],
    ["cafe", 3, "keyword"],
    ["CAFE\u0301", 3, "keyword"],
    ["snake_case", 4, "keyword"],
    ["snake case", 4, "keyword"],
    ["camelCase", 5, "keyword"],
    ["camelcase", 5, "keyword"],
    ["camel", 5, "keyword"],
    ["pascal", 5, "keyword"],
    ["#1234", 6, "keyword"],
    ["1234", 6, "keyword"],
    ["pre-edit", 7, "keyword"],
    ["数据库", 8, "keyword"],
    ["数据", 8, "keyword"],
    ["据库", 8, "keyword"],
    ["完", 8, "keyword"],
    ["成", 8, "keyword"],
    ["kubernetes", 9, "keyword"],
    ["kube", 9, "prefix"],
    ["bernete", 9, "substring"],
    ["BERNETE", 9, "substring"],
    ["AND", 10, "keyword"],
    ["search AND", 10, "keyword"],
    ["naive", 11, "keyword"],
    ["aïv", 11, "substring"],
    ["AÏV", 11, "substring"],
    ["タワー", 12, "keyword"],
    ["東京", 12, "keyword"],
    ["migration", 13, "keyword"],
    ["who is writing?", 13, "keyword"],
    ["0% off_b", 14, "substring"],
    ["ff_by", 14, "substring"],
    ["c:\\temp", 14, "keyword"],
    ["🎉", 15, "substring"],
  ])("%j", async (text, expected, match) => {
    await using rows = await indexedRows(contents);
    const [best] = await rows.search(text);
    expect(best).toMatchObject({ content: contents[expected], match });
  });

  test.each(["0%_off", "f%by", "zzz"])("%j finds nothing", async (text) => {
    await using rows = await indexedRows(contents);
    expect(await rows.find(text)).toEqual([]);
  });

  test.each(["", "*", "***", "  ", '"()"'])("%j lists the most recent rows", async (text) => {
    await using rows = await indexedRows(contents);
    const found = await rows.search(text, { limit: 2 });
    expect(found.map((hit) => [hit.content, hit.match])).toEqual([
      [contents[15], "recent"],
      [contents[14], "recent"],
    ]);
  });
});

describe("order", () => {
  test("an exact phrase comes before all words, and all words before some of them", async () => {
    await using rows = await indexedRows([
      "the blue whale sings",
      "a whale, large and blue, and another blue whale-like blue blue",
      "whale whale whale",
      "something else",
    ]);
    rows.insert(["blue: the whale is"]);
    const found = await rows.find("blue whale");
    expect(found.slice(0, 2).sort()).toEqual([
      "a whale, large and blue, and another blue whale-like blue blue",
      "the blue whale sings",
    ]);
    expect(found[2]).toBe("blue: the whale is");
    expect(found[3]).toBe("whale whale whale");
  });

  test("a row with all existing words does not count as an all-words match if one word exists nowhere", async () => {
    await using rows = await indexedRows(["rareword", "fox ".repeat(30), "rareword and a fox"]);
    const scoreOf = async (text: string) => (await rows.search(text)).map((hit) => hit.score);
    // If every word is found, the second row belongs to a lower tier, below half. If one is missing, all rows are in
    // one tier.
    expect((await scoreOf("rareword fox"))[1]).toBeLessThan(0.5);
    expect((await scoreOf("rareword fox zzzz"))[0]).toBeCloseTo(0.999);
    expect((await scoreOf("rareword fox zzzz"))[1]).toBeGreaterThan(0.3);
  });

  test("scores fall from first to last and are between 0 and 1", async () => {
    await using rows = await indexedRows(["red fox", "red red car", "fox red", "a fox of red", "red"]);
    const scores = (await rows.search("red fox")).map((hit) => hit.score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(Math.max(...scores)).toBeLessThanOrEqual(1);
    expect(Math.min(...scores)).toBeGreaterThan(0);
  });

  test("the latest of equal rows comes first", async () => {
    await using rows = await indexedRows(["same text", "same text", "same text"]);
    expect((await rows.search("same")).map((hit) => hit.rowId)).toEqual([3, 2, 1]);
  });

  test("a query with more camelCase words than the limit finds their rows", async () => {
    const words = Array.from({ length: 80 }, (_, i) => `theVeryLongName${String.fromCharCode(65 + (i % 26))}x${i}`);
    await using rows = await indexedRows(["nothing", words.join(" ")]);
    expect(await rows.find(words.join(" "))).toEqual([words.join(" ")]);
  });

  test("a rare word outweighs a common one", async () => {
    await using rows = await indexedRows([...Array.from({ length: 50 }, (_, i) => `common note ${i}`), "zebra"]);
    expect((await rows.find("common zebra"))[0]).toBe("zebra");
  });
});

describe("isolation", () => {
  test("rows of another project, filtered rows and deleted rows are not found", async () => {
    await using rows = await indexedRows(["shared word here"]);
    rows.insert(["shared word elsewhere"], { project: "q" });
    rows.insert(["shared word of a kind"], { kind: "error" });
    rows.insert(["shared word deleted"]);
    rows.database.exec("UPDATE notes SET deleted_at = 1 WHERE content LIKE '%deleted'");
    expect((await rows.find("shared")).sort()).toEqual(["shared word here", "shared word of a kind"]);
    expect(await rows.find("shared", { kind: "error" })).toEqual(["shared word of a kind"]);
    expect(await rows.find("hare", { project: "q" })).toEqual(["shared word elsewhere"]);
  });

  test("a project that shares the scope of a larger one still finds its own rows", async () => {
    await using rows = await indexedRows();
    // Found by trying: two names with the same hash.
    const [one, other] = await sameScope();
    rows.insert(
      Array.from({ length: 3_000 }, (_, i) => `apple ${i}`),
      { project: one },
    );
    rows.insert(["an apple of mine, in a longer text than theirs, and so on and on"], { project: other });
    rows.insert(
      Array.from({ length: 3_000 }, (_, i) => `apple ${i}`),
      { project: one },
    );
    expect(await rows.find("apple mine", { project: other })).toHaveLength(1);
  });

  test("a search in one project reads none of another's index entries", async () => {
    await using rows = await indexedRows(["apple"]);
    rows.insert(
      Array.from({ length: 50 }, () => "apple pear"),
      { project: "q" },
    );
    rows.database.exec("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(notes_fts, 'row')");
    const counts = rows.database.prepare("SELECT doc FROM vocabulary WHERE term LIKE '___appl' ORDER BY doc").raw(true);
    expect(counts.all([]).flat()).toEqual([1, 50]);
  });

  test("a filter applies before the limit", async () => {
    await using rows = await indexedRows();
    rows.insert(["needle in a long and winding haystack"], { kind: "rare" });
    rows.insert(Array.from({ length: 1_000 }, () => "needle"));
    expect(await rows.find("needle", { kind: "rare", limit: 1 })).toHaveLength(1);
  });

  test("rows with all words come first, even if the filter excludes the best of them", async () => {
    await using rows = await indexedRows(Array.from({ length: 1_000 }, (_, i) => (i < 100 ? "stone" : "nothing")));
    // Long enough that the index ranks them after rows with one of the words.
    const long = (i: number) => `bridge ${Array.from({ length: 300 }, (_, j) => `w${i}x${j}`)} stone`;
    rows.insert(Array.from({ length: 210 }, (_, i) => long(i)));
    rows.insert([`${long(210)} and a little longer`], { kind: "rare" });
    rows.insert(
      Array.from({ length: 30 }, () => "bridge"),
      { kind: "rare" },
    );
    const found = await rows.find("stone bridge", { kind: "rare" });
    expect(found[0]).toContain("and a little longer");
    expect(found).toHaveLength(10);
  });
});

describe("cost", () => {
  test("words that are found take two statements, and no search takes more than three", async () => {
    await using rows = await indexedRows(["one two three", "kubernetes"]);
    for (const [text, count] of [
      ["one two", 2],
      ["kube", 2],
      ["bernete", 3],
      ["zzzzz", 3],
      ["", 1],
    ] as const) {
      rows.statements.length = 0;
      await rows.search(text);
      expect([text, rows.statements.length]).toEqual([text, count]);
    }
  });

  test("common words next to a rare one, and alone, give a full page", async () => {
    await using rows = await indexedRows(Array.from({ length: 5_000 }, (_, i) => `every day ${i}`));
    rows.insert(["every pearl"]);
    const found = await rows.find("pearl every day", { limit: 20 });
    expect(found).toHaveLength(20);
    expect(found[0]).toBe("every pearl");
    expect(await rows.find("every day", { limit: 20 })).toHaveLength(20);
    expect(await rows.find("every day 17", { limit: 1 })).toEqual(["every day 17"]);
    expect(await rows.find("day", { limit: 3_000 })).toHaveLength(3_000);
  });
});

describe("without the full-text table", () => {
  const contents = ["wrote the migrations", "deployed on kubernetes", "数据库 ready", "migrations and kubernetes"];

  test.each([
    ["migration", ["wrote the migrations", "migrations and kubernetes"], "keyword"],
    [
      "kubernetes migration",
      ["migrations and kubernetes", "deployed on kubernetes", "wrote the migrations"],
      "keyword",
    ],
    ["数据", ["数据库 ready"], "keyword"],
    ["库", ["数据库 ready"], "keyword"],
    ["kube", ["deployed on kubernetes", "migrations and kubernetes"], "prefix"],
    ["bernete", ["migrations and kubernetes", "deployed on kubernetes"], "substring"],
    ["zzzzz", [], undefined],
  ])("%j still finds its rows", async (text, expected, match) => {
    await using rows = await indexedRows(contents);
    rows.database.exec("DROP TRIGGER notes_insert; DROP TABLE notes_fts;");
    const found = await rows.search(text);
    expect(found.map((hit) => hit.content).sort()).toEqual([...expected].sort());
    expect(found[0]?.content).toBe(expected[0]);
    expect(found[0]?.match).toBe(match);
  });
});

test("a row of 100,000 characters is found by a word at its end", async () => {
  await using rows = await indexedRows([`${"filler words ".repeat(7_690)}treasure chest`, "treasure", "chest"]);
  const found = await rows.search("treasure chest");
  expect(found[0]!.content.length).toBeGreaterThan(99_000);
});

async function sameScope(): Promise<[string, string]> {
  const { searchScope } = await import("../../src/search/terms.js");
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const scope = searchScope(`project ${i}`);
    const known = seen.get(scope);
    if (known !== undefined) return [known, `project ${i}`];
    seen.set(scope, `project ${i}`);
  }
}

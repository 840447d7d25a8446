import type { MemoryInput } from "holdfast";
import { describe, expect, test } from "vitest";
import { MEMORY_TARGET } from "../../../src/areas/memories/search.js";
import { keywordSearch } from "../../../src/search/keyword-search.js";
import { planQuery } from "../../../src/search/query.js";
import type { SearchReader } from "../../../src/search/request.js";
import { searchScope } from "../../../src/search/terms.js";
import { tempStorage } from "../../support/storage.js";

async function search(inputs: readonly MemoryInput[], text: string, options = {}): Promise<string[]> {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  for (const input of inputs) await memories.insert(input);
  return (await memories.search(text, options)).map(({ memory }) => memory.id);
}

describe("memories of one session lend words to each other", () => {
  const about = { content: "The lighthouse keeper wrote letters", sessionId: "s" };
  const answer = { id: "answer", content: "Every letter went to Lisbon" };
  /** The same words, stored later, so that it comes first unless the neighbors count. */
  const other = { id: "other", content: "Every letter went to Madrid" };
  const query = "lighthouse letters";

  test("a memory next to the words of the question comes before an equal one elsewhere", async () => {
    const inSession = [
      { ...about, id: "about" },
      { ...answer, sessionId: "s" },
      { ...other, sessionId: "t" },
    ];
    expect(await search(inSession, query)).toEqual(["about", "answer", "other"]);
    const inNone = inSession.map(({ sessionId: _, ...memory }) => memory);
    expect(await search(inNone, query)).toEqual(["about", "other", "answer"]);
  });

  test("not across sessions, nor from a deleted memory or another project", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany([
      { ...about, sessionId: "t" },
      { ...about, id: "deleted" },
      { ...answer, sessionId: "s" },
      { ...other, sessionId: "u" },
    ]);
    await temp.storage.project("q").memories.insert(about);
    await memories.delete("deleted");
    expect((await memories.search(query)).map(({ memory }) => memory.id).slice(1)).toEqual(["other", "answer"]);
  });

  test("a filter keeps a neighbor out of the results, and it still lends its words", async () => {
    const inputs = [
      { ...about, id: "about", type: "tool" },
      { ...answer, sessionId: "s" },
      { ...other, sessionId: "t" },
    ];
    expect(await search(inputs, query, { type: "context" })).toEqual(["answer", "other"]);
  });

  test("a memory without any of the words is not found, whatever its neighbors say", async () => {
    const inputs = [
      { ...about, id: "about" },
      { id: "silent", content: "Nothing of the kind", sessionId: "s" },
    ];
    expect(await search(inputs, query)).toEqual(["about"]);
  });

  test("equal times are ordered by insertion, and rows far apart in a session are not neighbors", async () => {
    const createdAt = 1_700_000_000_000;
    const filler = Array.from({ length: 4 }, (_, i) => ({
      content: `nothing whatever happened on morning ${i}`,
      sessionId: "s",
      createdAt,
    }));
    const inputs = [
      { ...about, id: "about", createdAt },
      ...filler,
      { ...answer, sessionId: "s", createdAt },
      { ...other, sessionId: "t", createdAt },
    ];
    expect(await search(inputs, query)).toEqual(["about", "other", "answer"]);
    expect(await search(inputs.toSpliced(2, 2), query)).toEqual(["about", "answer", "other"]);
  });

  // SQLite read all memories of one time for each candidate: a search in a session of 20,000 stored at once took 4 s.
  test("however many memories of a session have one time, its neighbors are found by ranges of the index", async () => {
    await using temp = await tempStorage();
    const { client, memories } = temp.storage;
    await memories.insertMany([{ ...about, id: "about" }, answer, other]);
    const plans: string[] = [];
    const all: SearchReader["all"] = async (sql, args) => {
      const { rows } = await client.execute({ sql: `EXPLAIN QUERY PLAN ${sql}`, args });
      plans.push(...rows.map((row) => String(row.detail)).filter((step) => /\bn\b.*memories_session/.test(step)));
      return (await client.execute({ sql, args })).rows;
    };
    const found = await keywordSearch(
      { all, scan: all },
      {
        target: MEMORY_TARGET,
        plan: planQuery(query),
        scope: searchScope("default"),
        where: { sql: "m.project = ? AND m.deleted_at IS NULL", args: ["default"] },
        limit: 10,
      },
    );
    expect(found).toHaveLength(3);
    expect([...new Set(plans)].map((step) => /\((.*)\)/.exec(step)?.[1]).sort()).toEqual([
      "project=? AND session_id=? AND created_at<?",
      "project=? AND session_id=? AND created_at=? AND rowid<?",
      "project=? AND session_id=? AND created_at=? AND rowid>?",
      "project=? AND session_id=? AND created_at>?",
    ]);
  });
});

describe("what a person said comes before what others say of them", () => {
  const said = ["Ann: the garden needs rain", "Ann: we planted beans", "Ann: my garden has roses"];
  const of = ["Bob: Ann has a garden", "Bob: Ann likes her garden", "Bob: hello Ann"];

  test("by a leading name", async () => {
    const contents = [...said, ...of].map((content, i) => ({ id: `${i}`, content }));
    expect((await search(contents, "What did Ann say of her garden?")).slice(0, 2).sort()).toEqual(["0", "2"]);
  });

  test("by a name in the metadata", async () => {
    const text = (content: string) => content.replace(/^\w+: /, "Ann: hm, ");
    const contents = [...said, ...of].map((content, i) => {
      return {
        id: `${i}`,
        content: text(content).replace("Ann: ", "well Ann, "),
        metadata: { name: content.slice(0, 3) },
      };
    });
    expect((await search(contents, "What did Ann say of her garden?")).slice(0, 2).sort()).toEqual(["0", "2"]);
  });

  test("malformed and long metadata do no harm", async () => {
    const metadata = { name: 5, long: "x".repeat(10_000) };
    expect(await search([{ id: "a", content: "Ann: garden", metadata }], "Ann garden")).toEqual(["a"]);
  });
});

test("a word that the question repeats counts more", async () => {
  const contents = [
    { id: "index", content: "the index of a book" },
    { id: "shelf", content: "the shelf of a room" },
  ];
  expect(await search(contents, "index, an index or a shelf")).toEqual(["index", "shelf"]);
  expect(await search(contents, "a shelf or shelf, index")).toEqual(["shelf", "index"]);
});

describe("with an embedding", () => {
  const model = { embeddingModel: "m" };

  test("`vectorWeight` 0 gives the list of the words, 1 that of the vector, and between them both count", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany([
      { id: "words", content: "tall ships in the harbor", embedding: [0, 1], ...model },
      { id: "both", content: "ships and other things that are of no use here", embedding: [1, 0.1], ...model },
      { id: "vector", content: "sailing", embedding: [1, 0], ...model },
    ]);
    const search = async (vectorWeight?: number) => {
      const found = await memories.search("tall ships", { embedding: [1, 0], ...model, vectorWeight });
      return found.map(({ memory, match }) => `${memory.id} ${match}`);
    };
    expect(await search(0)).toEqual(["words keyword", "both keyword"]);
    expect(await search(1)).toEqual(["vector vector", "both vector", "words vector"]);
    expect((await search()).slice(0, 2)).toEqual(["words hybrid", "both hybrid"]);
    expect((await search(0.9))[0]).toBe("both hybrid");
  });

  test.each([
    [-0.1, RangeError],
    [1.1, RangeError],
    [Number.NaN, RangeError],
    ["0.5", TypeError],
    [null, TypeError],
  ])("a `vectorWeight` of %j is refused, with an embedding and without", async (vectorWeight, type) => {
    await using temp = await tempStorage();
    const options = { vectorWeight: vectorWeight as number };
    await expect(temp.storage.memories.search("x", options)).rejects.toThrow(type);
    await expect(temp.storage.memories.search("x", { ...options, embedding: [1], ...model })).rejects.toThrow(type);
  });

  test("the first results do not depend on the limit", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    await memories.insertMany(
      Array.from({ length: 260 }, (_, i) => ({
        id: `${i}`,
        content: `note ${i % 3 === 0 ? "of ships " : ""}${"and more ".repeat(i % 7)}`,
        embedding: [Math.cos(i), Math.sin(i)],
        ...model,
      })),
    );
    const find = async (limit: number) => {
      const found = await memories.search("note ships", { embedding: [1, 0], ...model, limit });
      return found.map(({ memory, score }) => `${memory.id} ${score}`);
    };
    const all = await find(1_000);
    expect(all).toHaveLength(260);
    for (const limit of [1, 10, 50, 99, 101, 250]) expect(await find(limit)).toEqual(all.slice(0, limit));
  });
});

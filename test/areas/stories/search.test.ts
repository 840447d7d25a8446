import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";
import { tempStories } from "../../support/stories.js";
import { tempDatabase } from "../../support/temp.js";

const LIGHTHOUSE = {
  title: "The Lighthouse",
  passages: [{ id: "start", content: "Fog over the kubernetes of rocks; migrations of gulls at café Ωmega. 数据库" }],
};

test("stories are found by their texts, titles and tags", async () => {
  await using temp = await tempStorage();
  const { stories } = temp.storage;
  await stories.saveStory("a", LIGHTHOUSE, { metadata: { tags: ["maritime"] } });
  await stories.saveStory("b", {
    title: "The Desert",
    passages: [{ id: "p", content: "Sand, src/storage/db.ts and sand" }],
  });
  const found = async (text: string, options = {}) =>
    (await stories.searchStories(text, options)).map(({ metadata, match }) => `${metadata.id} ${match}`);
  expect(await found("how do the gulls migrate in fog?")).toEqual(["a keyword"]);
  expect(await found("lighthouse")).toEqual(["a keyword"]);
  expect(await found("maritime")).toEqual(["a keyword"]);
  expect(await found("cafe")).toEqual(["a keyword"]);
  expect(await found("数据")).toEqual(["a keyword"]);
  expect(await found("src/storage/db.ts")).toEqual(["b keyword"]);
  expect(await found("lightho")).toEqual(["a prefix"]);
  expect(await found("bernete")).toEqual(["a substring"]);
  expect(await found("")).toEqual(["b recent", "a recent"]);
  expect(await found("the", { tags: ["maritime"] })).toEqual(["a keyword"]);
  expect(await found("", { limit: 1 })).toEqual(["b recent"]);
  const [result] = await stories.searchStories("gulls");
  expect(result).toMatchObject({ metadata: { id: "a", title: "The Lighthouse", tags: ["maritime"] } });
  expect(result!.snippet).toContain("<mark>gulls</mark>");
  expect(result!.score).toBeGreaterThan(0);
});

test("a search finds every earlier change, even by other processes", async () => {
  await using temp = await tempStorage();
  const { stories } = temp.storage;
  const ids = async (text: string) => (await stories.searchStories(text)).map(({ metadata }) => metadata.id);
  await stories.saveStory("a", { text: "albatross" });
  expect(await ids("albatross")).toEqual(["a"]);
  await stories.saveStory("a", { text: "penguin" });
  expect(await ids("albatross")).toEqual([]);
  expect(await ids("penguin")).toEqual(["a"]);
  await stories.updateMetadata("a", { title: "Cormorant", tags: ["heron"] });
  expect(await ids("cormorant")).toEqual(["a"]);
  expect(await ids("heron")).toEqual(["a"]);
  await stories.deleteStory("a");
  expect(await ids("penguin")).toEqual([]);
  expect(await ids("")).toEqual([]);
  await stories.restore("a");
  expect(await ids("penguin")).toEqual(["a"]);
  await temp.storage.transaction(async (tx) => {
    await tx.stories.saveStory("b", { text: "penguin" });
    expect((await tx.stories.searchStories("penguin")).map(({ metadata }) => metadata.id).sort()).toEqual(["a", "b"]);
    expect(await ids("penguin")).toEqual(["a"]);
  });
  expect((await ids("penguin")).sort()).toEqual(["a", "b"]);
  expect(await temp.storage.project("other").stories.searchStories("penguin")).toEqual([]);
  await stories.clear();
  expect(await ids("penguin")).toEqual([]);
});

test("a save does not index: the next search indexes each change once", async () => {
  await using temp = await tempStorage();
  const { stories } = temp.storage;
  const rows = async () => Number((await temp.storage.client.execute("select count(*) from story_search")).rows[0]![0]);
  await stories.batchSave(Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`s${n}`, { text: `word${n}` }])));
  expect(await rows()).toBe(0);
  expect(await stories.searchStories("word33")).toMatchObject([{ metadata: { id: "s33" } }]);
  expect(await rows()).toBe(60);
  const { writes } = (await temp.storage.stats()).client!;
  await stories.searchStories("word34");
  expect((await temp.storage.stats()).client!.writes.commits).toBe(writes.commits);
});

test("a search in a read transaction finds stories that are not indexed", async () => {
  await using temp = await tempStorage();
  const { stories } = temp.storage;
  await stories.saveStory("a", { text: "albatross" });
  await stories.searchStories("albatross");
  await stories.saveStory("b", { text: "albatross" });
  await temp.storage.transaction(
    async (tx) => {
      const found = (await tx.stories.searchStories("albatross")).map(({ metadata }) => metadata.id);
      expect(found.sort()).toEqual(["a", "b"]);
    },
    { mode: "read" },
  );
});

test.each([true, "immutable"] as const)(
  "readOnly: %j finds every stored story, never an old text",
  async (readOnly) => {
    await using home = await tempDatabase();
    {
      // Readers with `immutable` read the file alone, so the log is moved into it by the close.
      await using writer = await openStorage(home.url);
      const { stories } = writer;
      await stories.saveStory("edited", { title: "L", text: "a kiwi" }, { metadata: { tags: ["fruit"] } });
      await stories.saveStory("indexed", { title: "I", text: "a mango, a mango and a cherry" });
      await stories.saveStory("gone", { text: "mango" });
      await writer.project("other").stories.saveStory("elsewhere", { text: "mango" });
      expect(await stories.searchStories("kiwi")).toHaveLength(1);
      await stories.saveStory("edited", { title: "L", text: "a mango" });
      await stories.saveStory("new", { title: "N", text: "saved on close, with the underground and 数据库" });
      await stories.deleteStory("gone");
    }
    await using reader = await openStorage({ url: home.url, readOnly });
    const { stories } = reader;
    const found = async (text: string, options = {}) =>
      (await stories.searchStories(text, options)).map(({ metadata, match }) => `${metadata.id} ${match}`);
    expect(await found("close")).toEqual(["new keyword"]);
    expect(await found("数据")).toEqual(["new keyword"]);
    expect(await found("undergr")).toEqual(["new prefix"]);
    expect(await found("ERGROUN")).toEqual(["new substring"]);
    expect(await found("kiwi")).toEqual([]);
    expect(await found("cherry")).toEqual(["indexed keyword"]);
    expect((await found("mango")).sort()).toEqual(["edited keyword", "indexed keyword"]);
    expect(await found("mango", { tags: ["fruit"] })).toEqual(["edited keyword"]);
    expect(await found("mango", { limit: 1 })).toHaveLength(1);
    expect(await found("")).toEqual(["new recent", "edited recent", "indexed recent"]);
    expect(await stories.searchStories("mango", { tags: ["fruit"] })).toMatchObject([
      { snippet: expect.stringContaining("a <mark>mango</mark>") },
    ]);
    for (const { snippet } of await stories.searchStories("")) expect(snippet).not.toContain("kiwi");
    expect(await reader.project("other").stories.searchStories("mango")).toMatchObject([
      { metadata: { id: "elsewhere" } },
    ]);
  },
);

test("readOnly sees the stories of a running writer, indexed or not, and ranks them together", async () => {
  await using home = await tempDatabase();
  await using writer = await openStorage(home.url);
  await using reader = await openStorage({ url: home.url, readOnly: true });
  const batch = (from: number) =>
    Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [`s${from + n}`, { text: `word${from + n} ${"common ".repeat(n + 1)}` }]),
    );
  await writer.stories.batchSave(batch(0));
  await writer.stories.searchStories("word");
  await writer.stories.batchSave(batch(60));
  const ids = async (storage: typeof reader, text: string) =>
    (await storage.stories.searchStories(text, { limit: 200 })).map(({ metadata }) => metadata.id);
  const before = [await ids(reader, "word7"), await ids(reader, "word99"), (await ids(reader, "common")).sort()];
  const after = [await ids(writer, "word7"), await ids(writer, "word99"), (await ids(writer, "common")).sort()];
  expect(before).toEqual(after);
  expect(before[2]).toHaveLength(120);
  expect(await ids(reader, "word7 common")).toEqual(await ids(writer, "word7 common"));
});

test("a search takes any text and finds stories of any shape", async () => {
  await using temp = await tempStorage();
  const { stories } = temp.storage;
  let deep: unknown = "deepest";
  for (let n = 0; n < 2_000; n++) deep = [deep];
  await stories.saveStory("deep", {
    deep,
    nul: "a\0b",
    lone: "\ud800x",
    wide: Array.from({ length: 200_000 }, () => 1),
  });
  await stories.saveStory("long", { a: "x ".repeat(300_000), z: "zebra" });
  await stories.saveStory("empty", {});
  for (const text of [
    "'",
    '"',
    "(",
    "AND OR NOT",
    "-foo",
    "***",
    "NEAR(",
    "😀",
    "\0",
    "\ud800",
    "a".repeat(100_000),
    "%",
    "_",
  ]) {
    expect(Array.isArray(await stories.searchStories(text)), JSON.stringify(text.slice(0, 20))).toBe(true);
  }
  expect(await stories.searchStories("deepest")).toMatchObject([{ metadata: { id: "deep" } }]);
  expect(await stories.searchStories("zebra"), "beyond the first 200,000 characters").toEqual([]);
  await expect(stories.searchStories(5 as unknown as string)).rejects.toThrow(TypeError);
  await expect(stories.searchStories("x", { limit: -1 })).rejects.toThrow(RangeError);
  await expect(stories.searchStories("x", { tag: "y" } as object)).rejects.toThrow(TypeError);
});

test("without the full-text tables a search still answers, and health says that they are missing", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await storage.stories.saveStory("a", LIGHTHOUSE);
  expect(await storage.health()).toMatchObject({ fts: true });
  for (const name of ["insert", "delete", "update"])
    await storage.client.execute(`DROP TRIGGER story_search_fts_${name}`);
  await storage.client.execute("DROP TABLE story_search_fts");
  expect(await storage.stories.searchStories("gulls")).toMatchObject([{ metadata: { id: "a" } }]);
  expect(await storage.health()).toMatchObject({ ok: false, fts: false });
});

test.each(["filesystem", "custom"] as const)(
  "stories on %s cannot be searched, and the error says what to do",
  async (kind) => {
    await using temp = await tempStories(kind);
    const error = await rejection(temp.service.searchStories("x"));
    expect(error).toMatchObject({ code: "NOT_SUPPORTED" });
    expect(error.message).toMatch(/copy them/);
  },
);

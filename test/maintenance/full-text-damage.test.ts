import { fileURLToPath } from "node:url";
import { openStorage } from "holdfast";
import { revert } from "holdfast/migrate";
import { expect, test } from "vitest";
import { openSecond, openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const folder = fileURLToPath(new URL("../../drizzle", import.meta.url));

const damages: [name: string, sql: string, isTold: boolean][] = [
  ["segments that are gone", "DELETE FROM messages_fts_data WHERE id > 10", true],
  ["segments that are cut", "UPDATE messages_fts_data SET block = x'00' WHERE id > 10", true],
  ["a structure that is garbage", "UPDATE messages_fts_data SET block = x'0102030405' WHERE id = 10", true],
  ["nothing left of it", "DELETE FROM messages_fts_data", true],
  ["no sizes", "DELETE FROM messages_fts_docsize", true],
  ["entries that were removed", "DELETE FROM messages_fts WHERE rowid > 0", true],
  ["terms of a row that has none", "UPDATE messages_fts_docsize SET sz = x'0501'", false],
];

// A damaged index stopped all writes until the storage was opened again, and reindex did not get past it.
test.each(damages)(
  "an index with %s is reported by check and health, and repaired by reindex",
  async (_name, sql, isTold) => {
    await using db = await tempDatabase();
    await using storage = await openStorage(db.path);
    const { conversations } = storage;
    const { id } = await conversations.insert({
      messages: ["hello there", "another zebra"].map((content) => ({ role: "user", content })),
    });
    {
      using file = openSecond(db.path);
      file.exec(sql);
      if (!isTold) {
        // As the triggers of earlier versions left it: the row has lost its terms, the index has not.
        file.exec("DROP TRIGGER messages_content; UPDATE messages SET search_text = NULL WHERE seq = 1");
      }
    }
    const result = await storage.check();
    expect(result.findings).toContainEqual(expect.objectContaining({ code: "INDEX_STALE", repair: "reindex" }));
    expect(result.findings.filter(({ code }) => code === "CORRUPT")).toEqual([]);
    expect(await storage.health()).toMatchObject({
      ok: false,
      fts: false,
      lastError: expect.stringMatching(/reindex/),
    });
    // Found by reading the rows.
    expect(await conversations.search("zebra")).toMatchObject([{ message: { content: "another zebra" } }]);
    const [message] = (await conversations.messages(id)).items;
    const refused = await conversations.updateMessage(message!.id, { content: "other words" }).catch((error) => error);
    if (refused instanceof Error)
      expect(refused).toMatchObject({ code: "CORRUPT", message: expect.stringMatching(/reindex/) });
    await storage.reindex();
    await conversations.updateMessage(message!.id, { content: "other words by then" });
    await conversations.append(id, { role: "user", content: "and a giraffe" });
    expect(await conversations.search("giraffe")).toHaveLength(1);
    expect(await conversations.search("hello")).toHaveLength(0);
    expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
    expect(await storage.health()).toMatchObject({ ok: true, fts: true });
  },
);

// A full stop at the end of a message gave its index the same terms once more, and the message none.
test("opening a file that earlier triggers damaged repairs it", async () => {
  await using db = await tempDatabase();
  {
    await using storage = await openStorage(db.path);
    const messages = Array.from({ length: 50 }, (_, i) => ({
      role: "user" as const,
      content: `turn ${i} of the cluster`,
    }));
    await storage.conversations.insert({ messages });
  }
  {
    await using client = openTestClient(db.url);
    await revert(client, { folder, to: "0007_stories_search" });
  }
  {
    using file = openSecond(db.path);
    // As that version left them: the rows have their terms.
    file.exec("UPDATE messages SET search_text = content");
    file.exec("UPDATE messages SET content = content || '.', checksum = 'x', search_text = search_text WHERE seq = 7");
    expect(file.all("SELECT search_text FROM messages WHERE seq = 7")).toEqual([[null]]);
    expect(() => file.exec("INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)")).toThrow();
  }
  await using storage = await openStorage(db.path);
  expect(await storage.check()).toMatchObject({ ok: true });
  expect(await storage.conversations.search("cluster", { limit: 50 })).toHaveLength(50);
  expect(await storage.check()).toMatchObject({ ok: true });
});

test("SQL that is refused because of the index names reindex, not a backup", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insert({ id: "m", content: "words" });
  await storage.client.execute("UPDATE memories_fts_data SET block = x'0102030405' WHERE id = 10");
  const error = await rejection(storage.memories.insert({ content: "more words" }));
  expect(error).toMatchObject({ code: "CORRUPT", message: expect.stringMatching(/reindex/) });
  expect(error.message).not.toMatch(/backup/);
});

// `reindex` noted that the index lacks all rows, and emptied it in a later transaction: rows that another process had
// indexed between the two were in neither.
test("two reindexes and searches at once leave every row in the index", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await using other = await openStorage(db.path);
  await storage.memories.insertMany(Array.from({ length: 1_500 }, (_, i) => ({ content: `hello memory${i}x` })));
  for (let round = 0; round < 4; round++) {
    await Promise.all([
      storage.reindex(),
      other.reindex(),
      other.memories.search("hello"),
      storage.memories.search("hello"),
    ]);
    const lacks = "SELECT count(*) AS rows FROM memories WHERE row_id NOT IN (SELECT id FROM memories_fts_docsize)";
    expect((await storage.client.execute(lacks)).rows[0]).toMatchObject({ rows: 0 });
  }
  expect(await storage.memories.search("memory1499x")).toMatchObject([{ match: "keyword" }]);
});

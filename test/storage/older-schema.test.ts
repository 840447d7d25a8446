import { text } from "node:stream/consumers";
import { openStorage, type Storage } from "holdfast";
import { migrate } from "holdfast/migrate";
import { expect, test } from "vitest";
import { parseLocalUrl } from "../../src/client/file-url.js";
import { openLocalClient } from "../../src/client/local/open-local.js";
import { OWN_MIGRATIONS } from "../../src/schema/own-migrations.js";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const JOURNAL = OWN_MIGRATIONS.migrations;

/** Every call that reads. */
const READS: Readonly<Record<string, (storage: Storage) => Promise<unknown>>> = {
  stats: (storage) => storage.stats(),
  projects: (storage) => storage.projects(),
  export: (storage) => text(storage.export()),
  "dry prune": (storage) => storage.prune({ maxRows: 0, dryRun: true }),
  "memories.get": ({ memories }) => memories.get("m"),
  "memories.list": ({ memories }) => memories.list(),
  "memories.count": ({ memories }) => memories.count(),
  "memories.search": ({ memories }) => memories.search("zebra"),
  "memories.search of a part": ({ memories }) => memories.search("ebr"),
  "memories.timeline": ({ memories }) => memories.timeline({ around: new Date() }),
  "memories.findDuplicates": ({ memories }) => memories.findDuplicates(),
  "memories.unembedded": ({ memories }) => memories.unembedded({ model: "m" }),
  "memories.nearest": ({ memories }) => memories.nearest([1, 2], { model: "m" }),
  "sessions.latest": ({ sessions }) => sessions.latest(3),
  "conversations.get": ({ conversations }) => conversations.get("c"),
  "conversations.list": ({ conversations }) => conversations.list(),
  "conversations.messages": ({ conversations }) => conversations.messages("c"),
  "conversations.window": ({ conversations }) => conversations.window("c"),
  "conversations.search": ({ conversations }) => conversations.search("zebra"),
  "conversations.summaries": ({ conversations }) => conversations.summaries(),
  "graph.getNode": ({ graph }) => graph.getNode("n"),
  "graph.findNodes": ({ graph }) => graph.findNodes(),
  "graph.bfs": ({ graph }) => graph.bfs("n"),
  "graph.pageRank": ({ graph }) => graph.pageRank(),
  "stories.list": ({ stories }) => stories.listStories(),
  "stories.load": ({ stories }) => stories.loadStory("s"),
  "stories.search": ({ stories }) => stories.searchStories("zebra"),
  "in a transaction": (storage) => storage.transaction((tx) => tx.stories.listStories(), { mode: "read" }),
};

test("a file of any earlier version is read as far as its tables go, or the error says that it needs a migration", async () => {
  await using db = await tempDatabase();
  const client = openLocalClient({ url: db.url }, parseLocalUrl(db.url)!);
  const refused = new Set<string>();
  try {
    for (const [index, { tag }] of JOURNAL.entries()) {
      await migrate(client, { ...OWN_MIGRATIONS, to: tag });
      const options = index % 2 === 0 ? ({ readOnly: true } as const) : ({ migrate: "skip" } as const);
      await using storage = await openStorage({ url: db.path, ...options });
      for (const [name, read] of Object.entries(READS)) {
        const error = await read(storage).then(
          () => undefined,
          (failure) => failure,
        );
        if (error === undefined || error.code === "NOT_FOUND") continue;
        expect({ tag, name, code: error.code }).toEqual({ tag, name, code: "MIGRATION_PENDING" });
        expect(error.message).toContain("holdfast migrate");
        refused.add(`${tag.slice(0, 4)} ${name}`);
      }
      expect((await storage.health()).tables).toContainEqual({ table: "memories", rows: 0 });
    }
  } finally {
    await client.close();
  }
  const always = ["stats", "projects", "dry prune", "export", "memories.search"];
  expect([...refused].filter((one) => always.includes(one.slice(5)))).toEqual([]);
});

test("a file whose rows have their index terms finds the same before, while and after they are in the index alone", async () => {
  await using db = await tempDatabase();
  const client = openLocalClient({ url: db.url }, parseLocalUrl(db.url)!);
  await migrate(client, { ...OWN_MIGRATIONS, to: "0009_message_sent_hash" });
  await client.close();
  const found = async (options: object) => {
    await using storage = await openStorage({ url: db.path, ...options });
    const { memories, conversations } = storage;
    return [
      (await memories.search("zebra crossings")).map(({ memory, match }) => [memory.id, match]),
      (await conversations.search("zebras")).map(({ message, match }) => [message.id, match]),
    ];
  };
  {
    await using storage = await openStorage({ url: db.path, migrate: "skip" });
    const contents = Array.from({ length: 600 }, (_, i) => (i % 100 === 7 ? `zebra ${i} crosses` : `a horse ${i}`));
    await storage.memories.insertMany(contents.map((content, i) => ({ id: `m${i}`, content })));
    await storage.memories.delete("m107");
    await storage.conversations.insert({ messages: [{ id: "n", role: "user", content: "the zebra" }] });
  }
  const before = await found({ migrate: "skip" });
  expect(before[0]).toHaveLength(5);
  await using storage = await openStorage(db.path);
  const waiting = async () => (await storage.client.execute("SELECT target FROM search_backlog")).rows.length;
  expect(await waiting()).toBe(2);
  expect(await storage.health()).toMatchObject({ ok: true, fts: true });
  expect(await storage.check()).toMatchObject({ ok: true });
  // Cannot store the terms, so it reads every row.
  expect(await found({ readOnly: true })).toEqual(before);
  expect(await waiting()).toBe(2);
  expect(await found({})).toEqual(before);
  expect(await waiting()).toBe(0);
  const { rows } = await storage.client.execute(
    "SELECT search_text FROM memories UNION SELECT search_text FROM messages",
  );
  expect(rows.map((row) => row[0])).toEqual([""]);
  expect(await found({ readOnly: true })).toEqual(before);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test('a file of a later version is MIGRATION_UNKNOWN with readOnly, and opens unlooked at with `migrate: "skip"`', async () => {
  await using db = await tempDatabase();
  {
    await using storage = await openStorage(db.path);
    await storage.memories.insert({ id: "m", content: "a zebra" });
    await storage.client.execute(
      `INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('${"f".repeat(64)}', ${Date.now()})`,
    );
  }
  for (const options of [
    {},
    { migrate: "verify" },
    { readOnly: true },
    { readOnly: true, migrate: "verify" },
  ] as const) {
    const error = await rejection(openStorage({ url: db.path, ...options }));
    expect(error).toMatchObject({ code: "MIGRATION_UNKNOWN" });
  }
  for (const readOnly of [false, true]) {
    await using storage = await openStorage({ url: db.path, migrate: "skip", readOnly });
    expect(await storage.memories.search("zebra")).toHaveLength(1);
    expect((await storage.check()).findings).toMatchObject([{ code: "MIGRATION_UNKNOWN" }, { severity: "info" }]);
  }
});

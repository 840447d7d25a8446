import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "../../src/storage/storage.js";
import { createNotes, INSERT_NOTE, openRaw, openRawFile } from "../raw.js";
import { textMaker } from "../text.js";
import { meanMicros, millis, type Trial } from "../trial.js";

const STEADY = { count: 1000, warmup: 1000 };
const READS = { count: 20_000, warmup: 20_000 };
const STORED = 1000;
const LOADED = 50_000;
const PER_CONVERSATION = 50;
const BATCH = 2500;

export const memoryGet: Trial = {
  title: "memories.get of one of 1,000",
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      const { memories } = await openStorage(join(folder, "memories.db"));
      const ids = await memories.insertMany(texts(STORED)).then((stored) => stored.map(({ id }) => id));
      return meanMicros((i) => memories.get(ids[i % STORED]!), READS);
    },
    "raw libsql": async ({ folder }) => {
      const path = join(folder, "memories.db");
      const storage = await openStorage(path);
      const ids = await storage.memories.insertMany(texts(STORED)).then((stored) => stored.map(({ id }) => id));
      await storage.close();
      const statement = openRawFile(path).prepare(
        `SELECT id, session_id, type, source, content, metadata, created_at, updated_at, deleted_at
         FROM memories WHERE project = 'default' AND id = ? AND deleted_at IS NULL`,
      );
      return meanMicros((i) => statement.get(ids[i % STORED]), READS);
    },
  },
};

export const memoryInsert: Trial = {
  title: "memories.insert, awaited one after the other, durable, indexed",
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      const { memories } = await openStorage(join(folder, "memories.db"));
      const text = textMaker(7);
      return meanMicros(() => memories.insert({ content: text() }), STEADY);
    },
    "raw libsql": async ({ folder }) => {
      const database = openRaw(folder);
      createNotes(database);
      const insert = database.prepare(INSERT_NOTE);
      const text = textMaker(7);
      return meanMicros(() => insert.run(randomUUID(), text(), Date.now()), STEADY);
    },
  },
};

/** The check is one `stat`. What it takes within a commit, it takes after one. */
export const commitCheck: Trial = {
  title: "the check before each commit that the file is in its place, as a share of a durable insert",
  unit: "%",
  isCases: true,
  contenders: {
    "memories.insert": async ({ folder }) => {
      const path = join(folder, "memories.db");
      const { memories } = await openStorage(path);
      const text = textMaker(7);
      return shareOfStat(path, () => memories.insert({ content: text() }));
    },
    "an INSERT by the client": async ({ folder }) => {
      const path = join(folder, "client.db");
      const { client } = await openStorage(path);
      await client.execute("CREATE TABLE notes (row_id INTEGER PRIMARY KEY, content TEXT NOT NULL)");
      const text = textMaker(7);
      return shareOfStat(path, () => client.execute("INSERT INTO notes (content) VALUES (?)", [text()]));
    },
  },
};

export const memoryInsertsAtOnce: Trial = {
  title: "1,000 calls of memories.insert at once, most of them indexed afterwards, against one transaction",
  unit: "ms",
  contenders: {
    holdfast: async ({ folder }) => {
      const { memories } = await openStorage(join(folder, "memories.db"));
      await memories.insertMany(texts(STORED, 8));
      const inputs = texts(STORED);
      return millis(() => Promise.all(inputs.map((input) => memories.insert(input))));
    },
    "raw libsql": async ({ folder }) => {
      const database = openRaw(folder);
      createNotes(database);
      const insert = database.prepare(INSERT_NOTE);
      const store = (inputs: readonly { readonly content: string }[]) => {
        database.exec("BEGIN");
        for (const { content } of inputs) insert.run(randomUUID(), content, Date.now());
        database.exec("COMMIT");
      };
      store(texts(STORED, 8));
      const inputs = texts(STORED);
      return millis(async () => store(inputs));
    },
  },
};

export const messageLoad: Trial = {
  title: "loading 50,000 messages of 23 words in batches of 2,500, indexed",
  unit: "messages/s",
  isMoreBetter: true,
  contenders: {
    holdfast: async ({ folder }) => {
      const { conversations } = await openStorage(join(folder, "log.db"));
      const messages = texts(LOADED).map(({ content }) => ({ role: "user" as const, content }));
      const took = await millis(async () => {
        for (let from = 0; from < LOADED; from += BATCH) {
          const starts = Array.from({ length: BATCH / PER_CONVERSATION }, (_, part) => from + part * PER_CONVERSATION);
          await conversations.insertMany(
            starts.map((start) => ({ messages: messages.slice(start, start + PER_CONVERSATION) })),
          );
        }
      });
      return (LOADED / took) * 1000;
    },
    // The index gets each batch in one statement, which is the fastest way to fill it.
    "raw libsql": async ({ folder }) => {
      const database = openRaw(folder);
      createNotes(database, { hasTrigger: false });
      const insert = database.prepare(INSERT_NOTE);
      const index = database.prepare(
        "INSERT INTO notes_text (rowid, content) SELECT row_id, content FROM notes WHERE row_id > ?",
      );
      const inputs = texts(LOADED);
      const took = await millis(async () => {
        for (let from = 0; from < LOADED; from += BATCH) {
          database.exec("BEGIN");
          for (const { content } of inputs.slice(from, from + BATCH)) insert.run(randomUUID(), content, Date.now());
          index.run(from);
          database.exec("COMMIT");
        }
      });
      return (LOADED / took) * 1000;
    },
  },
};

/** The time of `stat` in percent of that of `insert`, before each of which it is measured. */
async function shareOfStat(path: string, insert: () => Promise<unknown>): Promise<number> {
  let ofStat = 0;
  let ofInsert = 0;
  await meanMicros(async (index) => {
    const start = performance.now();
    statSync(path, { throwIfNoEntry: false });
    const looked = performance.now();
    await insert();
    if (index < STEADY.warmup) return;
    ofStat += looked - start;
    ofInsert += performance.now() - looked;
  }, STEADY);
  return (ofStat / ofInsert) * 100;
}

function texts(count: number, seed = 7): { readonly content: string }[] {
  const text = textMaker(seed);
  return Array.from({ length: count }, (_, index) => ({ content: `${text()} turn${seed}x${index}` }));
}

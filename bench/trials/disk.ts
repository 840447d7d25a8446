import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { openStorage, type Storage } from "../../src/storage/storage.js";
import { LOCOMO, readLocomo } from "../locomo.js";
import { openRaw } from "../raw.js";
import type { Trial, TrialContext } from "../trial.js";

const ROWS = 50_000;
const PER_BATCH = 1_000;
const INDEXES = ["notes_fts", "memories_fts", "messages_fts"];

/** The least that keeps such a row and finds it by its id, time and words. */
const PLAIN = `CREATE TABLE notes (row_id INTEGER PRIMARY KEY, project TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    content TEXT NOT NULL, metadata TEXT NOT NULL, created_at INTEGER NOT NULL);
  CREATE UNIQUE INDEX notes_id ON notes (project, id);
  CREATE INDEX notes_time ON notes (project, created_at);
  CREATE VIRTUAL TABLE notes_fts USING fts5(content, content='notes', content_rowid='row_id', tokenize='porter unicode61');
  CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN
    INSERT INTO notes_fts (rowid, content) VALUES (new.row_id, new.content);
  END;`;

function texts(): string[] {
  const turns = readLocomo(process.env.HOLDFAST_TEST_DATA!).flatMap(({ turns }) => turns);
  return Array.from({ length: ROWS }, (_, i) => {
    const { speaker, text } = turns[i % turns.length]!;
    return `${speaker}: ${text} u${i}`;
  });
}

/** Without the free pages that the loading left. */
async function bytesOfRow(folder: string, run: (sql: string) => unknown): Promise<number> {
  const compact = join(folder, "compact.db");
  for (const index of INDEXES) {
    try {
      await run(`INSERT INTO ${index} (${index}) VALUES ('optimize')`);
    } catch {
      // The other contender has this index.
    }
  }
  await run(`VACUUM INTO '${compact}'`);
  return statSync(compact).size / ROWS;
}

const inHoldfast =
  (load: (storage: Storage, part: readonly string[]) => Promise<unknown>) =>
  async ({ folder }: TrialContext) => {
    await using storage = await openStorage({ url: join(folder, "holdfast.db"), durability: "relaxed" });
    const all = texts();
    for (let from = 0; from < ROWS; from += PER_BATCH) await load(storage, all.slice(from, from + PER_BATCH));
    return await bytesOfRow(folder, (sql) => storage.client.execute(sql));
  };

const inPlainTable = async ({ folder }: TrialContext) => {
  const database = openRaw(folder, "NORMAL");
  database.exec(PLAIN);
  const insert = database.prepare(
    "INSERT INTO notes (project, id, type, content, metadata, created_at) VALUES ('default', ?, 'context', ?, '{}', ?)",
  );
  for (const [i, text] of texts().entries()) {
    if (i % PER_BATCH === 0) database.exec("BEGIN");
    insert.run(randomUUID(), text, BigInt(1_700_000_000_000 + i));
    if (i % PER_BATCH === PER_BATCH - 1) database.exec("COMMIT");
  }
  return bytesOfRow(folder, (sql) => database.exec(sql));
};

export const memoryBytes: Trial = {
  title: "bytes of a memory of 129 characters with its indexes, in a file of 50,000 (turns of LoCoMo, repeated)",
  unit: "bytes",
  data: LOCOMO,
  contenders: {
    holdfast: inHoldfast(({ memories }, part) =>
      memories.insertMany(part.map((content) => ({ content, id: randomUUID() }))),
    ),
    "plain FTS5": inPlainTable,
  },
};

export const messageBytes: Trial = {
  title: "the same of a message",
  unit: "bytes",
  data: LOCOMO,
  contenders: {
    holdfast: inHoldfast(({ conversations }, part) =>
      conversations.insertMany([{ messages: part.map((content) => ({ role: "user", content })) }]),
    ),
    "plain FTS5": inPlainTable,
  },
};

import { createRequire } from "node:module";
import { join } from "node:path";

/** The part of `libsql` that the trials use. It is the synchronous library under both clients. */
export interface RawDatabase {
  exec(sql: string): void;
  prepare(sql: string): RawStatement;
  close(): void;
}

interface RawStatement {
  run(...args: readonly unknown[]): unknown;
  get(...args: readonly unknown[]): unknown;
  all(...args: readonly unknown[]): unknown[];
}

const { resolve } = createRequire(import.meta.url);
const Database = createRequire(resolve("@libsql/client/sqlite3"))("libsql") as new (path: string) => RawDatabase;

/** A new file with the same durability as the other contenders. */
export function openRaw(folder: string, durability: "FULL" | "NORMAL" = "FULL"): RawDatabase {
  const database = new Database(join(folder, "raw.db"));
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}`);
  return database;
}

export function openRawFile(path: string): RawDatabase {
  return new Database(path);
}

/** A table of notes with a porter index that a trigger fills. */
export function createNotes(database: RawDatabase, { hasTrigger = true } = {}): void {
  database.exec(`
    CREATE TABLE notes (row_id INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content TEXT NOT NULL, created_at INTEGER NOT NULL);
    CREATE VIRTUAL TABLE notes_text USING fts5(content, content = 'notes', content_rowid = 'row_id', tokenize = 'porter unicode61');
  `);
  if (!hasTrigger) return;
  database.exec(`CREATE TRIGGER notes_in AFTER INSERT ON notes BEGIN
    INSERT INTO notes_text (rowid, content) VALUES (new.row_id, new.content); END`);
}

export const INSERT_NOTE = "INSERT INTO notes (id, content, created_at) VALUES (?, ?, ?)";

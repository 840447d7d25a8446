import { createRequire } from "node:module";
import type { KeywordHit, SearchReader, SearchTarget, SqlValue } from "../../src/search/keyword-search.js";
import { keywordSearch } from "../../src/search/keyword-search.js";
import { planQuery } from "../../src/search/query.js";
import { FTS_TOKENIZER, searchScope, toSearchText } from "../../src/search/terms.js";
import { tempDatabase } from "../support/temp.js";

interface NativeStatement {
  raw(on: boolean): NativeStatement;
  all(args: unknown[]): unknown[][];
  run(args: unknown[]): unknown;
}

interface NativeDatabase {
  exec(sql: string): void;
  prepare(sql: string): NativeStatement;
  close(): void;
}

const TARGET: SearchTarget = {
  table: "notes",
  rowId: "row_id",
  content: "content",
  searchText: "search_text",
  fts: "notes_fts",
  recentOrder: "m.row_id DESC",
};

const SCHEMA = `
  CREATE TABLE notes (row_id INTEGER PRIMARY KEY, project TEXT, kind TEXT, content TEXT, search_text TEXT, deleted_at INTEGER);
  CREATE VIRTUAL TABLE notes_fts USING fts5(search_text, content='notes', content_rowid='row_id', tokenize='${FTS_TOKENIZER}');
  CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN
    INSERT INTO notes_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
  END;`;

interface Found extends KeywordHit {
  readonly content: string;
}

/** Contents of projects in a real database with the index of the library. */
export interface IndexedRows {
  readonly database: NativeDatabase;
  /** The number of SQL statements sent so far. */
  readonly statements: string[];
  insert(contents: readonly string[], options?: { project?: string; kind?: string }): void;
  search(text: string, options?: { project?: string; kind?: string; limit?: number }): Promise<Found[]>;
  /** The contents that `text` finds, best first. */
  find(text: string, options?: { project?: string; kind?: string; limit?: number }): Promise<string[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function indexedRows(contents: readonly string[] = []): Promise<IndexedRows> {
  const folder = await tempDatabase("search.db");
  const require = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
  const LibsqlDatabase = require("libsql") as new (path: string) => NativeDatabase;
  const database = new LibsqlDatabase(folder.path);
  database.exec(SCHEMA);
  const statements: string[] = [];
  const all: SearchReader["all"] = async (sql, args) => {
    statements.push(sql);
    return database.prepare(sql).raw(true).all(args.map(toNative));
  };
  const reader: SearchReader = { all, scan: all };
  const rows: IndexedRows = {
    database,
    statements,
    insert(added, { project = "p", kind = "note" } = {}) {
      const insert = database.prepare("INSERT INTO notes (project, kind, content, search_text) VALUES (?, ?, ?, ?)");
      database.exec("BEGIN");
      for (const content of added) insert.run([project, kind, content, toSearchText(content, searchScope(project))]);
      database.exec("COMMIT");
    },
    async search(text, { project = "p", kind, limit = 10 } = {}) {
      const hits = await keywordSearch(reader, {
        target: TARGET,
        plan: planQuery(text),
        scope: searchScope(project),
        where: {
          sql: `m.project = ? AND m.deleted_at IS NULL${kind === undefined ? "" : " AND m.kind = ?"}`,
          args: kind === undefined ? [project] : [project, kind],
        },
        limit,
      });
      const content = database.prepare("SELECT content FROM notes WHERE row_id = ?").raw(true);
      return hits.map((hit) => ({ ...hit, content: String(content.all([BigInt(hit.rowId)])[0]![0]) }));
    },
    async find(text, options) {
      return (await rows.search(text, options)).map((hit) => hit.content);
    },
    async [Symbol.asyncDispose]() {
      database.close();
      await folder[Symbol.asyncDispose]();
    },
  };
  rows.insert(contents);
  return rows;
}

function toNative(value: SqlValue): string | number | bigint {
  return Number.isInteger(value) ? BigInt(value) : value;
}

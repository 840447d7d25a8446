/**
 * How well keyword search finds the turns that answer a question: `npx tsx bench/search-quality.ts --data DIR-or-file`.
 *
 * Reads LoCoMo (Maharana et al. 2024): each conversation is a project, each turn one memory "speaker: text", and a question's
 * `evidence` names the turns that answer it. Evidence ids that no turn has are skipped, and so are questions left without any;
 * the unanswerable ones (category 5, whose evidence misleads on purpose) are counted apart.
 */
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { keywordSearch } from "../src/search/keyword-search.js";
import type { SearchReader, SearchTarget, SqlValue } from "../src/search/request.js";
import { FTS_TOKENIZER, searchScope, toSearchText } from "../src/search/terms.js";

const LIMIT = 10;
const UNANSWERABLE = 5;

interface Turn {
  readonly speaker: string;
  readonly dia_id: string;
  readonly text: string;
}

interface Conversation {
  readonly conversation: Readonly<Record<string, unknown>>;
  readonly qa: readonly { question: string; evidence?: readonly string[]; category: number }[];
}

interface Statement {
  raw(on: boolean): Statement;
  all(args: unknown[]): unknown[][];
  run(args: unknown[]): unknown;
}

interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
}

const TARGET: SearchTarget = {
  table: "memories",
  rowId: "row_id",
  content: "content",
  searchText: "search_text",
  fts: "memories_fts",
  recentOrder: "m.row_id DESC",
};

class Tally {
  #questions = 0;
  #recall = 0;
  #hits = 0;
  #reciprocalRanks = 0;

  add(found: readonly number[], evidence: ReadonlySet<number>): void {
    const places = found.flatMap((rowId, i) => (evidence.has(rowId) ? [i + 1] : []));
    this.#questions++;
    this.#recall += places.length / evidence.size;
    if (places[0] !== undefined) {
      this.#hits++;
      this.#reciprocalRanks += 1 / places[0];
    }
  }

  toString(): string {
    const share = (sum: number): string => (sum / this.#questions).toFixed(4);
    return `${this.#questions} questions: recall@${LIMIT} ${share(this.#recall)}, hit@${LIMIT} ${share(this.#hits)}, MRR@${LIMIT} ${share(this.#reciprocalRanks)}`;
  }
}

await main();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { data: { type: "string" } } });
  if (values.data === undefined) throw new TypeError("Expected `--data` to name locomo-dev.json or its folder");
  const file = statSync(values.data).isDirectory() ? join(values.data, "locomo-dev.json") : values.data;
  const conversations = JSON.parse(readFileSync(file, "utf8")) as Conversation[];
  const database = openDatabase();
  const rowIds = conversations.map((conversation, project) => store(database, project, conversation));
  const reader: SearchReader = { all: async (sql, args) => database.prepare(sql).raw(true).all(args.map(toNative)) };
  const answerable = new Tally();
  const unanswerable = new Tally();
  const started = performance.now();
  let searches = 0;
  for (const [project, { qa }] of conversations.entries()) {
    for (const { question, evidence = [], category } of qa) {
      const wanted = new Set(evidence.flatMap((id) => rowIds[project]!.get(id) ?? []));
      if (wanted.size === 0) continue;
      const hits = await keywordSearch(reader, {
        target: TARGET,
        text: question,
        scope: searchScope(projectName(project)),
        where: { sql: "m.project = ? AND m.deleted_at IS NULL", args: [projectName(project)] },
        limit: LIMIT,
      });
      searches++;
      (category === UNANSWERABLE ? unanswerable : answerable).add(
        hits.map((hit) => hit.rowId),
        wanted,
      );
    }
  }
  console.log(`answerable    ${answerable}`);
  console.log(`category ${UNANSWERABLE}    ${unanswerable}`);
  console.log(`mean time     ${((performance.now() - started) / searches).toFixed(2)} ms a search`);
}

function openDatabase(): Database {
  const require = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
  const LibsqlDatabase = require("libsql") as new (path: string) => Database;
  const database = new LibsqlDatabase(":memory:");
  database.exec(`
    CREATE TABLE memories (row_id INTEGER PRIMARY KEY, project TEXT, content TEXT, search_text TEXT, deleted_at INTEGER);
    CREATE VIRTUAL TABLE memories_fts
      USING fts5(search_text, content='memories', content_rowid='row_id', tokenize='${FTS_TOKENIZER}');
    CREATE TRIGGER memories_fts_insert AFTER INSERT ON memories BEGIN
      INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
    END;`);
  return database;
}

/** Stores each turn and gives back the row of each turn's id. */
function store(database: Database, project: number, { conversation }: Conversation): Map<string, number> {
  const rowIds = new Map<string, number>();
  const name = projectName(project);
  const insert = database
    .prepare("INSERT INTO memories (project, content, search_text) VALUES (?, ?, ?) RETURNING row_id")
    .raw(true);
  for (const { speaker, dia_id, text } of turns(conversation)) {
    const content = `${speaker}: ${text}`;
    const [row] = insert.all([name, content, toSearchText(content, searchScope(name))]);
    rowIds.set(dia_id, Number(row![0]));
  }
  return rowIds;
}

function turns(conversation: Conversation["conversation"]): Turn[] {
  const sessionNumbers = Object.keys(conversation).flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? []);
  return sessionNumbers
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((number) => (conversation[`session_${number}`] ?? []) as Turn[]);
}

function projectName(project: number): string {
  return `conversation-${project}`;
}

function toNative(value: SqlValue): string | number | bigint {
  return Number.isInteger(value) ? BigInt(value) : value;
}

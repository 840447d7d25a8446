// Writes docs/reference/schema.md, from the Drizzle tables, their doc comments and a database with all migrations.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { getTableConfig, type SQLiteTable } from "drizzle-orm/sqlite-core";
import * as schema from "../src/schema/index.js";
import { openStorage } from "../src/storage/storage.js";
import { readComments, type TableComments } from "./schema/read-comments.js";

type TableConfig = ReturnType<typeof getTableConfig>;

const PATH = fileURLToPath(new URL("../docs/reference/schema.md", import.meta.url));

const TITLES: Readonly<Record<string, readonly SQLiteTable[]>> = {
  Memories: [schema.memories, schema.memoryEmbeddings, schema.vectorVersions],
  Sessions: [schema.sessions],
  Conversations: [
    schema.conversations,
    schema.messages,
    schema.conversationTags,
    schema.messageRefs,
    schema.conversationSummaries,
  ],
  Graphs: [schema.graphNodes, schema.graphLabels, schema.graphEdges, schema.graphVersions],
  Stories: [
    schema.stories,
    schema.storyContents,
    schema.storyRevisions,
    schema.storyTags,
    schema.storySearch,
    schema.storyPreferences,
    schema.storySyncQueue,
    schema.storySecrets,
  ],
};

/** Columns that mean the same in every table. */
const COMMON: Readonly<Record<string, string>> = {
  row_id: "The number of the row, in the order of insertion. It is never used again.",
  project: "The project. Nothing refers to a row of another project.",
  created_at: "Milliseconds since 1970.",
  updated_at: "Milliseconds since 1970.",
  deleted_at: "When it was deleted, in milliseconds since 1970; null while it is not.",
  metadata: "A JSON object.",
};

/** References that have no foreign key, so that they can outlive the row they name or because a trigger keeps them. */
const LOOSE: readonly (readonly [table: string, column: string, target: string])[] = [
  ["memories", "session_id", "sessions"],
  ["memories", "embedding_row_id", "memory_embeddings"],
  ["conversation_tags", "conversation_row_id", "conversations"],
  ["conversation_tags", "message_row_id", "messages"],
  ["stories", "content_row_id", "story_contents"],
  ["story_revisions", "id", "stories"],
  ["story_revisions", "content_row_id", "story_contents"],
  ["story_tags", "story_row_id", "stories"],
  ["story_search", "row_id", "stories"],
  ["story_sync_queue", "story_id", "stories"],
];

/** Tables that only migrations know. */
const OTHER_TABLES: Readonly<Record<string, string>> = {
  memories_fts: "FTS5: the index terms of `memories`, which the rows do not have. It keeps no content.",
  messages_fts: "FTS5: the same of `messages`, and their conversation.",
  story_search_fts: "FTS5: the index terms of `story_search`.",
  memories_replaced: "Scratch: the row that an INSERT OR REPLACE removes, while the statement runs. Empty otherwise.",
  messages_replaced: "Scratch, the same for `messages`.",
  story_search_replaced: "Scratch, the same for `story_search`.",
  search_backlog:
    "Ranges of rows (`first` to `last`, of the table `target`) that the next search or a reindex indexes: those of a file of an earlier version, and rows of `memories` that other code wrote without index terms. While a program stores many rows, a range that ends with 9007199254740991 has the rows from its first on that the full-text table does not have yet; a program that ends in between leaves it to the next. Empty otherwise.",
  __drizzle_migrations:
    "The ledger: one row for each applied migration, with the hash of its text (`hash`) and its time in the journal (`created_at`). `drizzle-kit migrate` reads and writes the same table.",
  sqlite_sequence: "SQLite's own: the last `row_id` of each table.",
};

/** What triggers do, by their names; the first one that fits counts. */
const TRIGGERS: readonly (readonly [RegExp, string])[] = [
  [
    /^messages_fts_/,
    "keep the full-text index and `conversation_tags` equal to the table, also for INSERT OR REPLACE; set `search_text` to null if other code changes the content, so that the next search indexes it",
  ],
  [
    /^memories_fts_/,
    "keep the full-text index equal to the table, also for INSERT OR REPLACE; if other code changes the content, the next search indexes it",
  ],
  [/_fts_/, "keep the full-text index equal to its table, also for INSERT OR REPLACE"],
  [/^memory_embeddings_dimensions$/, "refuse a vector whose length differs from those of its model and version"],
  [/^memory_embeddings_/, "keep `vector_versions`"],
  [/^graph_nodes_/, "change `graph_versions`"],
  [/^graph_edges_/, "change `graph_versions`, and keep one of the parallel edges at `copy` 0"],
  [/^messages_content$/, "keep the full-text index equal to a `search_text` that was set to null"],
  [/_id_taken$/, "refuse an id that a conversation or a message of the project has already"],
  [/^messages_touch_/, "move `updated_at` of the conversation"],
  [/_tags_/, "keep `conversation_tags` equal to the `tags` columns"],
];

interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  readonly sql: string;
}

/** The page as it should be, and what lacks a description. */
export async function schemaReference(): Promise<{ path: string; text: string; missing: string[] }> {
  const objects = await readObjects();
  const comments = readComments();
  const tables = Object.values(TITLES)
    .flat()
    .map((table) => getTableConfig(table));
  const sections = Object.entries(TITLES).map(([title, own]) => {
    const parts = own.map((table) => tableSection(getTableConfig(table), comments, objects));
    return `## ${title}\n\n${parts.join("\n")}`;
  });
  const text = [intro(), diagram(tables), ...sections, otherTables(objects), triggers(objects)].join("\n");
  return { path: PATH, text, missing: findMissing(tables, comments, objects) };
}

async function readObjects(): Promise<SchemaObject[]> {
  const storage = await openStorage(":memory:");
  try {
    const { rows } = await storage.client.execute(
      "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name",
    );
    return rows.map((row) => {
      const [type, name, table, sql] = Array.from(row, String);
      return { type: type!, name: name!, table: table!, sql: sql! };
    });
  } finally {
    await storage.close();
  }
}

function intro(): string {
  return `# Schema

The tables of a Holdfast file, written from \`src/schema\` and the migrations by \`npm run docs:schema\`. \`holdfast/schema\` exports them as Drizzle tables. Your own tables may be in the same file.

A release may add tables, columns, indexes and triggers; a released migration never changes, and \`openStorage\` brings older files up to date. Write through the API, and do not rely on \`search_text\`, \`content_hash\`, \`sent_hash\` and \`checksum\`, on the triggers or on the full-text tables: what they contain may change with any release.
`;
}

function diagram(tables: readonly TableConfig[]): string {
  const keys = tables.flatMap(({ name, foreignKeys }) =>
    foreignKeys.map((key) => {
      const { columns, foreignTable } = key.reference();
      const column = columns.at(-1)!;
      return [name, column.name, getTableConfig(foreignTable).name, `${column.notNull ? "||" : "|o"}--o{`] as const;
    }),
  );
  const loose = LOOSE.map(([table, column, target]) => [table, column, target, "|o..o{"] as const);
  const all = [...keys, ...loose];
  const boxes = tables.map(({ name, columns, primaryKeys }) => {
    const primary = new Set(primaryKeys.flatMap((key) => key.columns.map((column) => column.name)));
    const isKey = (column: string) => all.some(([table, own]) => table === name && own === column);
    const shown = columns.flatMap((column) => {
      const marks = [
        ...(column.primary || primary.has(column.name) ? ["PK"] : []),
        ...(isKey(column.name) ? ["FK"] : []),
      ];
      if (marks.length === 0 && column.name !== "id") return [];
      return [`    ${column.getSQLType()} ${column.name}${marks.length === 0 ? "" : ` ${marks.join(", ")}`}`];
    });
    return `  ${name} {\n${shown.join("\n")}\n  }`;
  });
  const lines = all.map(([table, column, target, mark]) => `  ${target} ${mark} ${table} : ${column}`);
  const about =
    "Only keys and ids are shown. A solid line is a foreign key; a dotted line is a reference without one, whose row may be missing.";
  return `## Diagram\n\n\`\`\`mermaid\nerDiagram\n${[...boxes, ...lines].join("\n")}\n\`\`\`\n\n${about}\n`;
}

function tableSection(
  { name, columns }: TableConfig,
  comments: ReadonlyMap<string, TableComments>,
  objects: readonly SchemaObject[],
): string {
  const own = comments.get(name);
  const rows = columns.map((column) => {
    const { primary, notNull, hasDefault, default: value } = column;
    const type = [column.getSQLType(), ...(primary ? ["primary key"] : notNull ? [] : ["null"])].join(", ");
    const meaning = meaningOf(own, column.name) ?? "";
    const withDefault = hasDefault && !primary ? `${meaning} Default ${String(value)}.` : meaning;
    return `| \`${column.name}\` | ${type} | ${inCell(withDefault)} |`;
  });
  const indexes = objects
    .filter(({ type, table }) => type === "index" && table === name)
    .map((index) => `- ${indexText(index)}`);
  const list = indexes.length === 0 ? "" : `\nIndexes:\n\n${indexes.join("\n")}\n`;
  return `### ${name}\n\n${own?.text ?? ""}\n\n| column | type | meaning |\n|---|---|---|\n${rows.join("\n")}\n${list}`;
}

function indexText({ name, sql }: SchemaObject): string {
  const [, unique, columns, where] = /CREATE (UNIQUE )?INDEX .*? ON \S+ \((.*?)\)(?: WHERE (.*))?$/is.exec(sql)!;
  const condition = where === undefined ? "" : ` where \`${where.trim()}\``;
  return `\`${name}\`: ${unique === undefined ? "" : "unique, "}${columns!.replaceAll(/[`"]/g, "").replaceAll(/,\s*/g, ", ")}${condition}`;
}

function meaningOf(own: TableComments | undefined, column: string): string | undefined {
  return own?.columns.get(column) || COMMON[column];
}

function otherTables(objects: readonly SchemaObject[]): string {
  const rows = otherNames(objects).map((name) => `| \`${name}\` | ${OTHER_TABLES[name] ?? ""} |`);
  const about =
    "The migrations create these. FTS5 keeps its data in more tables, whose names begin with that of the full-text table. Holdfast writes finished index terms into `search_text`, so the tokenizer only splits at spaces.";
  return `## Full-text tables and the ledger\n\n${about}\n\n| table | contents |\n|---|---|\n${rows.join("\n")}\n`;
}

/** The tables without a Drizzle table. The tables behind a full-text table are left out. */
function otherNames(objects: readonly SchemaObject[]): string[] {
  const known = new Set(Object.values(TITLES).flatMap((own) => own.map((table) => getTableConfig(table).name)));
  const names = objects.filter(({ type }) => type === "table").map(({ name }) => name);
  return names.filter((name) => !known.has(name) && !/_fts_(?:data|idx|content|docsize|config)$/.test(name));
}

function triggers(objects: readonly SchemaObject[]): string {
  const groups = new Map<string, string[]>();
  for (const { name, table } of objects.filter(({ type }) => type === "trigger")) {
    const group = `| \`${table}\` | ${effectOf(name) ?? ""} |`;
    groups.set(group, [...(groups.get(group) ?? []), `\`${name}\``]);
  }
  const rows = [...groups].sort().map(([group, names]) => `${group} ${names.join(", ")} |`);
  return `## Triggers\n\n| table | what its triggers do | triggers |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function effectOf(name: string): string | undefined {
  return TRIGGERS.find(([pattern]) => pattern.test(name))?.[1];
}

function inCell(text: string): string {
  return text.replace(/\s+/g, " ").replaceAll("|", "\\|").trim();
}

function findMissing(
  tables: readonly TableConfig[],
  comments: ReadonlyMap<string, TableComments>,
  objects: readonly SchemaObject[],
): string[] {
  const described = new Set(tables.map(({ name }) => name));
  const ofSchema = Object.values(schema)
    .map((table) => getTableConfig(table).name)
    .filter((name) => !described.has(name));
  const ofTables = tables.flatMap(({ name, columns }) => {
    const own = comments.get(name);
    const gaps = columns.filter((column) => !meaningOf(own, column.name)).map((column) => `${name}.${column.name}`);
    return own === undefined || own.text === "" ? [name, ...gaps] : gaps;
  });
  const ofOthers = otherNames(objects).filter((name) => OTHER_TABLES[name] === undefined);
  const ofTriggers = objects.filter(({ type, name }) => type === "trigger" && effectOf(name) === undefined);
  return [...ofSchema, ...ofTables, ...ofOthers, ...ofTriggers.map(({ name }) => name)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, text } = await schemaReference();
  writeFileSync(path, text);
}

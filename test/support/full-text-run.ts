import { setImmediate } from "node:timers/promises";
import type { Storage } from "holdfast";
import { searchScope, toSearchText } from "../../src/search/terms.js";
import { openSecond } from "./clients.js";
import type { Random } from "./random.js";

/** The results of a run of random changes. */
export interface FullTextRun {
  readonly steps: number;
  /** Statements of another program that succeeded. */
  readonly byHand: number;
  /** Statements that a constraint refused, and calls that rejected. */
  readonly refused: number;
  /** The steps before an index differed from its table, and the difference. */
  readonly faults: readonly string[];
}

type SecondConnection = ReturnType<typeof openSecond>;

const WORDS = [
  "cluster",
  "Ireland",
  "region",
  "deploys",
  "Rollbacks",
  "naïve",
  "数据库",
  "v1.2.3",
  "snake_case",
  "don't",
];
const ENDINGS = [".", "!", " ", "  ", "\n", "…", " …"];
const PROJECTS = ["one", "two"];
/** The end of the range of rows that are indexed after they were stored. */
const OPEN_END = 9007199254740991;
const isIndexed = (
  table: string,
) => `NOT EXISTS (SELECT 1 FROM search_backlog WHERE target = '${table}' AND last = ${OPEN_END}
  AND row_id >= first AND row_id NOT IN (SELECT id FROM ${table}_fts_docsize))`;
/**
 * The rows from which each index follows: `terms` stands for those of the content, which only the index has. A row that
 * waits for the next search has none, and one that is indexed with others later is not in the index.
 */
const INDEXES = [
  {
    table: "memories",
    columns: ["search_text"],
    rows: `SELECT row_id, project, CASE WHEN deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM search_backlog
      WHERE target = 'memories' AND last < ${OPEN_END} AND row_id BETWEEN first AND last) THEN content END
      FROM memories WHERE ${isIndexed("memories")}`,
  },
  {
    table: "messages",
    columns: ["search_text", "conversation_row_id"],
    rows: `SELECT row_id, project, CASE WHEN search_text IS NOT NULL THEN content END, conversation_row_id
      FROM messages WHERE ${isIndexed("messages")}`,
  },
  { table: "story_search", columns: ["search_text"], rows: "SELECT row_id, project, content FROM story_search" },
];

/**
 * Changes every table that has a full-text index, at random: through the library, and by SQL as Studio and scripts
 * write it. After each step, compares every index with one that is built from the same rows, on a fresh connection.
 * Stops at the first difference.
 */
export async function changeAtRandom(
  storage: Storage,
  path: string,
  random: Random,
  steps: number,
): Promise<FullTextRun> {
  const library = libraryCalls(storage, random);
  const run = { steps: 0, byHand: 0, refused: 0, faults: [] as string[] };
  for (; run.steps < steps && run.faults.length === 0; run.steps++) {
    let what: string;
    if (random.below(5) < 3) {
      const [name, call] = random.pick(library);
      what = name;
      try {
        await call();
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "CONFLICT" || code === "NOT_FOUND") run.refused++;
        else run.faults.push(`step ${run.steps}, ${name}: ${(error as Error).message}`);
      }
    } else {
      const result = await changeByHand(path, random);
      what = result.what;
      run.byHand += result.done;
      run.refused += result.refused;
      run.faults.push(...result.faults.map((fault) => `step ${run.steps}, ${what}: ${fault}`));
    }
    run.faults.push(...(await compareIndexes(path)).map((fault) => `step ${run.steps}, ${what}: ${fault}`));
  }
  return run;
}

function libraryCalls(storage: Storage, { below, pick }: Random): [name: string, call: () => Promise<unknown>][] {
  const project = () => storage.project(pick(PROJECTS));
  const text = () => textOf({ below, pick });
  /** Often text with the same index terms: a full stop, a trim, another case. */
  const changed = (content: string) => {
    const how = below(6);
    if (how === 0) return content + pick(ENDINGS);
    if (how === 1) return content.trim();
    if (how === 2) return content.toUpperCase();
    if (how === 3) return `${content} ${text()}`;
    return how === 4 ? content : text();
  };
  const anyConversation = async () => {
    const conversations = project().conversations;
    const { items } = await conversations.list({ limit: 20 });
    return { conversations, id: items.length === 0 ? "none" : pick(items).id };
  };
  const anyMessage = async () => {
    const { conversations, id } = await anyConversation();
    const { items } = id === "none" ? { items: [] } : await conversations.messages(id, { limit: 30 });
    return { conversations, message: items.length === 0 ? undefined : pick(items) };
  };
  const memoryId = () => `m${below(25)}`;
  const storyId = () => `story-${below(8)}`;
  const message = () => ({
    role: "user" as const,
    content: text(),
    tags: below(3) === 0 ? [pick(["a", "b"])] : [],
    ...(below(3) === 0 ? { clientId: `c${below(20)}` } : {}),
  });
  const removed: string[] = [];
  const calls: Record<string, () => Promise<unknown>> = {
    "insert a conversation": () =>
      project().conversations.insert({ messages: Array.from({ length: below(4) }, message), tags: ["kept"] }),
    append: async () => {
      const { conversations, id } = await anyConversation();
      await conversations.append(id, Array.from({ length: 1 + below(3) }, message));
    },
    "update a message": async () => {
      const { conversations, message: known } = await anyMessage();
      if (known !== undefined) await conversations.updateMessage(known.id, { content: changed(known.content) });
    },
    "change the metadata of a message": async () => {
      const { conversations, message: known } = await anyMessage();
      if (known !== undefined) await conversations.updateMessage(known.id, { metadata: { n: below(9) } });
    },
    "stream a message in a transaction": async () => {
      const { conversations, message: known } = await anyMessage();
      if (known === undefined) return;
      const isKept = below(2) === 0;
      const name = (await conversations.require(known.conversationId).catch(() => undefined))?.project ?? "one";
      await storage
        .transaction(async (tx) => {
          let { content } = known;
          for (let i = 0; i < 5; i++) {
            content = changed(content);
            await tx
              .savepoint(async (savepoint) => {
                await savepoint.project(name).conversations.updateMessage(known.id, { content });
                if (i === 3) throw new Error("given up");
              })
              .catch(() => undefined);
          }
          if (!isKept) throw new Error("given up");
        })
        .catch((error) => {
          if ((error as Error).message !== "given up") throw error;
        });
    },
    "tag and untag": async () => {
      const { conversations, message: known } = await anyMessage();
      if (known === undefined) return;
      await conversations.tag(known.id, pick(["a", "b", "c"]));
      await conversations.untag(known.id, "a");
    },
    fork: async () => {
      const { conversations, id } = await anyConversation();
      await conversations.fork(id);
    },
    "delete, restore or purge a conversation": async () => {
      const { conversations, id } = await anyConversation();
      await conversations.delete(id);
      removed.push(id);
      const other = pick(removed);
      if (below(2) === 0) await conversations.restore(other);
      else if (below(3) === 0) await conversations.purge(other);
    },
    "search messages": () => project().conversations.search(text()),
    "insert memories": () =>
      project().memories.insertMany(Array.from({ length: 1 + below(3) }, () => ({ id: memoryId(), content: text() }))),
    "insert memories one after the other": async () => {
      for (let i = 0; i < 40; i++) await project().memories.insert({ content: text() });
      if (below(2) === 0) await project().memories.search(text());
    },
    "append messages one after the other": async () => {
      const { conversations, id } = await anyConversation();
      for (let i = 0; i < 40; i++) await conversations.append(id, message());
    },
    "put a memory": () => project().memories.put(memoryId(), { content: text() }),
    "update a memory": async () => {
      const { memories } = project();
      const known = await memories.get(memoryId());
      if (known !== undefined) await memories.update(known.id, { content: changed(known.content) || "-" });
    },
    "delete a memory": () => project().memories.delete(memoryId()),
    "restore a memory": () => project().memories.restore(memoryId()),
    "purge a memory": () => project().memories.purge(memoryId()),
    "save a story": () => project().stories.saveStory(storyId(), { title: text(), scenes: [text(), text()] }),
    "delete a story": () => project().stories.deleteStory(storyId()),
    "search stories": () => project().stories.searchStories(text()),
    reindex: () => storage.reindex(),
  };
  return Object.entries(calls);
}

/** One to three statements of another program: alone, in a transaction, or in savepoints that it rolls back. */
async function changeByHand(path: string, random: Random) {
  const { below, pick } = random;
  const isRecursive = below(2) === 0;
  using file = openSecond(path, [`PRAGMA recursive_triggers = ${isRecursive ? "ON" : "OFF"}`]);
  const statements = Array.from({ length: 1 + below(3) }, () => pick(BY_HAND)(random));
  const how = pick(["alone", "commit", "rollback", "savepoint"]);
  const result = { what: "", done: 0, refused: 0, faults: [] as string[] };
  const said: string[] = [];
  const run = async (sql: string) => {
    said.push(sql.replace(/\s+/g, " "));
    try {
      await whenUnlocked(() => file.exec(sql));
      result.done++;
    } catch (error) {
      const { message } = error as Error;
      if (/constraint|ID_TAKEN/.test(message)) result.refused++;
      else result.faults.push(`${sql}: ${message}`);
    }
  };
  if (how !== "alone") await whenUnlocked(() => file.exec("BEGIN IMMEDIATE"));
  for (const sql of statements) {
    if (how === "savepoint") file.exec("SAVEPOINT hand");
    await run(sql);
    if (how === "savepoint") file.exec(below(2) === 0 ? "ROLLBACK TO hand; RELEASE hand" : "RELEASE hand");
  }
  if (how !== "alone") file.exec(how === "rollback" ? "ROLLBACK" : "COMMIT");
  return { ...result, what: `${how}, recursive_triggers ${isRecursive ? "on" : "off"}: ${said.join("; ")}` };
}

/** The storage's checkpoints sometimes hold the write lock, and need the event loop to release it. */
async function whenUnlocked(work: () => void): Promise<void> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!/locked/.test((error as Error).message)) throw error;
      await setImmediate();
    }
  }
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
const textOf = ({ below, pick }: Pick<Random, "below" | "pick">) =>
  Array.from({ length: 1 + below(6) }, () => pick(WORDS) + (below(4) === 0 ? below(50) : "")).join(" ");
const rows = ({ below }: Random, table: string) => {
  const how = below(4);
  if (how === 0) return `row_id % ${2 + below(4)} = 0`;
  if (how === 1) return `row_id IN (SELECT row_id FROM ${table} ORDER BY row_id DESC LIMIT ${1 + below(4)})`;
  return `row_id = (SELECT row_id FROM ${table} ORDER BY row_id LIMIT 1 OFFSET ${below(25)})`;
};
const MESSAGE_COLUMNS =
  "project, conversation_row_id, seq, id, role, metadata, tags, client_id, created_at, updated_at, checksum, content, search_text";
const MEMORY_COLUMNS =
  "project, id, session_id, type, source, content, metadata, embedding_row_id, created_at, updated_at, deleted_at, content_hash, checksum, search_text";
const CLASHES = ["", "", "OR REPLACE", "OR IGNORE", "OR ABORT", "OR FAIL"];

/** SQL as people and scripts write it, of every kind that reaches a trigger. */
const BY_HAND: readonly ((random: Random) => string)[] = [
  (r) => `UPDATE messages SET content = content || '.' WHERE ${rows(r, "messages")}`,
  (r) => `UPDATE messages SET content = ${quoted(textOf(r))} WHERE ${rows(r, "messages")}`,
  (r) =>
    `UPDATE messages SET content = upper(content), role = role, metadata = '{"by":"hand"}' WHERE ${rows(r, "messages")}`,
  (r) =>
    `UPDATE messages SET metadata = '{}', tags = '["x"]', updated_at = updated_at + 1 WHERE ${rows(r, "messages")}`,
  (r) => `UPDATE messages SET search_text = NULL WHERE ${rows(r, "messages")}`,
  (r) => `UPDATE messages SET content = trim(content) || ' more', search_text = NULL WHERE ${rows(r, "messages")}`,
  (r) =>
    `UPDATE messages SET (${MESSAGE_COLUMNS}) = (SELECT ${MESSAGE_COLUMNS} FROM messages AS same WHERE same.row_id = messages.row_id) WHERE ${rows(r, "messages")}`,
  (r) =>
    `UPDATE messages SET project = project, conversation_row_id = conversation_row_id, seq = seq, id = id, role = 'user', metadata = metadata,
      tags = tags, client_id = client_id, created_at = created_at, updated_at = updated_at, checksum = checksum,
      content = ${quoted(textOf(r))}, search_text = search_text WHERE ${rows(r, "messages")}`,
  (r) => `UPDATE messages SET row_id = row_id + 100000, content = content || ' moved' WHERE ${rows(r, "messages")}`,
  (r) => `UPDATE ${r.pick(CLASHES)} messages SET seq = seq + 1 WHERE ${rows(r, "messages")}`,
  (r) =>
    `UPDATE ${r.pick(CLASHES)} messages SET client_id = 'c1', content = content || '!' WHERE ${rows(r, "messages")}`,
  (r) =>
    `UPDATE ${r.pick(CLASHES)} messages SET row_id = (SELECT max(row_id) FROM messages), search_text = NULL WHERE ${rows(r, "messages")}`,
  (r) =>
    `INSERT ${r.pick(CLASHES)} INTO messages (row_id, ${MESSAGE_COLUMNS}) SELECT row_id, ${MESSAGE_COLUMNS.replace("content,", "content || '?',").replace("search_text", "NULL")}
      FROM messages WHERE ${rows(r, "messages")}`,
  (r) =>
    `INSERT ${r.pick(CLASHES)} INTO messages (${MESSAGE_COLUMNS}) SELECT ${MESSAGE_COLUMNS} FROM messages WHERE ${rows(r, "messages")}`,
  (r) =>
    `INSERT ${r.pick(CLASHES)} INTO messages (${MESSAGE_COLUMNS}) SELECT ${MESSAGE_COLUMNS.replace(
      "id, role",
      `'hand-${r.below(5)}', role`,
    )
      .replace("content, search_text", "'by hand', NULL")
      .replace("client_id", r.pick(["client_id", "NULL"]))
      .replace("seq", r.pick(["seq", "seq + 1000"]))} FROM messages WHERE ${rows(r, "messages")}`,
  (r) =>
    `INSERT INTO messages (${MESSAGE_COLUMNS}) SELECT ${MESSAGE_COLUMNS} FROM messages WHERE ${rows(r, "messages")}
      ON CONFLICT (project, id) DO ${r.pick(["NOTHING", "UPDATE SET content = excluded.content || ' upserted'", "UPDATE SET metadata = '{}'", `UPDATE SET content = ${quoted(textOf(r))}, search_text = NULL`])}`,
  (r) =>
    `DELETE FROM messages WHERE ${rows(r, "messages")} AND row_id NOT IN (SELECT message_row_id FROM message_refs)`,
  (r) => `UPDATE memories SET metadata = '{}', type = type, updated_at = updated_at + 1 WHERE ${rows(r, "memories")}`,
  (r) => `UPDATE memories SET content = ${quoted(textOf(r))} WHERE ${rows(r, "memories")}`,
  (r) => `UPDATE memories SET deleted_at = 1, search_text = '' WHERE ${rows(r, "memories")}`,
  (r) => `UPDATE memories SET row_id = row_id + 100000 WHERE ${rows(r, "memories")}`,
  (r) => `UPDATE ${r.pick(CLASHES)} memories SET id = 'm1' WHERE ${rows(r, "memories")}`,
  (r) =>
    `UPDATE ${r.pick(CLASHES)} memories SET row_id = (SELECT max(row_id) FROM memories) WHERE ${rows(r, "memories")}`,
  (r) =>
    `INSERT ${r.pick(CLASHES)} INTO memories (row_id, ${MEMORY_COLUMNS}) SELECT row_id, ${MEMORY_COLUMNS} FROM memories WHERE ${rows(r, "memories")}`,
  (r) =>
    `INSERT ${r.pick(CLASHES)} INTO memories (${MEMORY_COLUMNS}) SELECT ${MEMORY_COLUMNS.replace(" id", ` 'm${r.below(25)}'`)} FROM memories WHERE ${rows(r, "memories")}`,
  (r) =>
    `INSERT INTO memories (${MEMORY_COLUMNS}) SELECT ${MEMORY_COLUMNS} FROM memories WHERE ${rows(r, "memories")}
      ON CONFLICT (project, id) DO ${r.pick(["NOTHING", "UPDATE SET source = 'hand'"])}`,
  (r) => `DELETE FROM memories WHERE ${rows(r, "memories")}`,
  (r) => `UPDATE story_search SET updated_at = updated_at + 1, content = content WHERE ${rows(r, "story_search")}`,
  (r) => `UPDATE ${r.pick(CLASHES)} story_search SET row_id = row_id + ${r.below(3)} WHERE ${rows(r, "story_search")}`,
  (r) =>
    `INSERT ${r.pick(CLASHES)} INTO story_search SELECT row_id + ${r.below(2)}, project, content, search_text, updated_at FROM story_search WHERE ${rows(r, "story_search")}`,
  (r) => `DELETE FROM story_search WHERE ${rows(r, "story_search")}`,
];

/** The differences between an index and one built from the contents of its table. */
async function compareIndexes(path: string): Promise<string[]> {
  using file = openSecond(path, ["PRAGMA temp_store = MEMORY"]);
  // FTS5 checks an index only in a write transaction.
  await whenUnlocked(() => file.exec("BEGIN IMMEDIATE"));
  return [...INDEXES.flatMap((index) => compareIndex(file, index)), ...compareTags(file)];
}

function compareIndex(file: SecondConnection, { table, columns, rows }: (typeof INDEXES)[number]): string[] {
  const index = `${table}_fts`;
  const list = columns.join(", ");
  file.exec(`CREATE VIRTUAL TABLE temp.fresh_${table} USING fts5(${list}, tokenize = 'ascii')`);
  const made = file.all(rows).map(([rowId, project, content, ...others]) => {
    const terms = content === null ? "" : toSearchText(String(content), searchScope(String(project)));
    return [Number(rowId), terms, ...others.map(Number)];
  });
  const values = ["rowid", ...columns].map((_, place) => `value ->> ${place}`).join(", ");
  file.exec(`INSERT INTO temp.fresh_${table} (rowid, ${list})
    SELECT ${values} FROM json_each(${quoted(JSON.stringify(made))})`);
  file.exec(`CREATE VIRTUAL TABLE temp.fresh_terms_${table} USING fts5vocab('temp', 'fresh_${table}', 'instance')`);
  file.exec(`CREATE VIRTUAL TABLE temp.terms_${table} USING fts5vocab('main', '${index}', 'instance')`);
  const faults: string[] = [];
  const difference = (one: string, other: string) =>
    file.all(
      `SELECT term, doc, col, "offset" FROM temp.${one} EXCEPT SELECT term, doc, col, "offset" FROM temp.${other} LIMIT 3`,
    );
  try {
    const lacks = difference(`fresh_terms_${table}`, `terms_${table}`);
    if (lacks.length > 0) faults.push(`${index} lacks ${JSON.stringify(lacks, bigints)}`);
    const holds = difference(`terms_${table}`, `fresh_terms_${table}`);
    if (holds.length > 0) faults.push(`${index} still holds ${JSON.stringify(holds, bigints)}`);
    file.exec(`INSERT INTO ${index} (${index}, rank) VALUES ('integrity-check', 1)`);
  } catch (error) {
    faults.push(`${index}: ${(error as Error).message}`);
  }
  return faults;
}

function compareTags(file: SecondConnection): string[] {
  const made =
    "SELECT project, tag, conversation_row_id, message_row_id FROM conversation_tags WHERE message_row_id > 0";
  const expected =
    "SELECT DISTINCT m.project, t.value, m.conversation_row_id, m.row_id FROM messages AS m, json_each(m.tags) AS t";
  const wrong = [...file.all(`${made} EXCEPT ${expected}`), ...file.all(`${expected} EXCEPT ${made}`)];
  return wrong.length === 0 ? [] : [`conversation_tags: ${JSON.stringify(wrong.slice(0, 3), bigints)}`];
}

const bigints = (_key: string, value: unknown) => (typeof value === "bigint" ? Number(value) : value);

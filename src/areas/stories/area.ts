import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import {
  stories,
  storyContents,
  storyPreferences,
  storyRevisions,
  storySearch,
  storySecrets,
  storySyncQueue,
  storyTags,
} from "../../schema/stories.js";
import { expectText } from "../../shared/expectation.js";
import type { Area, DamagedRecord, IncomingRecord, OutgoingRecord, Reader } from "../area.js";
import { expectId } from "../arguments.js";
import { checksumOf, hashText } from "../checksum.js";
import { readAll } from "../read-all.js";
import {
  inOrderOfRows,
  notBefore,
  pagesByRowId,
  toOptionalMillis,
  toOptionalTime,
  toTime,
  whereProject,
} from "../rows.js";
import { list, prepareInsert, prepareStatement, type Statement, toStatement } from "../statements.js";
import { LibsqlBackend } from "./libsql/backend.js";
import { STORY_TABLES } from "./libsql/extras.js";
import type { StoryAreaLine, StoryLine } from "./line.js";
import { STORY_TARGET } from "./search.js";
import { keepOpen, StoryService } from "./service.js";

const s = stories;
const c = storyContents;
const r = storyRevisions;
const p = storyPreferences;
const q = storySyncQueue;
const k = storySecrets;

const placeholder = sql.placeholder;
const project = placeholder("project");
const id = placeholder("id");
const lastContent = sql`(select max(row_id) from ${c})`;

const insertContent = prepareInsert(c, [c.project, c.data, c.size, c.checksum]);
const insertRevision = prepareStatement(sql`insert into ${r} (project, id, revision, content_row_id, created_at)
  values (${project}, ${id}, ${placeholder("revision")}, ${lastContent}, ${placeholder("createdAt")})`);
const insertStory = prepareStatement(sql`insert into ${s} (project, id, title, title_is_own, tags, size, revision,
    content_row_id, change_row_id, created_at, updated_at, deleted_at, checksum)
  values (${project}, ${id}, ${placeholder("title")}, ${placeholder("titleIsOwn")}, ${placeholder("tags")},
    ${placeholder("size")}, ${placeholder("revision")}, ${lastContent}, (select max(row_id) from ${r}),
    ${placeholder("createdAt")}, ${placeholder("updatedAt")}, ${placeholder("deletedAt")}, ${placeholder("checksum")})`);
const insertTags = prepareStatement(sql`insert into ${storyTags} (project, tag, story_row_id)
  select ${project}, value, (select row_id from ${s} where project = ${project} and id = ${id})
  from json_each(${placeholder("tags")})`);
const insertPreference = prepareInsert(p, [p.project, p.key, p.value, p.scope, p.updatedAt]);
const insertSync = prepareInsert(q, [q.project, q.id, q.storyId, q.action, q.data, q.timestamp]);
const insertSecret = prepareInsert(k, [k.project, k.name, k.value, k.updatedAt]);

const storyRow = sql`(select row_id from ${s} where project = ${project} and id = ${id})`;
const removals = {
  story: [
    sql`delete from ${storyTags} where project = ${project} and story_row_id = ${storyRow}`,
    sql`delete from ${storySearch} where row_id = ${storyRow}`,
    sql`delete from ${c} where row_id in (select content_row_id from ${r} where project = ${project} and id = ${id})`,
    sql`delete from ${r} where project = ${project} and id = ${id}`,
    sql`delete from ${s} where project = ${project} and id = ${id}`,
  ].map((query) => prepareStatement(query)),
  preference: [prepareStatement(sql`delete from ${p} where project = ${project} and "key" = ${id}`)],
  sync: [prepareStatement(sql`delete from ${q} where project = ${project} and id = ${id}`)],
  secret: [prepareStatement(sql`delete from ${k} where project = ${project} and name = ${id}`)],
};
type Kind = keyof typeof removals;

const existing = {
  story: sql`select id, project from ${s}`,
  preference: sql`select "key" as id, project from ${p}`,
  sync: sql`select id, project from ${q}`,
  secret: sql`select name as id, project from ${k}`,
} satisfies Record<Kind, unknown>;

/** Stories with the revisions that are kept; then preferences, what waits to be sent, and secrets as they are encrypted. */
export const storyArea: Area<"stories", StoryService> = {
  name: "stories",
  tables: [s, c, r, storyTags, storySearch, p, q, k],
  purgeOrder: STORY_TABLES,
  recordTables: [s, p, q, k],
  searchTargets: [STORY_TARGET],
  counted: sql`select ${s.project}, 1 as records from ${s} where ${s.deletedAt} is null`,
  isPrunedByDefault: true,
  table: sql`(select project from ${s} union all select project from ${p} union all select project from ${q}
    union all select project from ${k})`,

  open(context) {
    const { project: name, repair, afterCommit, stories: own } = context;
    const backend = new LibsqlBackend({ ...context, box: own.box, historyLimit: own.historyLimit });
    return new StoryService(backend, {}, { hub: own.hubs.get(name), afterCommit, close: keepOpen, repair });
  },

  ids: (name) => sql`select ${s.id} from ${s} where ${s.project} = ${name}`,

  async *pages(reader, name) {
    const columns = list([
      s.rowId,
      s.project,
      s.id,
      s.title,
      s.titleIsOwn,
      s.tags,
      s.createdAt,
      s.updatedAt,
      s.deletedAt,
    ]);
    const query = (after: number, limit: number) =>
      sql`select ${columns} from ${s} where ${s.rowId} > ${after}${inOrderOfRows(s.project, name)}
        order by ${s.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, query)) {
      // One at a time: a story may be long, and has a history.
      for (const row of rows) yield [await toStoryLine(reader, row)];
    }
    const all = (query: ReturnType<typeof sql>) => readAll(reader, toStatement(query));
    const preferences = await all(
      sql`select ${list([p.project, p.key, p.value, p.scope, p.updatedAt])} from ${p}${whereProject(p.project, name)}`,
    );
    yield preferences.map((row) => ({
      project: row[0] as string,
      record: { preference: { key: row[1], value: row[2], scope: row[3], updatedAt: toTime(row[4]) } },
    }));
    const waiting = await all(
      sql`select ${list([q.project, q.id, q.storyId, q.action, q.data, q.timestamp])} from ${q}${whereProject(q.project, name)}
        order by ${q.rowId}`,
    );
    yield waiting.map((row) => ({
      project: row[0] as string,
      record: { sync: { id: row[1], storyId: row[2], action: row[3], data: row[4], timestamp: Number(row[5]) } },
    }));
    const secrets = await all(
      sql`select ${list([k.project, k.name, k.value, k.updatedAt])} from ${k}${whereProject(k.project, name)}`,
    );
    yield secrets.map((row) => {
      const value = Buffer.from(row[2] as ArrayBuffer).toString("base64");
      return { project: row[0] as string, record: { secret: { name: row[1], value, updatedAt: toTime(row[3]) } } };
    });
  },

  loadLine: () => import("./line.js"),

  parse(context, line: StoryAreaLine): IncomingRecord {
    const { project: name } = context;
    if ("story" in line) return parseStory(name, line.story);
    if ("preference" in line) {
      const { key, value: text, scope, updatedAt } = line.preference;
      expectId(key, "key");
      JSON.parse(text);
      const statement = insertPreference([name, key, text, scope, Date.parse(updatedAt)]);
      return { id: key, key: keyOf("preference", key), statements: [statement] };
    }
    if ("sync" in line) {
      const { id: entry, storyId, action, data, timestamp } = line.sync;
      expectId(entry);
      JSON.parse(data);
      const statement = insertSync([name, entry, storyId, action, data, timestamp]);
      return { id: entry, key: keyOf("sync", entry), statements: [statement] };
    }
    const { name: secret, value: text, updatedAt } = line.secret;
    expectId(secret, "name");
    const bytes = new Uint8Array(Buffer.from(text, "base64"));
    return {
      id: secret,
      key: keyOf("secret", secret),
      statements: [insertSecret([name, secret, bytes, Date.parse(updatedAt)])],
    };
  },

  async existing(reader, name, keys) {
    const found = new Set<string>();
    for (const kind of Object.keys(existing) as Kind[]) {
      const prefix = keyOf(kind, "");
      const ids = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
      if (ids.length === 0) continue;
      const { rows } = await reader.execute(
        toStatement(sql`select id from (${existing[kind]}) where project = ${name}
          and id in (select value from json_each(${JSON.stringify(ids)}))`),
      );
      for (const row of rows) found.add(prefix + (row[0] as string));
    }
    return found;
  },

  async remove({ project: name, executor }, key) {
    const kind = key.slice(0, key.indexOf(" ")) as Kind;
    const values = { project: name, id: key.slice(kind.length + 1) };
    await executor.batch(removals[kind].map((statement) => statement(values)));
  },

  prunable(name) {
    return sql`select ${s.project} as project, ${s.rowId} as row_id, ${keyOf("story", "")} || ${s.id} as key, ${s.id} as id,
      ${s.deletedAt} is not null as is_deleted, ${s.updatedAt} as updated_at, ${s.size} as bytes
      from ${s}${whereProject(s.project, name)}`;
  },

  async *damaged(reader) {
    const columns = list([
      s.rowId,
      s.project,
      s.id,
      s.title,
      s.titleIsOwn,
      s.tags,
      s.size,
      s.revision,
      s.createdAt,
      s.updatedAt,
      c.checksum,
      s.checksum,
    ]);
    const all = (after: number, limit: number) =>
      sql`select ${columns} from ${s} left join ${c} on ${c.rowId} = ${s.contentRowId}
        where ${s.rowId} > ${after} order by ${s.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, all)) {
      const wrong = rows.filter((row) => {
        const values = Array.from({ length: 10 }, (_, at) => row[at + 1]);
        return checksumOf(values as (string | number | null)[]) !== row[11];
      });
      const records = wrong.map((row) => damaged(row, "checksum", "stories"));
      yield { read: rows.length, records };
    }
    const revisions = (after: number, limit: number) =>
      sql`select ${list([r.rowId, r.project, r.id, r.revision, c.data, c.checksum])} from ${r}
        left join ${c} on ${c.rowId} = ${r.contentRowId} where ${r.rowId} > ${after} order by ${r.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, revisions)) {
      const wrong = rows.filter((row) => row[4] === null || hashText(row[4] as string) !== row[5]);
      const part = (row: Row) => `content of revision ${row[3]}`;
      yield {
        read: 0,
        records: wrong.map((row) => damaged(row, part(row), "story_revisions")),
      };
    }
  },

  /** What the search knows it makes by itself. */
  async *rederive() {},
};

function damaged(row: Row, part: string, table: string): DamagedRecord {
  return { project: row[1] as string, id: row[2] as string, part, table, rowId: Number(row[0]) };
}

/** Stories, preferences, entries and secrets may have the same ids. */
function keyOf(kind: Kind, name: string): string {
  return `${kind} ${name}`;
}

function parseStory(name: string, story: StoryLine): IncomingRecord {
  const { id: storyId, title, titleIsOwn, tags, revisions } = story;
  expectId(storyId);
  const statements: Statement[] = [];
  let text: string | undefined;
  let last = 0;
  for (const { revision, data, createdAt } of revisions) {
    if (revision <= last) throw new RangeError(`Expected revisions to count on, got ${revision} after ${last}`);
    last = revision;
    if (data === null && text === undefined) throw new TypeError("Expected the first revision to have its `data`");
    if (data !== null) {
      JSON.parse(data);
      expectText("data", data, Number.POSITIVE_INFINITY);
      text = data;
      statements.push(insertContent([name, data, Buffer.byteLength(data), hashText(data)]));
    }
    statements.push(insertRevision({ project: name, id: storyId, revision, createdAt: Date.parse(createdAt) }));
  }
  const values = {
    project: name,
    id: storyId,
    title,
    titleIsOwn: titleIsOwn ? 1 : 0,
    tags: JSON.stringify(tags),
    size: Buffer.byteLength(text!),
    revision: last,
    createdAt: Date.parse(story.createdAt),
    updatedAt: notBefore(story.createdAt, story.updatedAt),
  };
  const checksum = checksumOf([...Object.values(values), hashText(text!)]);
  const deletedAt = toOptionalMillis(story.deletedAt);
  statements.push(insertStory({ ...values, deletedAt, checksum }));
  if (deletedAt === null) statements.push(insertTags({ project: name, id: storyId, tags: values.tags }));
  return { id: storyId, key: keyOf("story", storyId), statements };
}

async function toStoryLine(reader: Reader, row: Row): Promise<OutgoingRecord> {
  const [name, storyId] = [row[1] as string, row[2] as string];
  const rows = await readAll(
    reader,
    toStatement(sql`select ${list([r.revision, r.contentRowId, c.data, r.createdAt])} from ${r}
      join ${c} on ${c.rowId} = ${r.contentRowId} where ${r.project} = ${name} and ${r.id} = ${storyId} order by ${r.revision}`),
  );
  const story: StoryLine = {
    id: storyId,
    title: row[3] as string,
    titleIsOwn: Number(row[4]) === 1,
    tags: JSON.parse(row[5] as string) as string[],
    createdAt: toTime(row[6]),
    updatedAt: toTime(row[7]),
    deletedAt: toOptionalTime(row[8]),
    revisions: rows.map((revision, at) => ({
      revision: Number(revision[0]),
      data: revision[1] === rows[at - 1]?.[1] ? null : (revision[2] as string),
      createdAt: toTime(revision[3]),
    })),
  };
  return { project: name, record: { story } };
}

import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
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
import { hashText } from "../checksum.js";
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
import {
  byName,
  insertOf,
  pick,
  prepareStatement,
  type Selection,
  type Statement,
  selection,
  toStatement,
} from "../statements.js";
import { LibsqlBackend } from "./libsql/backend.js";
import { ENTRY, entry, PREFERENCE, preference, SECRET, STORY_TABLES, secret } from "./libsql/extras.js";
import { insertContent, REVISION, STORY, storyChecksum } from "./libsql/statements.js";
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
const storyRow = sql`(select row_id from ${s} where project = ${project} and id = ${id})`;

const insertRevision = insertOf(r, REVISION, { computed: { contentRowId: lastContent } });
const insertStory = insertOf(
  s,
  { ...STORY, deletedAt: s.deletedAt },
  {
    computed: { contentRowId: lastContent, changeRowId: sql`(select max(row_id) from ${r})` },
  },
);
const insertPreference = insertOf(p, PREFERENCE);
const insertEntry = insertOf(q, ENTRY);
const insertSecret = insertOf(k, SECRET);
const insertTags = prepareStatement(
  () => sql`insert into ${storyTags} (project, tag, story_row_id)
  select ${project}, value, ${storyRow} from json_each(${placeholder("tags")})`,
);
const removals = {
  story: [
    sql`delete from ${storyTags} where project = ${project} and story_row_id = ${storyRow}`,
    sql`delete from ${storySearch} where row_id = ${storyRow}`,
    sql`delete from ${c} where row_id in (select content_row_id from ${r} where project = ${project} and id = ${id})`,
    sql`delete from ${r} where project = ${project} and id = ${id}`,
    sql`delete from ${s} where project = ${project} and id = ${id}`,
  ].map((query) => prepareStatement(() => query)),
  preference: [prepareStatement(() => sql`delete from ${p} where project = ${project} and "key" = ${id}`)],
  sync: [prepareStatement(() => sql`delete from ${q} where project = ${project} and id = ${id}`)],
  secret: [prepareStatement(() => sql`delete from ${k} where project = ${project} and name = ${id}`)],
};
type Kind = keyof typeof removals;

const outgoing = selection({ rowId: s.rowId, ...STORY, deletedAt: s.deletedAt });
const past = selection({ ...pick(r, "revision", "contentRowId", "createdAt"), data: c.data });
const checked = selection({ rowId: s.rowId, ...STORY, contentSum: c.checksum });
const checkedRevision = selection({ ...pick(r, "rowId", "project", "id", "revision"), ...pick(c, "data", "checksum") });

/** Stories with their revisions; then preferences, entries of the sync queue, and secrets, which stay encrypted. */
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
    const { repair, afterCommit } = context;
    const hub = context.stories.hubs.get(context.project);
    return new StoryService(new LibsqlBackend(context), {}, { hub, afterCommit, close: keepOpen, repair });
  },

  ids: (name) => sql`select ${s.id} from ${s} where ${s.project} = ${name}`,

  async *pages(reader, name) {
    const isOf = inOrderOfRows(s.project, name);
    for await (const rows of pagesByRowId(reader, sql`select ${outgoing.columns} from ${s}`, s.rowId, isOf)) {
      // One at a time, because a story may be long and has a history.
      for (const row of rows) yield [await toStoryLine(reader, row)];
    }
    const extras = async <K extends string>(
      kind: Kind,
      selected: Selection<K>,
      from: SQL,
      toLine: (values: Record<K, unknown>) => object,
    ) =>
      (await readAll(reader, toStatement(sql`select ${selected.columns} from ${from}`))).map((row) => {
        const { project: own, ...record } = toLine(byName(selected, row)) as { project: string };
        return { project: own, record: { [kind]: record } };
      });
    yield await extras("preference", preference, sql`${p}${whereProject(p.project, name)}`, (values) => ({
      ...values,
      updatedAt: toTime(values.updatedAt),
    }));
    yield await extras(
      "sync",
      entry,
      sql`${q}${whereProject(q.project, name)} order by ${q.rowId}`,
      (values) => values,
    );
    yield await extras("secret", secret, sql`${k}${whereProject(k.project, name)}`, (values) => ({
      ...values,
      value: Buffer.from(values.value as ArrayBuffer).toString("base64"),
      updatedAt: toTime(values.updatedAt),
    }));
  },

  loadLine: () => import("./line.js"),

  parse({ project: name }, line: StoryAreaLine): IncomingRecord {
    const extra = (kind: Kind, own: string, statement: Statement) => {
      return { id: own, key: keyOf(kind, own), statements: [statement] };
    };
    if ("story" in line) return parseStory(name, line.story);
    if ("preference" in line) {
      const { key, value: text, updatedAt } = line.preference;
      expectId(key, "key");
      JSON.parse(text);
      const values = { ...line.preference, project: name, updatedAt: Date.parse(updatedAt) };
      return extra("preference", key, insertPreference(values));
    }
    if ("sync" in line) {
      expectId(line.sync.id);
      JSON.parse(line.sync.data);
      return extra("sync", line.sync.id, insertEntry({ ...line.sync, project: name }));
    }
    const { name: own, value: text, updatedAt } = line.secret;
    expectId(own, "name");
    const bytes = new Uint8Array(Buffer.from(text, "base64"));
    const values = { project: name, name: own, value: bytes, updatedAt: Date.parse(updatedAt) };
    return extra("secret", own, insertSecret(values));
  },

  existing: {
    [keyOf("story", "")]: sql`${s}`,
    [keyOf("preference", "")]: sql`(select "key" as id, project from ${p})`,
    [keyOf("sync", "")]: sql`${q}`,
    [keyOf("secret", "")]: sql`(select name as id, project from ${k})`,
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
    const all = sql`select ${checked.columns} from ${s} left join ${c} on ${c.rowId} = ${s.contentRowId}`;
    for await (const rows of pagesByRowId(reader, all, s.rowId)) {
      const records = rows
        .map((row) => byName(checked, row))
        .filter((story) => storyChecksum(story, story.contentSum as string) !== story.checksum)
        .map((story) => damaged(story, "checksum", "stories"));
      yield { read: rows.length, records };
    }
    const revisions = sql`select ${checkedRevision.columns} from ${r} left join ${c} on ${c.rowId} = ${r.contentRowId}`;
    for await (const rows of pagesByRowId(reader, revisions, r.rowId)) {
      const records = rows
        .map((row) => byName(checkedRevision, row))
        .filter(({ data, checksum }) => data === null || hashText(data as string) !== checksum)
        .map((revision) => damaged(revision, `content of revision ${revision.revision}`, "story_revisions"));
      yield { read: 0, records };
    }
  },

  /** The next search updates its own index. */
  async *rederive() {},
};

function damaged(
  { project: name, id: own, rowId }: Readonly<Record<"project" | "id" | "rowId", unknown>>,
  part: string,
  table: string,
): DamagedRecord {
  return { project: name as string, id: own as string, part, table, rowId: Number(rowId) };
}

/** A story, a preference, an entry and a secret may have the same id. */
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
      const size = Buffer.byteLength(data);
      statements.push(insertContent({ project: name, data, size, checksum: hashText(data) }));
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
  const checksum = storyChecksum(values, hashText(text!));
  const deletedAt = toOptionalMillis(story.deletedAt);
  statements.push(insertStory({ ...values, deletedAt, checksum }));
  if (deletedAt === null) statements.push(insertTags({ project: name, id: storyId, tags: values.tags }));
  return { id: storyId, key: keyOf("story", storyId), statements };
}

async function toStoryLine(reader: Reader, row: Row): Promise<OutgoingRecord> {
  const { project: name, ...values } = byName(outgoing, row);
  const rows = await readAll(
    reader,
    toStatement(sql`select ${past.columns} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
      where ${r.project} = ${name} and ${r.id} = ${values.id} order by ${r.revision}`),
  );
  const { at } = past;
  const story: StoryLine = {
    id: values.id as string,
    title: values.title as string,
    titleIsOwn: Number(values.titleIsOwn) === 1,
    tags: JSON.parse(values.tags as string) as string[],
    createdAt: toTime(values.createdAt),
    updatedAt: toTime(values.updatedAt),
    deletedAt: toOptionalTime(values.deletedAt),
    revisions: rows.map((revision, index) => ({
      revision: Number(revision[at.revision]),
      data: revision[at.contentRowId] === rows[index - 1]?.[at.contentRowId] ? null : (revision[at.data] as string),
      createdAt: toTime(revision[at.createdAt]),
    })),
  };
  return { project: name as string, record: { story } };
}

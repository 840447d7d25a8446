import type { Row } from "@libsql/client";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { stories, storyContents, storyRevisions, storySearch, storyTags } from "../../../schema/stories.js";
import { checksumOf } from "../../checksum.js";
import {
  insertOf,
  list,
  pick,
  prepareInsert,
  prepareStatement,
  selection,
  set,
  setEach,
  toStatement,
} from "../../statements.js";
import type { StoryMetadata } from "../story.js";

const s = stories;
const c = storyContents;
const r = storyRevisions;
const t = storyTags;
const project = sql.placeholder("project");
const id = sql.placeholder("id");
const isId = sql`${s.project} = ${project} and ${s.id} = ${id}`;
const isLive = sql`${s.deletedAt} is null`;
const ofStory = sql`${r.project} = ${project} and ${r.id} = ${id}`;

/** The columns of StoryMetadata. */
export const METADATA = pick(s, "id", "title", "tags", "size", "revision", "createdAt", "updatedAt");
export const metadata = selection(METADATA);
/** The columns that a change writes, without the story's identity; two others have their own statements. */
export const CHANGED = {
  ...pick(s, "title", "titleIsOwn", "tags", "size", "revision", "contentRowId", "changeRowId"),
  ...pick(s, "createdAt", "updatedAt", "checksum"),
};
export const STORY = { ...pick(s, "project", "id"), ...CHANGED };
const CONTENT = pick(c, "project", "data", "size", "checksum");
export const REVISION = pick(r, "project", "id", "revision", "contentRowId", "createdAt");

/** What a change has to know about the story that it changes, deleted or not. */
export const known = selection({
  ...pick(s, "rowId", "title", "titleIsOwn", "tags", "size", "revision", "contentRowId", "createdAt", "deletedAt"),
  sum: sql`(select ${c.checksum} from ${c} where ${c.rowId} = ${s.contentRowId})`,
});
export const selectKnown = prepareStatement(() => sql`select ${known.columns} from ${s} where ${isId}`);
/** Takes project and id. */
export const VERSION_SQL = toStatement(sql`select ${s.rowId}, ${s.revision} from ${s} where ${isId} and ${isLive}`).sql;
export const selectMetadata = prepareStatement(
  () => sql`select ${metadata.columns} from ${s} where ${isId} and ${isLive}`,
);
export const text = selection({ ...pick(s, "rowId", "revision"), ...pick(c, "data", "checksum") });
export const selectText = prepareStatement(
  () => sql`select ${text.columns} from ${s} join ${c} on ${c.rowId} = ${s.contentRowId} where ${isId} and ${isLive}`,
);

export const insertContent = insertOf(c, CONTENT);
export const insertRevision = insertOf(r, REVISION);
export const insertStory = insertOf(s, STORY);
export const updateStory = prepareStatement(
  () => sql`update ${s} set ${setEach(CHANGED)}, ${set(s.deletedAt, null)} where ${isId}`,
);
export const deleteStory = prepareStatement(
  () => sql`update ${s} set ${set(s.deletedAt, sql.placeholder("now"))} where ${isId} and ${isLive}`,
);

export const insertTag = prepareInsert(t, [t.project, t.tag, t.storyRowId]);
export const deleteTags = prepareStatement(
  () =>
    sql`delete from ${t} where ${t.project} = ${project} and ${t.storyRowId} = (select ${s.rowId} from ${s} where ${isId})`,
);

export const revision = selection({ revision: r.revision, size: c.size, createdAt: r.createdAt });
export const selectRevisions = prepareStatement(
  () => sql`select ${revision.columns} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
    where ${ofStory} order by ${r.revision} desc`,
);
export const revisionText = selection(pick(c, "data", "checksum"));
export const selectRevisionText = prepareStatement(
  () => sql`select ${revisionText.columns} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
    where ${ofStory} and ${r.revision} = ${sql.placeholder("revision")}`,
);
/** The oldest revision within the limit, if there are more than the limit allows. */
export const selectOldestKept = prepareStatement(
  () =>
    sql`select ${r.revision} from ${r} where ${ofStory} order by ${r.revision} desc limit 1 offset ${sql.placeholder("last")}`,
);
const isPast = sql`${ofStory} and ${r.revision} < ${sql.placeholder("oldest")}`;
/** The contents that only past revisions have; run before those are deleted. */
export const deletePastContents = prepareStatement(
  () => sql`delete from ${c} where ${c.project} = ${project} and ${c.rowId} in (
    select ${r.contentRowId} from ${r} where ${isPast}
    except select ${r.contentRowId} from ${r} where ${ofStory} and ${r.revision} >= ${sql.placeholder("oldest")})`,
);
export const deletePast = prepareStatement(() => sql`delete from ${r} where ${isPast}`);

export const sumSizes = prepareStatement(
  () => sql`select coalesce(sum(${s.size}), 0) from ${s} where ${s.project} = ${project} and ${isLive}`,
);

/** The search index learns about a restored story at the next search. */
export const deleteSearched = prepareStatement(
  () => sql`delete from ${storySearch} where ${storySearch.project} = ${project}
    and ${storySearch.rowId} = (select ${s.rowId} from ${s} where ${isId})`,
);

/** Whether the story of this row has any of the tags. */
export function hasAnyTag(rowId: AnyColumn, ofProject: string, tags: readonly string[]): SQL {
  return sql`${rowId} in (select ${t.storyRowId} from ${t} where ${t.project} = ${ofProject}
    and ${t.tag} in (${list(tags.map((tag) => sql`${tag}`))}))`;
}

export function toMetadata(row: Row): StoryMetadata {
  const { at } = metadata;
  return {
    id: row[at.id] as string,
    title: row[at.title] as string,
    tags: JSON.parse(row[at.tags] as string) as string[],
    size: Number(row[at.size]),
    revision: Number(row[at.revision]),
    createdAt: new Date(Number(row[at.createdAt])),
    updatedAt: new Date(Number(row[at.updatedAt])),
  };
}

/** The checksum of a story from the values that are stored, and the checksum of its content. */
export function storyChecksum(story: Checked, contentSum: string): string {
  const { project, id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt } = story;
  const values = [project, id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt, contentSum];
  return checksumOf(values as (string | number | null)[]);
}

type Checked = Readonly<Record<Exclude<keyof typeof STORY, "contentRowId" | "changeRowId" | "checksum">, unknown>>;

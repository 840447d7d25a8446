import type { Row } from "@libsql/client";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { stories, storyContents, storyRevisions, storySearch, storyTags } from "../../../schema/stories.js";
import { list, prepareInsert, prepareStatement, set, toStatement } from "../../statements.js";
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

/** What a query selects to make StoryMetadata of each row. */
export const metadataColumns = list([s.id, s.title, s.tags, s.size, s.revision, s.createdAt, s.updatedAt]);

/** Row, deleted ones too: what a change has to know of the story that it changes. */
export const selectKnown = prepareStatement(
  sql`select ${list([s.rowId, s.title, s.titleIsOwn, s.tags, s.size, s.revision, s.contentRowId, s.createdAt, s.deletedAt])},
    (select ${c.checksum} from ${c} where ${c.rowId} = ${s.contentRowId}) from ${s} where ${isId}`,
);
/** Takes project and id. */
export const VERSION_SQL = toStatement(sql`select ${s.rowId}, ${s.revision} from ${s} where ${isId} and ${isLive}`).sql;
export const selectMetadata = prepareStatement(sql`select ${metadataColumns} from ${s} where ${isId} and ${isLive}`);
export const selectText = prepareStatement(
  sql`select ${list([s.rowId, s.revision, c.data, c.checksum])} from ${s} join ${c} on ${c.rowId} = ${s.contentRowId}
    where ${isId} and ${isLive}`,
);

export const insertContent = prepareInsert(c, [c.project, c.data, c.size, c.checksum]);
export const insertRevision = prepareInsert(r, [r.project, r.id, r.revision, r.contentRowId, r.createdAt]);
export const insertStory = prepareInsert(s, [
  s.project,
  s.id,
  s.title,
  s.titleIsOwn,
  s.tags,
  s.size,
  s.revision,
  s.contentRowId,
  s.changeRowId,
  s.createdAt,
  s.updatedAt,
  s.checksum,
]);
export const updateStory = prepareStatement(
  sql`update ${s} set ${list([
    set(s.title, sql.placeholder("title")),
    set(s.titleIsOwn, sql.placeholder("titleIsOwn")),
    set(s.tags, sql.placeholder("tags")),
    set(s.size, sql.placeholder("size")),
    set(s.revision, sql.placeholder("revision")),
    set(s.contentRowId, sql.placeholder("contentRowId")),
    set(s.changeRowId, sql.placeholder("changeRowId")),
    set(s.createdAt, sql.placeholder("createdAt")),
    set(s.updatedAt, sql.placeholder("updatedAt")),
    set(s.deletedAt, null),
    set(s.checksum, sql.placeholder("checksum")),
  ])} where ${isId}`,
);
export const deleteStory = prepareStatement(
  sql`update ${s} set ${set(s.deletedAt, sql.placeholder("now"))} where ${isId} and ${isLive}`,
);

export const insertTag = prepareInsert(t, [t.project, t.tag, t.storyRowId]);
export const deleteTags = prepareStatement(
  sql`delete from ${t} where ${t.project} = ${project} and ${t.storyRowId} = (select ${s.rowId} from ${s} where ${isId})`,
);

export const selectRevisions = prepareStatement(
  sql`select ${list([r.revision, c.size, r.createdAt])} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
    where ${ofStory} order by ${r.revision} desc`,
);
export const selectRevisionText = prepareStatement(
  sql`select ${list([c.data, c.checksum])} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
    where ${ofStory} and ${r.revision} = ${sql.placeholder("revision")}`,
);
/** The oldest revision that the limit lets stay, where there are more than it allows. */
export const selectOldestKept = prepareStatement(
  sql`select ${r.revision} from ${r} where ${ofStory} order by ${r.revision} desc limit 1 offset ${sql.placeholder("last")}`,
);
const isPast = sql`${ofStory} and ${r.revision} < ${sql.placeholder("oldest")}`;
/** The contents that only past revisions have; run before those are deleted. */
export const deletePastContents = prepareStatement(
  sql`delete from ${c} where ${c.project} = ${project} and ${c.rowId} in (
    select ${r.contentRowId} from ${r} where ${isPast}
    except select ${r.contentRowId} from ${r} where ${ofStory} and ${r.revision} >= ${sql.placeholder("oldest")})`,
);
export const deletePast = prepareStatement(sql`delete from ${r} where ${isPast}`);

export const sumSizes = prepareStatement(
  sql`select coalesce(sum(${s.size}), 0) from ${s} where ${s.project} = ${project} and ${isLive}`,
);

/** No more found: it comes back with the story. */
export const deleteSearched = prepareStatement(
  sql`delete from ${storySearch} where ${storySearch.project} = ${project}
    and ${storySearch.rowId} = (select ${s.rowId} from ${s} where ${isId})`,
);

/** Whether the story of this row has any of the tags. */
export function hasAnyTag(rowId: AnyColumn, ofProject: string, tags: readonly string[]): SQL {
  return sql`${rowId} in (select ${t.storyRowId} from ${t} where ${t.project} = ${ofProject}
    and ${t.tag} in (${list(tags.map((tag) => sql`${tag}`))}))`;
}

export function toMetadata(row: Row): StoryMetadata {
  return {
    id: row[0] as string,
    title: row[1] as string,
    tags: JSON.parse(row[2] as string) as string[],
    size: Number(row[3]),
    revision: Number(row[4]),
    createdAt: new Date(Number(row[5])),
    updatedAt: new Date(Number(row[6])),
  };
}

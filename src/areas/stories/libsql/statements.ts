import type { Row } from "@libsql/client";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { stories, storyContents, storyRevisions, storySearch, storyTags } from "../../../schema/stories.js";
import { checksumOf } from "../../checksum.js";
import {
  insertOf,
  list,
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
export const METADATA = {
  id: s.id,
  title: s.title,
  tags: s.tags,
  size: s.size,
  revision: s.revision,
  createdAt: s.createdAt,
  updatedAt: s.updatedAt,
} as const;
export const metadata = selection(METADATA);
/** The columns that a change writes; `deleted_at` and `indexed_revision` have statements of their own. */
export const STORY = {
  project: s.project,
  id: s.id,
  title: s.title,
  titleIsOwn: s.titleIsOwn,
  tags: s.tags,
  size: s.size,
  revision: s.revision,
  contentRowId: s.contentRowId,
  changeRowId: s.changeRowId,
  createdAt: s.createdAt,
  updatedAt: s.updatedAt,
  checksum: s.checksum,
} as const;
export const CONTENT = { project: c.project, data: c.data, size: c.size, checksum: c.checksum } as const;
export const REVISION = {
  project: r.project,
  id: r.id,
  revision: r.revision,
  contentRowId: r.contentRowId,
  createdAt: r.createdAt,
} as const;

/** What a change has to know about the story that it changes, deleted or not. */
export const known = selection({
  rowId: s.rowId,
  title: s.title,
  titleIsOwn: s.titleIsOwn,
  tags: s.tags,
  size: s.size,
  revision: s.revision,
  contentRowId: s.contentRowId,
  createdAt: s.createdAt,
  deletedAt: s.deletedAt,
  sum: sql`(select ${c.checksum} from ${c} where ${c.rowId} = ${s.contentRowId})`,
});
export const selectKnown = prepareStatement(sql`select ${known.columns} from ${s} where ${isId}`);
/** Takes project and id. */
export const VERSION_SQL = toStatement(sql`select ${s.rowId}, ${s.revision} from ${s} where ${isId} and ${isLive}`).sql;
export const selectMetadata = prepareStatement(sql`select ${metadata.columns} from ${s} where ${isId} and ${isLive}`);
export const text = selection({ rowId: s.rowId, revision: s.revision, data: c.data, checksum: c.checksum });
export const selectText = prepareStatement(
  sql`select ${text.columns} from ${s} join ${c} on ${c.rowId} = ${s.contentRowId} where ${isId} and ${isLive}`,
);

export const insertContent = insertOf(c, CONTENT);
export const insertRevision = insertOf(r, REVISION);
export const insertStory = insertOf(s, STORY);
const { project: _project, id: _id, ...CHANGED } = STORY;
export const updateStory = prepareStatement(
  sql`update ${s} set ${setEach(CHANGED)}, ${set(s.deletedAt, null)} where ${isId}`,
);
export const deleteStory = prepareStatement(
  sql`update ${s} set ${set(s.deletedAt, sql.placeholder("now"))} where ${isId} and ${isLive}`,
);

export const insertTag = prepareInsert(t, [t.project, t.tag, t.storyRowId]);
export const deleteTags = prepareStatement(
  sql`delete from ${t} where ${t.project} = ${project} and ${t.storyRowId} = (select ${s.rowId} from ${s} where ${isId})`,
);

export const revision = selection({ revision: r.revision, size: c.size, createdAt: r.createdAt });
export const selectRevisions = prepareStatement(
  sql`select ${revision.columns} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
    where ${ofStory} order by ${r.revision} desc`,
);
export const revisionText = selection({ data: c.data, checksum: c.checksum });
export const selectRevisionText = prepareStatement(
  sql`select ${revisionText.columns} from ${r} join ${c} on ${c.rowId} = ${r.contentRowId}
    where ${ofStory} and ${r.revision} = ${sql.placeholder("revision")}`,
);
/** The oldest revision within the limit, if there are more than the limit allows. */
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

/** The search index learns about a restored story at the next search. */
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

/** The values of a story that its checksum covers, as they are stored. */
export interface CheckedStory {
  readonly project: string;
  readonly id: string;
  readonly title: string;
  readonly titleIsOwn: number;
  /** JSON. */
  readonly tags: string;
  readonly size: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The checksum of a story, with the checksum of its content. */
export function storyChecksum(story: CheckedStory, contentSum: string): string {
  const { project, id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt } = story;
  return checksumOf([project, id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt, contentSum]);
}

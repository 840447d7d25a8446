import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const isLive = sql`deleted_at is null`;

/**
 * The metadata of each story; its JSON is in `story_contents`. The row of a deleted story stays, as the owner of its
 * history.
 */
export const stories = sqliteTable(
  "stories",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique in the project. */
    id: text("id").notNull(),
    /** The title. */
    title: text("title").notNull(),
    /** 1 if the title was given separately from the story, so that a save without a title keeps it; otherwise 0. */
    titleIsOwn: integer("title_is_own").notNull(),
    /** A JSON array of strings. */
    tags: text("tags").notNull(),
    /** UTF-8 bytes of the JSON. */
    size: integer("size").notNull(),
    /** The current revision. It grows with every change, and continues after a delete. */
    revision: integer("revision").notNull(),
    /** The JSON of the current revision. */
    contentRowId: integer("content_row_id").notNull(),
    /** The row of its last revision. It orders changes within one millisecond. */
    changeRowId: integer("change_row_id").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
    /** The revision that is indexed. A search first indexes the stories that changed since. */
    indexedRevision: integer("indexed_revision").notNull().default(0),
    /** A checksum of the record and its content. It finds damage that SQLite cannot see. */
    checksum: text("checksum").notNull(),
  },
  (table) => [
    uniqueIndex("stories_id").on(table.project, table.id),
    index("stories_time").on(table.project, table.updatedAt, table.changeRowId).where(isLive),
    index("stories_unindexed").on(table.project).where(sql`deleted_at is null and indexed_revision < revision`),
  ],
);

/** The JSON of stories. Rows never change. Revisions that differ only in metadata share a row. */
export const storyContents = sqliteTable(
  "story_contents",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The JSON of the story. */
    data: text("data").notNull(),
    /** UTF-8 bytes of the JSON. */
    size: integer("size").notNull(),
    /** A checksum of the JSON. */
    checksum: text("checksum").notNull(),
  },
  (table) => [index("story_contents_project").on(table.project)],
);

/** The last revisions of each story, including the current one. They stay when the story is deleted. */
export const storyRevisions = sqliteTable(
  "story_revisions",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id of the story. */
    id: text("id").notNull(),
    /** The number of the revision. */
    revision: integer("revision").notNull(),
    /** The JSON of this revision. */
    contentRowId: integer("content_row_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("story_revisions_revision").on(table.project, table.id, table.revision),
    index("story_revisions_content").on(table.contentRowId),
  ],
);

/** The tags of existing stories, for lists by tag. */
export const storyTags = sqliteTable(
  "story_tags",
  {
    project: text("project").notNull(),
    /** The tag. */
    tag: text("tag").notNull(),
    /** The story. */
    storyRowId: integer("story_row_id").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.tag, table.storyRowId] }),
    index("story_tags_story").on(table.storyRowId),
  ],
);

/** The preferences of an application, by key. */
export const storyPreferences = sqliteTable(
  "story_preferences",
  {
    project: text("project").notNull(),
    /** The name of the preference. */
    key: text("key").notNull(),
    /** JSON. */
    value: text("value").notNull(),
    /** Whom it applies to. */
    scope: text("scope").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.key] })],
);

/** Changes that wait to be sent to another system, in the order of their rows. */
export const storySyncQueue = sqliteTable(
  "story_sync_queue",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique in the project. */
    id: text("id").notNull(),
    /** The id of the story, which need not exist. */
    storyId: text("story_id").notNull(),
    /** What to do with it, in words of the application. */
    action: text("action").notNull(),
    /** JSON. */
    data: text("data").notNull(),
    /** When it was added, in milliseconds since 1970. */
    timestamp: integer("timestamp").notNull(),
  },
  (table) => [uniqueIndex("story_sync_queue_id").on(table.project, table.id)],
);

/** Secrets, encrypted before they are stored. */
export const storySecrets = sqliteTable(
  "story_secrets",
  {
    project: text("project").notNull(),
    /** The name of the secret. */
    name: text("name").notNull(),
    /** The encrypted value. */
    value: blob("value", { mode: "buffer" }).notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.name] })],
);

/**
 * The texts that the search reads, for each story that was indexed since its last change.
 *
 * A custom migration creates `story_search_fts` and the triggers that update it.
 */
export const storySearch = sqliteTable(
  "story_search",
  {
    /** The `row_id` of the story. */
    rowId: integer("row_id").primaryKey(),
    project: text("project").notNull(),
    /** The texts in the story. */
    content: text("content").notNull(),
    /** The index terms of the texts. */
    searchText: text("search_text").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [index("story_search_time").on(table.project, table.updatedAt)],
);

import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const isLive = sql`deleted_at is null`;

/** What is known of each story; its JSON is in `story_contents`. A deleted one stays, so that its history has an owner. */
export const stories = sqliteTable(
  "stories",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    title: text("title").notNull(),
    /** Whether the title was set beside the story, so that a save without any keeps it: 0 or 1. */
    titleIsOwn: integer("title_is_own").notNull(),
    /** A JSON array of strings. */
    tags: text("tags").notNull(),
    /** UTF-8 bytes of the JSON. */
    size: integer("size").notNull(),
    revision: integer("revision").notNull(),
    contentRowId: integer("content_row_id").notNull(),
    /** The row of its last revision: it settles the order of changes in one millisecond. */
    changeRowId: integer("change_row_id").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
    /** The revision that the search knows: it learns of changes when it is asked. */
    indexedRevision: integer("indexed_revision").notNull().default(0),
    /** Of the record with its content, to find damage that SQLite cannot see. */
    checksum: text("checksum").notNull(),
  },
  (table) => [
    uniqueIndex("stories_id").on(table.project, table.id),
    index("stories_time").on(table.project, table.updatedAt, table.changeRowId).where(isLive),
    index("stories_unindexed").on(table.project).where(sql`deleted_at is null and indexed_revision < revision`),
  ],
);

/** The JSON of stories. A row is never changed; revisions that differ in metadata only share one. */
export const storyContents = sqliteTable(
  "story_contents",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    data: text("data").notNull(),
    size: integer("size").notNull(),
    checksum: text("checksum").notNull(),
  },
  (table) => [index("story_contents_project").on(table.project)],
);

/** The last revisions of each story, the present one included. They outlive the story. */
export const storyRevisions = sqliteTable(
  "story_revisions",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    revision: integer("revision").notNull(),
    contentRowId: integer("content_row_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("story_revisions_revision").on(table.project, table.id, table.revision),
    index("story_revisions_content").on(table.contentRowId),
  ],
);

/** Tags of living stories, for lists by tag. */
export const storyTags = sqliteTable(
  "story_tags",
  {
    project: text("project").notNull(),
    tag: text("tag").notNull(),
    storyRowId: integer("story_row_id").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.tag, table.storyRowId] }),
    index("story_tags_story").on(table.storyRowId),
  ],
);

export const storyPreferences = sqliteTable(
  "story_preferences",
  {
    project: text("project").notNull(),
    key: text("key").notNull(),
    /** JSON. */
    value: text("value").notNull(),
    scope: text("scope").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.key] })],
);

/** Changes that wait to be sent elsewhere, in the order of their rows. */
export const storySyncQueue = sqliteTable(
  "story_sync_queue",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    storyId: text("story_id").notNull(),
    action: text("action").notNull(),
    /** JSON. */
    data: text("data").notNull(),
    timestamp: integer("timestamp").notNull(),
  },
  (table) => [uniqueIndex("story_sync_queue_id").on(table.project, table.id)],
);

/** Secrets, encrypted before they come here. */
export const storySecrets = sqliteTable(
  "story_secrets",
  {
    project: text("project").notNull(),
    name: text("name").notNull(),
    value: blob("value", { mode: "buffer" }).notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.name] })],
);

/**
 * What the search looks through: the texts of each story that it has been asked about since the last change.
 *
 * `story_search_fts` and the triggers that keep it in step are made by a custom migration.
 */
export const storySearch = sqliteTable(
  "story_search",
  {
    /** That of the story. */
    rowId: integer("row_id").primaryKey(),
    project: text("project").notNull(),
    content: text("content").notNull(),
    searchText: text("search_text").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [index("story_search_time").on(table.project, table.updatedAt)],
);

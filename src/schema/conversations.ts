import { sql } from "drizzle-orm";
import { type AnySQLiteColumn, index, integer, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const isLive = sql`deleted_at is null`;

/** `visible_seq` of a conversation that is not deleted: all of its messages can be seen. */
export const ALL_VISIBLE = Number.MAX_SAFE_INTEGER;

/**
 * Threads of messages.
 *
 * A fork has a parent, whose first `prefix_seq` messages it shows before its own; a parent always owns the message of
 * that seq, so a fork of a fork names the ancestor that does. A purged conversation whose messages a fork still shows
 * stays as an empty shell, with `purged_at`, until the last such fork is purged too.
 */
export const conversations = sqliteTable(
  "conversations",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    title: text("title"),
    /** A JSON array of text; `conversation_tags` follows it by triggers. */
    tags: text("tags").notNull(),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
    parentRowId: integer("parent_row_id").references((): AnySQLiteColumn => conversations.rowId),
    prefixSeq: integer("prefix_seq").notNull(),
    /** What the caller forked, which need not be the parent, and need not exist any more. */
    forkedFromId: text("forked_from_id"),
    forkedFromSeq: integer("forked_from_seq"),
    /** Of its own messages those up to this seq can be seen: all, or once it is deleted those that living forks show. */
    visibleSeq: integer("visible_seq").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
    purgedAt: integer("purged_at"),
  },
  (table) => [
    uniqueIndex("conversations_id").on(table.project, table.id),
    index("conversations_created").on(table.project, table.createdAt).where(isLive),
    index("conversations_updated").on(table.project, table.updatedAt).where(isLive),
    index("conversations_parent").on(table.parentRowId).where(sql`parent_row_id is not null`),
  ],
);

/**
 * The turns of conversations. `seq` counts from 1 without gaps, in a fork from the end of what it shares.
 *
 * `messages_fts` and the triggers that keep it, the tags and the conversation's time in step are made by a custom migration.
 */
export const messages = sqliteTable(
  "messages",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    conversationRowId: integer("conversation_row_id")
      .notNull()
      .references(() => conversations.rowId),
    seq: integer("seq").notNull(),
    id: text("id").notNull(),
    role: text("role").notNull(),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
    /** A JSON array of text; `conversation_tags` follows it by triggers. */
    tags: text("tags").notNull(),
    clientId: text("client_id"),
    /** Of one with a client id: a hash of the role, content and metadata that were sent first, whatever they are now. */
    sentHash: text("sent_hash"),
    createdAt: integer("created_at").notNull(),
    /** When it was stored or changed last. */
    updatedAt: integer("updated_at").notNull(),
    /** Of all that the caller gave, and the seq it has: to find damage that SQLite cannot see. */
    checksum: text("checksum").notNull(),
    content: text("content").notNull(),
    /** The index terms of the content, as the search makes them; null once somebody else has changed the content. */
    searchText: text("search_text"),
  },
  (table) => [
    uniqueIndex("messages_id").on(table.project, table.id),
    uniqueIndex("messages_seq").on(table.conversationRowId, table.seq),
    uniqueIndex("messages_client_id").on(table.conversationRowId, table.clientId).where(sql`client_id is not null`),
    index("messages_time").on(table.project, table.createdAt),
    index("messages_unindexed").on(table.project).where(sql`search_text is null`),
  ],
);

/** Who carries which tag, made by triggers out of the two `tags` columns; `message_row_id` is 0 for a conversation's own. */
export const conversationTags = sqliteTable(
  "conversation_tags",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    tag: text("tag").notNull(),
    conversationRowId: integer("conversation_row_id").notNull(),
    messageRowId: integer("message_row_id").notNull(),
  },
  (table) => [
    uniqueIndex("conversation_tags_tag").on(table.project, table.tag, table.conversationRowId, table.messageRowId),
    index("conversation_tags_owner").on(table.conversationRowId, table.messageRowId),
  ],
);

/** What messages refer to: commits, files, URLs, memories, anything that has a name. */
export const messageRefs = sqliteTable(
  "message_refs",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    messageRowId: integer("message_row_id")
      .notNull()
      .references(() => messages.rowId),
    kind: text("kind").notNull(),
    target: text("target").notNull(),
    score: real("score"),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("message_refs_message").on(table.messageRowId, table.kind, table.target),
    index("message_refs_target").on(table.project, table.kind, table.target),
  ],
);

/** What was said in a conversation, day by day. */
export const conversationSummaries = sqliteTable(
  "conversation_summaries",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    conversationRowId: integer("conversation_row_id")
      .notNull()
      .references(() => conversations.rowId),
    id: text("id").notNull(),
    /** YYYY-MM-DD. */
    date: text("date").notNull(),
    title: text("title").notNull(),
    text: text("text").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("conversation_summaries_id").on(table.project, table.id),
    index("conversation_summaries_date").on(table.project, table.date),
    index("conversation_summaries_conversation").on(table.conversationRowId, table.date),
  ],
);

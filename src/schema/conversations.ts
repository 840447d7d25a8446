import { sql } from "drizzle-orm";
import { type AnySQLiteColumn, index, integer, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const isLive = sql`deleted_at is null`;

/** The `visible_seq` of a conversation that is not deleted: all of its messages are visible. */
export const ALL_VISIBLE = Number.MAX_SAFE_INTEGER;

/**
 * Threads of messages.
 *
 * A fork has a parent, and shows the first `prefix_seq` messages of the parent before its own. The parent always owns
 * the message with that seq, so a fork of a fork has the owner as its parent. If a fork still shows messages of a
 * purged conversation, the conversation stays as an empty shell with `purged_at`, until the last such fork is purged.
 */
export const conversations = sqliteTable(
  "conversations",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique among the conversations and messages of the project. */
    id: text("id").notNull(),
    /** The title. */
    title: text("title"),
    /** A JSON array of text. Triggers keep `conversation_tags` in step with it. */
    tags: text("tags").notNull(),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
    /** The conversation whose messages a fork shows before its own; null without a parent. */
    parentRowId: integer("parent_row_id").references((): AnySQLiteColumn => conversations.rowId),
    /** The number of messages that it shows of its parent; 0 without a parent. */
    prefixSeq: integer("prefix_seq").notNull(),
    /** The conversation that the caller forked. It may differ from the parent, and may no longer exist. */
    forkedFromId: text("forked_from_id"),
    /** The last message that the fork shared when it was made. */
    forkedFromSeq: integer("forked_from_seq"),
    /** The last visible seq of its own messages: all of them, or after a delete those that existing forks show. */
    visibleSeq: integer("visible_seq").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
    /** When it was purged, in milliseconds since 1970; null for all but empty shells. */
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
 * The messages of conversations. `seq` counts from 1 without gaps. In a fork, it continues from the end of the shared
 * messages.
 *
 * A custom migration creates `messages_fts` and the triggers that update it, the tags and the time of the conversation.
 */
export const messages = sqliteTable(
  "messages",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The conversation that it was written in. */
    conversationRowId: integer("conversation_row_id")
      .notNull()
      .references(() => conversations.rowId),
    /** Its place in the conversation. */
    seq: integer("seq").notNull(),
    /** The id, unique among the conversations and messages of the project. */
    id: text("id").notNull(),
    /** `system`, `user`, `assistant` or `tool`. */
    role: text("role").notNull(),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
    /** A JSON array of text. Triggers keep `conversation_tags` in step with it. */
    tags: text("tags").notNull(),
    /** The name that makes the append repeatable, unique in the conversation. */
    clientId: text("client_id"),
    /**
     * For a message with a client id: a hash of the role, content and metadata that were sent first, even if they
     * changed later.
     */
    sentHash: text("sent_hash"),
    createdAt: integer("created_at").notNull(),
    /** The time of the insert or the last change. */
    updatedAt: integer("updated_at").notNull(),
    /** A checksum of all values that the caller gave, and of the seq. It finds damage that SQLite cannot see. */
    checksum: text("checksum").notNull(),
    /** The text. */
    content: text("content").notNull(),
    /**
     * Index terms that are given to the row: a trigger moves them into `messages_fts` and leaves it empty. Null if other
     * code has changed the content since. Rows that an earlier version wrote keep theirs until a search or `reindex`.
     */
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

/**
 * The tags of conversations and messages. Triggers fill it from the two `tags` columns. For a conversation's own tags,
 * `message_row_id` is 0.
 */
export const conversationTags = sqliteTable(
  "conversation_tags",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The tag. */
    tag: text("tag").notNull(),
    /** The conversation. */
    conversationRowId: integer("conversation_row_id").notNull(),
    /** The message; 0 for a tag of the conversation itself. */
    messageRowId: integer("message_row_id").notNull(),
  },
  (table) => [
    uniqueIndex("conversation_tags_tag").on(table.project, table.tag, table.conversationRowId, table.messageRowId),
    index("conversation_tags_owner").on(table.conversationRowId, table.messageRowId),
  ],
);

/** References of messages to commits, files, URLs, memories or anything else that has a name. */
export const messageRefs = sqliteTable(
  "message_refs",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The message. */
    messageRowId: integer("message_row_id")
      .notNull()
      .references(() => messages.rowId),
    /** The kind of thing: `commit`, `file`, `url`, … */
    kind: text("kind").notNull(),
    /** Which one: a hash, a path, an id. */
    target: text("target").notNull(),
    /** How relevant it is; null if it was not given. */
    score: real("score"),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("message_refs_message").on(table.messageRowId, table.kind, table.target),
    index("message_refs_target").on(table.project, table.kind, table.target),
  ],
);

/** Summaries of a conversation, day by day. */
export const conversationSummaries = sqliteTable(
  "conversation_summaries",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The conversation. */
    conversationRowId: integer("conversation_row_id")
      .notNull()
      .references(() => conversations.rowId),
    /** The id, unique in the project. */
    id: text("id").notNull(),
    /** YYYY-MM-DD. */
    date: text("date").notNull(),
    /** The title. */
    title: text("title").notNull(),
    /** The summary. */
    text: text("text").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("conversation_summaries_id").on(table.project, table.id),
    index("conversation_summaries_date").on(table.project, table.date),
    index("conversation_summaries_conversation").on(table.conversationRowId, table.date),
  ],
);

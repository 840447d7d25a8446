import { sql } from "drizzle-orm";
import { blob, index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const isLive = sql`deleted_at is null`;

/**
 * What a project remembers. Every index ends with `row_id`, so that equal times keep the order of insertion.
 *
 * `memories_fts` and the triggers that keep it in step are made by a custom migration.
 */
export const memories = sqliteTable(
  "memories",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    sessionId: text("session_id"),
    type: text("type").notNull(),
    source: text("source").notNull(),
    content: text("content").notNull(),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
    /** The vector stored last, if any. */
    embeddingRowId: integer("embedding_row_id"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
    /** Of the content alone: equal content has equal hashes. */
    contentHash: text("content_hash").notNull(),
    /** Of all that the caller gave, to find damage that SQLite cannot see. */
    checksum: text("checksum").notNull(),
    /** The index terms of the content, as the search makes them; empty while deleted. */
    searchText: text("search_text").notNull(),
  },
  (table) => [
    uniqueIndex("memories_id").on(table.project, table.id),
    index("memories_time").on(table.project, table.createdAt).where(isLive),
    index("memories_type").on(table.project, table.type, table.createdAt).where(isLive),
    index("memories_source").on(table.project, table.source, table.createdAt).where(isLive),
    index("memories_session").on(table.project, table.sessionId, table.createdAt).where(isLive),
    index("memories_content_hash").on(table.project, table.contentHash).where(isLive),
  ],
);

/** Vectors of memories, one per model and version; little-endian float32. `version` is empty where none is named. */
export const memoryEmbeddings = sqliteTable(
  "memory_embeddings",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    // Without a cascade: a table rebuild by a migrator that leaves foreign keys on would delete the vectors.
    memoryRowId: integer("memory_row_id")
      .notNull()
      .references(() => memories.rowId),
    project: text("project").notNull(),
    model: text("model").notNull(),
    version: text("version").notNull(),
    dimensions: integer("dimensions").notNull(),
    vector: blob("vector", { mode: "buffer" }).notNull(),
    createdAt: integer("created_at").notNull(),
    checksum: text("checksum").notNull(),
  },
  (table) => [
    uniqueIndex("memory_embeddings_memory").on(table.memoryRowId, table.model, table.version),
    index("memory_embeddings_model").on(table.project, table.model, table.version, table.dimensions),
  ],
);

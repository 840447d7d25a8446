import { sql } from "drizzle-orm";
import { blob, index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const isLive = sql`deleted_at is null`;

/**
 * The memories of a project. Every index ends with `row_id`, so that records with equal times stay in the order of
 * insertion.
 *
 * A custom migration creates `memories_fts` and the triggers that update it.
 */
export const memories = sqliteTable(
  "memories",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique in the project. */
    id: text("id").notNull(),
    /** The id of the session, which need not exist. */
    sessionId: text("session_id"),
    /** The kind of memory, such as `decision`. */
    type: text("type").notNull(),
    /** Where it comes from. */
    source: text("source").notNull(),
    /** The text. With `compressContents`, a long one is a BLOB that only Holdfast reads. */
    content: text("content").notNull(),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
    /** The vector that was stored last, if there is one. */
    embeddingRowId: integer("embedding_row_id"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    deletedAt: integer("deleted_at"),
    /** A hash of the content: 16 characters, or 32 of which the first 16 count. Equal contents have equal hashes. */
    contentHash: text("content_hash").notNull(),
    /** A checksum of all values that the caller gave, as long as the hash. It finds damage that SQLite cannot see. */
    checksum: text("checksum").notNull(),
    /**
     * Index terms that are given to the row: a trigger moves them into `memories_fts` and leaves it empty. Rows that an
     * earlier version wrote keep theirs until a search or `reindex` indexes them.
     */
    searchText: text("search_text").notNull(),
  },
  (table) => [
    uniqueIndex("memories_id").on(table.project, table.id),
    index("memories_time").on(table.project, table.createdAt).where(isLive),
    index("memories_type").on(table.project, table.type, table.createdAt).where(isLive),
    index("memories_source")
      .on(table.project, table.source, table.createdAt)
      .where(sql`deleted_at is null and source <> 'unknown'`),
    index("memories_session")
      .on(table.project, table.sessionId, table.createdAt)
      .where(sql`deleted_at is null and session_id is not null`),
  ],
);

/**
 * Vectors of memories, one for each model and version, as little-endian float32. `version` is empty if none is given.
 */
export const memoryEmbeddings = sqliteTable(
  "memory_embeddings",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    // No cascade: if a migrator leaves foreign keys on, a table rebuild would delete the vectors.
    /** The memory. */
    memoryRowId: integer("memory_row_id")
      .notNull()
      .references(() => memories.rowId),
    project: text("project").notNull(),
    /** The name of the model. */
    model: text("model").notNull(),
    /** The version of the model; empty if none is given. */
    version: text("version").notNull(),
    /** The length of the vector. */
    dimensions: integer("dimensions").notNull(),
    /** The values, 4 bytes each. */
    vector: blob("vector", { mode: "buffer" }).notNull(),
    createdAt: integer("created_at").notNull(),
    /** A checksum of the vector and what it belongs to. */
    checksum: text("checksum").notNull(),
  },
  (table) => [
    uniqueIndex("memory_embeddings_memory").on(table.memoryRowId, table.model, table.version),
    index("memory_embeddings_model").on(table.project, table.model, table.version, table.dimensions),
  ],
);

/**
 * What a storage needs to keep vectors of a project in memory: which of its rows are new, and whether others than new ones
 * have changed.
 */
export const vectorVersions = sqliteTable("vector_versions", {
  project: text("project").primaryKey(),
  /** A random number, which changes when a vector is changed in place or stored under a `row_id` that was used before. */
  version: integer("version").notNull(),
  /** The highest `row_id` that a vector of the project has had. */
  lastRowId: integer("last_row_id").notNull(),
});

import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** Spans of work that memories may name. A memory may also name a session that was never started. */
export const sessions = sqliteTable(
  "sessions",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique in the project. */
    id: text("id").notNull(),
    /** When it started, in milliseconds since 1970. */
    startedAt: integer("started_at").notNull(),
    /** When it ended, in milliseconds since 1970; null while it has not. */
    endedAt: integer("ended_at"),
    /** The summary given at the end. */
    summary: text("summary"),
    /** A JSON object. */
    metadata: text("metadata").notNull(),
  },
  (table) => [
    uniqueIndex("sessions_id").on(table.project, table.id),
    index("sessions_time").on(table.project, table.startedAt),
    index("sessions_active").on(table.project, table.startedAt).where(sql`ended_at is null`),
  ],
);

import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Tasks of the application. `memoryId` is the id of a memory of project `tasks`, without a foreign key. */
export const tasks = sqliteTable(
  "tasks",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    title: text("title").notNull(),
    memoryId: text("memory_id").notNull(),
    doneAt: integer("done_at", { mode: "timestamp_ms" }),
  },
  (table) => [index("tasks_open").on(table.doneAt)],
);

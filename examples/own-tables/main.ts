// An application that keeps its own tables in the same file, with separate migrations.
import { fileURLToPath } from "node:url";
import { eq, isNull } from "drizzle-orm";
import { openStorage } from "holdfast";
import * as schema from "./schema.js";

const { tasks } = schema;
const storage = await openStorage({
  url: process.argv[2] ?? "app.db",
  schema,
  migrations: { folder: fileURLToPath(new URL("./drizzle", import.meta.url)), table: "app_migrations" },
});

// Stores a memory and the task that refers to it in one transaction.
await storage.transaction(async (tx) => {
  const memory = await tx.project("tasks").memories.insert({ content: "The release waits for the signing key" });
  await tx.db.insert(tasks).values({ title: "Ask for the signing key", memoryId: memory.id });
});

const { memories } = storage.project("tasks");
for (const { memory } of await memories.search("signing")) {
  const task = await storage.db.query.tasks.findFirst({ where: eq(tasks.memoryId, memory.id) });
  console.log(`${task?.title}: ${memory.content}`);
}
await storage.db.update(tasks).set({ doneAt: new Date() }).where(isNull(tasks.doneAt));
console.log(`${await storage.db.$count(tasks, isNull(tasks.doneAt))} tasks are open`);
await storage.close();

import { join } from "node:path";
import { createClient as createStockClient } from "@libsql/client";
import Database from "better-sqlite3";
import { and, desc, eq, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { memories, memoryEmbeddings } from "../../src/schema/index.js";
import { openStorage } from "../../src/storage/storage.js";
import { drizzleBetterSqlite, drizzleHoldfast, drizzleOn, drizzleStock, items } from "../databases.js";
import { meanMicros, type Trial } from "../trial.js";

const ROWS = 10_000;
const LISTS = { count: 1_000 };

export const drizzleList: Trial = {
  title: `100 rows of ${ROWS} through Drizzle`,
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      const db = await drizzleHoldfast(folder, ROWS);
      return meanMicros(() => db.select().from(items).orderBy(desc(items.id)).limit(100), LISTS);
    },
    "stock client": async ({ folder }) => {
      const db = await drizzleStock(folder, ROWS);
      return meanMicros(() => db.select().from(items).orderBy(desc(items.id)).limit(100), LISTS);
    },
    "better-sqlite3": async ({ folder }) => {
      const db = drizzleBetterSqlite(folder, ROWS);
      return meanMicros(() => db.select().from(items).orderBy(desc(items.id)).limit(100).all(), LISTS);
    },
  },
};

async function fillMemories(folder: string) {
  const path = join(folder, "memories.db");
  const storage = await openStorage(path);
  const inputs = Array.from({ length: ROWS }, (_, index) => ({
    content: `memory number ${index} of many`,
    createdAt: new Date(index),
  }));
  await storage.memories.insertMany(inputs);
  return { path, storage };
}

export const repositoryList: Trial = {
  title: `a page of 100 memories of ${ROWS}: memories.list() against the same query through Drizzle`,
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      const { storage } = await fillMemories(folder);
      return meanMicros(() => storage.memories.list({ limit: 100 }), LISTS);
    },
    "stock client": async ({ folder }) => {
      const { path, storage } = await fillMemories(folder);
      await storage.close();
      const db = drizzle({ client: createStockClient({ url: `file:${path}` }) });
      // Its query is a promise, and otherwise the same.
      return meanMicros(() => newestMemories(db as never), LISTS);
    },
    "better-sqlite3": async ({ folder }) => {
      const { path, storage } = await fillMemories(folder);
      await storage.close();
      const db = drizzleOn(new Database(path));
      return meanMicros(() => newestMemories(db).all(), LISTS);
    },
  },
};

/** The query of `memories.list`, as one would write it with Drizzle. */
function newestMemories(db: ReturnType<typeof drizzleOn>) {
  const { id, sessionId, type, source, content, metadata, createdAt, updatedAt, deletedAt } = memories;
  const { vector, model, version } = memoryEmbeddings;
  const own = { id, sessionId, type, source, content, metadata, createdAt, updatedAt, deletedAt };
  return db
    .select({ ...own, vector, model, version })
    .from(memories)
    .leftJoin(memoryEmbeddings, eq(memoryEmbeddings.rowId, memories.embeddingRowId))
    .where(and(eq(memories.project, "default"), isNull(memories.deletedAt)))
    .orderBy(desc(memories.createdAt), desc(memories.rowId))
    .limit(100);
}

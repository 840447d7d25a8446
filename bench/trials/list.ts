import { join } from "node:path";
import { createClient as createStockClient } from "@libsql/client";
import { and, desc, eq, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { memories, memoryEmbeddings } from "../../src/schema/index.js";
import { openStorage } from "../../src/storage/storage.js";
import { drizzleBetterSqlite, drizzleHoldfast, drizzleStock, items } from "../databases.js";
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
      const { searchText, ...shown } = memories;
      const { id, sessionId, type, source, content, metadata, createdAt, updatedAt, deletedAt } = shown;
      const { vector, model, version } = memoryEmbeddings;
      const fields = {
        id,
        sessionId,
        type,
        source,
        content,
        metadata,
        createdAt,
        updatedAt,
        deletedAt,
        vector,
        model,
        version,
      };
      return meanMicros(
        () =>
          db
            .select(fields)
            .from(memories)
            .leftJoin(memoryEmbeddings, eq(memoryEmbeddings.rowId, memories.embeddingRowId))
            .where(and(eq(memories.project, "default"), isNull(memories.deletedAt)))
            .orderBy(desc(memories.createdAt), desc(memories.rowId))
            .limit(100),
        LISTS,
      );
    },
  },
};

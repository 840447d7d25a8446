import { eq, sql } from "drizzle-orm";
import { drizzleBetterSqlite, drizzleHoldfast, drizzleStock, items, openHoldfast, openStock } from "../databases.js";
import { meanMicros, type Trial } from "../trial.js";

const ROWS = 10_000;
/** As many calls to warm up as are measured, so that the trial compares compiled code, not the time to compile it. */
const READS = { count: 20_000, warmup: 20_000 };
const SELECT = "SELECT id, key, name, amount, ratio FROM items WHERE key = ?";

export const pointRead: Trial = {
  title: `execute(), one row of ${ROWS} by key`,
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      const client = await openHoldfast(folder, ROWS);
      return meanMicros((i) => client.execute({ sql: SELECT, args: [`key-${i % ROWS}`] }), READS);
    },
    "stock client": async ({ folder }) => {
      const client = await openStock(folder, ROWS);
      return meanMicros((i) => client.execute({ sql: SELECT, args: [`key-${i % ROWS}`] }), READS);
    },
  },
};

export const preparedRead: Trial = {
  title: `a prepared Drizzle query, one row of ${ROWS} by key`,
  unit: "µs",
  contenders: {
    holdfast: async ({ folder }) => {
      const db = await drizzleHoldfast(folder, ROWS);
      const query = db
        .select()
        .from(items)
        .where(eq(items.key, sql.placeholder("key")))
        .prepare();
      return meanMicros((i) => query.get({ key: `key-${i % ROWS}` }), READS);
    },
    "stock client": async ({ folder }) => {
      const db = await drizzleStock(folder, ROWS);
      const query = db
        .select()
        .from(items)
        .where(eq(items.key, sql.placeholder("key")))
        .prepare();
      return meanMicros((i) => query.get({ key: `key-${i % ROWS}` }), READS);
    },
    "better-sqlite3": async ({ folder }) => {
      const db = drizzleBetterSqlite(folder, ROWS);
      const query = db
        .select()
        .from(items)
        .where(eq(items.key, sql.placeholder("key")))
        .prepare();
      return meanMicros((i) => query.get({ key: `key-${i % ROWS}` }), READS);
    },
  },
};

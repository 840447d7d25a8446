import { join } from "node:path";
import { type Client, createClient as createStockClient } from "@libsql/client";
import Database from "better-sqlite3";
import { BetterSQLiteSession } from "drizzle-orm/better-sqlite3/session";
import { drizzle } from "drizzle-orm/libsql";
import { BaseSQLiteDatabase, integer, real, SQLiteSyncDialect, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createClient } from "../src/client/index.js";

export const items = sqliteTable("items", {
  id: integer("id").primaryKey(),
  key: text("key").notNull().unique(),
  name: text("name").notNull(),
  amount: integer("amount").notNull(),
  ratio: real("ratio").notNull(),
});

const SCHEMA = `CREATE TABLE items (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  amount INTEGER NOT NULL, ratio REAL NOT NULL)`;

export const INSERT = "INSERT INTO items (key, name, amount, ratio) VALUES (?, ?, ?, ?)";

export function itemValues(index: number): [string, string, number, number] {
  return [`key-${index}`, `the item with number ${index}`, index * 7, index / 3];
}

/** Both clients use WAL mode and synchronous FULL, for the same durability. */
export async function openHoldfast(folder: string, rows = 0): Promise<Client> {
  return fill(createClient({ url: `file:${join(folder, "holdfast.db")}` }), rows);
}

export async function openStock(folder: string, rows = 0): Promise<Client> {
  // One connection, so that the settings apply to every call. More connections would not help without concurrent calls.
  const client = createStockClient({ url: `file:${join(folder, "stock.db")}`, concurrency: 1 });
  await client.execute("PRAGMA journal_mode = WAL");
  await client.execute("PRAGMA synchronous = FULL");
  return fill(client, rows);
}

async function fill(client: Client, rows: number): Promise<Client> {
  await client.execute(SCHEMA);
  const statements = Array.from({ length: rows }, (_, index) => ({ sql: INSERT, args: itemValues(index) }));
  if (rows > 0) await client.batch(statements, "write");
  return client;
}

export async function drizzleHoldfast(folder: string, rows = 0) {
  return drizzle({ client: await openHoldfast(folder, rows) });
}

export async function drizzleStock(folder: string, rows = 0) {
  return drizzle({ client: await openStock(folder, rows) });
}

export function openBetter(folder: string, rows = 0): Database.Database {
  const database = new Database(join(folder, "better.db"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec(SCHEMA);
  const insert = database.prepare(INSERT);
  database.transaction(() => {
    for (let index = 0; index < rows; index++) insert.run(...itemValues(index));
  })();
  return database;
}

export function drizzleBetterSqlite(folder: string, rows = 0) {
  return drizzleOn(openBetter(folder, rows));
}

/**
 * The database that drizzle-orm/better-sqlite3 creates. Its own entry would look for the package next to drizzle-orm.
 */
export function drizzleOn(database: Database.Database) {
  const dialect = new SQLiteSyncDialect();
  const session = new BetterSQLiteSession(database, dialect, undefined, {});
  return new BaseSQLiteDatabase<"sync", unknown, Record<string, unknown>>("sync", dialect, session, undefined);
}

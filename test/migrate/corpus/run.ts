import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { migrate as stockMigrate } from "drizzle-orm/libsql/migrator";
import { migrate, restoreMissingObjects, revert, verify } from "holdfast/migrate";
import { expect } from "vitest";
import { openNative } from "../../../src/client/local/native.js";
import { column, openTestClient, rejection } from "../../support/clients.js";
import { writeMigrations } from "../../support/migrations.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";
import type { SchemaChange } from "./change.js";
import { type Contents, differences, readContents } from "./contents.js";

export const STATES = ["empty", "filled", "violating"] as const;
export const MIGRATORS = ["ours", "stock", "alternating"] as const;
export type State = (typeof STATES)[number];
export type Migrator = (typeof MIGRATORS)[number];

/** Databases to try changes on, one after the other. */
export interface Target extends AsyncDisposable {
  /** A folder for migrations. */
  readonly dir: string;
  /** An empty database, and its URL. The one before is closed. */
  next(): Promise<{ client: Client; url: string }>;
}

export async function fileTarget(): Promise<Target> {
  const temp = await tempDatabase();
  let count = 0;
  let last: ReturnType<typeof openTestClient> | undefined;
  return {
    dir: temp.dir,
    async next() {
      await last?.[Symbol.asyncDispose]();
      const url = `file:${join(temp.dir, `${++count}.db`)}` as const;
      last = openTestClient(url);
      return { client: last, url };
    },
    async [Symbol.asyncDispose]() {
      await last?.[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** One server for all, which is emptied in between. */
export async function serverTarget(): Promise<Target> {
  const temp = await tempDatabase();
  const server = await startServer();
  const client = createClient({ url: server.url });
  return {
    dir: temp.dir,
    async next() {
      await empty(client);
      return { client, url: server.url };
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await server[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

async function empty(client: Client): Promise<void> {
  const { rows } = await client.execute(
    `SELECT 'DROP ' || type || ' "' || replace(name, '"', '""') || '"' FROM sqlite_schema
     WHERE type IN ('trigger', 'view') OR (type = 'table' AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow') AND name NOT GLOB 'sqlite_*')
     ORDER BY type = 'table', type = 'view', sql NOT LIKE 'CREATE VIRTUAL%'`,
  );
  await client.migrate(rows.map((row) => String(row[0])));
}

const TABLE = "app_migrations";
const LATER = "CREATE TABLE later (x text)";
const BREAKPOINT = "\n--> statement-breakpoint\n";

/** Tries a change on an empty database of the target, in one way. */
export async function tryChange(change: SchemaChange, target: Target, state: State, migrator: Migrator): Promise<void> {
  const { before, up, down, after, back = before, stock = {} } = change;
  const { client, url } = await target.next();
  const isFilled = state !== "empty";
  const probe = isFilled ? change.probe : [...(change.rowsAfter ?? change.rows), ...change.probe];
  const rows = isFilled ? change.rows : [];
  const rowsAfter = isFilled ? (change.rowsAfter ?? change.rows) : [];
  const rowsBack = isFilled ? (change.rowsBack ?? change.rows) : [];
  const rowsAgain = isFilled ? (change.rowsAgain ?? rowsAfter) : [];
  const later = migrator === "alternating" ? [LATER] : [];
  const sources = [
    { tag: "0000_before", sql: before.join(`;${BREAKPOINT}`) },
    { tag: "0001_change", sql: up.join(BREAKPOINT), ...(down === undefined ? {} : { down: down.join(BREAKPOINT) }) },
    { tag: "0002_later", sql: LATER, down: "DROP TABLE later" },
  ].slice(0, 2 + later.length);
  const folder = writeMigrations(target.dir, sources);
  writeIndexes(folder, [
    change.indexesBefore ?? {},
    change.indexesAfter ?? change.indexesBefore ?? {},
    change.indexesAfter ?? change.indexesBefore ?? {},
  ]);
  const ours = (to?: string) => migrate(client, { folder, table: TABLE, to });
  const theirs = async (count: number) => {
    writeMigrations(target.dir, sources.slice(0, count));
    const other = createClient({ url });
    try {
      await stockMigrate(drizzle(other), { migrationsFolder: folder, migrationsTable: TABLE });
    } finally {
      other.close();
      writeMigrations(target.dir, sources);
    }
  };
  const read = (): Promise<Contents> =>
    readContents(async (queries) => (await client.batch([...queries], "write")).map((result) => result.rows));
  const ledger = () => column(client as never, `SELECT hash FROM ${TABLE} ORDER BY created_at`);

  await (migrator === "ours" ? ours("0000_before") : theirs(1));
  for (const sql of rows) await client.execute(sql);
  if (state === "violating") {
    for (const sql of change.violating!) await client.execute(sql);
    const found = await read();
    const error = await rejection(
      migrator === "stock" && stock.fails !== true && stock.accepts !== true ? theirs(2) : ours(),
    );
    if (migrator !== "stock") expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_change" });
    expect(differences(await read(), found)).toEqual([]);
    expect(await ledger()).toHaveLength(1);
    return;
  }

  if (change.refused !== undefined) {
    const found = await read();
    const error = await rejection(ours());
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_change" });
    expect(error.message).toContain(change.refused);
    expect(differences(await read(), found)).toEqual([]);
    expect(await ledger()).toHaveLength(1);
    return;
  }

  let lost: readonly string[] = [];
  if (migrator !== "stock") await ours("0001_change");
  else if (stock.fails === true) {
    const found = await read();
    await rejection(theirs(2));
    expect(differences(await read(), found)).toEqual([]);
    await ours();
  } else {
    await theirs(2);
    await restoreMissingObjects(client, { folder, table: TABLE });
    lost = (stock.loses ?? []).filter((key) => isFilled || !/^(rows|sequence|orphans)/.test(key));
  }
  if (migrator === "alternating") await theirs(3);
  await verify(client, { folder, table: TABLE });
  expect(await ours()).toMatchObject({ applied: [] });
  expect(differences(await read(), await fresh([...after, ...rowsAfter, ...later]))).toEqual(lost);

  if (down !== undefined && lost.length === 0) {
    await revert(client, { folder, table: TABLE, to: "0000_before" });
    expect(differences(await read(), await fresh([...back, ...rowsBack]))).toEqual([]);
    await ours();
    expect(differences(await read(), await fresh([...after, ...rowsAgain, ...later]))).toEqual([]);
  }
  for (const sql of probe) await client.execute(sql);
  expect(differences(await read(), await fresh([...after, ...rowsAgain, ...later, ...probe]))).toEqual(
    lost.length === 0 ? [] : [...lost, ...(stock.losesLater ?? [])].sort(),
  );
  expect(await ledger()).toHaveLength(sources.length);
}

/** The contents of a new database after these statements. */
async function fresh(statements: readonly string[]): Promise<Contents> {
  const database = openNative(":memory:", {});
  try {
    for (const sql of statements) database.exec(sql);
    const read = (sql: string) => {
      if (sql.startsWith("SELECT")) return database.prepare(sql).raw(true).all([]) as unknown[][];
      database.exec(sql);
      return [];
    };
    return await readContents(async (queries) => queries.map(read));
  } finally {
    database.close();
  }
}

function writeIndexes(folder: string, snapshots: readonly Readonly<Record<string, string>>[]): void {
  for (const [number, indexes] of snapshots.entries()) {
    const tables: Record<string, { indexes: Record<string, object> }> = {};
    for (const [index, table] of Object.entries(indexes)) {
      tables[table] ??= { indexes: {} };
      tables[table].indexes[index] = {};
    }
    writeFileSync(join(folder, "meta", `000${number}_snapshot.json`), JSON.stringify({ tables }));
  }
}

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Client } from "@libsql/client";
import { migrate, restoreMissingObjects } from "holdfast/migrate";
import { expect, test } from "vitest";
import { completeForward } from "../../src/migrate/generate/complete-forward.js";
import { fillTables } from "../../src/migrate/generate/fill-tables.js";
import { schemaText } from "../../src/migrate/generate/schema-text.js";
import { column, openSecond, openTestClient } from "../support/clients.js";
import { drizzleKit } from "../support/drizzle-kit.js";
import { rebuild } from "../support/migrations.js";
import { seededRandom } from "../support/random.js";
import { tempDatabase } from "../support/temp.js";

const PROJECT = fileURLToPath(new URL("../../drizzle", import.meta.url));
const TAG = "9999_rebuild";

/**
 * Tables that triggers of other tables name: SQLite refuses the RENAME of a rebuild as long as those triggers exist.
 */
async function namedElsewhere(client: Client): Promise<Set<string>> {
  const named = await column(
    client as never,
    `SELECT DISTINCT t.name FROM sqlite_schema t JOIN sqlite_schema g ON g.type = 'trigger' AND g.tbl_name <> t.name
     WHERE t.type = 'table' AND instr(g.sql, t.name) > 0`,
  );
  return new Set(named.map(String));
}

/** A migration that rebuilds tables of the project as drizzle-kit would, with their foreign keys and indexes. */
async function rebuildAll(client: Client, except: ReadonlySet<string> = new Set()): Promise<string> {
  const tables = await client.execute(
    "SELECT s.name, s.sql FROM pragma_table_list l JOIN sqlite_schema s ON s.name = l.name WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT GLOB '__*' AND l.name NOT GLOB 'sqlite_*'",
  );
  const parts: string[] = [];
  for (const { name, sql } of tables.rows as unknown as { name: string; sql: string }[]) {
    if (except.has(name)) continue;
    const columns = await column(client as never, `SELECT name FROM pragma_table_xinfo('${name}') WHERE hidden = 0`);
    const indexes = await column(
      client as never,
      `SELECT sql || ';' FROM sqlite_schema WHERE type = 'index' AND tbl_name = '${name}' AND sql IS NOT NULL`,
    );
    const definition = sql
      .slice(sql.indexOf("(") + 1, sql.lastIndexOf(")"))
      .replaceAll(`"${name}".`, `"__new_${name}".`);
    parts.push(rebuild(name, definition, columns as string[]), ...(indexes as string[]));
  }
  return parts.join("--> statement-breakpoint\n");
}

test.each(["ours", "drizzle-kit, completed", "drizzle-kit, as it is, then openStorage's repair"] as const)(
  "a rebuild of every table of the project loses no trigger, row or full-text entry: %s",
  async (way) => {
    const random = seededRandom("rebuild everything");
    await using temp = await tempDatabase();
    const folder = join(temp.dir, "drizzle");
    cpSync(PROJECT, folder, { recursive: true });
    await using client = openTestClient(temp.url);
    await migrate(client, { folder });
    expect(await fillTables(client, random.next)).toEqual([]);
    const schema = await schemaText(client);
    const counts = await contents(client);

    const journalPath = join(folder, "meta", "_journal.json");
    const journal = JSON.parse(readFileSync(journalPath, "utf8"));
    const when = Math.max(...journal.entries.map((entry: { when: number }) => entry.when)) + 1;
    journal.entries.push({ idx: journal.entries.length, version: "6", when, tag: TAG, breakpoints: true });
    const except = way.endsWith("repair") ? await namedElsewhere(client) : undefined;
    writeFileSync(join(folder, `${TAG}.sql`), await rebuildAll(client, except));
    writeFileSync(journalPath, JSON.stringify(journal));

    if (way === "drizzle-kit, completed") await completeForward(folder, TAG);
    if (way === "ours") await migrate(client, { folder });
    else await drizzleKit(temp, "migrate");
    if (way.endsWith("repair")) {
      expect(await schemaText(client)).not.toBe(schema);
      expect((await restoreMissingObjects(client, { folder })).length).toBeGreaterThan(0);
    }
    expect(await schemaText(client)).toBe(schema);
    expect(await contents(client)).toEqual(counts);
    const indexes = await column(client, "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5%'");
    expect(indexes.length).toBeGreaterThan(0);
    // With rank 1, FTS5 compares the index with the content row by row.
    for (const name of indexes)
      await client.execute(`INSERT INTO "${name}"("${name}", rank) VALUES('integrity-check', 1)`);
    using fresh = openSecond(temp.path);
    expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
    expect(fresh.all("PRAGMA foreign_key_check")).toEqual([]);
  },
);

test("stock drizzle-kit refuses to rebuild a table that other triggers name, and does not change the file", async () => {
  const random = seededRandom("rebuild refused");
  await using temp = await tempDatabase();
  const folder = join(temp.dir, "drizzle");
  cpSync(PROJECT, folder, { recursive: true });
  await using client = openTestClient(temp.url);
  await migrate(client, { folder });
  await fillTables(client, random.next);
  const before = [await schemaText(client), await contents(client)];
  expect(await namedElsewhere(client)).toContain("conversations");
  const journalPath = join(folder, "meta", "_journal.json");
  const journal = JSON.parse(readFileSync(journalPath, "utf8"));
  const when = Math.max(...journal.entries.map((entry: { when: number }) => entry.when)) + 1;
  journal.entries.push({ idx: journal.entries.length, version: "6", when, tag: TAG, breakpoints: true });
  writeFileSync(join(folder, `${TAG}.sql`), await rebuildAll(client));
  writeFileSync(journalPath, JSON.stringify(journal));
  await expect(drizzleKit(temp, "migrate")).rejects.toThrow();
  expect([await schemaText(client), await contents(client)]).toEqual(before);
});

/** Every row of every table, as text. */
async function contents(client: Client): Promise<Record<string, string>> {
  const tables = await client.execute(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB '__*' AND name NOT GLOB 'sqlite_*'",
  );
  const all: Record<string, string> = {};
  for (const { name } of tables.rows) {
    const names = await column(client as never, `SELECT name FROM pragma_table_xinfo('${name}') WHERE hidden = 0`);
    const row = names.map((one) => `quote("${one}")`).join(" || ',' || ");
    all[String(name)] = (await column(client as never, `SELECT ${row} FROM "${name}" ORDER BY 1`)).join("\n");
  }
  return all;
}

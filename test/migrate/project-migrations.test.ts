import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Client } from "@libsql/client";
import { migrate, readJournal, revert } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { fillTables } from "../../src/migrate/generate/fill-tables.js";
import { schemaText } from "../../src/migrate/generate/schema-text.js";
import { column, openSecond, openTestClient } from "../support/clients.js";
import { type Random, seededRandom } from "../support/random.js";
import { tempDatabase } from "../support/temp.js";

const folder = fileURLToPath(new URL("../../drizzle", import.meta.url));
const journal = readJournal(folder);
const tags = journal.map(({ tag }) => tag);

async function fill(client: Client, random: Random): Promise<void> {
  expect(await fillTables(client, random.next), "tables that took no row made from the schema").toEqual([]);
}

describe("the project's own migrations", () => {
  test("with down files are applied, reverted to zero and applied again with rows in every table, and give the same schema each time", async () => {
    const random = seededRandom("up and down");
    await using temp = await tempDatabase();
    await using client = openTestClient(temp.url);
    const up: string[] = [];
    for (const tag of tags) {
      expect((await migrate(client, { folder, to: tag })).applied).toEqual([tag]);
      await fill(client, random);
      up.push(await schemaText(client));
    }
    expect(new Set(up).size).toBe(tags.length);
    for (let index = tags.length - 1; index >= 0; index--) {
      expect(await revert(client, { folder, steps: 1 })).toMatchObject({
        reverted: [tags[index]],
        to: tags[index - 1],
      });
      expect(await schemaText(client), `after reverting ${tags[index]}`).toBe(up[index - 1] ?? "");
      if (index > 0) await fill(client, random);
    }
    expect(await column(client, "SELECT count(*) FROM __drizzle_migrations")).toEqual([0]);
    for (const [index, tag] of tags.entries()) {
      await migrate(client, { folder, to: tag });
      expect(await schemaText(client), `at ${tag} again`).toBe(up[index]);
      await fill(client, random);
    }
    using fresh = openSecond(temp.path);
    expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
    expect(fresh.all("PRAGMA foreign_key_check")).toEqual([]);
  });

  test("keep the rows of every table that exists before and after, whichever of them is reverted and applied again", async () => {
    const random = seededRandom("rows kept");
    for (const tag of tags) {
      await using temp = await tempDatabase();
      await using client = openTestClient(temp.url);
      await migrate(client, { folder, to: tag });
      await fill(client, random);
      const before = await rowCounts(client);
      await revert(client, { folder, steps: 1 });
      const between = await rowCounts(client);
      await migrate(client, { folder, to: tag });
      const after = await rowCounts(client);
      for (const [table, rows] of Object.entries(between)) {
        expect({ tag, table, rows: after[table] }).toEqual({ tag, table, rows });
        expect({ tag, table, rows }).toEqual({ tag, table, rows: before[table] });
      }
    }
  });

  test("are found in the package, and a down file is not a migration of the journal", () => {
    for (const { path } of journal) expect(readFileSync(path.replace(/sql$/, "down.sql"), "utf8")).toMatch(/\S/);
    expect(tags.filter((tag) => tag.endsWith(".down"))).toEqual([]);
  });
});

async function rowCounts(client: Client): Promise<Record<string, number>> {
  const tables = await client.execute(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB '__*' AND name NOT GLOB 'sqlite_*'",
  );
  const counts: Record<string, number> = {};
  for (const { name } of tables.rows) {
    counts[String(name)] = Number((await client.execute(`SELECT count(*) FROM "${name}"`)).rows[0]![0]);
  }
  return counts;
}

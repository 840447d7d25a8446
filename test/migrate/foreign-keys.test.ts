import { migrate } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { newViolations, type Violation } from "../../src/migrate/foreign-keys.js";
import { column, openTestClient, rejection } from "../support/clients.js";
import { rebuild, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const TABLES =
  "CREATE TABLE notes (id integer PRIMARY KEY); CREATE TABLE tags (name text PRIMARY KEY, note integer REFERENCES notes(id));";
const FIRST = { tag: "0000_first", sql: TABLES };
const orphan = (name: string) => `INSERT INTO tags VALUES ('${name}', 99);`;

async function migrateAfter(second: string, setup: readonly string[] = []) {
  const temp = await tempDatabase();
  const client = openTestClient(temp.url);
  const folder = writeMigrations(temp.dir, [FIRST]);
  await migrate(client, { folder });
  await client.executeMultiple(["PRAGMA foreign_keys = OFF", ...setup, "PRAGMA foreign_keys = ON"].join(";"));
  writeMigrations(temp.dir, [FIRST, { tag: "0001_second", sql: second }]);
  return {
    client,
    run: () => migrate(client, { folder }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("foreign_key_check", () => {
  test("fails a migration that leaves rows without their parent, and names the table and the number of rows", async () => {
    await using p = await migrateAfter(orphan("a") + orphan("b"));
    const error = await rejection(p.run());
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", message: expect.stringContaining("2 rows of tags") });
    expect(await column(p.client, "SELECT count(*) FROM tags")).toEqual([0]);
  });

  test("ignores violations that existed before, also when the table is rebuilt or renamed", async () => {
    const definition = "name text PRIMARY KEY, note integer NOT NULL REFERENCES notes(id)";
    const second = `${rebuild("tags", definition, ["name", "note"])} ALTER TABLE tags RENAME TO labels;`;
    const broken = [orphan("gone"), orphan("a"), orphan("b"), "DELETE FROM tags WHERE name = 'gone'"];
    await using p = await migrateAfter(second, broken);
    expect((await p.run()).applied).toEqual(["0001_second"]);
    expect(await column(p.client, "SELECT name FROM labels ORDER BY name")).toEqual(["a", "b"]);
  });

  test("fails on a new violation next to an old one", async () => {
    await using p = await migrateAfter(orphan("b"), [orphan("a")]);
    expect(await rejection(p.run())).toMatchObject({ message: expect.stringContaining("1 row of tags") });
  });

  test("a foreign key that does not match a parent key is accepted if it existed before, and a new one fails", async () => {
    const mismatch = "CREATE TABLE odd (x REFERENCES notes(body)); INSERT INTO odd VALUES (1);";
    await using old = await migrateAfter("CREATE TABLE c (x);", [mismatch]);
    expect((await old.run()).applied).toEqual(["0001_second"]);
    await using fresh = await migrateAfter(mismatch);
    expect(await rejection(fresh.run())).toMatchObject({ code: "MIGRATION_FAILED" });
  });
});

describe("comparing violations", () => {
  const at = (rowid: bigint | null, table = "tags"): Violation => ({ table, parent: "notes", rowid });
  const none = new Set<string>();

  test.each<[string, Violation[], Violation[], ReadonlySet<string>, number]>([
    ["the same row is old", [at(1n)], [at(1n)], none, 0],
    ["another row is new", [at(1n)], [at(2n)], none, 1],
    ["renumbered rows are old", [at(1n), at(2n)], [at(2n), at(3n)], new Set(["tags"]), 0],
    ["one more than before is new, renumbered or not", [at(1n)], [at(2n), at(3n)], new Set(["tags"]), 1],
    ["rows without rowid go by number", [at(null)], [at(null), at(null)], none, 1],
    ["names compare without case", [at(1n, "TAGS")], [at(1n)], none, 0],
  ])("%s", (_, before, after, touched, rows) => {
    expect(newViolations(before, after, touched, [])).toEqual(rows === 0 ? [] : [{ table: "tags", rows }]);
  });
});

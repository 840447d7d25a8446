import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { migrate, revert } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { completeForward } from "../../src/migrate/generate/complete-forward.js";
import { fillTables } from "../../src/migrate/generate/fill-tables.js";
import { schemaText } from "../../src/migrate/generate/schema-text.js";
import { writeDown } from "../../src/migrate/generate/write-down.js";
import { column, openTestClient, rejection } from "../support/clients.js";
import { addMigration, drizzleKit, kit } from "../support/drizzle-kit.js";
import { seededRandom } from "../support/random.js";
import { tempDatabase } from "../support/temp.js";

const id = () => text("id").primaryKey();
const notes = sqliteTable("notes", { id: id(), body: text("body").notNull(), size: integer("size") });
const ROWS = "INSERT INTO notes (id, body, size) VALUES ('n1', 'first', 5), ('n2', 'second', 6)";

/** Migrates up to `before`, then to `after`, and back again. Returns the text of the down file and the rows. */
async function upAndDown(before: Record<string, unknown>, after: Record<string, unknown>, forward?: string) {
  const temp = await tempDatabase();
  const folder = join(temp.dir, "drizzle");
  await addMigration(temp, "before", before);
  const tag = await addMigration(temp, "after", after, forward);
  const client = openTestClient(temp.url);
  await migrate(client, { folder, to: "0000_before" });
  await client.execute(ROWS);
  const schema = await schemaText(client);
  const down = await writeDown(folder, tag, kit);
  return {
    temp,
    client,
    folder,
    down,
    text: readFileSync(down.path, "utf8"),
    async back() {
      await migrate(client, { folder });
      expect(await schemaText(client)).not.toBe(schema);
      await revert(client, { folder, steps: 1 });
      expect(await schemaText(client)).toBe(schema);
      return column(client, "SELECT id || ' ' || body FROM notes ORDER BY id");
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("the generated down file", () => {
  const tags = sqliteTable("tags", {
    id: id(),
    note: text("note").references(() => notes.id, { onDelete: "cascade" }),
  });
  const withOwner = sqliteTable("notes", {
    id: id(),
    body: text("body").notNull(),
    size: integer("size"),
    parent: text("parent").references((): never => notes.id as never),
  });
  const strict = sqliteTable(
    "notes",
    { id: id(), body: text("body").notNull(), size: integer("size").notNull() },
    (t) => [check("size_ok", sql`${t.size} > 0`)],
  );
  const twoKeys = sqliteTable("notes", { id: text("id"), body: text("body").notNull(), size: integer("size") }, (t) => [
    primaryKey({ columns: [t.id, t.body] }),
  ]);
  const indexed = sqliteTable("notes", { id: id(), body: text("body").notNull(), size: integer("size") }, (t) => [
    index("by_size").on(t.size).where(sql`${t.size} is not null`),
  ]);
  const wider = sqliteTable("notes", {
    id: id(),
    body: text("body").notNull(),
    size: integer("size"),
    more: text("more"),
  });
  const without = sqliteTable("notes", {
    id: id(),
    body: text("body").notNull(),
    other: text("other"),
    third: text("third"),
  });

  test.each([
    ["a new table", { notes }, { notes, tags }],
    ["a dropped table", { notes, tags }, { notes }],
    [
      "one table dropped and another created",
      { notes, tags },
      { notes, others: sqliteTable("others", { id: id() }) },
      "CREATE TABLE `others` (`id` text PRIMARY KEY NOT NULL); DROP TABLE `tags`;",
    ],
    ["a new column", { notes }, { notes: wider }],
    [
      "a dropped column, and two new ones",
      { notes },
      { notes: without },
      "ALTER TABLE `notes` ADD `other` text; ALTER TABLE `notes` ADD `third` text; ALTER TABLE `notes` DROP COLUMN `size`;",
    ],
    ["a new column with a foreign key", { notes }, { notes: withOwner }],
    ["an index", { notes }, { notes: indexed }],
    ["a NOT NULL and a CHECK, which take a rebuild", { notes }, { notes: strict }],
    ["another primary key", { notes }, { notes: twoKeys }],
  ] as [string, Record<string, unknown>, Record<string, unknown>, string?][])(
    "of %s restores the earlier schema, and keeps the rows",
    async (_, before, after, forward) => {
      await using p = await upAndDown(before, after, forward);
      expect(p.down).toMatchObject({ state: "generated" });
      expect(await p.back()).toEqual(["n1 first", "n2 second"]);
    },
  );

  test("is tested on rows whose keys differ in each column, so that a key of two columns can become a key of one again", async () => {
    await using client = openTestClient(":memory:");
    await client.execute("CREATE TABLE pairs (a text NOT NULL, b integer NOT NULL, PRIMARY KEY (a, b))");
    const random = seededRandom("keys");
    for (let round = 1; round <= 20; round++) {
      expect(await fillTables(client, random.next)).toEqual([]);
      const counts = "SELECT count(*) || ' ' || count(DISTINCT a) || ' ' || count(DISTINCT b) FROM pairs";
      expect(await column(client, counts)).toEqual([`${round * 3} ${round * 3} ${round * 3}`]);
    }
  });

  test("of a renamed column and table renames them back, and drops nothing", async () => {
    const items = sqliteTable(
      "items",
      { id: id(), content: text("content").notNull(), size: integer("size"), more: text("more") },
      (t) => [index("by_content").on(t.content)],
    );
    const links = (parent: () => never) =>
      sqliteTable("links", { id: id(), note: text("note").references(parent, { onDelete: "cascade" }) });
    await using p = await upAndDown(
      { notes, links: links(() => notes.id as never) },
      { items, links: links(() => items.id as never) },
      [
        "ALTER TABLE `notes` RENAME TO `items`;",
        'ALTER TABLE `items` RENAME COLUMN "body" TO "content";',
        "ALTER TABLE `items` ADD `more` text;",
        "CREATE INDEX `by_content` ON `items` (`content`);",
      ].join("--> statement-breakpoint\n"),
    );
    expect(p.down).toMatchObject({ state: "generated", notes: [] });
    expect(p.text).toContain("ALTER TABLE `items` RENAME COLUMN `content` TO `body`;");
    expect(p.text).toContain("ALTER TABLE `items` RENAME TO `notes`;");
    expect(p.text).not.toContain("DROP TABLE");
    expect(await p.back()).toEqual(["n1 first", "n2 second"]);
  });

  test("is a template if a restored column could not be filled, and revert refuses it", async () => {
    await using p = await upAndDown({ notes }, { notes: sqliteTable("notes", { id: id(), size: integer("size") }) });
    expect(p.down).toMatchObject({
      state: "unfinished",
      notes: [expect.stringContaining("NOT NULL"), expect.anything()],
    });
    await migrate(p.client, { folder: p.folder });
    expect(await rejection(revert(p.client, { folder: p.folder, steps: 1 }))).toMatchObject({ code: "IRREVERSIBLE" });
  });

  test("of custom SQL is a template that proposes what to drop, and revert refuses it until it is written", async () => {
    await using p = await upAndDown(
      { notes },
      { notes },
      "CREATE TABLE log (line); CREATE TRIGGER t AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.id); END;",
    );
    expect(p.down).toMatchObject({ state: "unfinished" });
    expect(p.text.indexOf("-- DROP TRIGGER `t`;")).toBeLessThan(p.text.indexOf("-- DROP TABLE `log`;"));
    await migrate(p.client, { folder: p.folder });
    expect(await rejection(revert(p.client, { folder: p.folder, steps: 1 }))).toMatchObject({ code: "IRREVERSIBLE" });
    expect(await writeDown(p.folder, "0001_after", kit)).toMatchObject({ state: "kept" });
  });
});

describe("a migration that rebuilds a table", () => {
  const key = () => integer("id").primaryKey();
  const pets = (owner: () => never) =>
    sqliteTable("pets", {
      name: text("name").primaryKey(),
      owner: integer("owner").references(owner, { onDelete: "cascade" }),
    });
  const first = sqliteTable("people", { id: key(), name: text("name").notNull(), age: integer("age") });
  const second = sqliteTable("people", { id: key(), name: text("name").notNull(), age: integer("age").notNull() });
  const CUSTOM = `
    CREATE VIRTUAL TABLE people_fts USING fts5(name, content = 'people', content_rowid = 'id');
    CREATE TABLE log (line);
    CREATE VIEW names AS SELECT name FROM people;
    CREATE TRIGGER people_fts_insert AFTER INSERT ON people BEGIN INSERT INTO people_fts (rowid, name) VALUES (new.id, new.name); END;
    CREATE TRIGGER people_fts_delete AFTER DELETE ON people BEGIN INSERT INTO people_fts (people_fts, rowid, name) VALUES ('delete', old.id, old.name); END;
    CREATE TRIGGER log_people AFTER INSERT ON log BEGIN UPDATE people SET age = age + 1; END;`;
  const DATA = `
    INSERT INTO people VALUES (1, 'ada lovelace', 36), (2, 'bob', 40);
    INSERT INTO pets VALUES ('rex', 2);`;

  /**
   * Three migrations: two tables, custom SQL on them, and a rebuild of the parent. The first two are applied, with
   * rows.
   */
  async function rebuilding() {
    const temp = await tempDatabase();
    const folder = join(temp.dir, "drizzle");
    await addMigration(temp, "first", { first, pets: pets(() => first.id as never) });
    await addMigration(temp, "custom", { first, pets: pets(() => first.id as never) }, CUSTOM);
    const client = openTestClient(temp.url);
    await migrate(client, { folder });
    await client.executeMultiple(DATA);
    const tag = await addMigration(temp, "rebuild", { second, pets: pets(() => second.id as never) });
    return {
      temp,
      client,
      folder,
      tag,
      async expectWhole() {
        const names = await column(
          client,
          "SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'view') ORDER BY 1",
        );
        expect(names).toEqual(["log_people", "names", "people_fts_delete", "people_fts_insert"]);
        expect(await column(client, "SELECT name FROM pets")).toEqual(["rex"]);
        await client.execute("INSERT INTO people VALUES (3, 'eve of ada', 20)");
        await client.execute("DELETE FROM people WHERE id = 1");
        expect(await column(client, "SELECT rowid FROM people_fts WHERE people_fts MATCH 'ada'")).toEqual([3]);
        await client.execute("INSERT INTO people_fts(people_fts, rank) VALUES('integrity-check', 1)");
      },
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
        await temp[Symbol.asyncDispose]();
      },
    };
  }

  test("is completed, so that stock drizzle-kit migrate keeps triggers, views, children and the full-text index", async () => {
    await using p = await rebuilding();
    expect((await completeForward(p.folder, p.tag)).length).toBeGreaterThan(4);
    await drizzleKit(p.temp, "migrate");
    await p.expectWhole();
    await drizzleKit(p.temp, "check");
  });

  test("gives the same result with our migrate, completed or not, and its generated down file keeps these objects too", async () => {
    for (const isCompleted of [true, false]) {
      await using p = await rebuilding();
      if (isCompleted) await completeForward(p.folder, p.tag);
      expect(await writeDown(p.folder, p.tag, kit)).toMatchObject({ state: "generated" });
      await migrate(p.client, { folder: p.folder });
      await revert(p.client, { folder: p.folder, steps: 1 });
      await migrate(p.client, { folder: p.folder });
      await p.expectWhole();
    }
  });

  test("is refused if foreign keys are enforced, before the rebuild would delete the children", async () => {
    await using p = await rebuilding();
    await completeForward(p.folder, p.tag);
    const text = readFileSync(join(p.folder, `${p.tag}.sql`), "utf8").replaceAll("--> statement-breakpoint", "");
    // An ordinary transaction of a migrator that does not switch foreign keys off does this.
    const transaction = await p.client.transaction("write");
    expect(await rejection(transaction.executeMultiple(text))).toMatchObject({
      message: expect.stringContaining("JSON"),
    });
    await transaction.rollback();
    expect(await column(p.client, "SELECT name FROM pets")).toEqual(["rex"]);
  });

  test("does not store the name of an added column in its rows, as drizzle-kit's own text does", async () => {
    await using temp = await tempDatabase();
    const folder = join(temp.dir, "drizzle");
    await addMigration(temp, "before", { notes });
    const wider = sqliteTable("notes", { id: id(), body: text("body"), size: integer("size"), more: text("more") });
    const tag = await addMigration(temp, "after", { wider });
    expect(readFileSync(join(folder, `${tag}.sql`), "utf8")).toMatch(/SELECT .*"more".* FROM/);
    expect(await completeForward(folder, tag)).toHaveLength(1);
    await using client = openTestClient(temp.url);
    await migrate(client, { folder, to: "0000_before" });
    await client.execute(ROWS);
    await migrate(client, { folder });
    expect(await column(client, "SELECT more FROM notes")).toEqual([null, null]);
  });

  test("a migration without a rebuild is not changed", async () => {
    await using p = await rebuilding();
    const path = join(p.folder, "0001_custom.sql");
    expect(await completeForward(p.folder, "0001_custom")).toEqual([]);
    expect(readFileSync(path, "utf8")).toBe(CUSTOM);
  });
});

test("drizzle-kit ignores down files: migrate applies the forward ones, and check finds no problem", async () => {
  await using temp = await tempDatabase();
  const folder = join(temp.dir, "drizzle");
  const tag = await addMigration(temp, "first", { notes });
  await writeDown(folder, tag, kit);
  expect(existsSync(join(folder, `${tag}.down.sql`))).toBe(true);
  await drizzleKit(temp, "check");
  await drizzleKit(temp, "migrate");
  await using client = openTestClient(temp.url);
  await client.execute(ROWS);
  expect(await column(client, "SELECT count(*) FROM __drizzle_migrations")).toEqual([1]);
  expect(await revert(client, { folder, steps: 1 })).toMatchObject({ reverted: [tag] });
  await drizzleKit(temp, "migrate");
  expect(await column(client, "SELECT count(*) FROM notes")).toEqual([0]);
});

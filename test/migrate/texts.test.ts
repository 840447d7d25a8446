import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { migrate, readJournal, revert, status, verify } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { splitMigration } from "../../src/migrate/script.js";
import { column, openTestClient, rejection } from "../support/clients.js";
import { drizzleKit } from "../support/drizzle-kit.js";
import { sha256, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x text);\n--> statement-breakpoint\nCREATE TABLE b (x text);\n" };
const TWO = { tag: "0001_two", sql: "INSERT INTO a VALUES ('1');", down: "DELETE FROM a;" };

/** A file with `ONE` applied. */
async function project() {
  const temp = await tempDatabase();
  const client = openTestClient(temp.url);
  const folder = writeMigrations(temp.dir, [ONE]);
  await migrate(client, { folder });
  return {
    temp,
    client,
    folder,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("the checksum of an applied migration", () => {
  const FORMS: Record<string, (sql: string) => string> = {
    "with CRLF": (sql) => sql.replaceAll("\n", "\r\n"),
    "with a byte order mark": (sql) => `\ufeff${sql}`,
    "with both": (sql) => `\ufeff${sql.replaceAll("\n", "\r\n")}`,
    "without its last newline": (sql) => sql.trimEnd(),
    "with three newlines more": (sql) => `${sql}\n\n\n`,
  };
  test.each(Object.entries(FORMS))("is the same %s, in both directions", async (_, change) => {
    for (const [applied, later] of [
      [ONE.sql, change(ONE.sql)],
      [change(ONE.sql), ONE.sql],
    ] as const) {
      await using temp = await tempDatabase();
      await using client = openTestClient(temp.url);
      const folder = writeMigrations(temp.dir, [{ ...ONE, sql: applied }]);
      await migrate(client, { folder });
      writeMigrations(temp.dir, [{ ...ONE, sql: later, down: "DROP TABLE a; DROP TABLE b;" }]);
      await verify(client, { folder });
      expect(await status(client, { folder })).toMatchObject({ applied: ["0000_one"], changed: [] });
      expect(await migrate(client, { folder })).toMatchObject({ applied: [] });
      // The ledger keeps the hash that drizzle took.
      expect(await column(client, "SELECT hash FROM __drizzle_migrations")).toEqual([sha256(applied)]);
      await revert(client, { folder, steps: 1 });
      expect(await column(client, "SELECT hash FROM __drizzle_migrations")).toEqual([]);
    }
  });

  test("is another one for another text", async () => {
    await using p = await project();
    writeMigrations(p.temp.dir, [{ ...ONE, sql: ONE.sql.replace("x text", "x  text") }]);
    expect(await rejection(verify(p.client, { folder: p.folder }))).toMatchObject({ code: "MIGRATION_CHANGED" });
  });
});

test("a journal with a byte order mark is read", async () => {
  await using p = await project();
  const path = join(p.folder, "meta", "_journal.json");
  writeFileSync(path, `\ufeff${readFileSync(path, "utf8")}`);
  expect(readJournal(p.folder).map(({ tag }) => tag)).toEqual(["0000_one"]);
});

describe("a pending migration is MIGRATION_INVALID, and nothing is changed, if", () => {
  const latin1 = Buffer.from("INSERT INTO a VALUES ('M\xfcller');", "latin1");
  const utf16 = Buffer.from("\ufeffINSERT INTO a VALUES ('1');", "utf16le");
  test.each([
    ["it is Latin-1", latin1, "it is not UTF-8"],
    ["it is UTF-16", utf16, "it is UTF-16"],
    [
      "it is a custom one that is not written yet",
      "-- Custom SQL migration file, put your code below! --",
      "not written yet",
    ],
    ["it has the parameter ?", "INSERT INTO b VALUES ('?');\nINSERT INTO a VALUES (?);", "line 2 has the parameter ?"],
    ["it has the parameter :x", "UPDATE a SET x = :x;", "the parameter :x"],
    ["it has the parameter @x", "UPDATE a SET x = @x;", "the parameter @x"],
    ["it has the parameter $x", "UPDATE a SET x = $x;", "the parameter $x"],
  ])("%s", async (_, sql, why) => {
    await using p = await project();
    writeMigrations(p.temp.dir, [ONE, TWO]);
    writeFileSync(join(p.folder, "0001_two.sql"), sql);
    const error = await rejection(migrate(p.client, { folder: p.folder }));
    expect(error).toMatchObject({ code: "MIGRATION_INVALID" });
    expect(error.message).toContain(`Migration 0001_two cannot be applied: `);
    expect(error.message).toContain(why);
    expect(await column(p.client, "SELECT x FROM a")).toEqual([]);
    expect(await status(p.client, { folder: p.folder })).toMatchObject({ pending: ["0001_two"] });
  });

  test("its down file is Latin-1 or has a parameter", async () => {
    await using p = await project();
    writeMigrations(p.temp.dir, [ONE, TWO]);
    await migrate(p.client, { folder: p.folder });
    for (const down of [latin1, "DELETE FROM a WHERE x = ?;"]) {
      writeFileSync(join(p.folder, "0001_two.down.sql"), down);
      expect(await rejection(revert(p.client, { folder: p.folder, steps: 1 }))).toMatchObject({
        code: "MIGRATION_INVALID",
        message: expect.stringContaining("0001_two.down.sql"),
      });
    }
    expect(await column(p.client, "SELECT x FROM a")).toEqual(["1"]);
  });
});

test("what may be written in a text, a name or a comment is no parameter and no breakpoint", async () => {
  await using p = await project();
  const text = "what? at 10:30, @home for $5\n--> statement-breakpoint\nend";
  const sql = `
    INSERT INTO a VALUES ('${text}'); -- why? :x
    CREATE TABLE "why?" (":x" text); /* $x
--> statement-breakpoint
    */
    CREATE TRIGGER t AFTER INSERT ON a BEGIN
      INSERT INTO b VALUES (new.x); -- first
--> statement-breakpoint
      INSERT INTO b VALUES (new.x);
    END--> statement-breakpoint
    INSERT INTO a VALUES ('2')
--> statement-breakpoint
    INSERT INTO a VALUES ('3')
  `;
  writeMigrations(p.temp.dir, [ONE, { ...TWO, sql }]);
  await migrate(p.client, { folder: p.folder });
  expect(await column(p.client, "SELECT x FROM a")).toEqual([text, "2", "3"]);
  expect(await column(p.client, "SELECT x FROM b")).toEqual(["2", "2", "3", "3"]);
});

test("statements keep the offsets at which they start", () => {
  const text = "SELECT 1--> statement-breakpoint\n\nSELECT 2; SELECT '\n--> statement-breakpoint'";
  const statements = splitMigration(text);
  expect(statements.map(({ sql }) => sql)).toEqual(["SELECT 1", "SELECT 2", "SELECT '\n--> statement-breakpoint'"]);
  for (const { sql, offset } of statements) expect(text.slice(offset, offset + sql.length)).toBe(sql);
});

test("what a stock migrator has applied is not refused later: the file opens", async () => {
  await using temp = await tempDatabase();
  const latin1 = Buffer.from("INSERT INTO a VALUES ('M\xfcller');", "latin1");
  const folder = writeMigrations(temp.dir, [
    { tag: "0000_pragma", sql: "CREATE TABLE a (x text);--> statement-breakpoint\nPRAGMA busy_timeout = 100;" },
    { tag: "0001_latin", sql: "" },
    { tag: "0002_parameter", sql: "INSERT INTO a VALUES (:x);" },
  ]);
  writeFileSync(join(folder, "0001_latin.sql"), latin1);
  await drizzleKit(temp, "migrate");
  await using client = openTestClient(temp.url);
  await client.execute("ALTER TABLE __drizzle_migrations RENAME TO theirs");
  expect(await status(client, { folder, table: "theirs" })).toMatchObject({ pending: [], changed: [] });
  const storage = await openStorage({ url: temp.url, migrations: { folder, table: "theirs" } });
  expect((await storage.check()).ok).toBe(true);
  await storage.close();
});

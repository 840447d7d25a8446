import { createClient } from "@libsql/client";
import { migrate } from "holdfast/migrate";
import { expect, test } from "vitest";
import { holdfast } from "../support/cli.js";
import { openSecond, openTestClient } from "../support/clients.js";
import { writeMigrations } from "../support/migrations.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

const NOTES = {
  tag: "0000_notes",
  sql: [
    "CREATE TABLE notes (id integer PRIMARY KEY, body text NOT NULL, edits integer NOT NULL DEFAULT 0);",
    "CREATE TABLE log (note integer, body text);",
    "CREATE TRIGGER notes_log AFTER UPDATE ON notes BEGIN INSERT INTO log VALUES (old.id, old.body); END;",
    "CREATE VIEW recent AS SELECT body FROM notes ORDER BY id DESC LIMIT 3;",
  ].join("\n"),
};
const TAGS = { tag: "0001_tags", sql: "CREATE TABLE tags (name text);\nUPDATE notes SET edits = 1;" };

/** An application's database, with the ledger that drizzle-kit gives it and without Holdfast's tables. */
async function application(table?: string) {
  const temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [NOTES]);
  {
    await using client = openTestClient(temp.url);
    await migrate(client, { folder, ...(table === undefined ? {} : { table }) });
  }
  const check = async (...args: string[]) => {
    const { code, stdout, stderr } = await holdfast(
      ["check", "--folder", folder, ...args, "--url", temp.path, "--json"],
      { cwd: temp.dir },
    );
    return { code, stderr, findings: [], ...(stdout === "" ? {} : JSON.parse(stdout)) };
  };
  return { temp, folder, check, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

test("a sound database of an application is ok, also with pending migrations that can be applied", async () => {
  await using app = await application();
  expect(await app.check()).toMatchObject({ code: 0, ok: true });
  writeMigrations(app.temp.dir, [NOTES, TAGS]);
  expect(await app.check("--deep")).toMatchObject({
    code: 0,
    ok: true,
    findings: expect.arrayContaining([expect.objectContaining({ code: "MIGRATION_PENDING", severity: "info" })]),
  });
  using file = openSecond(app.temp.path);
  expect(file.all("SELECT name FROM sqlite_schema WHERE name IN ('tags', 'memories')")).toEqual([]);
});

test.each([
  ["a trigger is lost", "DROP TRIGGER notes_log", "OBJECT_MISSING", "notes_log"],
  ["a view is lost", "DROP VIEW recent", "OBJECT_MISSING", "the view recent"],
  ["a table is lost", "DROP TABLE notes", "OBJECT_MISSING", "the table notes"],
  ["a column is lost", "ALTER TABLE notes DROP COLUMN edits", "OBJECT_MISSING", "the column edits of notes"],
  [
    "a trigger cannot compile",
    "ALTER TABLE log RENAME COLUMN body TO b; ALTER TABLE log DROP COLUMN b",
    "UNCOMPILABLE",
  ],
  ["a row refers to none", "CREATE TABLE c (n integer REFERENCES notes(id)); INSERT INTO c VALUES (9)", "FOREIGN_KEY"],
] as [string, string, string, string?][])("no check is ok while %s", async (_, damage, code, name = "") => {
  await using app = await application();
  {
    using file = openSecond(app.temp.path);
    file.exec(`PRAGMA foreign_keys = OFF; ${damage}`);
  }
  expect(await app.check()).toMatchObject({
    code: 1,
    ok: false,
    findings: expect.arrayContaining([expect.objectContaining({ code, message: expect.stringContaining(name) })]),
  });
});

test.each([
  [
    "has a statement that does not compile",
    "CREATE TABLE t (x text);\nUPDATE notes SET nothing = 1;",
    "MIGRATION_FAILED",
  ],
  [
    "leaves a view that does not compile",
    "ALTER TABLE notes RENAME COLUMN body TO b;\nDROP TABLE log;",
    "MIGRATION_FAILED",
  ],
  ["has a parameter", "UPDATE notes SET body = ?;", "MIGRATION_INVALID"],
  ["ends its transaction", "COMMIT;", "MIGRATION_FAILED"],
])("no check is ok while a pending migration %s", async (_, sql, code) => {
  await using app = await application();
  writeMigrations(app.temp.dir, [NOTES, { tag: "0001_bad", sql }]);
  expect(await app.check()).toMatchObject({
    code: 1,
    ok: false,
    findings: expect.arrayContaining([
      expect.objectContaining({ code, severity: "error", message: expect.stringContaining("0001_bad") }),
    ]),
  });
});

test("--repair creates a lost trigger of an application again, and leaves out Holdfast's tables", async () => {
  await using app = await application("app_migrations");
  {
    using file = openSecond(app.temp.path);
    file.exec("DROP TRIGGER notes_log");
  }
  expect(await app.check("--table", "app_migrations", "--repair")).toMatchObject({
    code: 0,
    ok: true,
    repaired: [{ code: "OBJECT_MISSING" }],
  });
  using file = openSecond(app.temp.path);
  expect(file.all("SELECT name FROM sqlite_schema WHERE name IN ('notes_log', 'memories')")).toEqual([["notes_log"]]);
});

test("Holdfast's own migrations are checked too in a database that has them", async () => {
  await using app = await application("app_migrations");
  expect(await holdfast(["migrate", "--url", app.temp.path])).toMatchObject({ code: 0 });
  expect(await app.check("--table", "app_migrations")).toMatchObject({ code: 0, ok: true });
  expect(await app.check()).toMatchObject({
    code: 1,
    findings: expect.arrayContaining([expect.objectContaining({ code: "FOREIGN_LEDGER" })]),
  });
  using file = openSecond(app.temp.path);
  const [[trigger]] = file.all("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'memories'") as [
    [string],
  ];
  file.exec(`DROP TRIGGER "${trigger}"`);
  expect(await app.check("--table", "app_migrations")).toMatchObject({
    code: 1,
    findings: expect.arrayContaining([expect.objectContaining({ message: expect.stringContaining(trigger) })]),
  });
});

test("a database on a server is checked by the folder too", async () => {
  await using server = await startServer();
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [NOTES]);
  const client = createClient({ url: server.url });
  await migrate(client, { folder, table: "app" });
  const check = async () => {
    const { code, stdout } = await holdfast(["check", "--folder", folder, "--table", "app", "--json"], {
      cwd: temp.dir,
      env: { HOLDFAST_URL: server.url },
    });
    return { code, ...JSON.parse(stdout) };
  };
  expect(await check()).toMatchObject({ code: 0, ok: true });
  writeMigrations(temp.dir, [NOTES, { tag: "0001_bad", sql: "UPDATE notes SET nothing = 1;" }]);
  await client.execute("DROP TRIGGER notes_log");
  expect(await check()).toMatchObject({
    code: 1,
    findings: expect.arrayContaining([
      expect.objectContaining({ code: "OBJECT_MISSING", message: expect.stringContaining("notes_log") }),
      expect.objectContaining({ code: "MIGRATION_FAILED", message: expect.stringContaining("0001_bad") }),
    ]),
  });
  await client.execute("DROP VIEW recent");
  await client.execute("DROP TABLE app");
  client.close();
  expect(await check()).toMatchObject({ code: 1, ok: false });
});

test("a missing folder is an error, not a finding", async () => {
  await using db = await tempDatabase();
  const result = await holdfast(["check", "--folder", "none", "--url", db.path], { cwd: db.dir });
  expect(result).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("NOT_FOUND") });
});

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient } from "@libsql/client";
import { migrate, status } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openTestClient, rejection } from "../support/clients.js";
import { writeMigrations } from "../support/migrations.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x text); CREATE TABLE b (x text);" };
const SQL = "INSERT INTO a VALUES ('ä');\n--> statement-breakpoint\nINSERT INTO a VALUES ('2');\n";

/** A file with `ONE` applied, and `0001_two` pending. */
async function project(on?: Client & AsyncDisposable) {
  const temp = await tempDatabase();
  const client = on ?? openTestClient(temp.url);
  const folder = writeMigrations(temp.dir, [ONE]);
  await migrate(client, { folder });
  await client.execute("INSERT INTO b VALUES ('kept')");
  writeMigrations(temp.dir, [ONE, { tag: "0001_two", sql: SQL }]);
  return {
    temp,
    client,
    folder,
    file: join(folder, "0001_two.sql"),
    journal: join(folder, "meta", "_journal.json"),
    contents: async () => [
      await column(client, "SELECT sql FROM sqlite_schema"),
      await column(client, "SELECT x FROM a"),
      await column(client, "SELECT x FROM b"),
      await column(client, "SELECT hash FROM __drizzle_migrations"),
    ],
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

const BOM = "\ufeff";
const MERGED = `<<<<<<< HEAD\n${SQL}=======\nDELETE FROM b;\n>>>>>>> feature\n`;

const REFUSED: readonly (readonly [what: string, text: string | Buffer, code: string, message: string])[] = [
  ["it has the conflict markers of a merge", MERGED, "MIGRATION_INVALID", "line 1 has a conflict marker"],
  ["it is UTF-16 with a mark", Buffer.from(BOM + SQL, "utf16le"), "MIGRATION_INVALID", "it is UTF-16"],
  ["it is UTF-16 without a mark", Buffer.from("DELETE FROM b;", "utf16le"), "MIGRATION_INVALID", "perhaps UTF-16"],
  ["it is big-endian UTF-16", Buffer.from(BOM + SQL, "utf16le").swap16(), "MIGRATION_INVALID", "it is UTF-16"],
  ["it is Latin-1", Buffer.from(SQL, "latin1"), "MIGRATION_INVALID", "it is not UTF-8"],
  ["it has a NUL", "DELETE FROM b;\0 DROP TABLE a;", "MIGRATION_INVALID", "NUL"],
  [
    "it has a command of the sqlite3 shell",
    "DELETE FROM b;\n.mode csv\n",
    "MIGRATION_FAILED",
    "failed at line 2, `.mode csv`",
  ],
  ["it begins a transaction", "BEGIN;\nDELETE FROM b;\nCOMMIT;", "MIGRATION_FAILED", "BEGIN is not allowed"],
  ["it commits", "DELETE FROM b;\nCOMMIT;", "MIGRATION_FAILED", "line 2, `COMMIT`: COMMIT is not allowed"],
  ["it commits by another word", "DELETE FROM b;\nEND TRANSACTION;", "MIGRATION_FAILED", "line 2, `END TRANSACTION`"],
  ["it rolls back", "DELETE FROM b;\nROLLBACK;", "MIGRATION_FAILED", "ROLLBACK is not allowed"],
  ["it vacuums", "DELETE FROM b;\nVACUUM;", "MIGRATION_FAILED", "VACUUM is not allowed"],
  ["it attaches a database", "ATTACH 'other.db' AS o;", "MIGRATION_FAILED", "ATTACH is not allowed"],
  ["it changes the journal", "PRAGMA journal_mode = DELETE;", "MIGRATION_FAILED", "PRAGMA journal_mode is not allowed"],
  ["it names an attached database", "INSERT INTO o.t VALUES (1);", "MIGRATION_FAILED", "no such table: o.t"],
  [
    "it drops its ledger",
    'DELETE FROM b;\nDROP TABLE IF EXISTS main."__Drizzle_Migrations";',
    "MIGRATION_FAILED",
    'line 2, `DROP TABLE IF EXISTS main."__Drizzle_Migrations"`: __drizzle_migrations is the ledger',
  ],
  ["it alters its ledger", "ALTER TABLE __drizzle_migrations DROP COLUMN hash;", "MIGRATION_FAILED", "is the ledger"],
  ["it loads an extension", "SELECT load_extension('x');", "MIGRATION_FAILED", "load_extension"],
  ["a text does not end", "DELETE FROM b;\nINSERT INTO a VALUES ('x);\n", "MIGRATION_FAILED", "failed at line 2"],
  [
    "a trigger does not end",
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b;",
    "MIGRATION_FAILED",
    "incomplete input",
  ],
  ["a later statement fails", "DELETE FROM b;\nDROP TABLE a;\nnonsense;", "MIGRATION_FAILED", "line 3, `nonsense`"],
];

describe("a pending migration is refused, and nothing is changed, if", () => {
  test.each(REFUSED)("%s", async (_, text, code, message) => {
    await using p = await project();
    const before = await p.contents();
    writeFileSync(p.file, text);
    const error = await rejection(migrate(p.client, { folder: p.folder }));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain("0001_two");
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/Nothing was changed/);
    expect(await p.contents()).toEqual(before);
    writeFileSync(p.file, SQL);
    expect(await migrate(p.client, { folder: p.folder })).toMatchObject({ applied: ["0001_two"] });
  });
});

describe("a folder is refused, and nothing is changed, if", () => {
  type Project = Awaited<ReturnType<typeof project>>;
  const edit = (change: (text: string) => string) => (p: Project) =>
    writeFileSync(p.journal, change(readFileSync(p.journal, "utf8")));
  test.each<[what: string, damage: (p: Project) => unknown, code: string, message: string]>([
    ["the journal has conflict markers", edit((text) => `<<<<<<< HEAD\n${text}`), "INVALID", "is not a journal"],
    ["the journal is cut off", edit((text) => text.slice(0, -20)), "INVALID", "is not a journal"],
    [
      "the journal is UTF-16",
      (p) => writeFileSync(p.journal, Buffer.from(BOM + readFileSync(p.journal, "utf8"), "utf16le")),
      "INVALID",
      "is not a journal",
    ],
    [
      "a tag is there twice",
      edit((text) => text.replace("0001_two", "0000_one")),
      "INVALID",
      "it lists 0000_one twice",
    ],
    ["a tag is a path", edit((text) => text.replace("0001_two", "../two")), "INVALID", "no usable `tag`"],
    ["a file is missing", (p) => rmSync(p.file), "NOT_FOUND", "The journal lists 0001_two, but there is no"],
    ["a file is a folder", (p) => [rmSync(p.file), mkdirSync(p.file)], "CANNOT_OPEN", "0001_two.sql"],
    ["the journal is missing", (p) => rmSync(p.journal), "NOT_FOUND", "There is no journal"],
    ["there is no folder", (p) => rmSync(p.folder, { recursive: true }), "NOT_FOUND", "There is no migrations folder"],
  ])("%s", async (_, damage, code, message) => {
    await using p = await project();
    const before = await p.contents();
    damage(p);
    const error = await rejection(migrate(p.client, { folder: p.folder }));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(message);
    expect(await p.contents()).toEqual(before);
  });
});

const APPLIED: readonly (readonly [what: string, text: string])[] = [
  ["its lines end with CRLF", SQL.replaceAll("\n", "\r\n")],
  ["it has a byte order mark", BOM + SQL],
  ["it ends with a breakpoint", `${SQL}--> statement-breakpoint\n`],
  ["it has empty statements and comments", `;;\n-- one\n${SQL};/* two */;\n-- three`],
  ["it has savepoints", `SAVEPOINT s;\nDELETE FROM b;\nROLLBACK TO s;\nRELEASE s;\n${SQL}`],
  [
    "it has conflict markers in a text",
    `INSERT INTO b VALUES ('<<<<<<< a');\nDELETE FROM b WHERE x = '<<<<<<< a';\n${SQL}`,
  ],
  [
    "it sets user_version and reads PRAGMAs",
    `PRAGMA user_version = 7;\nPRAGMA journal_mode;\nPRAGMA foreign_keys = ON;\n${SQL}`,
  ],
];

describe("a pending migration is applied if", () => {
  test.each(APPLIED)("%s", async (_, text) => {
    await using p = await project();
    writeFileSync(p.file, text);
    expect(await migrate(p.client, { folder: p.folder })).toMatchObject({ applied: ["0001_two"] });
    expect(await column(p.client, "SELECT x FROM a")).toEqual(["ä", "2"]);
    expect(await column(p.client, "SELECT x FROM b")).toEqual(["kept"]);
    expect(await status(p.client, { folder: p.folder })).toMatchObject({ pending: [], changed: [] });
  });

  test("it has 50 MB of rows", async () => {
    await using p = await project();
    const rows = 50;
    const text = "it''s 1 MB; ".repeat(87_382);
    writeFileSync(
      p.file,
      Array.from({ length: rows }, () => `INSERT INTO a VALUES ('${text}');`).join("\n--> statement-breakpoint\n"),
    );
    await migrate(p.client, { folder: p.folder });
    expect(await column(p.client, "SELECT count(*) FROM a")).toEqual([rows]);
    expect(await column(p.client, "SELECT DISTINCT length(x) FROM a")).toEqual([text.replaceAll("''", "'").length]);
    expect(await status(p.client, { folder: p.folder })).toMatchObject({ pending: [], changed: [] });
  });
});

test("an applied migration that was damaged afterwards is MIGRATION_CHANGED, whatever the damage", async () => {
  await using p = await project();
  await migrate(p.client, { folder: p.folder });
  const before = await p.contents();
  for (const text of [MERGED, Buffer.from("DELETE FROM b;", "utf16le"), Buffer.from(SQL, "latin1"), ""]) {
    writeFileSync(p.file, text);
    expect(await status(p.client, { folder: p.folder })).toMatchObject({ changed: ["0001_two"] });
    expect(await rejection(migrate(p.client, { folder: p.folder }))).toMatchObject({ code: "MIGRATION_CHANGED" });
  }
  expect(await p.contents()).toEqual(before);
});

test("on a server, the same migrations are refused and applied, and a refusal changes nothing", async () => {
  await using server = await startServer();
  const client = createClient({ url: server.url });
  await using p = await project(Object.assign(client, { [Symbol.asyncDispose]: async () => client.close() }));
  const before = await p.contents();
  for (const [what, text, code, message] of REFUSED) {
    writeFileSync(p.file, text);
    const error = await rejection(migrate(client, { folder: p.folder }));
    expect({ what, code: error.code, message: error.message }).toEqual({
      what,
      code,
      message: expect.stringMatching(/0001_two.*Nothing was changed/s),
    });
    expect(error.message).toContain(message);
    expect(await p.contents(), what).toEqual(before);
  }
  for (const [what, text] of APPLIED) {
    writeFileSync(p.file, text);
    expect(await migrate(client, { folder: p.folder }), what).toMatchObject({ applied: ["0001_two"] });
    expect(await column(client, "SELECT x FROM a"), what).toEqual(["ä", "2"]);
    expect(await column(client, "SELECT x FROM b"), what).toEqual(["kept"]);
    await client.batch(["DELETE FROM a", "DELETE FROM __drizzle_migrations WHERE created_at = 2000"], "write");
  }
});

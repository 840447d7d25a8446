import { migrate } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openSecond, openTestClient, rejection } from "../support/clients.js";
import { hashOfOpen } from "../support/file-bytes.js";
import { type MigrationSource, sha256, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (id integer PRIMARY KEY, x text);" };
const TWO = {
  tag: "0001_two",
  sql: "ALTER TABLE a ADD y text;--> statement-breakpoint\nINSERT INTO a (x) VALUES ('1');",
};
const THREE = { tag: "0002_three", sql: "CREATE TABLE b (x);" };

const TABLES =
  "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name";

/** A file with `sources` as its folder of migrations. */
async function project(sources: readonly MigrationSource[], url?: ":memory:") {
  const temp = await tempDatabase();
  const client = openTestClient(url ?? temp.url);
  return {
    temp,
    client,
    folder: writeMigrations(temp.dir, sources),
    write: (next: readonly MigrationSource[]) => writeMigrations(temp.dir, next),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("applying", () => {
  test.each(["file", ":memory:"] as const)("pending migrations are applied once and in order: %s", async (kind) => {
    await using p = await project([ONE, TWO], kind === "file" ? undefined : kind);
    const { client, folder } = p;
    expect(await migrate(client, { folder })).toEqual({
      applied: ["0000_one", "0001_two"],
      from: undefined,
      to: "0001_two",
    });
    expect(await migrate(client, { folder })).toEqual({ applied: [], from: "0001_two", to: "0001_two" });
    p.write([ONE, TWO, THREE]);
    expect(await migrate(client, { folder })).toEqual({
      applied: ["0002_three"],
      from: "0001_two",
      to: "0002_three",
    });
    expect(await column(client, "SELECT x FROM a")).toEqual(["1"]);
  });

  test("the ledger is drizzle's: same table, hash of the whole file, `when` of the journal", async () => {
    await using p = await project([ONE]);
    await migrate(p.client, { folder: p.folder });
    const { rows } = await p.client.execute("SELECT id, hash, created_at FROM __drizzle_migrations");
    expect(rows.map((row) => [row[0], row[1], row[2]])).toEqual([[null, sha256(ONE.sql), 1000]]);
    const sql = await column(p.client, "SELECT sql FROM sqlite_schema WHERE name = '__drizzle_migrations'");
    expect(String(sql[0]).replace(/\s+/g, " ")).toBe(
      'CREATE TABLE "__drizzle_migrations" ( id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric )',
    );
  });

  test("two folders share a file, each with a separate ledger", async () => {
    await using p = await project([ONE]);
    const other = writeMigrations(p.temp.dir, [{ ...THREE, when: 500 }], "theirs");
    await migrate(p.client, { folder: p.folder });
    expect((await migrate(p.client, { folder: other, table: "their migrations" })).applied).toEqual(["0002_three"]);
    expect((await migrate(p.client, { folder: p.folder })).applied).toEqual([]);
  });

  test("`to` stops at a tag, and a tag that does not exist is NOT_FOUND", async () => {
    await using p = await project([ONE, TWO, THREE]);
    expect(await migrate(p.client, { folder: p.folder, to: "0001_two" })).toMatchObject({
      applied: ["0000_one", "0001_two"],
    });
    expect(await migrate(p.client, { folder: p.folder, to: "0000_one" })).toEqual({
      applied: [],
      from: "0001_two",
      to: "0001_two",
    });
    expect(await rejection(migrate(p.client, { folder: p.folder, to: "0003_gone" }))).toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("every statement runs: without a breakpoint, after the last one, between comments, in a trigger's body", async () => {
    // The stock migrator records a second statement without a breakpoint as applied, and fails on a trailing one.
    const sql = `-- first
CREATE TABLE a (x); CREATE TABLE b (x);
--> statement-breakpoint
-- only a comment
--> statement-breakpoint
CREATE TRIGGER t AFTER INSERT ON a BEGIN
  INSERT INTO b VALUES ('one; two'); -- END;
  INSERT INTO b SELECT CASE new.x WHEN 1 THEN 'three' END;
END;
INSERT INTO a VALUES (1)--> statement-breakpoint
INSERT INTO a VALUES (2);
--> statement-breakpoint
`;
    await using p = await project([{ tag: "0000_all", sql }]);
    await migrate(p.client, { folder: p.folder });
    expect(await column(p.client, "SELECT x FROM b")).toEqual(["one; two", "three", "one; two", null]);
  });

  test("CRLF line ends, a byte order mark and an empty file are accepted", async () => {
    await using p = await project([
      {
        tag: "0000_crlf",
        sql: "\uFEFF-- one\r\nCREATE TABLE a (x);\r\n--> statement-breakpoint\r\nCREATE TABLE b (x);\r\n",
      },
      { tag: "0001_empty", sql: "" },
      { tag: "0002_empty", sql: "" },
    ]);
    expect((await migrate(p.client, { folder: p.folder })).applied).toHaveLength(3);
    expect((await migrate(p.client, { folder: p.folder })).applied).toEqual([]);
  });

  test("an empty journal applies nothing and creates no ledger", async () => {
    await using p = await project([]);
    expect(await migrate(p.client, { folder: p.folder })).toEqual({ applied: [], from: undefined, to: undefined });
    expect(await column(p.client, "SELECT name FROM sqlite_schema")).toEqual([]);
  });

  test("a PRAGMA foreign_keys in a migration does not affect the client", async () => {
    await using p = await project([
      { tag: "0000_off", sql: "PRAGMA foreign_keys=OFF;--> statement-breakpoint\nCREATE TABLE a (x);" },
    ]);
    await migrate(p.client, { folder: p.folder });
    expect(await column(p.client, "PRAGMA foreign_keys")).toEqual([1]);
  });

  test("a setting that a migration changes is restored after it", async () => {
    await using p = await project([{ tag: "0000_x", sql: "PRAGMA recursive_triggers = ON; CREATE TABLE a (x);" }]);
    await migrate(p.client, { folder: p.folder });
    expect(await column(p.client, "PRAGMA recursive_triggers")).toEqual([0]);
  });

  test("the client's reads continue while a migration runs, and see the file as it was before", async () => {
    await using p = await project([ONE, TWO]);
    await migrate(p.client, { folder: p.folder, to: "0000_one" });
    p.write([ONE, { tag: "0001_fill", sql: "INSERT INTO a (x) VALUES (1), (2)" }]);
    const seen: unknown[] = [];
    // Called during the run, while the write lock is held.
    const before = async () => {
      seen.push(...(await column(p.client, "SELECT count(*) FROM a")));
    };
    expect((await migrate(p.client, { folder: p.folder, before })).applied).toEqual(["0001_fill"]);
    expect(seen).toEqual([0]);
    expect(await column(p.client, "SELECT count(*) FROM a")).toEqual([2]);
  });

  test("`before` gets the pending migrations, under the lock, and if it throws, nothing is changed", async () => {
    await using p = await project([ONE, TWO]);
    const plans: unknown[] = [];
    const before = async (plan: unknown) => {
      plans.push(plan);
      using other = openSecond(p.temp.path);
      expect(() => other.exec("BEGIN IMMEDIATE")).toThrow(/locked/);
      expect(await column(p.client, TABLES)).toEqual([]);
      throw new Error("not today");
    };
    await expect(migrate(p.client, { folder: p.folder, before })).rejects.toThrow("not today");
    expect(plans).toEqual([{ pending: ["0000_one", "0001_two"], backup: undefined }]);
    expect(await column(p.client, "SELECT name FROM sqlite_schema")).toEqual([]);
  });
});

describe("failing", () => {
  test("a failure rolls back the whole run and names tag, line, statement and cause", async () => {
    const bad = {
      tag: "0002_bad",
      sql: "CREATE TABLE c (x);\n--> statement-breakpoint\n-- why\nINSERT INTO a (id)\n  VALUES (1);\n",
    };
    await using p = await project([ONE]);
    await migrate(p.client, { folder: p.folder });
    p.write([ONE, TWO, bad]);
    const error = await rejection(migrate(p.client, { folder: p.folder }));
    expect(error).toMatchObject({ name: "StorageError", code: "MIGRATION_FAILED", retryable: false });
    expect(error.message).toContain("Migration 0002_bad failed at line 4, `INSERT INTO a (id) VALUES (1)`");
    expect(error.message).toContain("UNIQUE constraint failed: a.id");
    expect(error.message).toContain(
      "Nothing was changed: the whole run was rolled back, and the file stands at 0000_one",
    );
    expect(error).toMatchObject({ tag: "0002_bad", line: 4, statement: "INSERT INTO a (id)\n  VALUES (1)" });
    expect(error.cause).toMatchObject({ code: "SQLITE_CONSTRAINT" });
    expect(await column(p.client, TABLES)).toEqual(["a"]);
    expect(await column(p.client, "SELECT count(*) FROM __drizzle_migrations")).toEqual([1]);
    expect(await column(p.client, "PRAGMA foreign_keys")).toEqual([1]);
    p.write([ONE, TWO]);
    expect((await migrate(p.client, { folder: p.folder })).applied).toEqual(["0001_two"]);
  });

  test("a failing first run leaves an empty file", async () => {
    await using p = await project([ONE, { tag: "0001_bad", sql: "CREATE TABLE" }]);
    expect(await rejection(migrate(p.client, { folder: p.folder }))).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(await column(p.client, "SELECT name FROM sqlite_schema")).toEqual([]);
  });

  test.each([
    "BEGIN",
    "COMMIT",
    "END TRANSACTION",
    "ROLLBACK",
    "VACUUM",
    "ATTACH 'x.db' AS x",
    "DETACH x",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA synchronous = OFF",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA main.page_size = 8192",
  ])("%s is refused before anything runs", async (statement) => {
    await using p = await project([ONE, { tag: "0001_bad", sql: `CREATE TABLE b (x);\n/* now */ ${statement};` }]);
    const logger = { info: () => expect.unreachable() };
    const before = () => expect.unreachable();
    const error = await rejection(migrate(p.client, { folder: p.folder, logger, before }));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(error.message).toContain("Migration 0001_bad cannot run");
    expect(error.message).toContain(`at line 2, \`${statement}\``);
    expect(error.message).toContain(
      "Nothing was changed: the whole run was rolled back, and the file has no migration",
    );
    expect(error).toMatchObject({ tag: "0001_bad", line: 2 });
    expect(await column(p.client, "SELECT name FROM sqlite_schema")).toEqual([]);
  });

  test("a conflict clause that ends the transaction fails the run, and nothing is stored", async () => {
    await using p = await project([
      ONE,
      { tag: "0001_bad", sql: "INSERT INTO a VALUES (1, 'x'); INSERT OR ROLLBACK INTO a VALUES (1, 'y');" },
    ]);
    expect(await rejection(migrate(p.client, { folder: p.folder }))).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(await column(p.client, "SELECT name FROM sqlite_schema")).toEqual([]);
  });
});

describe("refusing", () => {
  test("an edited migration is MIGRATION_CHANGED, and pending ones are not applied", async () => {
    await using p = await project([ONE]);
    await migrate(p.client, { folder: p.folder });
    p.write([{ ...ONE, sql: `${ONE.sql} -- with a note` }, TWO]);
    expect(await rejection(migrate(p.client, { folder: p.folder }))).toMatchObject({
      code: "MIGRATION_CHANGED",
      message: expect.stringContaining("0000_one"),
    });
    expect(await column(p.client, "SELECT name FROM pragma_table_info('a')")).toEqual(["id", "x"]);
  });

  test("a file of newer code is MIGRATION_UNKNOWN, and not a byte of it changes", async () => {
    await using p = await project([ONE, TWO]);
    await migrate(p.client, { folder: p.folder });
    await p.client.checkpoint();
    const bytes = await hashOfOpen(p.temp.path);
    p.write([ONE]);
    expect(await rejection(migrate(p.client, { folder: p.folder }))).toMatchObject({
      code: "MIGRATION_UNKNOWN",
      message: expect.stringContaining(sha256(TWO.sql).slice(0, 12)),
    });
    expect(await hashOfOpen(p.temp.path)).toBe(bytes);
  });

  test("a migration that was merged late is refused by name, or applied on demand", async () => {
    await using p = await project([ONE, { ...THREE, when: 3000 }]);
    await migrate(p.client, { folder: p.folder });
    p.write([ONE, { ...TWO, when: 2000 }, { ...THREE, when: 3000 }]);
    expect(await rejection(migrate(p.client, { folder: p.folder }))).toMatchObject({
      code: "MIGRATION_OUT_OF_ORDER",
      message: expect.stringContaining("0001_two"),
    });
    expect(await migrate(p.client, { folder: p.folder, allowOutOfOrder: true })).toEqual({
      applied: ["0001_two"],
      from: "0002_three",
      to: "0002_three",
    });
    expect((await migrate(p.client, { folder: p.folder })).applied).toEqual([]);
  });

  test("a ledger of other migrations is FOREIGN_LEDGER, and the error has advice for both sides", async () => {
    await using p = await project([ONE]);
    const theirs = writeMigrations(p.temp.dir, [{ ...THREE, when: 77 }], "theirs");
    await migrate(p.client, { folder: theirs });
    const error = await rejection(migrate(p.client, { folder: p.folder, ownTables: ["a"] }));
    expect(error).toMatchObject({ code: "FOREIGN_LEDGER" });
    expect(error.message).toContain("drizzle.config.ts");
    expect(error.message).toContain("`table`");
    expect(await column(p.client, TABLES)).toEqual(["b"]);
    expect((await migrate(p.client, { folder: p.folder, ownTables: ["a"], table: "our_migrations" })).applied).toEqual([
      "0000_one",
    ]);
  });

  test("a ledger of other migrations in a file with our table is MIGRATION_UNKNOWN", async () => {
    await using p = await project([ONE]);
    const theirs = writeMigrations(p.temp.dir, [{ tag: "0000_a", sql: "CREATE TABLE A (x);", when: 77 }], "theirs");
    await migrate(p.client, { folder: theirs });
    expect(await rejection(migrate(p.client, { folder: p.folder, ownTables: ["a"] }))).toMatchObject({
      code: "MIGRATION_UNKNOWN",
    });
  });

  test("a table that is not a ledger is INVALID", async () => {
    await using p = await project([ONE]);
    await p.client.execute("CREATE TABLE log (line)");
    expect(await rejection(migrate(p.client, { folder: p.folder, table: "log" }))).toMatchObject({ code: "INVALID" });
  });

  test.each([
    [{ folder: 1 }, TypeError],
    [{ folder: "" }, RangeError],
    [{ table: "" }, RangeError],
    [{ table: "sqlite_x" }, RangeError],
    [{ ownTables: "a" }, TypeError],
    [{ to: 1 }, TypeError],
    [{ allowOutOfOrder: "yes" }, TypeError],
    [{ backupTo: true }, TypeError],
    [{ backupTo: "a\0b" }, RangeError],
    [{ lockTimeoutMs: -1 }, RangeError],
    [{ lockTimeoutMs: "1" }, TypeError],
    [{ logger: {} }, TypeError],
    [{ before: true }, TypeError],
  ])("the options %o are refused before any work", async (wrong, kind) => {
    await using p = await project([ONE]);
    const error = await rejection(migrate(p.client, { folder: p.folder, ...(wrong as object) }));
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(`\`${Object.keys(wrong)[0]}\``);
  });
});

test("a migration that the disk has no room for is FULL, and changes nothing", async () => {
  await using temp = await tempDatabase();
  await using client = openTestClient(temp.url);
  await client.execute("CREATE TABLE kept (a)");
  await client.execute("PRAGMA max_page_count = 4");
  const folder = writeMigrations(temp.dir, [
    { tag: "0000_big", sql: "CREATE TABLE big AS SELECT randomblob(100000) AS a;" },
  ]);
  const error = await rejection(migrate(client, { folder }));
  expect(error).toMatchObject({ code: "FULL", tag: "0000_big", message: expect.stringContaining("free some space") });
  expect(await column(client, "SELECT name FROM sqlite_schema")).toEqual(["kept"]);
});

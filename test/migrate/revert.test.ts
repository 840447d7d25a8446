import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { MigrationError, migrate, revert, status } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, openSecond, openTestClient, rejection } from "../support/clients.js";
import { type MigrationSource, rebuild, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (id integer PRIMARY KEY, x text);", down: "DROP TABLE a;" };
const TWO = { tag: "0001_two", sql: "ALTER TABLE a ADD y text;", down: "ALTER TABLE a DROP COLUMN y;" };
const THREE = { tag: "0002_three", sql: "CREATE TABLE b (x);", down: "DROP TABLE b;" };
const ALL = [ONE, TWO, THREE];
const LEDGER = "SELECT count(*) FROM __drizzle_migrations";
const SCHEMA =
  "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name";

/** A file to which all `sources` are applied, with one row in `a`. */
async function migrated(sources: readonly MigrationSource[] = ALL, url?: ":memory:") {
  const temp = await tempDatabase();
  const client = openTestClient(url ?? temp.url);
  const folder = writeMigrations(temp.dir, sources);
  await migrate(client, { folder });
  await client.execute("INSERT INTO a (x) VALUES ('kept')");
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

describe("reverting", () => {
  test.each(["file", ":memory:"] as const)("runs the down files from the last to the first: %s", async (kind) => {
    await using p = await migrated(ALL, kind === "file" ? undefined : kind);
    expect(await revert(p.client, { folder: p.folder, to: "0000_one" })).toEqual({
      reverted: ["0002_three", "0001_two"],
      from: "0002_three",
      to: "0000_one",
    });
    expect(await column(p.client, SCHEMA)).toEqual(["CREATE TABLE a (id integer PRIMARY KEY, x text)"]);
    expect(await column(p.client, "SELECT x FROM a")).toEqual(["kept"]);
    expect(await status(p.client, { folder: p.folder })).toMatchObject({
      applied: ["0000_one"],
      pending: ["0001_two", "0002_three"],
    });
    expect(await column(p.client, "PRAGMA foreign_keys")).toEqual([1]);
  });

  test("by steps reverts that many, and no more than there are; zero leaves an empty ledger, and all can be applied again", async () => {
    await using p = await migrated();
    const { client, folder } = p;
    expect(await revert(client, { folder, steps: 1 })).toMatchObject({ reverted: ["0002_three"], to: "0001_two" });
    expect(await revert(client, { folder, steps: Number.POSITIVE_INFINITY })).toEqual({
      reverted: ["0001_two", "0000_one"],
      from: "0001_two",
      to: undefined,
    });
    expect(await column(client, LEDGER)).toEqual([0]);
    expect(await column(client, SCHEMA)).toEqual([]);
    expect(await revert(client, { folder, steps: 3 })).toEqual({ reverted: [], from: undefined, to: undefined });
    expect((await migrate(client, { folder })).applied).toEqual(["0000_one", "0001_two", "0002_three"]);
  });

  test("to the migration at which the file stands does nothing", async () => {
    await using p = await migrated();
    using _ = openSecond(p.temp.path, ["BEGIN IMMEDIATE"]);
    expect(await revert(p.client, { folder: p.folder, to: "0002_three", lockTimeoutMs: 0 })).toMatchObject({
      reverted: [],
    });
  });

  test("a file with rows is first backed up as it is, and the backup is verified", async () => {
    await using p = await migrated();
    const backupTo = join(p.temp.dir, "backups");
    const { backup } = await revert(p.client, { folder: p.folder, steps: 2, backupTo });
    expect(readdirSync(backupTo)).toHaveLength(1);
    using copy = openSecond(backup!);
    expect(copy.all("SELECT x, y FROM a")).toEqual([["kept", null]]);
    expect(copy.all(LEDGER)).toEqual([[3]]);
  });

  test("the ledger table that the caller names is read and written", async () => {
    await using p = await migrated();
    const theirs = writeMigrations(
      p.temp.dir,
      [{ tag: "0000_t", sql: "CREATE TABLE t (x);", down: "DROP TABLE t;" }],
      "theirs",
    );
    await migrate(p.client, { folder: theirs, table: "theirs" });
    expect(await revert(p.client, { folder: theirs, table: "theirs", steps: 1 })).toMatchObject({
      reverted: ["0000_t"],
    });
    expect(await column(p.client, LEDGER)).toEqual([3]);
  });

  test("a rebuild in a down file keeps triggers, children and the full-text index", async () => {
    const first = {
      ...ONE,
      sql: `${ONE.sql}
        CREATE TABLE child (a REFERENCES a(id) ON DELETE CASCADE);
        CREATE VIRTUAL TABLE f USING fts5(x, content = 'a', content_rowid = 'id');
        CREATE TRIGGER f_insert AFTER INSERT ON a BEGIN INSERT INTO f (rowid, x) VALUES (new.id, new.x); END;`,
    };
    const back = { ...TWO, down: rebuild("a", "id integer PRIMARY KEY, x text", ["id", "x"]) };
    await using p = await migrated([first, back]);
    await p.client.execute("INSERT INTO child SELECT id FROM a");
    await revert(p.client, { folder: p.folder, steps: 1 });
    await p.client.execute("INSERT INTO a (x) VALUES ('kept too')");
    expect(
      await column(p.client, "SELECT a.x FROM f JOIN a ON a.id = f.rowid WHERE f MATCH 'kept' ORDER BY 1"),
    ).toEqual(["kept", "kept too"]);
    expect(await column(p.client, "SELECT a FROM child")).toEqual([1]);
  });

  test("through a client without a pool gives the same result", async () => {
    await using p = await migrated();
    const stock = createClient({ url: p.temp.url, timeout: 2000 });
    expect(await revert(stock, { folder: p.folder, steps: 2 })).toEqual({
      reverted: ["0002_three", "0001_two"],
      from: "0002_three",
      to: "0000_one",
    });
    expect(await column(stock as never, LEDGER)).toEqual([1]);
    stock.close();
  });
});

describe("refused before anything changes", () => {
  test.each([
    ["no down file", undefined],
    ["an empty one", " \n"],
    ["one that is not written yet", "-- NOT WRITTEN YET\nDROP TABLE b;"],
  ])("a migration with %s is IRREVERSIBLE, whatever could be reverted before it", async (_, down) => {
    const { down: __, ...two } = TWO;
    await using p = await migrated([ONE, { ...two, ...(down === undefined ? {} : { down }) }, THREE]);
    const backupTo = join(p.temp.dir, "backups");
    const error = await rejection(revert(p.client, { folder: p.folder, to: "0000_one", backupTo }));
    expect(error).toMatchObject({ code: "IRREVERSIBLE", message: expect.stringContaining("0001_two.down.sql") });
    expect(await column(p.client, LEDGER)).toEqual([3]);
    expect(existsSync(backupTo)).toBe(false);
    expect(await revert(p.client, { folder: p.folder, to: "0001_two" })).toMatchObject({ reverted: ["0002_three"] });
  });

  test("a down file that has only a comment does nothing", async () => {
    await using p = await migrated([
      ONE,
      { ...TWO, sql: "UPDATE a SET x = 'y';", down: "-- The rows stay as they are.\n" },
    ]);
    expect(await revert(p.client, { folder: p.folder, steps: 1 })).toMatchObject({ to: "0000_one" });
  });

  test("an edited migration is MIGRATION_CHANGED, and one that the folder lacks is MIGRATION_UNKNOWN", async () => {
    await using p = await migrated();
    writeFileSync(join(p.folder, "0000_one.sql"), `${ONE.sql} `);
    expect(await rejection(revert(p.client, { folder: p.folder, steps: 1 }))).toMatchObject({
      code: "MIGRATION_CHANGED",
    });
    writeMigrations(p.temp.dir, [ONE, TWO]);
    expect(await rejection(revert(p.client, { folder: p.folder, steps: 1 }))).toMatchObject({
      code: "MIGRATION_UNKNOWN",
    });
    expect(await column(p.client, LEDGER)).toEqual([3]);
  });

  test("a `to` that is unknown or not applied is NOT_FOUND", async () => {
    await using p = await migrated();
    for (const to of ["0009_none", "0003_four"]) {
      writeMigrations(p.temp.dir, [...ALL, { tag: "0003_four", sql: "CREATE TABLE d (x);" }]);
      expect(await rejection(revert(p.client, { folder: p.folder, to }))).toMatchObject({ code: "NOT_FOUND" });
    }
  });

  test.each([{}, { to: "0000_one", steps: 1 }, { steps: 0 }, { steps: 1.5 }, { steps: "1" }, { to: "" }])(
    "%o is a TypeError or RangeError",
    async (options) => {
      await using p = await migrated();
      const error = await rejection(revert(p.client, { folder: p.folder, ...options } as never));
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    },
  );
});

describe("failing", () => {
  test("a step that fails is rolled back, names tag, line, statement and cause, and says where the file stands", async () => {
    const bad = {
      ...TWO,
      down: "-- back\nALTER TABLE a DROP COLUMN y;\n--> statement-breakpoint\nDROP TABLE\n  none;",
    };
    await using p = await migrated([ONE, bad, THREE]);
    const error = await rejection(revert(p.client, { folder: p.folder, to: "0000_one" }));
    expect(error).toBeInstanceOf(MigrationError);
    expect(error).toMatchObject({
      code: "MIGRATION_FAILED",
      tag: "0001_two",
      line: 4,
      statement: "DROP TABLE\n  none",
    });
    expect(error.message).toContain(
      "The down file of migration 0001_two (0001_two.down.sql) failed at line 4, `DROP TABLE none`",
    );
    expect(error.message).toContain("no such table: none");
    expect(error.message).toContain("0002_three was already reverted; the file stands at 0001_two");
    expect(error.cause).toMatchObject({ code: "SQLITE_ERROR" });
    expect(await status(p.client, { folder: p.folder })).toMatchObject({ applied: ["0000_one", "0001_two"] });
    expect(await column(p.client, "SELECT y FROM a")).toEqual([null]);
  });

  test("a step that leaves rows without their parent fails, and the error names them", async () => {
    const child = {
      tag: "0001_child",
      sql: "CREATE TABLE child (a REFERENCES a(id)); INSERT INTO a VALUES (7, 'x'); INSERT INTO child VALUES (7);",
      down: "DELETE FROM a WHERE id = 7;",
    };
    await using p = await migrated([ONE, child]);
    const error = await rejection(revert(p.client, { folder: p.folder, steps: 1 }));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", message: expect.stringContaining("1 row of child") });
    expect(await column(p.client, "SELECT count(*) FROM child JOIN a ON a.id = child.a")).toEqual([1]);
  });

  test("if the ledger entry cannot be removed, the schema is not reverted either", async () => {
    await using p = await migrated();
    await p.client.execute(
      "CREATE TRIGGER keep BEFORE DELETE ON __drizzle_migrations BEGIN SELECT RAISE(ABORT, 'kept'); END",
    );
    const before = await column(p.client, SCHEMA);
    await rejection(revert(p.client, { folder: p.folder, steps: 1 }));
    expect(await column(p.client, SCHEMA)).toEqual(before);
  });

  test("if the backup fails, nothing is changed", async () => {
    await using p = await migrated();
    const backupTo = join(p.temp.dir, "taken");
    writeFileSync(backupTo, "a file where the folder should be");
    const error = await rejection(revert(p.client, { folder: p.folder, steps: 1, backupTo }));
    expect(error).toMatchObject({
      code: "MIGRATION_FAILED",
      message: expect.stringContaining("the file stands at 0002_three"),
    });
    expect(await column(p.client, LEDGER)).toEqual([3]);
  });
});

describe("with other processes", () => {
  // Both runs of one step had planned to revert the same migration, and the second reverted nothing.
  test.each([
    ["two processes revert to one migration", 2, { to: "0000_one" }, "0000_one"],
    ["two processes revert one step each", 2, { steps: 1 }, "0000_one"],
  ])("if %s at once, each migration is reverted by one of them", async (_, processes, wanted, end) => {
    await using p = await migrated();
    const input = { url: p.temp.url, folder: p.folder, ...wanted };
    using other = openSecond(p.temp.path, ["BEGIN IMMEDIATE"]);
    const children = Array.from({ length: processes }, () => startChild("revert", input));
    const isWaiting = ({ message }: { message?: string }) => message?.startsWith("Waiting") === true;
    await Promise.all(children.map((child) => child.message(isWaiting)));
    other.exec("COMMIT");
    type Done = { event: string; reverted: string[]; from: string; to: string };
    const outcomes = await Promise.all(children.map((child) => child.message<Done>(({ event }) => event === "done")));
    for (const child of children) expect(await child.exited).toMatchObject({ code: 0 });
    expect(outcomes.flatMap(({ reverted }) => reverted).sort()).toEqual(["0001_two", "0002_three"]);
    if ("steps" in wanted) {
      expect(outcomes.map(({ reverted, from }) => [from, reverted]).sort()).toEqual([
        ["0001_two", ["0001_two"]],
        ["0002_three", ["0002_three"]],
      ]);
    } else expect(outcomes.map(({ to }) => to)).toEqual(Array(processes).fill(end));
    expect(await status(p.client, { folder: p.folder })).toMatchObject({ applied: [end] });
  });

  test("one step reverts one migration, if another process without a pool reverts one first", async () => {
    await using p = await migrated();
    const stock = createClient({ url: p.temp.url, timeout: 2000 });
    const { folder } = p;
    let calls = 0;
    const before = async () => {
      if (calls++ === 0) expect(await revert(p.client, { folder, steps: 1 })).toMatchObject({ to: "0001_two" });
    };
    expect(await revert(stock, { folder, steps: 1, before })).toEqual({
      reverted: ["0001_two"],
      from: "0001_two",
      to: "0000_one",
    });
    stock.close();
  });

  test("a lock that another process keeps is BUSY, and nothing has changed", async () => {
    await using p = await migrated();
    using _ = openSecond(p.temp.path, ["BEGIN IMMEDIATE"]);
    const error = await rejection(revert(p.client, { folder: p.folder, steps: 1, lockTimeoutMs: 30 }));
    expect(error).toMatchObject({
      code: "BUSY",
      retryable: true,
      message: expect.stringContaining("revert 0002_three"),
    });
  });

  test("if a process is killed within a step, each step is complete or undone, and the next run continues from there", async () => {
    // The work outgrows the page cache, so that a kill finds pages of an unfinished step in the log.
    const long = `CREATE TABLE big (x); INSERT INTO big WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < (SELECT user_version FROM pragma_user_version)) SELECT i FROM n; DROP TABLE big;`;
    const sources = ALL.map((source) => ({ ...source, down: `${long}\n${source.down}` }));
    await using p = await migrated([...sources]);
    const schemaAt: unknown[][] = [];
    for (const [index, { tag }] of ALL.entries()) {
      await using fresh = await tempDatabase();
      await using client = openTestClient(fresh.url);
      await migrate(client, { folder: p.folder, to: tag });
      schemaAt[index] = await column(client, SCHEMA);
    }
    for (const stepsLeft of [3, 2, 1]) {
      // More rows than can be inserted before the kill.
      await p.client.execute("PRAGMA user_version = 500000000");
      await p.client.checkpoint();
      await using child = startChild("revert", { url: p.temp.url, folder: p.folder, steps: 3 });
      await child.message(({ event }) => event === "begun");
      await expect
        .poll(() => statSync(`${p.temp.path}-wal`).size, { timeout: 60_000, interval: 5 })
        .toBeGreaterThan(4_000_000);
      child.kill();
      expect(await child.exited).toMatchObject({ signal: "SIGKILL" });
      const { applied } = await status(p.client, { folder: p.folder });
      expect(applied).toHaveLength(stepsLeft);
      expect(await column(p.client, SCHEMA)).toEqual(schemaAt[stepsLeft - 1]);
      await p.client.execute("PRAGMA user_version = 2000");
      expect(await revert(p.client, { folder: p.folder, steps: 1 })).toMatchObject({
        reverted: [ALL[stepsLeft - 1]!.tag],
      });
    }
    expect(await column(p.client, LEDGER)).toEqual([0]);
    using fresh = openSecond(p.temp.path);
    expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
    await p.client.checkpoint();
  });
});

test("migrations that another process reverts while migrate waits for the lock are applied too, in order", async () => {
  await using p = await migrated();
  const { client, folder, temp } = p;
  await revert(client, { folder, steps: 1 });
  await using other = openTestClient(temp.url);
  const tx = await other.transaction();
  let reverted: Promise<void> | undefined;
  const { applied } = await migrate(client, {
    folder,
    logger: {
      info(message) {
        if (!message.startsWith("Waiting")) return;
        // By now, migrate has found only the third one pending.
        reverted = (async () => {
          await tx.execute("ALTER TABLE a DROP COLUMN y");
          await tx.execute(
            "DELETE FROM __drizzle_migrations WHERE created_at = (SELECT max(created_at) FROM __drizzle_migrations)",
          );
          await tx.commit();
        })();
      },
    },
  });
  await reverted;
  expect(applied).toEqual(["0001_two", "0002_three"]);
  expect(await status(client, { folder })).toMatchObject({ pending: [] });
});

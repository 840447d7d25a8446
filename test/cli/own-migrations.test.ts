import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openStorage } from "holdfast";
import { migrate } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { holdfast } from "../support/cli.js";
import { openSecond, openTestClient } from "../support/clients.js";
import { sha256, writeMigrations, writeSnapshot } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x text);", down: "DROP TABLE a;" };
const TWO = { tag: "0001_two", sql: "CREATE TABLE b (x text);", down: "DROP TABLE b;" };

test("migrations of one's own are applied, shown, accepted, reverted and marked by commands", async () => {
  await using db = await tempDatabase();
  const folder = writeMigrations(db.dir, [ONE, TWO]);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await holdfast([...args, "--url", db.path, "--json"], { cwd: db.dir });
    return code === 0 ? JSON.parse(stdout) : stderr;
  };
  const set = ["--folder", folder, "--table", "app_migrations"];
  expect(await run("migrate", ...set)).toMatchObject({ applied: ["0000_one", "0001_two"], to: "0001_two" });
  expect(await run("status", ...set)).toMatchObject({ applied: ["0000_one", "0001_two"], pending: [] });
  writeMigrations(db.dir, [ONE, { ...TWO, sql: `${TWO.sql} -- why` }]);
  expect(await run("status", ...set)).toMatchObject({ changed: ["0001_two"] });
  expect(await run("accept", ...set, "--tag", "0001_two")).toEqual({ tag: "0001_two", changed: true });
  expect(await run("revert", ...set, "--steps", "1")).toMatchObject({ reverted: ["0001_two"], to: "0000_one" });
  {
    using file = openSecond(db.path);
    expect(file.all("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b', 'memories')")).toEqual([["a"]]);
    file.exec("CREATE TABLE b (x text)");
  }
  expect(await run("baseline", ...set, "--to", "0001_two")).toMatchObject({ applied: ["0001_two"] });
  expect(await run("adopt", "--table", "other", "--from", "app_migrations")).toEqual({
    table: "other",
    from: "app_migrations",
    entries: 2,
  });
  expect(await run("status", "--folder", folder, "--table", "other")).toMatchObject({ pending: [] });
});

test("lint needs no database, writes one line for each finding with its place, and exits with 1 for mistakes", async () => {
  await using db = await tempDatabase();
  const folder = writeMigrations(db.dir, [ONE, { ...TWO, sql: "CREATE TABLE b (x text);\nSELECT * FROM nothing;" }]);
  for (const name of ["0000", "0001"]) writeSnapshot(folder, name, "a", []);
  const run = (...args: string[]) => holdfast(["lint", "--folder", "drizzle", ...args], { cwd: db.dir });
  const wrong = await run();
  expect(wrong).toMatchObject({ code: 1, stderr: "" });
  expect(wrong.stdout).toMatch(/^drizzle\/0001_two\.sql:2: error MIGRATION_FAILED: .*nothing.*$/m);
  expect(
    wrong.stdout
      .trim()
      .split("\n")
      .every((line) => /^drizzle\/\S+:\d+: (error|info) [A-Z_]+: /.test(line)),
  ).toBe(true);
  expect(JSON.parse((await run("--json")).stdout)).toMatchObject({ ok: false, findings: expect.any(Array) });
  expect(existsSync(db.path)).toBe(false);
  expect(await holdfast(["lint", "--folder", fileURLToPath(new URL("../../drizzle", import.meta.url))])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/ok\n$/),
  });
});

test.each([
  [["lint"], "Expected --folder"],
  [["migrate", "--folder", "x"], "Expected --folder and --table"],
  [["status", "--table", "x"], "Expected --folder and --table"],
  [["check", "--table", "x"], "Expected --folder with --table"],
  [["accept", "--tag", "x"], "Expected --folder and --table"],
  [["baseline", "--folder", "x", "--table", "y"], "Expected --to"],
  [["adopt"], "Expected --table"],
])("%j is wrong usage", async (args, hint) => {
  await using db = await tempDatabase();
  const { code, stderr } = await holdfast([...args, "--url", db.path], { cwd: db.dir });
  expect(code).toBe(2);
  expect(stderr).toContain(hint);
  expect(existsSync(db.path)).toBe(false);
});

test("a dry run prints the SQL and what would fail, and changes no byte, nor the journal mode", async () => {
  await using db = await tempDatabase();
  const unique = { tag: "0001_unique", sql: "CREATE UNIQUE INDEX u ON a (x);\nCREATE TABLE c (\n x);" };
  const folder = writeMigrations(db.dir, [ONE, unique]);
  const run = (...args: string[]) =>
    holdfast([...args, "--dry-run", "--folder", folder, "--table", "app", "--url", db.path]);
  const first = await run("migrate");
  expect(first).toMatchObject({ code: 0, stderr: "" });
  expect(first.stdout.split("\n").slice(0, 3)).toEqual(["-- 0000_one", "CREATE TABLE a (x text);", "-- 0001_unique"]);
  expect(existsSync(db.path)).toBe(false);
  {
    using file = openSecond(db.path);
    file.exec(
      `${ONE.sql} INSERT INTO a VALUES ('same'), ('same'); CREATE TABLE app (id SERIAL PRIMARY KEY, hash text, created_at numeric);`,
    );
    file.exec(`INSERT INTO app (hash, created_at) VALUES ('${sha256(ONE.sql)}', 1000)`);
    expect(file.all("PRAGMA journal_mode")).toEqual([["delete"]]);
  }
  const files = readdirSync(db.dir);
  const bytes = readFileSync(db.path);
  expect(await run("migrate")).toMatchObject({
    code: 1,
    stdout:
      "-- 0001_unique\nCREATE UNIQUE INDEX u ON a (x);\nCREATE TABLE c (\n x);\n-- would fail: UNIQUE of a: 2 rows, in CREATE UNIQUE INDEX u ON a (x)\n",
  });
  const back = await run("revert", "--steps", "1", "--json");
  expect(back.code).toBe(0);
  expect(JSON.parse(back.stdout)).toEqual({
    migrations: [{ tag: "0000_one", sql: ["DROP TABLE a"], problems: [] }],
  });
  expect(readFileSync(db.path).equals(bytes)).toBe(true);
  expect(readdirSync(db.dir)).toEqual(files);
});

// It printed only the error.
test("a dry run prints the SQL up to a statement that fails, and what fails", async () => {
  await using db = await tempDatabase();
  const broken = { tag: "0001_broken", sql: "CREATE TABLE c (x);\nUPDATE nowhere SET x = 1;\nCREATE TABLE d (x);" };
  const column = { tag: "0001_column", sql: "CREATE TABLE c (x);\nALTER TABLE a ADD plan text NOT NULL;" };
  const run = (folder: string, ...args: string[]) =>
    holdfast(["migrate", ...args, "--folder", folder, "--table", "app", "--url", db.path]);
  const first = writeMigrations(db.dir, [ONE], "first");
  expect(await run(first)).toMatchObject({ code: 0 });
  {
    using file = openSecond(db.path);
    file.exec("INSERT INTO a VALUES ('one'), ('two')");
  }
  const added = await run(writeMigrations(db.dir, [ONE, column], "column"), "--dry-run");
  const statement = "ALTER TABLE a ADD plan text NOT NULL";
  expect(added).toMatchObject({ code: 1, stderr: "" });
  expect(added.stdout).toBe(
    `-- 0001_column\nCREATE TABLE c (x);\n${statement};\n-- would fail: NOT NULL of a: 2 rows, in ${statement}\n`,
  );
  const folder = writeMigrations(db.dir, [ONE, broken], "broken");
  const failed = await run(folder, "--dry-run");
  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(
    /^-- 0001_broken\nCREATE TABLE c \(x\);\nUPDATE nowhere SET x = 1;\n-- would fail: Migration 0001_broken failed at line 2, .*no such table: nowhere.*\n$/,
  );
  expect(failed.stderr).toMatch(/^holdfast: MIGRATION_FAILED: Migration 0001_broken failed at line 2/);
  const json = await run(folder, "--dry-run", "--json");
  expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: "MIGRATION_FAILED" } });
});

test("revert says which tables are dropped, with how many rows", async () => {
  await using db = await tempDatabase();
  const rebuilt = {
    tag: "0002_rebuilt",
    sql: "CREATE TABLE d (y);",
    down: "DROP TABLE d; CREATE TABLE __new_a (x text); INSERT INTO __new_a SELECT x FROM a; DROP TABLE a; ALTER TABLE __new_a RENAME TO a;",
  };
  const folder = writeMigrations(db.dir, [ONE, TWO, rebuilt]);
  const run = (...args: string[]) => holdfast([...args, "--folder", folder, "--table", "app", "--url", db.path]);
  expect(await run("migrate")).toMatchObject({ code: 0 });
  {
    using file = openSecond(db.path);
    file.exec("INSERT INTO a VALUES ('one'), ('two'); INSERT INTO b VALUES ('three')");
  }
  const args = ["revert", "--to", "0000_one"];
  const trial = await run(...args, "--dry-run");
  expect(trial.stdout.match(/^-- drops .*$/gm)).toEqual(["-- drops d with 0 rows", "-- drops b with 1 row"]);
  const done = await run(...args);
  expect(done.stdout.match(/^(?:reverted|dropped) .*$/gm)).toEqual([
    "reverted 0002_rebuilt",
    "reverted 0001_two",
    "dropped d with 0 rows",
    "dropped b with 1 row",
  ]);
  const last = await run("revert", "--steps", "1");
  expect(last.stdout).toContain("reverted 0000_one\ndropped a with 2 rows\n");
});

// `--to 0003_graph_versions` dropped conversations and stories with their records, and said "reverted".
test("revert of Holdfast's own migrations names the tables with records that are dropped", async () => {
  await using db = await tempDatabase();
  {
    await using storage = await openStorage(db.url);
    await storage.conversations.insert({ id: "c", messages: [{ role: "user", content: "precious" }] });
  }
  const args = ["revert", "--to", "0003_graph_versions", "--url", db.path];
  const trial = await holdfast([...args, "--dry-run"]);
  expect(trial.stdout).toMatch(/^-- drops conversations with 1 row$/m);
  const done = await holdfast(args);
  expect(done.stdout).toMatch(/^dropped conversations with 1 row$/m);
  expect(done.stdout).toMatch(/^dropped messages with 1 row$/m);
});

// Messages named functions, left out --url, and paths with spaces were several words to the shell.
test("a command that a message suggests can be pasted into a shell and does what the message says", async () => {
  await using db = await tempDatabase("my app.db");
  const folder = writeMigrations(db.dir, [ONE, TWO, { tag: "0002_three", sql: "CREATE TABLE c (x);" }], "my drizzle");
  const set = ["--folder", folder, "--table", "app", "--url", db.path];
  const run = (...args: string[]) => holdfast(args, { cwd: db.dir });
  const paste = (text: string) => {
    const [, words] = /`holdfast (.*?)`/.exec(text)!;
    const args = [...words!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
    return holdfast(args, { cwd: db.dir });
  };
  await run("migrate", ...set);
  writeMigrations(db.dir, [ONE, { ...TWO, sql: "CREATE TABLE b (x text); -- edited" }], "my drizzle");
  const three = { tag: "0002_three", sql: "CREATE TABLE c (x);" };
  writeMigrations(db.dir, [ONE, { ...TWO, sql: "CREATE TABLE b (x text); -- edited" }, three], "my drizzle");
  const status = await run("status", ...set);
  expect(status.stdout).toBe("applied\t0000_one\nchanged\t0001_two\napplied\t0002_three\n");
  const refused = await run("migrate", ...set);
  expect(refused.stderr).toContain("MIGRATION_CHANGED");
  expect(refused.stderr).not.toMatch(/\w\(\)/);
  expect(await paste(refused.stderr)).toMatchObject({ code: 0, stdout: "accepted 0001_two\n" });
  expect(await run("migrate", ...set)).toMatchObject({ code: 0 });

  // The ledger of an application under the name of Holdfast's.
  const shop = join(db.dir, "shop db.db");
  await run("migrate", "--folder", folder, "--table", "__drizzle_migrations", "--url", shop);
  const foreign = await run("migrate", "--url", shop);
  expect(foreign.stderr).toContain("FOREIGN_LEDGER");
  expect(foreign.stderr).not.toMatch(/\w\(/);
  expect(await paste(foreign.stderr)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("is now app_migrations"),
  });

  const pending = await run("reindex", "--url", shop);
  expect(pending.stderr).toMatch(/MIGRATION_PENDING: .* Run `holdfast migrate --url '.*shop db\.db'`\n$/);
  expect(await paste(pending.stderr)).toMatchObject({ code: 0 });
  expect(await run("reindex", "--url", shop)).toMatchObject({ code: 0 });
  const ledgers = await run("status", "--url", shop);
  expect(ledgers.stdout).toContain(`\`holdfast status --folder DIR --table app_migrations --url '${shop}'\``);
});

// A file of 4,096 bytes was left, next to "Nothing was changed".
test("migrations that are refused before one of them runs leave no new database and no folder behind", async () => {
  await using db = await tempDatabase();
  const cases = [
    { tag: "0001_custom", sql: "-- Custom SQL migration file, put your code below! --" },
    { tag: "0001_parameter", sql: "INSERT INTO a VALUES (?);" },
    { tag: "0001_begin", sql: "BEGIN;" },
    { tag: "0001_ledger", sql: "DROP TABLE app;" },
    { tag: "0001_late", sql: "SELECT 1;", dependsOn: ["0002_missing"] },
  ];
  for (const { dependsOn, ...refused } of cases) {
    const folder = writeMigrations(db.dir, [ONE, refused], refused.tag);
    const path = `${db.dir}/data/new.db`;
    const code = expect.stringMatching(/^MIGRATION_(INVALID|FAILED)$/);
    const migrations = [
      { tag: ONE.tag, sql: ONE.sql },
      { ...refused, ...(dependsOn && { dependsOn }) },
    ];
    await expect(openStorage({ url: path, migrations: { migrations, table: "app" } })).rejects.toMatchObject({ code });
    if (dependsOn === undefined) {
      await expect(openStorage({ url: path, migrations: { folder, table: "app" } })).rejects.toMatchObject({
        code,
        message: expect.stringContaining("Nothing was changed"),
      });
      const run = await holdfast(["migrate", "--folder", folder, "--table", "app", "--url", path]);
      expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("Nothing was changed") });
    }
    expect(existsSync(`${db.dir}/data`)).toBe(false);
  }
});

test("a folder that is missing leaves no new database behind", async () => {
  await using db = await tempDatabase();
  const set = { folder: `${db.dir}/none`, table: "app_migrations" };
  const run = await holdfast(["migrate", "--folder", set.folder, "--table", set.table, "--url", db.path]);
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("There is no migrations folder at") });
  await expect(openStorage({ url: db.url, migrations: set })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(existsSync(db.path)).toBe(false);
});

describe("a database with Holdfast's migrations and an application's", () => {
  async function both() {
    const db = await tempDatabase();
    const folder = writeMigrations(db.dir, [ONE, TWO]);
    const run = (...args: string[]) => holdfast([...args, "--url", db.path], { cwd: db.dir });
    expect(await run("migrate")).toMatchObject({ code: 0 });
    expect(await run("migrate", "--folder", folder, "--table", "app_migrations")).toMatchObject({ code: 0 });
    return { db, folder, run };
  }

  // `revert --steps 1` reverted Holdfast's own migration, while the caller meant the last of the application.
  test("is not reverted until the command names the migrations", async () => {
    const { db, folder, run } = await both();
    await using _ = db;
    const refused = await run("revert", "--steps", "1");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^holdfast: FOREIGN_LEDGER: .*app_migrations.*--folder.*--table/);
    const applied = JSON.parse((await run("status", "--json")).stdout).applied as string[];
    expect(applied.length).toBeGreaterThan(1);
    const own = await run("revert", "--steps", "1", "--table", "__drizzle_migrations");
    expect(own.stdout).toContain(`reverted ${applied.at(-1)}`);
    const theirs = await run("revert", "--steps", "1", "--folder", folder, "--table", "app_migrations");
    expect(theirs.stdout).toContain("reverted 0001_two");
  });

  test("shows the other ledger in its status, and no table that only looks like one", async () => {
    const { db, run } = await both();
    await using _ = db;
    {
      using file = openSecond(db.path);
      file.exec("CREATE TABLE uploads (id integer PRIMARY KEY, hash text NOT NULL, created_at numeric)");
    }
    expect(JSON.parse((await run("status", "--json")).stdout)).toMatchObject({
      pending: [],
      ledgers: [{ table: "app_migrations", entries: 2 }],
    });
    expect((await run("status")).stdout).toMatch(/^ledger\tapp_migrations, 2 applied: .*--table app_migrations/m);
  });

  test("shows the ledger of a stock migrator that has Holdfast's name", async () => {
    await using db = await tempDatabase();
    const folder = writeMigrations(db.dir, [ONE]);
    const run = (...args: string[]) => holdfast([...args, "--url", db.path], { cwd: db.dir });
    await using client = openTestClient(db.url);
    await migrate(client, { folder });
    expect(JSON.parse((await run("status", "--json")).stdout)).toMatchObject({
      ledgers: [{ table: "__drizzle_migrations", entries: 1 }],
    });
  });
});

import { createClient } from "@libsql/client";
import { openStorage } from "holdfast";
import {
  accept,
  adopt,
  baseline,
  type CodeMigration,
  currentVersion,
  migrate,
  revert,
  status,
  verify,
} from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openTestClient, rejection } from "../support/clients.js";
import { drizzleKit } from "../support/drizzle-kit.js";
import { rebuild, writeMigrations } from "../support/migrations.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

const table = "app_migrations";

/** An empty database of a kind. */
async function open(target: "file" | "server") {
  const temp = await tempDatabase();
  const server = target === "server" ? await startServer() : undefined;
  const client = server === undefined ? openTestClient(temp.url) : createClient({ url: server.url });
  return {
    temp,
    client,
    url: server?.url ?? temp.url,
    values: (sql: string) => column(client, sql),
    async [Symbol.asyncDispose]() {
      if (Symbol.asyncDispose in client) await client[Symbol.asyncDispose]();
      else client.close();
      await server?.[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

const ONE: CodeMigration = { tag: "0000_one", sql: "CREATE TABLE a (x text);", down: "DROP TABLE a;" };
const TWO: CodeMigration = {
  tag: "0001_two",
  sql: "CREATE TABLE b (x text); CREATE INDEX b_x ON b (x);",
  down: "DROP TABLE b;",
  dependsOn: ["0000_one"],
};
const THREE: CodeMigration = { tag: "0002_three", sql: "INSERT INTO a VALUES ('1');" };

describe.each(["file", "server"] as const)("migrations in code, on a %s", (target) => {
  test("are applied in their order, reported and reverted as those of a folder are", async () => {
    await using p = await open(target);
    const migrations = [ONE, TWO, THREE];
    expect(await currentVersion(p.client, { migrations, table })).toBeUndefined();
    expect(await migrate(p.client, { migrations, table, to: "0001_two" })).toMatchObject({ to: "0001_two" });
    expect(await currentVersion(p.client, { migrations, table })).toBe("0001_two");
    expect(await status(p.client, { migrations, table })).toMatchObject({ pending: ["0002_three"] });
    expect(await rejection(verify(p.client, { migrations, table }))).toMatchObject({ code: "MIGRATION_PENDING" });
    expect(await migrate(p.client, { migrations, table })).toMatchObject({ applied: ["0002_three"] });
    expect(await rejection(revert(p.client, { migrations, table, steps: 1 }))).toMatchObject({ code: "IRREVERSIBLE" });
    const undoable = [ONE, TWO, { ...THREE, down: "DELETE FROM a;" }];
    expect(await revert(p.client, { migrations: undoable, table, to: "0000_one" })).toMatchObject({ to: "0000_one" });
    expect(await p.values("SELECT count(*) FROM a")).toEqual([0]);
  });

  test("that were edited are MIGRATION_CHANGED, that are missing MIGRATION_UNKNOWN, that came late OUT_OF_ORDER", async () => {
    await using p = await open(target);
    await migrate(p.client, { migrations: [ONE, TWO], table });
    const edited = [ONE, { ...TWO, sql: "CREATE TABLE b (y text);" }];
    expect(await rejection(migrate(p.client, { migrations: edited, table }))).toMatchObject({
      code: "MIGRATION_CHANGED",
    });
    expect(await rejection(migrate(p.client, { migrations: [ONE], table }))).toMatchObject({
      code: "MIGRATION_UNKNOWN",
    });
    const late = { migrations: [ONE, THREE, TWO], table };
    expect(await rejection(migrate(p.client, late))).toMatchObject({ code: "MIGRATION_OUT_OF_ORDER" });
    expect(await migrate(p.client, { ...late, allowOutOfOrder: true })).toMatchObject({ applied: ["0002_three"] });
  });

  test("that were applied from a folder count as applied, and later ones follow them", async () => {
    await using p = await open(target);
    const folder = writeMigrations(p.temp.dir, [{ ...ONE, when: 1_700_000_000_000 } as never]);
    await migrate(p.client, { folder, table });
    expect(await migrate(p.client, { migrations: [ONE, TWO], table })).toMatchObject({ applied: ["0001_two"] });
  });

  test.each([
    ["depends on one that is missing", [{ ...TWO, dependsOn: ["0009_x"] }], "is not in the list"],
    ["depends on a later one", [TWO, ONE], "comes later in the list"],
    ["is listed twice", [ONE, ONE], "twice"],
    ["has a parameter", [{ ...ONE, sql: "INSERT INTO a VALUES (?);" }], "parameter ?"],
  ])("one that %s is MIGRATION_INVALID before anything runs", async (_, migrations, why) => {
    await using p = await open(target);
    const error = await rejection(migrate(p.client, { migrations, table }));
    expect(error).toMatchObject({ code: "MIGRATION_INVALID", message: expect.stringContaining(why) });
    expect(await p.values("SELECT name FROM sqlite_schema")).toEqual([]);
  });

  test("tell by their snapshots whether an index goes with a rebuild", async () => {
    await using p = await open(target);
    const first = { tag: "0000_a", sql: "CREATE TABLE a (x text); CREATE INDEX a_x ON a (x);" };
    const second = { tag: "0001_b", sql: rebuild("a", "x text NOT NULL", ["x"]) };
    await migrate(p.client, { migrations: [first], table });
    const error = await rejection(migrate(p.client, { migrations: [first, second], table }));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", message: expect.stringContaining("the index a_x") });
    const snapshot = { tables: { a: { indexes: { a_x: {} } } } };
    await migrate(p.client, { migrations: [{ ...first, snapshot }, second], table });
    expect(await p.values("SELECT name FROM sqlite_schema WHERE name = 'a_x'")).toEqual([]);
  });

  test("are the caller's own in openStorage, with allowOutOfOrder", async () => {
    await using p = await open(target);
    await (await openStorage({ url: p.url, migrations: { migrations: [ONE, TWO], table } })).close();
    const late = { url: p.url, migrations: { migrations: [ONE, THREE, TWO], table } };
    expect(await rejection(openStorage(late))).toMatchObject({ code: "MIGRATION_OUT_OF_ORDER" });
    const storage = await openStorage({ ...late, migrations: { ...late.migrations, allowOutOfOrder: true } });
    expect((await storage.check()).findings.filter(({ severity }) => severity !== "info")).toEqual([]);
    await storage.close();
    expect(await p.values("SELECT x FROM a")).toEqual(["1"]);
  });
});

describe.each(["file", "server"] as const)("on a %s", (target) => {
  test("adopt takes over the ledger of an application, so that a storage opens on its database", async () => {
    await using p = await open(target);
    const folder = writeMigrations(p.temp.dir, [ONE as never, TWO as never]);
    if (target === "file") await drizzleKit(p.temp, "migrate");
    else await migrate(p.client, { folder });
    // A broken view would keep a table from being renamed.
    await p.client.execute("CREATE VIEW broken AS SELECT 1 FROM nowhere");
    const refused = await rejection(openStorage(p.url));
    expect(refused).toMatchObject({ code: "FOREIGN_LEDGER", message: expect.stringContaining("adopt(") });
    expect(await rejection(adopt(p.client, { table: "a" }))).toMatchObject({ code: "EXISTS" });
    expect(await rejection(adopt(p.client, { table, from: "nowhere" }))).toMatchObject({ code: "NOT_FOUND" });
    expect(await rejection(adopt(p.client, { table, from: "b" }))).toMatchObject({ code: "INVALID" });
    expect(await adopt(p.client, { table })).toEqual({ table, from: "__drizzle_migrations", entries: 2 });
    await p.client.execute("DROP VIEW broken");
    const storage = await openStorage({ url: p.url, migrations: { folder, table } });
    await storage.close();
    expect(await status(p.client, { folder, table })).toMatchObject({ applied: ["0000_one", "0001_two"], pending: [] });
    expect(await rejection(adopt(p.client, { table: "other" }))).toMatchObject({ code: "FOREIGN_LEDGER" });
  });

  // The advice was adopt(), which refuses Holdfast's ledger.
  test("a call without `table` that finds Holdfast's ledger is FOREIGN_LEDGER, with the advice to pass it", async () => {
    await using p = await open(target);
    await (await openStorage({ url: p.url, migrations: { migrations: [ONE], table } })).close();
    for (const call of [
      () => revert(p.client, { migrations: [ONE], steps: 1 }),
      () => migrate(p.client, { migrations: [ONE] }),
    ]) {
      const error = await rejection(call());
      expect(error).toMatchObject({ code: "FOREIGN_LEDGER" });
      expect(error.message).toContain("The ledger __drizzle_migrations is Holdfast's own");
      expect(error.message).toContain("Pass `table`");
      expect(error.message).not.toContain("adopt(");
    }
  });

  test("openStorage says that `migrations.table` is required, and why", async () => {
    await using p = await open(target);
    const error = await rejection(openStorage({ url: p.url, migrations: { migrations: [ONE] } as never }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/`migrations.table`.* is required, because .*__drizzle_migrations is Holdfast's/);
  });

  test("baseline marks as applied what the database has, and names what it lacks", async () => {
    await using p = await open(target);
    const set = { migrations: [ONE, TWO, THREE], table };
    await p.client.executeMultiple("CREATE TABLE a (x text); CREATE TABLE b (y text); CREATE TABLE other (z);");
    const error = await rejection(baseline(p.client, { ...set, to: "0001_two" }));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_two" });
    expect(error.message).toContain("the database lacks the column x of b, the index b_x");
    expect(await p.values(`SELECT count(*) FROM sqlite_schema WHERE name = '${table}'`)).toEqual([0]);
    await p.client.executeMultiple(
      "DROP TABLE b; CREATE TABLE b (x integer NOT NULL, y text); CREATE INDEX b_x ON b (x);",
    );
    expect((await rejection(baseline(p.client, { ...set, to: "0001_two" }))).message).toContain(
      "the database differs from the migrations in the table b (extra: x integer not null; y text; missing: x text). Nothing was changed",
    );
    await p.client.executeMultiple("DROP TABLE b; CREATE TABLE b (x text); CREATE INDEX b_x ON b (x);");
    expect(await baseline(p.client, { ...set, to: "0001_two" })).toEqual({
      applied: ["0000_one", "0001_two"],
      from: undefined,
      to: "0001_two",
    });
    expect(await migrate(p.client, set)).toMatchObject({ applied: ["0002_three"] });
    expect(await rejection(baseline(p.client, { ...set, to: "0009_x" }))).toMatchObject({ code: "NOT_FOUND" });
  });

  test("accept takes the text of an edited migration for the applied one", async () => {
    await using p = await open(target);
    await migrate(p.client, { migrations: [ONE], table });
    const set = { migrations: [{ ...ONE, sql: `${ONE.sql} -- why` }, TWO], table };
    expect(await rejection(verify(p.client, set))).toMatchObject({
      code: "MIGRATION_CHANGED",
      message: expect.stringContaining("accept()"),
    });
    expect(await accept(p.client, { ...set, tag: "0000_one" })).toEqual({ tag: "0000_one", changed: true });
    expect(await accept(p.client, { ...set, tag: "0000_one" })).toEqual({ tag: "0000_one", changed: false });
    expect(await rejection(accept(p.client, { ...set, tag: "0001_two" }))).toMatchObject({ code: "NOT_FOUND" });
    expect(await migrate(p.client, set)).toMatchObject({ applied: ["0001_two"] });
  });

  test("a dry run tells the SQL and the rows that would break a constraint, and changes nothing", async () => {
    await using p = await open(target);
    const first = {
      tag: "0000_first",
      sql: "CREATE TABLE a (id integer PRIMARY KEY, x text); CREATE TABLE log (line text); CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO log VALUES (new.x); END; INSERT INTO a VALUES (1, NULL), (2, 'x'), (3, 'x'), (4, NULL);",
    };
    await migrate(p.client, { migrations: [first], table });
    const before = await p.values("SELECT sql FROM sqlite_schema");
    const dry = (sql: string) =>
      migrate(p.client, { migrations: [first, { tag: "0001_second", sql }], table, dryRun: true });
    const strict = await dry(rebuild("a", "id integer PRIMARY KEY, x text NOT NULL", ["id", "x"]));
    expect(strict.migrations).toHaveLength(1);
    expect(strict.migrations[0]!.problems).toEqual([
      {
        statement: expect.stringContaining("INSERT INTO `__new_a`"),
        constraint: "NOT NULL",
        table: "a",
        rows: 2,
        sample: [
          { id: 1, x: null },
          { id: 4, x: null },
        ],
      },
    ]);
    const unique = await dry("CREATE UNIQUE INDEX a_x ON a (x); CREATE TABLE more (x text);");
    expect(unique.migrations[0]!.problems).toMatchObject([{ constraint: "UNIQUE", table: "a", rows: 2 }]);
    expect(unique.migrations[0]!.sql).toHaveLength(2);
    const fine = await dry(rebuild("a", "id integer PRIMARY KEY, x text, y text", ["id", "x"]));
    expect(fine.migrations[0]!.problems).toEqual([]);
    expect(fine.migrations[0]!.sql.at(-1)).toContain("CREATE TRIGGER t");
    expect(await p.values("SELECT sql FROM sqlite_schema")).toEqual(before);
    expect(await status(p.client, { migrations: [first], table })).toMatchObject({ applied: ["0000_first"] });
    expect(await migrate(p.client, { migrations: [first], table, dryRun: true })).toEqual({ migrations: [] });
    const down = "DROP TABLE log;\nDROP TRIGGER t;\nCREATE UNIQUE INDEX a_x ON a (x);";
    const back = await revert(p.client, { migrations: [{ ...first, down }], table, steps: 1, dryRun: true });
    expect(back.migrations).toMatchObject([
      { tag: "0000_first", sql: down.slice(0, -1).split(";\n"), problems: [{ constraint: "UNIQUE", rows: 2 }] },
    ]);
    expect(await p.values("SELECT sql FROM sqlite_schema")).toEqual(before);
  });
});

test("a dry run on a file counts the rows that would lose what a foreign key refers to", async () => {
  await using p = await open("file");
  const first = {
    tag: "0000_first",
    sql: "CREATE TABLE parent (id integer PRIMARY KEY); CREATE TABLE child (p integer); INSERT INTO child VALUES (7), (8);",
  };
  await migrate(p.client, { migrations: [first], table });
  const second = { tag: "0001_second", sql: rebuild("child", "p integer REFERENCES parent(id)", ["p"]) };
  const { migrations } = await migrate(p.client, { migrations: [first, second], table, dryRun: true });
  expect(migrations[0]!.problems).toMatchObject([
    { constraint: "FOREIGN KEY", table: "child", rows: 2, sample: [{ parent: "parent" }, { parent: "parent" }] },
  ]);
  expect(await p.values("SELECT count(*) FROM pragma_foreign_key_list('child')")).toEqual([0]);
});

test.each([
  [{ folder: "x", migrations: [] }, "either `folder` or `migrations`"],
  [{ migrations: [{ tag: "a" }] }, "sql"],
  [{ migrations: [{ tag: "a", sql: "", upp: "" }] }, "Unknown option `upp`"],
])("%o is a programmer's error", async (options, why) => {
  await using p = await open("file");
  const error = await rejection(migrate(p.client, options as never));
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain(why);
});

import type { PooledClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { SINGLE_ROW_FROM } from "../../../src/client/local/connection.js";
import { openNative } from "../../../src/client/local/native.js";
import { prepareSingleRow, singleRowForm } from "../../../src/client/local/single-row.js";
import { startChild } from "../../support/child.js";
import { openSecond, openTestClient } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, project TEXT, key TEXT, v, UNIQUE (project, key))";

function openWithRows() {
  const database = openNative(":memory:", {});
  database.exec("CREATE TABLE quoted ([it's] INTEGER PRIMARY KEY); INSERT INTO quoted VALUES (5)");
  database.exec("ATTACH ':memory:' AS b; CREATE TABLE b.t (id INTEGER PRIMARY KEY)");
  database.exec(
    `${SCHEMA}; CREATE VIEW v AS SELECT * FROM t; CREATE INDEX by_v ON t (v); INSERT INTO t VALUES (1, 'a', 'x', 7), (2, 'a', 'y', 7)`,
  );
  return database;
}

test.each([
  ["select id from t where id = ?", [2n], [2n, null]],
  ["SELECT v, key FROM t WHERE (t.project = ? AND t.key = ?) -- by key", ["a", "x"], [7n, "x", null]],
  ['select "id", "v" from "t" where ("t"."project" = ? and "t"."key" = ?) limit ?', ["a", "y", 1n], [2n, 7n, null]],
  ["SELECT id + ? AS n FROM t /* (*) */ WHERE id = ? AND v >= 1.5e-3 AND key <> x'00'", [3n, 1n], [4n, null]],
  ["select id from t where id = ?", [3n], undefined],
  ["SELECT * FROM t WHERE id = ?", [2n], [2n, "a", "y", 7n, null]],
  ['SELECT u.*, v * 2 FROM main."T" AS u WHERE u.project = ? AND u.key = ?', ["a", "x"], [1n, "a", "x", 7n, 14n, null]],
  ["SELECT * FROM quoted WHERE [it's] = ?", [5n], [5n, null]],
])("%s has a form that get can run", (sql, args, row) => {
  expect(prepareSingleRow(openWithRows(), sql)?.get(args)).toEqual(row);
});

test.each([
  "SELECT * FROM v WHERE id = ?",
  "SELECT * FROM b.t WHERE id = ?",
  "SELECT * FROM pragma_table_info WHERE cid = ?",
  "SELECT id FROM t",
  "SELECT id FROM t WHERE v = ?",
  "SELECT id FROM t WHERE project = ?",
  "SELECT id FROM t WHERE project = ? AND key > ?",
  "SELECT id FROM t WHERE id IN (?, ?)",
  "SELECT id FROM t WHERE id = ? OR id = ?",
  "SELECT id FROM t WHERE id = :id",
  "SELECT id FROM t WHERE id = ?1",
  "SELECT id, random() FROM t WHERE id = ?",
  "SELECT id FROM t WHERE id = abs(?)",
  "SELECT id FROM t WHERE id = (SELECT id FROM t WHERE id = ?)",
  "SELECT DISTINCT v FROM t WHERE id = ?",
  "SELECT t.id FROM t, t AS u WHERE t.id = ?",
  "SELECT t.id FROM t JOIN t AS u WHERE t.id = ?",
  "SELECT id FROM t WHERE id = ? UNION ALL SELECT 1",
  "SELECT v FROM t WHERE id = ? GROUP BY v",
  "VALUES (1)",
])("%s has none", (sql) => {
  expect(prepareSingleRow(openWithRows(), sql)).toBeUndefined();
});

test("the form tells of a second row", () => {
  const database = openWithRows();
  const form = singleRowForm("SELECT id FROM t WHERE v = ?", () => undefined);
  expect(database.prepare(form!).raw(true).safeIntegers(true).get([7n])).toEqual([1n, 1n]);
});

test("rows that a dropped unique index lets in are all read by a query that has been used before", async () => {
  // `get` gives the first row only: the answer was cut in silence once the index that it relied on was gone.
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple("CREATE TABLE t (id INTEGER, v); CREATE UNIQUE INDEX by_id ON t (id)");
  await client.execute("INSERT INTO t VALUES (1, 'first')");
  const read = async () =>
    (await client.execute({ sql: "SELECT v FROM t WHERE id = ?", args: [1] })).rows.map(({ v }) => v);
  for (let call = 0; call < 2 * SINGLE_ROW_FROM; call++) expect(await read()).toEqual(["first"]);
  using other = openSecond(db.path);
  other.exec("DROP INDEX by_id; INSERT INTO t VALUES (1, 'second')");
  for (let call = 0; call < 3; call++) expect(await read()).toEqual(["first", "second"]);
  other.exec("DELETE FROM t");
  expect(await read()).toEqual([]);
});

test("a query by key reads the values of this call, also after one that failed", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.executeMultiple(SCHEMA);
  await client.execute("INSERT INTO t VALUES (1, 'a', 'x', 9007199254740993), (2, 'a', 'y', 2)");
  const read = (id: number) => client.execute({ sql: "SELECT v FROM t WHERE id = ?", args: [id] });
  for (let call = 0; call < 2 * SINGLE_ROW_FROM; call++) expect((await read(2)).rows[0]?.v).toBe(2);
  await expect(read(1)).rejects.toThrow(RangeError);
  expect((await read(2)).rows[0]?.v).toBe(2);
  expect((await read(3)).rows).toEqual([]);
});

/** Reads `t` by key often enough for the cheap form, and gives the columns and the row of one more call. */
function readerByKey(client: PooledClient, sql = "SELECT * FROM t WHERE id = ?") {
  const read = async (id: number) => {
    const { columns, rows } = await client.execute({ sql, args: [id] });
    return { columns, rows: rows.map((row) => ({ ...row })) };
  };
  return async (id = 1) => {
    const found = await read(id);
    for (let call = 0; call < 2 * SINGLE_ROW_FROM; call++) expect(await read(id)).toEqual(found);
    return found;
  };
}

describe("SELECT * by key has the columns of the table", () => {
  test.each([
    ["ALTER TABLE t ADD COLUMN d", { id: 1, a: "x", d: null }],
    ["ALTER TABLE t RENAME COLUMN a TO b", { id: 1, b: "x" }],
    ["ALTER TABLE t DROP COLUMN a", { id: 1 }],
    ["DROP TABLE t; CREATE TABLE t (b, id INTEGER PRIMARY KEY); INSERT INTO t VALUES ('y', 1)", { b: "y", id: 1 }],
    [
      "ALTER TABLE t RENAME TO u; CREATE TABLE t (id INTEGER PRIMARY KEY, c); INSERT INTO t VALUES (1, 2)",
      { id: 1, c: 2 },
    ],
    ["VACUUM", { id: 1, a: "x" }],
  ])("after another connection's %s", async (change, row) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.executeMultiple("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')");
    const read = readerByKey(client);
    expect(await read()).toEqual({ columns: ["id", "a"], rows: [{ id: 1, a: "x" }] });
    const missing = readerByKey(client, "SELECT t.* FROM t WHERE id = ?");
    expect(await missing(9)).toEqual({ columns: ["id", "a"], rows: [] });
    {
      using other = openSecond(db.path);
      other.exec(change);
    }
    expect(await read()).toEqual({ columns: Object.keys(row), rows: [row] });
    expect(await missing(9)).toEqual({ columns: Object.keys(row), rows: [] });
  });

  test("after another process's ALTER TABLE between two calls", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.executeMultiple("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')");
    const read = readerByKey(client);
    await read();
    await using child = startChild("exec", { url: db.url, sql: "ALTER TABLE t RENAME COLUMN a TO b" });
    await child.message(({ done }) => done === true);
    expect(await read()).toEqual({ columns: ["id", "b"], rows: [{ id: 1, b: "x" }] });
  });

  test("after this client's ALTER TABLE, and within its transactions", async () => {
    await using client = openTestClient(":memory:");
    await client.executeMultiple("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')");
    const read = readerByKey(client);
    await read();
    await client.execute("ALTER TABLE t ADD COLUMN b DEFAULT 2");
    expect(await read()).toEqual({ columns: ["id", "a", "b"], rows: [{ id: 1, a: "x", b: 2 }] });
    const tx = await client.transaction();
    await tx.execute("ALTER TABLE t RENAME COLUMN b TO c");
    const within = await tx.execute({ sql: "SELECT * FROM t WHERE id = ?", args: [1] });
    expect(within.columns).toEqual(["id", "a", "c"]);
    await tx.rollback();
    expect((await read()).columns).toEqual(["id", "a", "b"]);
  });

  test("and those of a temporary table that hides it", async () => {
    await using client = openTestClient(":memory:");
    await client.executeMultiple("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')");
    const read = readerByKey(client);
    await read();
    await client.executeMultiple("CREATE TEMP TABLE t (id INTEGER PRIMARY KEY, z); INSERT INTO t VALUES (1, 3)");
    expect(await read()).toEqual({ columns: ["id", "z"], rows: [{ id: 1, z: 3 }] });
  });
});

import { expect, test } from "vitest";
import { SINGLE_ROW_FROM } from "../../../src/client/local/connection.js";
import { openNative } from "../../../src/client/local/native.js";
import { prepareSingleRow, singleRowForm } from "../../../src/client/local/single-row.js";
import { openSecond, openTestClient } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, project TEXT, key TEXT, v, UNIQUE (project, key))";

function openWithRows() {
  const database = openNative(":memory:", {});
  database.exec(`${SCHEMA}; CREATE INDEX by_v ON t (v); INSERT INTO t VALUES (1, 'a', 'x', 7), (2, 'a', 'y', 7)`);
  return database;
}

test.each([
  ["select id from t where id = ?", [2n], [2n, null]],
  ["SELECT v, key FROM t WHERE (t.project = ? AND t.key = ?) -- by key", ["a", "x"], [7n, "x", null]],
  ['select "id", "v" from "t" where ("t"."project" = ? and "t"."key" = ?) limit ?', ["a", "y", 1n], [2n, 7n, null]],
  ["SELECT id + ? AS n FROM t /* (*) */ WHERE id = ? AND v >= 1.5e-3 AND key <> x'00'", [3n, 1n], [4n, null]],
  ["select id from t where id = ?", [3n], undefined],
])("%s has a form that get can run", (sql, args, row) => {
  expect(prepareSingleRow(openWithRows(), sql)?.get(args)).toEqual(row);
});

test.each([
  "SELECT * FROM t WHERE id = ?",
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
  const form = singleRowForm("SELECT id FROM t WHERE v = ?");
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

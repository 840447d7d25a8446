import { deepStrictEqual } from "node:assert";
import { inspect } from "node:util";
import { createClient as createStockClient, type Row } from "@libsql/client";
import { reactive, ref } from "@vue/reactivity";
import { parse, stringify } from "devalue";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createClient } from "holdfast/client";
import { produce } from "immer";
import { ParseJSONResultsPlugin } from "kysely";
import lodash from "lodash";
import superjson from "superjson";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";

const QUERY = `SELECT 1 AS id, 'Ann' AS name, '{"a":[1]}' AS tags, NULL AS gone`;
const LITERAL = { id: 1, name: "Ann", tags: '{"a":[1]}', gone: null };

async function rowsOf(sql: string, options: { plainRows?: boolean; intMode?: "bigint" } = {}): Promise<Row[]> {
  const client = createClient({ url: ":memory:", ...options });
  try {
    return (await client.execute(sql)).rows;
  } finally {
    await client.close();
  }
}

async function stockRow(sql: string): Promise<Row> {
  const client = createStockClient({ url: ":memory:" });
  try {
    return (await client.execute(sql)).rows[0]!;
  } finally {
    client.close();
  }
}

describe.each([{ plainRows: false }, { plainRows: true }])("rows with %o", (options) => {
  const rowOf = async (sql = QUERY) => (await rowsOf(sql, options))[0]!;

  test("are objects of columns to JSON, structuredClone, spread, keys and inspect", async () => {
    const row = await rowOf();
    expect(JSON.stringify(row)).toBe(JSON.stringify(LITERAL));
    deepStrictEqual(structuredClone(row), LITERAL);
    deepStrictEqual({ ...row }, LITERAL);
    expect(Object.keys(row)).toEqual(Object.keys(LITERAL));
    expect(inspect(row)).toBe(inspect(LITERAL));
    expect(row).toStrictEqual(LITERAL);
    expect(`${row}`).toBe("[object Object]");
    expect(Object.hasOwn(row, "id")).toBe(true);
  });

  test("have hidden indexes and a hidden length, which objects made from a row have as well", async () => {
    const row = await rowOf();
    for (const view of [row, Object.create(row) as Row, reactive(row) as Row]) {
      expect(view.length).toBe(4);
      expect(Array.from(view as ArrayLike<unknown>)).toEqual(Object.values(LITERAL));
    }
    expect(Object.entries(row)).toEqual(Object.entries(LITERAL));
  });

  test("keep the selected values by index when a column's property is assigned or deleted", async () => {
    const row = (await rowOf()) as Partial<Row>;
    row.name = "Ben";
    delete row.id;
    expect(Array.from(row as ArrayLike<unknown>)).toEqual(Object.values(LITERAL));
    expect({ ...row }).toEqual({ name: "Ben", tags: LITERAL.tags, gone: null });
  });

  test("pass through React's serializer for server components", async () => {
    const env = { NODE_ENV: "production", NODE_OPTIONS: "--conditions=react-server" };
    await using child = startChild("react-rows", { sql: QUERY, options }, env);
    const { text, errors } = await child.message<{ text: string; errors: string[] }>(() => true);
    expect({ text, errors }).toEqual({ text: `0:${JSON.stringify([LITERAL])}\n`, errors: [] });
  });

  test("pass through devalue, superjson and lodash", async () => {
    const row = await rowOf();
    deepStrictEqual(parse(stringify(row)), LITERAL);
    deepStrictEqual(superjson.parse(superjson.stringify(row)), LITERAL);
    expect(lodash.isPlainObject(row)).toBe(true);
    expect({ ...lodash.cloneDeep(row) }).toEqual(LITERAL);
    expect(lodash.cloneDeep(row)[1]).toBe(options.plainRows ? undefined : "Ann");
  });

  test("are made reactive by Vue, and drafts by immer", async () => {
    const row = await rowOf();
    const reactiveRow = ref(row);
    reactiveRow.value.name = "Ben";
    expect([reactiveRow.value.name, row.name]).toEqual(["Ben", "Ben"]);
    const changed = produce(row, (draft) => {
      expect(draft[0]).toBe(1);
      draft.id = 2;
    });
    expect({ ...changed }).toEqual({ ...LITERAL, name: "Ben", id: 2 });
    expect(row.id).toBe(1);
  });

  test("have their JSON parsed by Kysely's plugin", async () => {
    const rows = await rowsOf(QUERY, options);
    const plugin = new ParseJSONResultsPlugin();
    const { rows: parsed } = await plugin.transformResult({ result: { rows }, queryId: { queryId: "1" } });
    expect(parsed[0]!.tags).toEqual({ a: [1] });
  });

  test.each([
    ["SELECT 1 AS __proto__, 2 AS constructor, 3 AS toString, 4 AS hasOwnProperty, 5 AS valueOf"],
    ["SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a, 5 AS b"],
    ["SELECT 1 AS length, 2 AS a"],
    ["SELECT 1 AS '0', 2 AS a"],
    ["SELECT 1 AS a, 2 AS '7', 3 AS '', 4 AS '-1', 5 AS '01'"],
    ["SELECT 1 AS 'then', 2 AS toJSON, 3 AS '$$typeof'"],
  ])("of %s are those of the stock client", async (sql) => {
    const row = await rowOf(sql);
    const stock = await stockRow(sql);
    expect(Object.entries(row)).toEqual(Object.entries(stock));
    expect(row.length).toBe(stock.length);
    expect(Object.hasOwn(row, "__proto__")).toBe(Object.hasOwn(stock, "__proto__"));
    for (const view of [row, Object.create(row) as Row, reactive(row) as Row]) {
      expect(Array.from(view as ArrayLike<unknown>)).toEqual(Array.from(stock as ArrayLike<unknown>));
    }
  });

  test("are read by Drizzle by index, so that columns with one name keep their values", async () => {
    const client = createClient({ url: ":memory:", ...options });
    const people = sqliteTable("people", { id: integer().primaryKey(), name: text(), friend: integer() });
    const pets = sqliteTable("pets", { id: integer().primaryKey(), name: text() });
    await client.executeMultiple(`
      CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, friend INTEGER);
      CREATE TABLE pets (id INTEGER PRIMARY KEY, name TEXT);
      INSERT INTO people VALUES (1, 'Ann', 2);
      INSERT INTO pets VALUES (2, 'Rex');`);
    const found = await drizzle({ client }).select().from(people).innerJoin(pets, eq(people.friend, pets.id));
    expect(found).toEqual([{ people: { id: 1, name: "Ann", friend: 2 }, pets: { id: 2, name: "Rex" } }]);
    await client.close();
  });
});

test("plainRows gives rows with Object.prototype, as deepStrictEqual and superjson with bigint need", async () => {
  const [plain] = await rowsOf("SELECT 1 AS id", { plainRows: true, intMode: "bigint" });
  deepStrictEqual(plain, { id: 1n });
  expect(plain).toBeInstanceOf(Object);
  expect(superjson.parse(superjson.stringify(plain))).toEqual({ id: 1n });

  const [row] = await rowsOf("SELECT 1 AS id", { intMode: "bigint" });
  expect([Object.hasOwn(plain!, 0), Object.hasOwn(row!, 0)]).toEqual([true, false]);
  expect(() => deepStrictEqual(row, { id: 1n })).toThrow();
  expect(() => superjson.stringify(row)).toThrow(/BigInt/);
});

test("an integer that no number can hold is refused by its column, with the option that reads it", async () => {
  await expect(rowsOf("SELECT 1 AS id, 9007199254740993 AS big")).rejects.toThrow(
    'Received integer which cannot be safely represented as a JavaScript number: column "big". Set `intMode` to "bigint" or "string"',
  );
});

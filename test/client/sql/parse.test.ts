import { describe, expect, test } from "vitest";
import { parseStatement, splitScript } from "../../../src/client/sql/parse.js";

describe("the kind of a statement", () => {
  const kinds: [string, string][] = [
    ["SELECT 1", "read"],
    ["  -- comment\n /* another; */ select 1;", "read"],
    [";;SELECT 1", "read"],
    ["\ufeffSELECT 1", "read"],
    ["VALUES (1)", "read"],
    ["EXPLAIN DELETE FROM t", "read"],
    ["WITH a AS (SELECT 1) SELECT * FROM a", "read"],
    ["WITH a AS (DELETE FROM x) SELECT 1", "read"],
    ["WITH a AS (SELECT 'insert') INSERT INTO t SELECT * FROM a", "write"],
    ["with recursive a(x) as (select 1), b as (select 2) update t set a = 1", "write"],
    ['WITH "select" AS (SELECT 1) DELETE FROM t', "write"],
    ["WITH a AS (SELECT 1) REPLACE INTO t VALUES (1)", "write"],
    ["INSERT INTO t VALUES (1)", "write"],
    ["CREATE TABLE t (a)", "write"],
    ["ANALYZE", "write"],
    ["PRAGMA x", "pragma"],
    ["VACUUM INTO 'x'", "vacuum"],
    ["ATTACH 'x' AS y", "attach"],
    ["DETACH y", "detach"],
    ["BEGIN EXCLUSIVE", "begin"],
    ["COMMIT", "commit"],
    ["END TRANSACTION", "commit"],
    ["ROLLBACK", "rollback"],
    ["ROLLBACK TRANSACTION", "rollback"],
    ["ROLLBACK TO a", "rollbackTo"],
    ["ROLLBACK TRANSACTION TO SAVEPOINT a", "rollbackTo"],
    ["SAVEPOINT a", "savepoint"],
    ["RELEASE a", "release"],
    ["", "empty"],
    [" -- nothing", "empty"],
    [";", "empty"],
  ];
  test.each(kinds)("%j is %s", (sql, kind) => {
    expect(parseStatement(sql).kind).toBe(kind);
  });
});

test("savepoint names compare as in SQLite: without quotes and case", () => {
  const names = [
    "SAVEPOINT Sp",
    'SAVEPOINT "sP"',
    "RELEASE SAVEPOINT [SP]",
    "ROLLBACK TO SAVEPOINT `sp`",
    "SAVEPOINT 'sp'",
  ];
  expect(names.map((sql) => parseStatement(sql).savepoint)).toEqual(["sp", "sp", "sp", "sp", "sp"]);
  expect(parseStatement('SAVEPOINT "a""b"').savepoint).toBe('a"b');
  expect(parseStatement("RELEASE savepoint").savepoint).toBe("savepoint");
});

describe("parameters", () => {
  const counts: [string, number, [string, number][]][] = [
    ["SELECT ?, ?", 2, []],
    ["SELECT ?2, ?1", 2, []],
    ["SELECT ?3, ?, ?1", 4, []],
    [
      "SELECT :a, :b, :a",
      2,
      [
        [":a", 1],
        [":b", 2],
      ],
    ],
    [
      "SELECT :a, @a, $a",
      3,
      [
        [":a", 1],
        ["@a", 2],
        ["$a", 3],
      ],
    ],
    ["SELECT :b, ?1, ?", 2, [[":b", 1]]],
    ["SELECT ?5, :a", 6, [[":a", 6]]],
    ["SELECT '?', \"?\", [?], `?`, 'it''s ?' -- ?\n/* ? */", 0, []],
    [
      "SELECT $a::b(c), :ключ_1",
      2,
      [
        ["$a::b(c)", 1],
        [":ключ_1", 2],
      ],
    ],
    ["SELECT x'3f', 1.5e-3, .5, a.b, 'unclosed ?", 0, []],
    ["SELECT '{}' ->> '$.a', j -> ?", 1, []],
  ];
  test.each(counts)("%s takes %i", (sql, count, names) => {
    const parsed = parseStatement(sql);
    expect(parsed.parameterCount).toBe(count);
    expect(parsed.namedParameters.map(({ name, number }) => [name, number])).toEqual(names);
  });
});

test("PRAGMAs are read with schema, quotes, comments and any form of value", () => {
  const read = (sql: string) => parseStatement(sql).pragma;
  const cases: [string, string, string | undefined][] = [
    ["PRAGMA Cache_Size", "cache_size", undefined],
    ["PRAGMA cache_size = -100;", "cache_size", "-100"],
    ["PRAGMA main.cache_size(5)", "cache_size", "5"],
    ["PRAGMA \"main\" . [cache_size] = 'x'", "cache_size", "x"],
    ["/* a */ PRAGMA -- b\n cache_size /* c */ = /* d */ 7 -- e", "cache_size", "7"],
    ["EXPLAIN PRAGMA a = b", "a", "b"],
    ["EXPLAIN QUERY PLAN PRAGMA a = b", "a", "b"],
    ["PRAGMA a()", "a", undefined],
  ];
  for (const [sql, name, value] of cases) expect(read(sql), sql).toEqual({ name, value });
  expect(read("SELECT 1")).toBeUndefined();
});

test("calls of functions that only the writer's connection can answer are recognized", () => {
  const known = (sql: string) => parseStatement(sql).readsWriterState;
  expect(known("SELECT last_insert_rowid()")).toBe(true);
  expect(known("SELECT CHANGES /* x */ ()")).toBe(true);
  expect(known("SELECT total_changes()")).toBe(true);
  expect(known("SELECT changes FROM t")).toBe(false);
  expect(known("SELECT 'changes()'")).toBe(false);
});

test("more SQL after the first statement is seen; blanks, comments and semicolons are none", () => {
  const tail = (sql: string) => parseStatement(sql).hasTail;
  expect(["SELECT 1;", "SELECT 1; -- x", "SELECT 1;;;", "SELECT ';'; /* ; */"].map(tail)).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(["SELECT 1; SELECT 2", "SELECT 1;x"].map(tail)).toEqual([true, true]);
  expect(tail("CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; END; SELECT 1")).toBe(true);
  expect(tail("CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END")).toBe(
    false,
  );
});

test("a script is split at its semicolons, with the place of each statement", () => {
  const script = " -- first\nCREATE TABLE t (a);\n\nINSERT INTO t VALUES (';'); /* last */ ";
  const parts = splitScript(script);
  expect(parts.map(({ sql }) => sql)).toEqual(["CREATE TABLE t (a)", "INSERT INTO t VALUES (';')"]);
  for (const { sql, offset } of parts) expect(script.slice(offset, offset + sql.length)).toBe(sql);
  const trigger = "CREATE TRIGGER IF NOT EXISTS a AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END";
  expect(
    splitScript(`${trigger}; SELECT 3; ${trigger.replace("CREATE", "CREATE TEMPORARY")};`).map(({ sql }) => sql),
  ).toEqual([trigger, "SELECT 3", trigger.replace("CREATE", "CREATE TEMPORARY")]);
  expect(splitScript("")).toEqual([]);
});

test("NUL and lone surrogates in SQL are RangeErrors", () => {
  expect(() => parseStatement("SELECT 1\0")).toThrow(RangeError);
  expect(() => parseStatement("SELECT '\ud800'")).toThrow(RangeError);
});

test("very many and very long statements are read in time that grows with their length", () => {
  const long = `SELECT ${Array.from({ length: 20_000 }, (_, i) => `'${i}' || ?`).join(", ")}`;
  const start = performance.now();
  expect(parseStatement(long).parameterCount).toBe(20_000);
  expect(splitScript("SELECT 1;".repeat(20_000))).toHaveLength(20_000);
  expect(parseStatement(`SELECT '${"'".repeat(100_000)}`).kind).toBe("read");
  expect(performance.now() - start).toBeLessThan(15_000);
});

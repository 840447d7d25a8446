import { type Client, type Config, createClient as createStockClient, type InArgs, type InValue } from "@libsql/client";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

type Engine = "holdfast" | "stock";
type Place = "file" | ":memory:";
type With = (use: (client: Client) => Promise<void>, config?: Partial<Config>) => () => Promise<void>;

const engines = { holdfast: createClient as (config: Config) => Client, stock: createStockClient };

/** Opens a client of `engine` for one test, on a fresh file or in memory. */
function opener(engine: Engine, place: Place): With {
  return (use, config = {}) =>
    async () => {
      await using db = await tempDatabase();
      const client = engines[engine]({ url: place === "file" ? db.url : ":memory:", ...config });
      try {
        await use(client);
      } finally {
        await client.close();
      }
    };
}

const all: [Engine, Place][] = [
  ["holdfast", "file"],
  ["holdfast", ":memory:"],
  ["stock", "file"],
  ["stock", ":memory:"],
];

const rowsOf = async (client: Pick<Client, "execute">, sql: string, args?: InArgs) =>
  (await client.execute({ sql, args: args ?? [] })).rows.map((row) => Array.from(row));

describe.each(all)("%s on %s", (engine, place) => {
  const withClient = opener(engine, place);

  describe("execute", () => {
    test(
      "takes SQL alone, SQL with arguments, and an object of both",
      withClient(async (client) => {
        expect(Array.from((await client.execute("SELECT 1, 'a'")).rows[0]!)).toEqual([1, "a"]);
        expect(Array.from((await client.execute("SELECT ?", ["b"])).rows[0]!)).toEqual(["b"]);
        expect(Array.from((await client.execute("SELECT :x", { x: "c" })).rows[0]!)).toEqual(["c"]);
        expect(Array.from((await client.execute({ sql: "SELECT ?", args: ["d"] })).rows[0]!)).toEqual(["d"]);
        expect(Array.from((await client.execute({ sql: "SELECT 5" } as never)).rows[0]!)).toEqual([5]);
      }),
    );

    test(
      "gives columns, declared types, rows and no count for a query",
      withClient(async (client) => {
        await client.execute("CREATE TABLE t (i INTEGER, f FLOAT, t TEXT, b BLOB, n)");
        const result = await client.execute("SELECT i, f, t, b, n, 1 + 1 AS sum FROM t");
        expect(result.columns).toEqual(["i", "f", "t", "b", "n", "sum"]);
        expect(result.columnTypes).toEqual(["INTEGER", "FLOAT", "TEXT", "BLOB", "", ""]);
        expect(result.rows).toEqual([]);
        expect(result.rowsAffected).toBe(0);
        expect(result.lastInsertRowid).toBeUndefined();
      }),
    );

    test(
      "runs WITH, VALUES and EXPLAIN as queries",
      withClient(async (client) => {
        expect(await rowsOf(client, "WITH x(a) AS (VALUES (1), (2)) SELECT a FROM x")).toEqual([[1], [2]]);
        expect(await rowsOf(client, "VALUES (1, 'one'), (2, 'two')")).toEqual([
          [1, "one"],
          [2, "two"],
        ]);
        await client.execute("CREATE TABLE t (a)");
        expect((await client.execute("EXPLAIN INSERT INTO t VALUES (1)")).columns[0]).toBe("addr");
        expect((await client.execute("EXPLAIN QUERY PLAN SELECT * FROM t")).rows).toHaveLength(1);
        expect(await rowsOf(client, "SELECT count(*) FROM t")).toEqual([[0]]);
      }),
    );

    test(
      "counts what INSERT, UPDATE, DELETE and WITH … INSERT changed",
      withClient(async (client) => {
        const created = await client.execute("CREATE TABLE t (a)");
        expect(created.rowsAffected).toBe(0);
        expect((await client.execute("INSERT INTO t VALUES (1), (2), (3), (4)")).rowsAffected).toBe(4);
        expect((await client.execute("UPDATE t SET a = a + 1 WHERE a > 1")).rowsAffected).toBe(3);
        expect((await client.execute("DELETE FROM t WHERE a = 1")).rowsAffected).toBe(1);
        const inserted = await client.execute("WITH x(a) AS (SELECT 2 * a FROM t) INSERT INTO t SELECT a FROM x");
        expect(inserted.rowsAffected).toBe(3);
        expect((await client.execute("UPDATE t SET a = 0 WHERE a = 12345")).rowsAffected).toBe(0);
      }),
    );

    test(
      "names the row inserted last",
      withClient(async (client) => {
        await client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
        expect((await client.execute("INSERT INTO t VALUES (12345, 'a')")).lastInsertRowid).toBe(12345n);
        expect((await client.execute("INSERT INTO t (a) VALUES ('b'), ('c')")).lastInsertRowid).toBe(12347n);
      }),
    );

    test(
      "gives the rows of RETURNING, and has written them",
      withClient(async (client) => {
        await client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
        const result = await client.execute("INSERT INTO t (a) VALUES (1), (2) RETURNING id, a * 10 AS ten");
        expect(result.columns).toEqual(["id", "ten"]);
        expect(result.rows.map((row) => Array.from(row))).toEqual([
          [1, 10],
          [2, 20],
        ]);
        expect(await rowsOf(client, "SELECT a FROM t ORDER BY a")).toEqual([[1], [2]]);
        expect(await rowsOf(client, "DELETE FROM t WHERE a = 1 RETURNING a")).toEqual([[1]]);
        expect(await rowsOf(client, "SELECT a FROM t")).toEqual([[2]]);
      }),
    );

    test(
      "ignores comments, blanks and a final semicolon",
      withClient(async (client) => {
        expect(await rowsOf(client, "-- one\n/* two */ SELECT 1 -- three\n ; ")).toEqual([[1]]);
        expect(await rowsOf(client, ";SELECT 2")).toEqual([[2]]);
      }),
    );
  });

  describe("arguments", () => {
    test(
      "fill ? in order, also inside of functions, and never a ? within a string or comment",
      withClient(async (client) => {
        expect(await rowsOf(client, "SELECT ?, ? || '?', upper(?) -- ?", ["a", "b", "c"])).toEqual([["a", "b?", "C"]]);
      }),
    );

    test.each([":", "@", "$"])("with names of %s come with or without it", (sigil) =>
      withClient(async (client) => {
        const sql = `SELECT ${sigil}b, ${sigil}a, ${sigil}b || ${sigil}a`;
        expect(await rowsOf(client, sql, { a: "one", [`${sigil}b`]: "two" })).toEqual([["two", "one", "twoone"]]);
        expect(await rowsOf(client, sql, { [`${sigil}a`]: 1, b: 2, unused: 3 })).toEqual([[2, 1, engineText(engine)]]);
      })(),
    );

    test.each([":", "@", "$"])("with names of %s may be numbered as well", (sigil) =>
      withClient(async (client) => {
        const args = { a: "one", [`${sigil}b`]: "two" };
        expect(await rowsOf(client, `SELECT ${sigil}b, ${sigil}a, ?1`, args)).toEqual([["two", "one", "two"]]);
      })(),
    );

    test(
      "of a positional list fill names in order of their first use",
      withClient(async (client) => {
        expect(await rowsOf(client, "SELECT :b, :a, :b", ["x", "y"])).toEqual([["x", "y", "x"]]);
      }),
    );

    test(
      "with numbers take the value of that place",
      withClient(async (client) => {
        expect(await rowsOf(client, "SELECT ?2, ?1, ?2", ["one", "two"])).toEqual([["two", "one", "two"]]);
        expect(await rowsOf(client, "SELECT ?3, ?1", ["one", "two", "three"])).toEqual([["three", "one"]]);
        expect(await rowsOf(client, "SELECT ?2, ?, ?3", ["one", "two", "three"])).toEqual([["two", "three", "three"]]);
      }),
    );

    test(
      "are matched by name with case, and may hold digits and letters of any script",
      withClient(async (client) => {
        expect(await rowsOf(client, "SELECT :a, :A, :ключ1", { a: "1", A: "2", ключ1: "3" })).toEqual([
          ["1", "2", "3"],
        ]);
      }),
    );
  });

  describe("values", () => {
    const roundTrips: [string, InValue, unknown][] = [
      ["text", "boomerang", "boomerang"],
      ["blanks", "a\n\r\t ", "a\n\r\t "],
      ["the empty string", "", ""],
      ["text of many scripts", "žluťoučký kůň 数据 🚀", "žluťoučký kůň 数据 🚀"],
      ["zero", 0, 0],
      ["a whole number", -2023, -2023],
      ["a fraction", 12.345, 12.345],
      ["1e18", 1e18, 1e18],
      ["the largest number", Number.MAX_VALUE, Number.MAX_VALUE],
      ["the smallest number", Number.MIN_VALUE, Number.MIN_VALUE],
      ["null", null, null],
      ["true", true, 1],
      ["false", false, 0],
      ["a bigint", -42n, -42],
      ["the largest safe bigint", 9007199254740991n, 9007199254740991],
      ["a Date", new Date("2023-01-02T12:34:56Z"), 1672662896000],
    ];
    test.each(roundTrips)("%s comes back", (_name, value, expected) =>
      withClient(async (client) => {
        expect(await rowsOf(client, "SELECT ?", [value])).toEqual([[expected]]);
      })(),
    );

    test.each([
      ["ArrayBuffer", new Uint8Array([0, 1, 254, 255]).buffer],
      ["Uint8Array", new Uint8Array([0, 1, 254, 255])],
      ["Buffer", Buffer.from([0, 1, 254, 255])],
    ])("%s comes back as ArrayBuffer", (_name, value) =>
      withClient(async (client) => {
        const [[back]] = (await rowsOf(client, "SELECT ?", [value as InValue])) as [[ArrayBuffer]];
        expect(back).toBeInstanceOf(ArrayBuffer);
        expect([...new Uint8Array(back)]).toEqual([0, 1, 254, 255]);
      })(),
    );

    test.each([
      ["number", 42],
      ["bigint", 42n],
      ["string", "42"],
    ] as const)("integers are read as %s", (intMode, expected) =>
      withClient(
        async (client) => {
          expect(await rowsOf(client, "SELECT 42, ?", [42n])).toEqual([[expected, expected]]);
        },
        { intMode },
      )(),
    );

    test.each([
      ["bigint", 9223372036854775807n, -9223372036854775808n],
      ["string", "9223372036854775807", "-9223372036854775808"],
    ] as const)("the 64-bit limits come back as %s", (intMode, max, min) =>
      withClient(
        async (client) => {
          const args = [9223372036854775807n, -9223372036854775808n];
          expect(await rowsOf(client, "SELECT ?, ?", args)).toEqual([[max, min]]);
          expect(await rowsOf(client, "SELECT ? || '', ? || ''", args)).toEqual([
            ["9223372036854775807", "-9223372036854775808"],
          ]);
        },
        { intMode },
      )(),
    );

    test(
      "an integer that a number cannot hold is a RangeError",
      withClient(async (client) => {
        expect(await rejection(client.execute("SELECT ?", [9007199254740992n]))).toBeInstanceOf(RangeError);
        expect(await rejection(client.execute("SELECT -1152921504594532842"))).toBeInstanceOf(RangeError);
        expect(await rowsOf(client, "SELECT 1")).toEqual([[1]]);
      }),
    );

    test.each([
      ["undefined", undefined, TypeError],
      ["NaN", Number.NaN, RangeError],
      ["Infinity", Number.POSITIVE_INFINITY, RangeError],
      ["a bigint beyond 64 bits", 2n ** 63n, RangeError],
    ])("%s is refused", (_name, value, expected) =>
      withClient(async (client) => {
        expect(await rejection(client.execute("SELECT ?", [value as InValue]))).toBeInstanceOf(expected);
      })(),
    );
  });

  describe("rows", () => {
    test(
      "are read by name and by index, and list their names only",
      withClient(async (client) => {
        const row = (await client.execute("SELECT 1 AS one, 'two' AS two, 0.5 AS three")).rows[0]!;
        expect([row.one, row.two, row[2]]).toEqual([1, "two", 0.5]);
        expect(row.length).toBe(3);
        expect(Array.from(row)).toEqual([1, "two", 0.5]);
        expect(Object.keys(row)).toEqual(["one", "two", "three"]);
        expect({ ...row }).toEqual({ one: 1, two: "two", three: 0.5 });
        expect(row).toEqual({ one: 1, two: "two", three: 0.5 });
        expect(JSON.stringify(row)).toBe('{"one":1,"two":"two","three":0.5}');
        expect(0 in row && "length" in row).toBe(true);
      }),
    );

    test(
      "can be changed by name and not by index",
      withClient(async (client) => {
        const row = (await client.execute("SELECT 1 AS a")).rows[0] as Record<string | number, unknown>;
        row.a = 2;
        expect(row.a).toBe(2);
        expect(() => {
          row[0] = 2;
        }).toThrow(TypeError);
        delete row.a;
        expect(Object.keys(row)).toEqual([]);
      }),
    );

    test(
      "of columns with one name hold the first by name, all by index",
      withClient(async (client) => {
        const result = await client.execute("SELECT 1 AS a, 2 AS a, 3 AS b");
        expect(result.columns).toEqual(["a", "a", "b"]);
        const row = result.rows[0]!;
        expect([row.a, row[1], row.b, row.length]).toEqual([1, 2, 3, 3]);
        expect(Array.from(row)).toEqual([1, 2, 3]);
      }),
    );

    test(
      "take columns with the names of an object's own workings",
      withClient(async (client) => {
        const row = (await client.execute("SELECT 1 AS constructor, 2 AS __proto__, 3 AS toString, 4 AS ''")).rows[0]!;
        expect(Object.entries(row)).toEqual([
          ["constructor", 1],
          ["__proto__", 2],
          ["toString", 3],
          ["", 4],
        ]);
        const named = (await client.execute("SELECT 7 AS length")).rows[0]!;
        expect([named[0], named.length]).toEqual([7, 1]);
      }),
    );
  });

  describe("toJSON", () => {
    test(
      "writes rows as arrays, BLOBs as base64, the row id as text",
      withClient(async (client) => {
        const result = await client.execute("SELECT 42 AS i, 0.5 AS f, NULL AS n, 'foo' AS t, X'626172' AS b");
        expect(JSON.parse(JSON.stringify(result))).toEqual({
          columns: ["i", "f", "n", "t", "b"],
          columnTypes: ["", "", "", "", ""],
          rows: [[42, 0.5, null, "foo", "YmFy"]],
          rowsAffected: 0,
          lastInsertRowid: null,
        });
        await client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
        expect((await client.execute("INSERT INTO t VALUES (12345)")).toJSON()).toEqual({
          columns: [],
          columnTypes: [],
          rows: [],
          rowsAffected: 1,
          lastInsertRowid: "12345",
        });
      }),
    );

    test(
      "writes bigints as text",
      withClient(
        async (client) => {
          expect((await client.execute("SELECT 42")).toJSON().rows).toEqual([["42"]]);
        },
        { intMode: "bigint" },
      ),
    );
  });

  describe("errors", () => {
    test(
      "are LibsqlErrors with the code, the extended code and the number",
      withClient(async (client) => {
        await client.executeMultiple(`
          CREATE TABLE p (id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL DEFAULT 0, c CHECK (c > 0));
          CREATE TABLE f (p REFERENCES p (id));
          INSERT INTO p (id, u) VALUES (1, 1);
        `);
        const codes = async (sql: string) => {
          const { name, code, extendedCode, rawCode } = await rejection(client.execute(sql));
          return [name, code, extendedCode, rawCode];
        };
        const constraint = (kind: string, raw: number) => [
          "LibsqlError",
          "SQLITE_CONSTRAINT",
          `SQLITE_CONSTRAINT_${kind}`,
          raw,
        ];
        expect(await codes("NOT A VALID SQL")).toEqual(["LibsqlError", "SQLITE_ERROR", "SQLITE_ERROR", 1]);
        expect(await codes("SELECT foobar")).toEqual(["LibsqlError", "SQLITE_ERROR", "SQLITE_ERROR", 1]);
        expect(await codes("INSERT INTO p (id) VALUES (1)")).toEqual(constraint("PRIMARYKEY", 1555));
        expect(await codes("INSERT INTO p (u) VALUES (1)")).toEqual(constraint("UNIQUE", 2067));
        expect(await codes("INSERT INTO p (n) VALUES (NULL)")).toEqual(constraint("NOTNULL", 1299));
        expect(await codes("INSERT INTO p (c) VALUES (-1)")).toEqual(constraint("CHECK", 275));
        expect(await codes("INSERT INTO f VALUES (99)")).toEqual(constraint("FOREIGNKEY", 787));
        expect(await codes("INSERT INTO p (id) VALUES (1) RETURNING id")).toEqual(constraint("PRIMARYKEY", 1555));
      }),
    );

    test(
      "say what SQLite said, and keep its error as cause",
      withClient(async (client) => {
        const error = await rejection(client.execute("SELECT foobar"));
        expect(error.message).toBe("SQLITE_ERROR: no such column: foobar");
        expect(error.cause).toBeInstanceOf(Error);
      }),
    );
  });

  describe("batch", () => {
    test(
      "takes all forms of statement and gives one result for each",
      withClient(async (client) => {
        const results = await client.batch(
          ["SELECT 1 + 1", { sql: "SELECT ?", args: ["a"] }, ["SELECT ?", ["b"]], ["SELECT 3"]],
          "read",
        );
        expect(results.map(({ rows }) => rows[0]![0])).toEqual([2, "a", "b", 3]);
        expect(await client.batch([])).toEqual([]);
      }),
    );

    test.each([undefined, "write", "deferred"] as const)("of mode %s runs in order and stores all", (mode) =>
      withClient(async (client) => {
        const results = await client.batch(
          [
            "CREATE TABLE t (a)",
            "INSERT INTO t VALUES (1)",
            "SELECT count(*) FROM t",
            "INSERT INTO t VALUES (2) RETURNING a * 2",
            "SELECT count(*) FROM t",
          ],
          mode,
        );
        expect(results.map(({ rows }) => rows[0]?.[0])).toEqual([undefined, undefined, 1, 4, 2]);
        expect(await rowsOf(client, "SELECT a FROM t ORDER BY a")).toEqual([[1], [2]]);
      })(),
    );

    test.each([
      ["read", 0],
      ["write", 1],
      ["deferred", 2],
    ] as const)("that fails in mode %s names the statement", (mode, at) =>
      withClient(async (client) => {
        const statements = ["SELECT 1", "SELECT 2", "SELECT 3"];
        statements[at] = "SELECT foobar";
        const error = await rejection(client.batch(statements, mode));
        expect([error.name, error.code, error.statementIndex, error.rawCode]).toEqual([
          "LibsqlBatchError",
          "SQLITE_ERROR",
          at,
          1,
        ]);
        expect(error.cause).toBeInstanceOf(Error);
      })(),
    );

    test(
      "that fails stores nothing",
      withClient(async (client) => {
        await client.execute("CREATE TABLE t (a UNIQUE)");
        const error = await rejection(
          client.batch(["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"], "write"),
        );
        expect([error.statementIndex, error.extendedCode]).toEqual([1, "SQLITE_CONSTRAINT_UNIQUE"]);
        expect(await rowsOf(client, "SELECT count(*) FROM t")).toEqual([[0]]);
        await client.execute("INSERT INTO t VALUES (3)");
      }),
    );

    test(
      "stops at a ROLLBACK within it",
      withClient(async (client) => {
        await client.execute("CREATE TABLE t (a)");
        const statements = ["INSERT INTO t VALUES (1)", "ROLLBACK", "INSERT INTO t VALUES (2)"];
        const error = await rejection(client.batch(statements, "write"));
        expect([error.code, error.statementIndex]).toEqual(["TRANSACTION_CLOSED", 2]);
        expect(await rowsOf(client, "SELECT count(*) FROM t")).toEqual([[0]]);
      }),
    );

    test(
      "of 1000 different statements gives 1000 results",
      withClient(async (client) => {
        const results = await client.batch(
          Array.from({ length: 1000 }, (_, i) => `SELECT ${i}`),
          "read",
        );
        expect(results.map(({ rows }) => rows[0]![0])).toEqual(Array.from({ length: 1000 }, (_, i) => i));
      }),
    );

    test(
      "does not mix its data with 50 others",
      withClient(async (client) => {
        await client.batch(["CREATE TABLE t1 (a)", "CREATE TABLE t2 (a)"], "write");
        const one = async (i: number) => {
          const insert = (table: string, value: number) => ({ sql: `INSERT INTO ${table} VALUES (?)`, args: [value] });
          const sum = (table: string) => `SELECT sum(a) FROM ${table}`;
          const results = await client.batch([insert("t1", i), insert("t2", i * 10), sum("t1"), sum("t2")], "write");
          expect(results[3]!.rows[0]![0]).toBe((results[2]!.rows[0]![0] as number) * 10);
        };
        await Promise.all(Array.from({ length: 50 }, (_, i) => one(i)));
        expect(await rowsOf(client, "SELECT count(*), sum(a) FROM t2")).toEqual([[50, 12250]]);
      }),
    );

    test(
      "refuses a mode that does not exist",
      withClient(async (client) => {
        expect(await rejection(client.batch(["SELECT 1"], "exclusive" as never))).toBeInstanceOf(RangeError);
      }),
    );
  });

  describe("migrate", () => {
    test(
      "runs without foreign key enforcement, in one transaction, and enforces again afterwards",
      withClient(async (client) => {
        await client.executeMultiple("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE f (p REFERENCES p (id));");
        await client.migrate(["INSERT INTO f VALUES (99)", { sql: "INSERT INTO f VALUES (?)", args: [98] }]);
        expect(await rowsOf(client, "SELECT count(*) FROM f")).toEqual([[2]]);
        expect((await rejection(client.execute("INSERT INTO f VALUES (97)"))).code).toBe("SQLITE_CONSTRAINT");
        const error = await rejection(client.migrate(["INSERT INTO f VALUES (1)", "SELECT foobar"]));
        expect([error.name, error.statementIndex]).toEqual(["LibsqlBatchError", 1]);
        expect(await rowsOf(client, "SELECT count(*) FROM f")).toEqual([[2]]);
        expect((await rejection(client.execute("INSERT INTO f VALUES (97)"))).code).toBe("SQLITE_CONSTRAINT");
      }),
    );
  });

  describe("transaction", () => {
    const setUp = async (client: Client) => {
      await client.execute("CREATE TABLE t (a UNIQUE)");
      await client.execute("INSERT INTO t VALUES (0)");
    };
    const count = async (client: Client) => (await rowsOf(client, "SELECT count(*) FROM t"))[0]![0];

    test.each([undefined, "write", "deferred"] as const)("of mode %s stores at commit", (mode) =>
      withClient(async (client) => {
        await setUp(client);
        const tx = await client.transaction(mode);
        expect(tx.closed).toBe(false);
        await tx.execute("INSERT INTO t VALUES (1)");
        await tx.execute({ sql: "INSERT INTO t VALUES (?)", args: [2] });
        expect(await rowsOf(tx, "SELECT count(*) FROM t")).toEqual([[3]]);
        await tx.commit();
        expect(tx.closed).toBe(true);
        expect(await count(client)).toBe(3);
      })(),
    );

    test.each(["rollback", "close"] as const)("stores nothing after %s, and takes no more", (end) =>
      withClient(async (client) => {
        await setUp(client);
        const tx = await client.transaction("write");
        await tx.execute("INSERT INTO t VALUES (1)");
        await tx[end]();
        expect(tx.closed).toBe(true);
        expect(await count(client)).toBe(1);
        for (const late of [() => tx.execute("SELECT 1"), () => tx.executeMultiple("SELECT 1"), () => tx.commit()]) {
          expect((await rejection(late())).code).toBe("TRANSACTION_CLOSED");
        }
        expect((await rejection(tx.batch(["SELECT 1"]))).code).toBe("TRANSACTION_CLOSED");
        await tx.rollback();
        tx.close();
      })(),
    );

    test(
      "of mode read gives rows, and ends by commit, rollback or close",
      withClient(async (client) => {
        await setUp(client);
        for (const end of ["commit", "rollback", "close"] as const) {
          const tx = await client.transaction("read");
          expect(await rowsOf(tx, "SELECT a FROM t")).toEqual([[0]]);
          await tx[end]();
          expect(tx.closed).toBe(true);
        }
      }),
    );

    test(
      "lives on after a statement that failed",
      withClient(async (client) => {
        await setUp(client);
        const tx = await client.transaction("write");
        expect((await rejection(tx.execute("SELECT foo"))).code).toBe("SQLITE_ERROR");
        await tx.execute("INSERT INTO t VALUES (1)");
        expect((await rejection(tx.execute("INSERT INTO t VALUES (1)"))).code).toBe("SQLITE_CONSTRAINT");
        await tx.commit();
        expect(await count(client)).toBe(2);
      }),
    );

    test(
      "ends at a ROLLBACK within it",
      withClient(async (client) => {
        await setUp(client);
        const tx = await client.transaction("write");
        const first = tx.execute("INSERT INTO t VALUES (1)");
        const second = tx.execute("ROLLBACK");
        const third = tx.execute("INSERT INTO t VALUES (2)");
        await first;
        await second;
        expect((await rejection(third)).code).toBe("TRANSACTION_CLOSED");
        expect((await rejection(tx.commit())).code).toBe("TRANSACTION_CLOSED");
        tx.close();
        expect(await count(client)).toBe(1);
      }),
    );

    test.each([true, false])("ends at an OR ROLLBACK that hits, after a write: %s", (hasWritten) =>
      withClient(async (client) => {
        await setUp(client);
        const tx = await client.transaction("write");
        const first = hasWritten ? tx.execute("INSERT INTO t VALUES (1)") : Promise.resolve();
        const second = tx.execute("INSERT OR ROLLBACK INTO t VALUES (0)");
        const third = tx.execute("INSERT INTO t VALUES (2)");
        await first;
        expect((await rejection(second)).code).toBe("SQLITE_CONSTRAINT");
        expect((await rejection(third)).code).toBe("TRANSACTION_CLOSED");
        expect((await rejection(tx.commit())).code).toBe("TRANSACTION_CLOSED");
        tx.close();
        expect(await count(client)).toBe(1);
      })(),
    );

    test(
      "runs a batch and a script; after an error in them it lives on with what came before",
      withClient(async (client) => {
        const tx = await client.transaction("write");
        await tx.batch(["CREATE TABLE t (a UNIQUE)", { sql: "INSERT INTO t VALUES (?)", args: [1] }]);
        await tx.executeMultiple("INSERT INTO t VALUES (2); INSERT INTO t VALUES (3);");
        const error = await rejection(
          tx.batch(["INSERT INTO t VALUES (4)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (5)"]),
        );
        expect([error.name, error.statementIndex, error.code]).toEqual(["LibsqlBatchError", 1, "SQLITE_CONSTRAINT"]);
        const script = "INSERT INTO t VALUES (6); INSERT INTO t VALUES (1); INSERT INTO t VALUES (7);";
        expect((await rejection(tx.executeMultiple(script))).code).toBe("SQLITE_CONSTRAINT");
        await tx.commit();
        expect(await rowsOf(client, "SELECT a FROM t ORDER BY a")).toEqual([[1], [2], [3], [4], [6]]);
      }),
    );

    test(
      "runs a batch as one piece: what is asked for later comes after it",
      withClient(async (client) => {
        const tx = await client.transaction("write");
        const batch = tx.batch(["CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"]);
        const count = tx.execute("SELECT count(*) FROM t");
        const script = tx.executeMultiple("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)");
        const commit = tx.commit();
        await Promise.all([batch, script, commit]);
        expect((await count).rows[0]![0]).toBe(2);
        expect(await rowsOf(client, "SELECT count(*) FROM t")).toEqual([[4]]);
      }),
    );

    test(
      "that violates a deferred foreign key fails at commit and stores nothing",
      withClient(async (client) => {
        await client.executeMultiple(`
          CREATE TABLE p (id INTEGER PRIMARY KEY);
          CREATE TABLE f (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);
        `);
        const tx = await client.transaction("write");
        await tx.execute("INSERT INTO f VALUES (99)");
        expect((await rejection(tx.commit())).extendedCode).toBe("SQLITE_CONSTRAINT_FOREIGNKEY");
        expect(tx.closed).toBe(true);
        expect(await rowsOf(client, "SELECT count(*) FROM f")).toEqual([[0]]);
      }),
    );

    test(
      "refuses a mode that does not exist",
      withClient(async (client) => {
        expect(await rejection(client.transaction("exclusive" as never))).toBeInstanceOf(RangeError);
      }),
    );
  });

  describe("executeMultiple", () => {
    test(
      "runs a script with triggers, comments and semicolons in strings",
      withClient(async (client) => {
        await client.executeMultiple(`
          CREATE TABLE t (a); -- a comment; with a semicolon
          CREATE TABLE log (a);
          CREATE TRIGGER tr AFTER INSERT ON t BEGIN
            INSERT INTO log VALUES (CASE WHEN new.a > 1 THEN 'big' ELSE 'small' END);
            INSERT INTO log VALUES ('; END;');
          END;
          INSERT INTO t VALUES (1), (2); /* ; */
          INSERT INTO t VALUES ('a;b')
        `);
        expect(await rowsOf(client, "SELECT count(*) FROM log")).toEqual([[6]]);
        expect(await rowsOf(client, "SELECT a FROM t WHERE a = 'a;b'")).toEqual([["a;b"]]);
        await client.executeMultiple("");
        await client.executeMultiple(" -- nothing\n;;");
      }),
    );

    test(
      "stops at an error and keeps what came before",
      withClient(async (client) => {
        const script =
          "CREATE TABLE t (a); INSERT INTO t VALUES (1); INSERT INTO t VALUES (foo()); INSERT INTO t VALUES (2);";
        expect((await rejection(client.executeMultiple(script))).code).toBe("SQLITE_ERROR");
        expect(await rowsOf(client, "SELECT a FROM t")).toEqual([[1]]);
      }),
    );

    test(
      "may begin and commit, and rolls back what it leaves open",
      withClient(async (client) => {
        await client.executeMultiple("CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1); COMMIT;");
        await rejection(
          client.executeMultiple("BEGIN; INSERT INTO t VALUES (2); INSERT INTO t VALUES (foo()); COMMIT;"),
        );
        await client.executeMultiple("BEGIN; INSERT INTO t VALUES (3);");
        expect(await rowsOf(client, "SELECT a FROM t")).toEqual([[1]]);
        await client.execute("INSERT INTO t VALUES (4)");
      }),
    );
  });

  describe("life cycle", () => {
    test(
      "speaks the file protocol",
      withClient(async (client) => {
        expect(client.protocol).toBe("file");
        expect(client.closed).toBe(false);
      }),
    );

    test(
      "after close every call is refused, and closing again is harmless",
      withClient(async (client) => {
        await client.execute("SELECT 1");
        client.close();
        expect(client.closed).toBe(true);
        for (const call of [
          () => client.execute("SELECT 1"),
          () => client.batch(["SELECT 1"]),
          () => client.migrate([]),
          () => client.transaction(),
          () => client.executeMultiple("SELECT 1"),
          () => client.sync(),
        ]) {
          expect((await rejection(call())).code).toBe("CLIENT_CLOSED");
        }
        client.close();
      }),
    );

    test(
      "close ends an open transaction without storing it",
      withClient(async (client) => {
        const tx = await client.transaction("write");
        client.close();
        expect(tx.closed).toBe(true);
        expect((await rejection(tx.execute("SELECT 1"))).code).toBe("TRANSACTION_CLOSED");
        tx.close();
      }),
    );

    test(
      "reconnect opens again, also after close",
      withClient(async (client) => {
        await client.execute("CREATE TABLE t (a)");
        await client.reconnect();
        expect(client.closed).toBe(false);
        const tables = await rowsOf(client, "SELECT count(*) FROM sqlite_schema");
        expect(tables).toEqual([[place === "file" ? 1 : 0]]);
        await client.close();
        await client.reconnect();
        expect(await rowsOf(client, "SELECT 1")).toEqual([[1]]);
      }),
    );
  });

  describe("createClient", () => {
    const create = engines[engine];

    test.each([
      ["ftp://localhost", "URL_SCHEME_NOT_SUPPORTED"],
      ["ws://localhost?foo=bar", "URL_PARAM_NOT_SUPPORTED"],
      ["ws://localhost?tls=1", "URL_INVALID"],
      ["libsql://localhost?tls=0", "URL_INVALID"],
      ["file://elsewhere/x.db", "URL_INVALID"],
      ["file:x.db?foo=bar", "URL_PARAM_NOT_SUPPORTED"],
      ["file:x.db?tls=yes", "URL_INVALID"],
      ["file:x.db#fragment", "URL_INVALID"],
      ["file:%ZZ", "URL_INVALID"],
      ["file::memory:?cache=odd", "URL_INVALID"],
      ["no url", "URL_INVALID"],
    ])("refuses the URL %s with %s", (url, code) => {
      expect(() => create({ url })).toThrow(expect.objectContaining({ name: "LibsqlError", code }));
    });

    test("refuses a configuration that is no object, and an unknown intMode", () => {
      expect(() => create("file:x.db" as never)).toThrow(/as object, got string/);
      expect(() => create(null as never)).toThrow(TypeError);
      expect(() => create({ url: ":memory:", intMode: "foo" as never })).toThrow(/"foo"/);
      expect(() => create({ url: ":memory:", intMode: "foo" as never })).toThrow(TypeError);
    });

    test("opens each form of a local URL", async () => {
      await using db = await tempDatabase("a b#?.db");
      const encoded = db.path.split("/").map(encodeURIComponent).join("/");
      for (const url of [`file:${encoded}`, `file://${encoded}`, `file://localhost${encoded}`, `FILE:${encoded}`]) {
        const client = create({ url });
        await client.execute("CREATE TABLE IF NOT EXISTS t (a)");
        await client.execute("INSERT INTO t VALUES (1)");
        await client.close();
      }
      const client = create({ url: `file:${encoded}` });
      expect(await rowsOf(client, "SELECT count(*) FROM t")).toEqual([[4]]);
      await client.close();
    });

    test("fails at once where the folder does not exist", () => {
      expect(() => create({ url: "file:/nowhere/at/all.db" })).toThrow();
    });
  });
});

function engineText(engine: Engine): string {
  // Numbers bind as INTEGER in ours and as REAL in the stock client: see the table of differences.
  return engine === "holdfast" ? "21" : "2.01.0";
}

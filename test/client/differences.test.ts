import { type Client, createClient as createStockClient, type InArgs, type InValue } from "@libsql/client";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

interface Difference {
  readonly what: string;
  readonly why: string;
  /** Gives what is to be compared; a rejection counts as its code, or its name where it has none. */
  readonly run: (client: Client) => Promise<unknown>;
  readonly holdfast: unknown;
  readonly stock: unknown;
  /** Where it shows, if not in both. */
  readonly on?: "file" | ":memory:";
}

const value = async (client: Pick<Client, "execute">, sql: string, args: InArgs = []) =>
  (await client.execute({ sql, args })).rows[0]?.[0];
const outcome = async (promise: Promise<unknown>) => {
  try {
    return await promise;
  } catch (error) {
    const { code, name } = error as { code?: string; name: string };
    return code ?? name;
  }
};
const passed = (sql: string, ...args: unknown[]): Difference["run"] => {
  return (client) => value(client, sql, args as InValue[]);
};

/** All that differs from the stock client on purpose. Both sides are asserted, so that no line outlives its truth. */
const differences: Difference[] = [
  {
    what: "a whole number binds as INTEGER",
    why: "as REAL it becomes 5.0 in text, in a TEXT column and in JSON",
    run: passed("SELECT typeof(?) || ' ' || ?", 5, 5),
    holdfast: "integer 5",
    stock: "real 5.0",
  },
  {
    what: "a Date and a boolean bind as INTEGER",
    why: "as whole numbers do",
    run: passed("SELECT typeof(?) || ' ' || typeof(?)", new Date(1000), true),
    holdfast: "integer integer",
    stock: "real real",
  },
  {
    what: "a view binds its own range of the buffer",
    why: "the stock client stores the whole buffer beneath it, so something else than what was given",
    run: passed("SELECT hex(?)", new Float32Array(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer, 4, 1)),
    holdfast: "05060708",
    stock: "0102030405060708",
  },
  {
    what: "missing arguments are refused",
    why: "they would be NULL",
    run: passed("SELECT typeof(?) || typeof(?)", "a"),
    holdfast: "RangeError",
    stock: "textnull",
  },
  {
    what: "a missing name is refused",
    why: "it would be NULL",
    run: (client) => value(client, "SELECT typeof(:a) || typeof(:b)", { a: "x" }),
    holdfast: "RangeError",
    stock: "textnull",
  },
  {
    what: "surplus positional arguments are refused",
    why: "they would be ignored, and mostly are a mistake in the SQL",
    run: passed("SELECT ?", "a", "b"),
    holdfast: "RangeError",
    stock: "a",
  },
  {
    what: "the names :a and @a are two",
    why: "SQLite takes them for two parameters, so each may have its value",
    run: (client) => value(client, "SELECT :a || @a", { ":a": "x", "@a": "y" }),
    holdfast: "xy",
    stock: "yy",
  },
  {
    what: "text with NUL is refused",
    why: "it is cut there when it is read",
    run: passed("SELECT ?", "a\0b"),
    holdfast: "RangeError",
    stock: "a",
  },
  {
    what: "lone surrogates are refused",
    why: "they come back as U+FFFD",
    run: passed("SELECT ?", "\ud800"),
    holdfast: "RangeError",
    stock: "\ufffd",
  },
  {
    what: "an invalid Date is refused as such",
    why: "it binds NaN, which is NULL",
    run: passed("SELECT typeof(?)", new Date(Number.NaN)),
    holdfast: "RangeError",
    stock: "null",
  },
  {
    what: "NUL in the SQL is refused",
    why: "SQLite stops reading there, and what follows is lost",
    run: (client) => value(client, "SELECT 1\0 + 1"),
    holdfast: "RangeError",
    stock: 1,
  },
  {
    what: "SQL after the first statement is refused",
    why: "it would be ignored",
    run: (client) => value(client, "SELECT 1; SELECT 2"),
    holdfast: "SQL_MANY_STATEMENTS",
    stock: 1,
  },
  {
    what: "SQL without a statement is refused",
    why: "the stock client rejects as well, with `SQLITE_UNKNOWN_0: not an error`",
    run: async (client) => (await client.execute(" -- nothing")).rowsAffected,
    holdfast: "SQL_NO_STATEMENT",
    stock: "SQLITE_UNKNOWN_0",
  },
  {
    what: "RETURNING counts its rows",
    why: "the stock client says 0, and names no row id",
    run: async (client) => {
      await client.execute("CREATE TABLE t (a)");
      const { rowsAffected, lastInsertRowid } = await client.execute("INSERT INTO t VALUES (1), (2) RETURNING a");
      return [rowsAffected, lastInsertRowid];
    },
    holdfast: [2, 2n],
    stock: [0, undefined],
  },
  {
    what: "BEGIN through execute is refused",
    why: "it would reach any connection of the pool",
    run: async (client) => (await client.execute("BEGIN")).rowsAffected,
    holdfast: "NOT_SUPPORTED",
    stock: 0,
  },
  {
    what: "COMMIT in a batch is refused",
    why: "what follows could fail, and a batch is stored as a whole or not at all",
    run: async (client) => {
      await client.execute("CREATE TABLE t (a)");
      const batch = client.batch(["INSERT INTO t VALUES (1)", "COMMIT", "INSERT INTO t VALUES (2)"], "write");
      return [await outcome(batch), await value(client, "SELECT count(*) FROM t")];
    },
    holdfast: ["NOT_SUPPORTED", 0],
    stock: ["TRANSACTION_CLOSED", 1],
  },
  {
    what: "bytes are those that the call was given",
    why: "a call may have to wait, and its caller may use the buffer again",
    run: async (client) => {
      await client.execute("CREATE TABLE t (a)");
      const bytes = new Uint8Array([1]);
      const stored = client.execute({ sql: "INSERT INTO t VALUES (?)", args: [bytes] });
      bytes[0] = 9;
      await stored;
      return value(client, "SELECT hex(a) FROM t");
    },
    holdfast: "01",
    stock: "09",
  },
  {
    what: "the busy time-out is 5 s by default",
    why: "a busy file is waited for",
    run: (client) => value(client, "PRAGMA busy_timeout"),
    holdfast: 5000,
    stock: 0,
  },
  {
    what: "files are in WAL mode",
    why: "readers and the writer do not hinder each other",
    run: (client) => value(client, "PRAGMA journal_mode"),
    on: "file",
    holdfast: "wal",
    stock: "delete",
  },
  {
    what: "SQLite's own checkpoints are off",
    why: "they do not hold the write lock, and so can lose rows (the WAL-reset bug)",
    run: (client) => value(client, "PRAGMA wal_autocheckpoint"),
    on: "file",
    holdfast: 0,
    stock: 1000,
  },
  {
    what: "a read transaction refuses writes",
    why: "it promises not to write; the stock client's READONLY is not enforced",
    run: async (client) => {
      await client.execute("CREATE TABLE t (a)");
      const tx = await client.transaction("read");
      try {
        return (await tx.execute("INSERT INTO t VALUES (1)")).rowsAffected;
      } finally {
        tx.close();
      }
    },
    holdfast: "SQLITE_READONLY",
    stock: 1,
  },
  {
    what: "a read batch refuses writes",
    why: "as a read transaction does",
    run: async (client) => {
      await client.execute("CREATE TABLE t (a)");
      return (await client.batch(["INSERT INTO t VALUES (1)"], "read"))[0]!.rowsAffected;
    },
    holdfast: "SQLITE_READONLY",
    stock: 1,
  },
  {
    what: "a second writer waits for its turn",
    why: "the stock client lets two transactions of one process collide",
    run: async (client) => {
      const first = await client.transaction("write");
      const second = client.transaction("write");
      setImmediate(() => first.close());
      (await second).close();
      return "waited";
    },
    holdfast: "waited",
    stock: "SQLITE_BUSY",
    on: "file",
  },
  {
    what: "a call during a transaction on :memory: waits for its end",
    why: "there is one connection, and waiting beats failing",
    run: async (client) => {
      const tx = await client.transaction("write");
      setImmediate(() => tx.close());
      return value(client, "SELECT 1");
    },
    on: ":memory:",
    holdfast: 1,
    stock: "TRANSACTION_ACTIVE",
  },
  {
    what: "an EXPLAIN has ended when its call resolves",
    why: "the stock client leaves the statement open, and it locks the table",
    run: async (client) => {
      await client.execute("CREATE TABLE t (a)");
      await client.execute("EXPLAIN DELETE FROM t");
      return (await client.execute("DROP TABLE t")).rowsAffected;
    },
    holdfast: 0,
    stock: "SQLITE_LOCKED",
  },
  {
    what: "migrate restores the enforcement of foreign keys that was",
    why: "the stock client switches it on even if the caller had switched it off",
    run: async (client) => {
      await client.execute("PRAGMA foreign_keys = OFF");
      await client.migrate(["SELECT 1"]);
      return value(client, "PRAGMA foreign_keys");
    },
    holdfast: 0,
    stock: 1,
  },
  {
    what: "sync needs a replica",
    why: "the stock client rejects as well, with an error that has no code",
    run: (client) => client.sync(),
    holdfast: "SYNC_NOT_SUPPORTED",
    stock: "",
  },
];

describe.each(["file", ":memory:"] as const)("on %s", (place) => {
  const here = differences.filter(({ on }) => on === undefined || on === place);
  test.each(here)("$what ($why)", async ({ run, holdfast, stock }) => {
    for (const [create, expected] of [
      [createClient, holdfast],
      [createStockClient, stock],
    ] as const) {
      await using db = await tempDatabase();
      const client = create({ url: place === "file" ? db.url : ":memory:" } as { url: ":memory:" });
      try {
        expect(await outcome(run(client)), create === createClient ? "holdfast" : "stock").toEqual(expected);
      } finally {
        await client.close();
      }
    }
  });
});

test("a folder that does not exist is SQLITE_CANTOPEN (the stock client throws an error without a code)", () => {
  const url = "file:/nowhere/at/all.db";
  expect(() => createClient({ url })).toThrow(
    expect.objectContaining({ name: "LibsqlError", code: "SQLITE_CANTOPEN" }),
  );
  expect(() => createStockClient({ url })).toThrow(expect.not.objectContaining({ name: "LibsqlError" }));
});

test("an object of names for ? parameters, which crashes the stock client, is refused", async () => {
  // There it ends the process: hostile-values.test.ts runs such calls in a child of its own.
  const client = createClient({ url: ":memory:" });
  expect(await rejection(client.execute("SELECT ?", { a: 1 }))).toBeInstanceOf(TypeError);
  await client.close();
});

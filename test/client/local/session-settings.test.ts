import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { column, openSecond, openTestClient, rejection } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

type TestClient = ReturnType<typeof openTestClient>;

/** What `PRAGMA name` says on the writer, on the shared reader and on a fresh reader. */
async function everywhere(client: TestClient, pragma: string): Promise<unknown[]> {
  const values: unknown[] = [];
  for (const role of ["writer", "reader", "reader"] as const) {
    const checkout = await client.pool.acquire({ role });
    try {
      values.push((await checkout.execute(`PRAGMA ${pragma}`)).rows[0]?.[0]);
    } finally {
      checkout.release();
    }
  }
  const [shared] = await client.batch([`PRAGMA ${pragma}`], "read");
  return [...values, shared!.rows[0]?.[0]];
}

const ways: [string, (client: TestClient, sql: string) => Promise<unknown>][] = [
  ["execute", (client, sql) => client.execute(sql)],
  ["executeMultiple", (client, sql) => client.executeMultiple(`SELECT 1; ${sql};`)],
  ["batch", (client, sql) => client.batch([sql], "write")],
  ["a read batch", (client, sql) => client.batch([sql], "read")],
  [
    "a transaction",
    async (client, sql) => {
      const tx = await client.transaction("write");
      await tx.execute(sql);
      await tx.commit();
    },
  ],
  [
    "a read transaction",
    async (client, sql) => {
      const tx = await client.transaction("read");
      await tx.execute(sql);
      await tx.commit();
    },
  ],
  [
    "a reader",
    async (client, sql) => {
      const reader = await client.pool.acquire();
      await reader.execute(sql);
      reader.release();
    },
  ],
];

describe("a setting", () => {
  test.each(ways)("made through %s reaches every connection, later ones too", async (_way, run) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url, { idleTimeoutMs: 10 });
    await client.execute("SELECT 1");
    await run(client, "PRAGMA cache_size = 123");
    expect(await everywhere(client, "cache_size")).toEqual([123, 123, 123, 123]);
    // Idle readers are closed and opened again.
    await expect.poll(() => client.stats().pool.idle, { timeout: 2000 }).toBe(1);
    expect(await everywhere(client, "cache_size")).toEqual([123, 123, 123, 123]);
    await run(client, "PRAGMA cache_size(456)");
    expect(await everywhere(client, "cache_size")).toEqual([456, 456, 456, 456]);
  });

  test("reaches readers that are in use once they are free, and leaves their transaction alone", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.executeMultiple("CREATE TABLE t (a); INSERT INTO t VALUES ('A')");
    const tx = await client.transaction("read");
    expect((await tx.execute("SELECT 1 FROM t WHERE a LIKE 'a'")).rows).toHaveLength(1);
    await client.execute("PRAGMA case_sensitive_like = ON");
    expect((await tx.execute("SELECT 1 FROM t WHERE a LIKE 'a'")).rows).toHaveLength(1);
    tx.close();
    for (let i = 0; i < 2; i++) {
      const later = await client.transaction("read");
      expect((await later.execute("SELECT 1 FROM t WHERE a LIKE 'a'")).rows).toHaveLength(0);
      later.close();
    }
  });

  test("of foreign_keys within a transaction does nothing, as in SQLite, now and later", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.batch(["PRAGMA foreign_keys = OFF"], "write");
    expect(await everywhere(client, "foreign_keys")).toEqual([1, 1, 1, 1]);
    await client.execute("PRAGMA foreign_keys = OFF");
    expect(await everywhere(client, "foreign_keys")).toEqual([0, 0, 0, 0]);
  });

  test("with the value that it asks for is a question, not a setting", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute("CREATE TABLE t (a INTEGER, b TEXT)");
    expect((await client.execute("PRAGMA table_info(t)")).rows.map((row) => row.name)).toEqual(["a", "b"]);
    expect((await client.execute("PRAGMA table_info('t')")).rows).toHaveLength(2);
    expect(await column(client, "PRAGMA integrity_check(5)")).toEqual(["ok"]);
    expect((await client.execute("PRAGMA foreign_key_check")).rows).toEqual([]);
  });
});

describe("PRAGMAs that write to the file", () => {
  test("are stored, and later writes work", async () => {
    // PRAGMA incremental_vacuum left its statement in progress: every later COMMIT of the writer failed.
    await using db = await tempDatabase();
    using other = openSecond(db.path, ["PRAGMA auto_vacuum = 2", "CREATE TABLE t (a)"]);
    await using client = openTestClient(db.url);
    await client.execute("PRAGMA user_version = 7");
    await client.execute("PRAGMA application_id(8)");
    await client.execute({
      sql: "INSERT INTO t WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 200) SELECT zeroblob(3000) FROM c",
      args: [],
    });
    await client.execute("DELETE FROM t");
    const [free] = (await column(client, "PRAGMA freelist_count")) as [number];
    await client.execute("PRAGMA incremental_vacuum(10)");
    expect(await column(client, "PRAGMA freelist_count")).toEqual([free - 10]);
    await client.execute("PRAGMA incremental_vacuum");
    expect(await column(client, "PRAGMA freelist_count")).toEqual([0]);
    await client.execute("PRAGMA optimize");
    for (let i = 0; i < 3; i++) await client.execute("INSERT INTO t VALUES (1)");
    expect(other.all("SELECT count(*) FROM t")).toEqual([[3]]);
    expect([...other.all("PRAGMA user_version"), ...other.all("PRAGMA application_id")]).toEqual([[7], [8]]);
  });

  test("are undone with the transaction that they are in", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    const tx = await client.transaction("deferred");
    await tx.execute("PRAGMA user_version = 7");
    await tx.rollback();
    expect(await column(client, "PRAGMA user_version")).toEqual([0]);
  });
});

describe("settings that belong to the engine", () => {
  const refused = [
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA main.wal_autocheckpoint(5)",
    'PRAGMA "wal_autocheckpoint" = 5',
    "PRAGMA/**/wal_autocheckpoint = 5",
    "pragma -- a comment\n wal_autocheckpoint\n=\n5",
    "; PRAGMA wal_autocheckpoint = 5",
    "EXPLAIN PRAGMA wal_autocheckpoint = 5",
    "EXPLAIN QUERY PLAN PRAGMA query_only = 0",
    "PRAGMA query_only = 0",
    "PRAGMA query_only = 1",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA main.journal_mode('MEMORY')",
  ];
  test.each(refused)("%s is refused by every way", async (sql) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute("SELECT 1");
    for (const [way, run] of [
      ...ways,
      ["migrate", (client: TestClient) => client.migrate([sql])] as const,
      [
        "a script in a transaction",
        async (client: TestClient) => {
          const tx = await client.transaction();
          try {
            await tx.executeMultiple(`SELECT 1; ${sql}`);
          } finally {
            tx.close();
          }
        },
      ] as const,
    ]) {
      // What a call of the test leaves checked out is of no interest here.
      const error = await rejection(run(client, sql).finally(() => releaseAll(client)));
      expect(error, way).toMatchObject({ code: "NOT_SUPPORTED" });
    }
    expect(await everywhere(client, "wal_autocheckpoint")).toEqual([0, 0, 0, 0]);
    expect((await everywhere(client, "query_only")).slice(1)).toEqual([1, 1, 1]);
    expect(await column(client, "PRAGMA journal_mode")).toEqual(["wal"]);
  });

  test("asking for it is allowed, and so is the WAL mode that is", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    expect(await column(client, "PRAGMA wal_autocheckpoint")).toEqual([0]);
    expect(await column(client, "PRAGMA journal_mode = WAL")).toEqual(["wal"]);
    expect(await column(client, "PRAGMA locking_mode")).toEqual(["normal"]);
  });

  test("a checkpoint is refused where a connection is held: it must have the write lock", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    for (const [way, run] of ways.slice(2)) {
      const error = await rejection(run(client, "PRAGMA wal_checkpoint(PASSIVE)").finally(() => releaseAll(client)));
      expect(error, way).toMatchObject({
        code: "NOT_SUPPORTED",
        message: expect.stringMatching(/client\.checkpoint\(\)/),
      });
    }
  });

  test.each(["BEGIN", "begin immediate", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"])(
    "%s through execute is refused, pointing to transaction()",
    async (sql) => {
      await using db = await tempDatabase();
      await using client = openTestClient(db.url);
      const error = await rejection(client.execute(`-- comment\n${sql}`));
      expect(error).toMatchObject({ code: "NOT_SUPPORTED", message: expect.stringMatching(/transaction\(\)/) });
    },
  );
});

describe("ATTACH", () => {
  const attach: [string, (client: TestClient, path: string) => Promise<unknown>, string][] = [
    ["SQL", (client, path) => client.execute(`ATTACH '${path}' AS extra`), "DETACH extra"],
    ["arguments", (client, path) => client.execute("ATTACH DATABASE ? AS ?", [path, "extra"]), "DETACH DATABASE extra"],
    ["a quoted name", (client, path) => client.execute(`ATTACH '${path}' AS "ex""tra b"`), 'DETACH "EX""tra b"'],
    ["a script", (client, path) => client.executeMultiple(`ATTACH '${path}' AS extra;`), "DETACH extra"],
  ];
  test.each(attach)("by %s reaches every connection, later ones too, until DETACH", async (way, run, detach) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    const name = way === "a quoted name" ? '"ex""tra b"' : "extra";
    using _file = openSecond(join(db.dir, "extra.db"), ["CREATE TABLE x (a)", "INSERT INTO x VALUES (1)"]);
    const reading = await client.transaction("read");
    await client.execute("SELECT 1");
    await run(client, join(db.dir, "extra.db"));
    expect(await column(client, `SELECT a FROM ${name}.x`)).toEqual([1]);
    await client.execute(`INSERT INTO ${name}.x VALUES (2)`);
    // One that was in use meanwhile does not know it yet; the next who gets it does.
    expect((await rejection(reading.execute(`SELECT a FROM ${name}.x`))).code).toBe("SQLITE_ERROR");
    reading.close();
    const later = await client.transaction("read");
    expect((await later.execute(`SELECT count(*) FROM ${name}.x`)).rows[0]![0]).toBe(2);
    later.close();
    await (way === "a script" ? client.executeMultiple(detach) : client.execute(detach));
    for (const mode of ["read", "write"] as const) {
      const tx = await client.transaction(mode);
      expect((await rejection(tx.execute(`SELECT a FROM ${name}.x`))).code).toBe("SQLITE_ERROR");
      tx.close();
    }
    expect((await rejection(client.execute(`SELECT a FROM ${name}.x`))).code).toBe("SQLITE_ERROR");
  });
});

describe("state of the writer's connection", () => {
  test("last_insert_rowid() and changes() are the writer's", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    await client.execute("INSERT INTO t VALUES (41), (42)");
    expect(await column(client, "SELECT last_insert_rowid()")).toEqual([42]);
    expect(await column(client, "SELECT changes ( )")).toEqual([2]);
    expect((await client.batch(["SELECT last_insert_rowid()"], "read"))[0]!.rows[0]![0]).toBe(42);
    await client.execute("INSERT INTO t VALUES (50) RETURNING a");
    expect(await column(client, "SELECT last_insert_rowid() + 0 AS id")).toEqual([50]);
  });

  const makers: [string, (client: TestClient, sql: string) => Promise<unknown>][] = [
    ["execute", (client, sql) => client.execute(sql)],
    ["batch", (client, sql) => client.batch([sql], "write")],
    ["executeMultiple", (client, sql) => client.executeMultiple(sql)],
    [
      "a transaction",
      async (client, sql) => {
        const tx = await client.transaction();
        await tx.execute(sql);
        await tx.commit();
      },
    ],
  ];
  test.each(makers)("a temporary table made by %s can be written and read", async (_way, run) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute("CREATE TABLE t (a)");
    await client.execute("SELECT * FROM t");
    await run(client, "CREATE TEMP TABLE tmp (a)");
    await client.execute("INSERT INTO tmp VALUES (1)");
    expect(await column(client, "SELECT a FROM tmp")).toEqual([1]);
    expect((await client.batch(["SELECT a FROM tmp"], "read"))[0]!.rows).toHaveLength(1);
    expect((await rejection(client.batch(["INSERT INTO tmp VALUES (2)"], "read"))).code).toBe("SQLITE_READONLY");
    await client.execute("INSERT INTO t VALUES (1)");
    const [tmp, t] = await Promise.all([column(client, "SELECT a FROM tmp"), column(client, "SELECT a FROM t")]);
    expect([tmp, t]).toEqual([[1], [1]]);
  });

  test("a table in temp.x and one named temp are told apart", async () => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute("CREATE TABLE temp (a)");
    expect(client.pool.hasTemporaryTables).toBe(false);
    await client.execute("CREATE TABLE temp.x AS SELECT 5 AS a");
    expect(client.pool.hasTemporaryTables).toBe(true);
    expect(await column(client, "SELECT a FROM x")).toEqual([5]);
  });

  // Regression: `execute` did not recognize the schema in quotes, and readers did not find the table.
  test.each(['"temp"', "[Temp]", "`TEMP`", "'temp'"])("a table in %s is a temporary one", async (schema) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await client.execute(`CREATE TABLE ${schema}.x AS SELECT 5 AS a`);
    expect(await column(client, "SELECT a FROM x")).toEqual([5]);
  });
});

test("a PRAGMA that fails is not remembered", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await rejection(client.execute("PRAGMA cache_size = (1"));
  await rejection(client.execute(`ATTACH '/nowhere/x.db' AS extra`));
  expect((await everywhere(client, "cache_size"))[0]).toBe(-16000);
});

/** Releases what a failing way of the table above still holds. */
async function releaseAll(client: TestClient): Promise<void> {
  await client.reconnect();
}

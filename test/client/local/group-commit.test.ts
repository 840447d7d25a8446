import { describe, expect, test } from "vitest";
import { column, openTestClient, rejection } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const places = ["file", ":memory:"] as const;
const open = async (place: (typeof places)[number]) => {
  const db = await tempDatabase();
  const client = openTestClient(place === "file" ? db.url : ":memory:");
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
};
const insert = (a: unknown, b: unknown = null) => ({ sql: "INSERT INTO t VALUES (?, ?)", args: [a, b] as never[] });
const settled = async (promises: Promise<unknown>[]) =>
  (await Promise.allSettled(promises)).map((result) =>
    result.status === "fulfilled" ? "stored" : (result.reason.extendedCode ?? result.reason.name),
  );

describe.each(places)("on %s", (place) => {
  test("100 writes at once are all stored, each with its own result, in one commit", async () => {
    await using db = await open(place);
    const { client } = db;
    await client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    const before = client.stats().writes;
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => client.execute(insert(1000 + i))));
    expect(results.map(({ lastInsertRowid }) => lastInsertRowid)).toEqual(
      Array.from({ length: 100 }, (_, i) => BigInt(1000 + i)),
    );
    expect(results.every(({ rowsAffected }) => rowsAffected === 1)).toBe(true);
    const after = client.stats().writes;
    expect(after.grouped - before.grouped).toBe(100);
    expect(after.commits - before.commits).toBeLessThan(10);
    expect(await column(client, "SELECT count(*) FROM t")).toEqual([100]);
  });

  test("a unique violation among 100 rejects that one alone", async () => {
    await using db = await open(place);
    const { client } = db;
    await client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    const values = Array.from({ length: 100 }, (_, i) => (i === 50 ? 49 : i));
    const outcomes = await settled(values.map((value) => client.execute(insert(value))));
    expect(outcomes.filter((outcome) => outcome !== "stored")).toEqual(["SQLITE_CONSTRAINT_PRIMARYKEY"]);
    expect(outcomes[50]).toBe("SQLITE_CONSTRAINT_PRIMARYKEY");
    expect(await column(client, "SELECT count(*) FROM t")).toEqual([99]);
  });

  const breakers: [string, string[], { sql: string; args: never[] }, string][] = [
    [
      "an OR ROLLBACK",
      ["INSERT INTO t VALUES (-1, null)"],
      { sql: "INSERT OR ROLLBACK INTO t VALUES (-1, ?)", args: ["x" as never] },
      "SQLITE_CONSTRAINT_PRIMARYKEY",
    ],
    [
      "a RAISE(ROLLBACK) in a trigger",
      ["CREATE TRIGGER no BEFORE INSERT ON t WHEN new.b = 'no' BEGIN SELECT RAISE(ROLLBACK, 'no'); END"],
      insert(-2, "no"),
      "SQLITE_CONSTRAINT_TRIGGER",
    ],
    [
      "a deferred foreign key that fails at COMMIT",
      ["CREATE TABLE f (p REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)"],
      { sql: "INSERT INTO f VALUES (?)", args: [-99 as never] },
      "SQLITE_CONSTRAINT_FOREIGNKEY",
    ],
    [
      "a RETURNING that a number cannot hold",
      [],
      { sql: "INSERT INTO t VALUES (?, 9007199254740993) RETURNING b", args: [-3 as never] },
      "RangeError",
    ],
  ];
  test.each(breakers)("%s takes the group down, and rejects only itself", async (_what, setUp, breaker, code) => {
    await using db = await open(place);
    const { client } = db;
    await client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    for (const sql of setUp) await client.execute(sql);
    const before = (await column(client, "SELECT count(*) FROM t"))[0] as number;
    const outcomes = await settled(
      Array.from({ length: 40 }, (_, i) => client.execute(i === 20 ? breaker : insert(i))),
    );
    expect(outcomes[20]).toBe(code);
    expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(39);
    expect(await column(client, "SELECT count(*) FROM t")).toEqual([before + 39]);
    expect(await column(client, "SELECT a FROM t WHERE a IN (-2, -3, -99)")).toEqual([]);
    await client.execute(insert(1000));
  });

  test("writes keep their order, also behind one that took the group down", async () => {
    await using db = await open(place);
    const { client } = db;
    await client.executeMultiple(
      "CREATE TABLE t (a, b); CREATE UNIQUE INDEX u ON t (b); INSERT INTO t VALUES (0, 'x')",
    );
    const calls = Array.from({ length: 60 }, (_, i) =>
      client.execute(i % 20 === 10 ? "INSERT OR ROLLBACK INTO t VALUES (-1, 'x')" : insert(i)),
    );
    await Promise.allSettled(calls);
    const order = await column(client, "SELECT a FROM t WHERE b IS NULL ORDER BY rowid");
    expect(order).toEqual([...order].sort((a, b) => (a as number) - (b as number)));
    expect(order).toHaveLength(57);
  });

  test("nothing is answered before it is committed", async () => {
    await using db = await open(place);
    const { client } = db;
    await client.execute("CREATE TABLE t (a, b)");
    const seen: number[] = [];
    const calls = Array.from({ length: 50 }, async (_, i) => {
      await client.execute(insert(i));
      const [row] = (await client.execute({ sql: "SELECT count(*) FROM t WHERE a = ?", args: [i] })).rows;
      seen.push(row![0] as number);
    });
    await Promise.all(calls);
    expect(seen).toEqual(Array.from({ length: 50 }, () => 1));
  });

  test("a statement that fails to prepare, and a wrong argument, reject themselves only", async () => {
    await using db = await open(place);
    const { client } = db;
    await client.execute("CREATE TABLE t (a, b)");
    const outcomes = await settled([
      client.execute(insert(1)),
      client.execute("INSERT INTO nowhere VALUES (1)"),
      client.execute({ sql: "INSERT INTO t VALUES (?, ?)", args: [1] }),
      client.execute(insert(2)),
    ]);
    expect(outcomes).toEqual(["stored", "SQLITE_ERROR", "RangeError", "stored"]);
  });

  test("a long stream of writes lets timers run", async () => {
    await using db = await open(place);
    const { client } = db;
    await client.execute("CREATE TABLE t (a, b)");
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const end = performance.now() + 10_000;
    let writes = 0;
    for (; ticks < 4 && performance.now() < end; writes++) await client.execute(insert(1));
    clearInterval(timer);
    console.log(`4 ticks of 1 ms during ${writes} writes`);
    expect(ticks).toBeGreaterThan(3);
  });
});

test("a unique violation in a group leaves the file in one piece", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE)");
  for (let round = 0; round < 20; round++) {
    await Promise.allSettled(Array.from({ length: 30 }, (_, i) => client.execute(insert(round * 30 + i, i % 7))));
  }
  expect(await column(client, "SELECT count(*) FROM t")).toEqual([7]);
  expect(await column(client, "PRAGMA integrity_check")).toEqual(["ok"]);
  const error = await rejection(client.execute(insert(9999, 0)));
  expect(error.extendedCode).toBe("SQLITE_CONSTRAINT_UNIQUE");
});

test.each(places)("bytes are stored as they were when they were given, on %s", async (place) => {
  await using it = await open(place);
  await it.client.execute("CREATE TABLE t (a, b)");
  const bytes = new Uint8Array([1, 2]);
  const work = [it.client.execute(insert(bytes)), it.client.batch([insert(bytes.buffer)], "write")];
  bytes.fill(9);
  await Promise.all(work);
  const stored = await column(it.client, "SELECT hex(a) FROM t");
  expect(stored).toEqual(["0102", "0102"]);
});

test.each(["COMMIT", "END TRANSACTION"])("a batch with %s is refused before any of it runs", async (control) => {
  await using it = await open("file");
  await it.client.execute("CREATE TABLE t (a, b)");
  const error = await rejection(it.client.batch([insert(1), control, insert(2)], "write"));
  expect(error).toMatchObject({ code: "NOT_SUPPORTED" });
  expect(await column(it.client, "SELECT count(*) FROM t")).toEqual([0]);
});

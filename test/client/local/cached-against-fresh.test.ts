import { expect, test } from "vitest";
import { SINGLE_ROW_FROM } from "../../../src/client/local/connection.js";
import { openNative } from "../../../src/client/local/native.js";
import { nextTurns, openSecond, openTestClient } from "../../support/clients.js";
import { seededRandom } from "../../support/random.js";
import { tempDatabase } from "../../support/temp.js";

const CALLS = 20_000;
const SCHEMA = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v TEXT);
  CREATE TABLE log (id INTEGER);
  CREATE TRIGGER tr AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.id); END;
`;

type Value = string | number | bigint | null;
interface Call {
  readonly sql: string;
  readonly args: readonly Value[];
}

test(`${CALLS} random calls on cached statements answer as on statements that are prepared each time`, async () => {
  // get() on a reused statement ran with the values of the call before; so did every statement after a throw.
  const random = seededRandom("cached against fresh");
  await using db = await tempDatabase();
  await using reference = await tempDatabase();
  await using client = openTestClient(db.url, {
    statementCacheSize: 6,
    busyTimeoutMs: 0,
    durability: "relaxed",
    intMode: "bigint",
  });
  await client.executeMultiple(SCHEMA);
  using locker = openSecond(db.path);
  const fresh = openNative(reference.path, {});
  fresh.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
  fresh.exec(SCHEMA);
  const direct = ({ sql, args }: Call): unknown => {
    try {
      const statement = fresh.prepare(sql);
      const values = args.map((arg) => (typeof arg === "number" && Number.isInteger(arg) ? BigInt(arg) : arg));
      if (statement.reader) return { rows: statement.raw(true).safeIntegers(true).all(values) };
      return { rows: [], changes: statement.run(values).changes };
    } catch (error) {
      return { code: (error as { code: string }).code };
    }
  };
  const ours = async (use: Pick<typeof client, "execute">, { sql, args }: Call): Promise<unknown> => {
    try {
      const result = await use.execute({ sql, args: [...args] });
      const rows = result.rows.map((row) => Array.from(row));
      return result.columns.length > 0 ? { rows } : { rows, changes: result.rowsAffected };
    } catch (error) {
      return { code: (error as { extendedCode?: string }).extendedCode ?? (error as Error).name };
    }
  };

  const id = () => random.below(40);
  const value = (): Value =>
    random.pick<() => Value>([() => random.below(30), () => `v${random.below(9)}`, () => null])();
  const kinds: (() => Call)[] = [
    () => ({ sql: "SELECT * FROM t WHERE id = ?", args: [id()] }),
    () => ({ sql: "SELECT v, u FROM t WHERE u = ?", args: [value()] }),
    () => ({ sql: "SELECT id FROM t WHERE id BETWEEN ? AND ? ORDER BY id", args: [id(), id()] }),
    () => ({ sql: "SELECT count(*), max(id), ? FROM t WHERE v = ?", args: [id(), value()] }),
    () => ({ sql: "SELECT ?, ?, typeof(?)", args: [value(), random.next(), value()] }),
    () => ({ sql: "SELECT v FROM t WHERE id > ? ORDER BY id LIMIT 1", args: [id()] }),
    () => ({ sql: "INSERT INTO t (id, u, v) VALUES (?, ?, ?)", args: [id(), value(), value()] }),
    () => ({ sql: "INSERT INTO t (u, v) VALUES (?, ?) RETURNING id, u", args: [value(), value()] }),
    () => ({ sql: "INSERT OR REPLACE INTO t VALUES (?, ?, ?)", args: [id(), value(), value()] }),
    () => ({ sql: "INSERT INTO t VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING id", args: [id(), value(), "n"] }),
    () => ({ sql: "UPDATE t SET v = ? WHERE id = ?", args: [value(), id()] }),
    () => ({ sql: "UPDATE t SET u = ? WHERE id < ? RETURNING id, u", args: [value(), random.below(4)] }),
    () => ({ sql: "DELETE FROM t WHERE id = ?", args: [id()] }),
    () => ({ sql: "DELETE FROM t WHERE id > ? RETURNING id", args: [60] }),
    () => ({ sql: "SELECT json_extract(?, '$.a')", args: [random.pick(["{}", '{"a":1}', "no json"])] }),
    () => ({ sql: "SELECT abs(?)", args: [random.pick<Value>([1, -(2n ** 63n)])] }),
    () => ({ sql: random.pick(["SELEC 1", "SELECT nothing FROM t", "INSERT INTO nowhere VALUES (?)"]), args: [] }),
    () => ({ sql: `SELECT id FROM t WHERE id = ? /* ${random.below(12)} */`, args: [id()] }),
  ];
  const compare = async (use: Pick<typeof client, "execute">, call: Call, at: string) => {
    // An INSERT without arguments is refused before SQLite sees it, and says what SQLite would not.
    const [mine, theirs] = [await ours(use, call), direct(call)];
    if ((mine as { code?: string }).code === "RangeError") return;
    expect(mine, `${at}: ${call.sql} ${JSON.stringify(call.args.map(String))}`).toEqual(theirs);
  };

  const happened = { busy: 0, refused: 0, rolledBack: 0, grouped: 0, repeated: 0 };
  for (let n = 0; n < CALLS; ) {
    const what = random.below(100);
    if (what < 2) {
      // A call that finds the file locked changes nothing, here or there.
      await lockBetweenCheckpoints(locker);
      const call = kinds[6 + random.below(8)]!();
      expect(await ours(client, call)).toEqual({ code: "SQLITE_BUSY" });
      locker.exec("ROLLBACK");
      happened.busy++;
      n++;
    } else if (what < 4) {
      const bad = random.pick<unknown>([undefined, Number.NaN, {}, "\0", Symbol("s")]);
      const outcome = await ours(client, { sql: "INSERT INTO t (v) VALUES (?)", args: [bad as Value] });
      expect((outcome as { code: string }).code).toMatch(/TypeError|RangeError/);
      happened.refused++;
      n++;
    } else if (what < 8) {
      const tx = await client.transaction(random.pick(["write", "deferred"]));
      fresh.exec("BEGIN");
      const length = random.below(12);
      for (let i = 0; i < length; i++) await compare(tx as never, random.pick(kinds)(), `call ${n}`);
      const commits = random.next() < 0.5;
      await (commits ? tx.commit() : tx.rollback());
      fresh.exec(commits ? "COMMIT" : "ROLLBACK");
      if (!commits) happened.rolledBack++;
      n += length + 2;
    } else if (what < 12) {
      // Asked for together, answered in order.
      const calls = Array.from({ length: 2 + random.below(6) }, () => kinds[6 + random.below(8)]!());
      const answers = await Promise.all(calls.map((call) => ours(client, call)));
      for (const [i, call] of calls.entries()) expect(answers[i], `call ${n}: ${call.sql}`).toEqual(direct(call));
      happened.grouped++;
      n += calls.length;
    } else if (what < 14) {
      // So often that a query by key gets its cheaper form, and goes on being asked.
      const kind = random.pick(kinds);
      const length = SINGLE_ROW_FROM + random.below(20);
      for (let i = 0; i < length; i++) await compare(client, kind(), `call ${n}`);
      happened.repeated++;
      n += length;
    } else {
      await compare(client, random.pick(kinds)(), `call ${n}`);
      n++;
    }
  }
  const { hits, misses, evictions } = client.stats().statements;
  console.log(JSON.stringify({ ...happened, hits, misses, evictions }));
  expect(Math.min(...Object.values(happened), evictions)).toBeGreaterThan(100);
  const all = { sql: "SELECT * FROM t ORDER BY id", args: [] };
  expect(await ours(client, all)).toEqual(direct(all));
  fresh.close();
});

/** The client's own checkpoint may hold the lock for a moment. */
async function lockBetweenCheckpoints(locker: { exec(sql: string): void }): Promise<void> {
  for (;;) {
    try {
      return locker.exec("BEGIN IMMEDIATE");
    } catch (error) {
      if ((error as { rawCode?: number }).rawCode !== 5) throw error;
      await nextTurns(1);
    }
  }
}

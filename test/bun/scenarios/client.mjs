import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createClient } from "holdfast/client";
import { transcript } from "../transcript.mjs";

const rowsOf = ({ columns, rows, rowsAffected, lastInsertRowid }) => ({
  columns,
  rows: rows.map((row) => Array.from(row)),
  rowsAffected,
  lastInsertRowid,
});

await transcript(async ({ dir, note }) => {
  const url = pathToFileURL(join(dir, "a.db")).href.replace("file://", "file:");
  for (const where of [url, ":memory:"]) {
    const client = createClient({ url: where, timeout: 200, acquireTimeoutMs: 2_000 });
    const run = async (sql, args) => rowsOf(await client.execute(args === undefined ? sql : { sql, args }));
    const step = (name, work) => note(`${where === url ? "file" : "memory"}: ${name}`, work);

    await step("create", run("CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE, c TEXT NOT NULL DEFAULT 'd')"));
    await step("insert", run("INSERT INTO t (b) VALUES (?), (?)", ["x", "y"]));
    await step("returning", run("INSERT INTO t (b) VALUES (:b) RETURNING *", { b: "z" }));
    await step("select", run("SELECT * FROM t ORDER BY a"));
    await step("named row", async () => ({
      ...(await client.execute("SELECT a, b AS bee FROM t WHERE a = 1")).rows[0],
    }));
    await step("no rows", run("SELECT * FROM t WHERE a = 99"));

    const values = {
      null: null,
      true: true,
      zero: 0,
      negativeZero: -0,
      whole: 42,
      fraction: 0.1,
      large: 2 ** 53,
      tooLarge: 2 ** 64,
      nan: Number.NaN,
      infinity: Number.POSITIVE_INFINITY,
      bigint: 2n ** 62n,
      tooBig: 2n ** 63n,
      text: "text",
      emoji: "🚀 数据 e\u0301",
      nul: "a\0b",
      surrogate: "a\ud800",
      date: new Date(1_000_000),
      noDate: new Date(Number.NaN),
      bytes: new Uint8Array([0, 1, 255]),
      view: new Uint8Array([9, 1, 2, 9]).subarray(1, 3),
      buffer: Buffer.from("héllo"),
      arrayBuffer: new Uint8Array([1, 2]).buffer,
      floats: new Float32Array([0.5, -1]),
      floatView: new Float32Array([9, 0.5, 9]).subarray(1, 2),
      empty: new Uint8Array(0),
      undefined: undefined,
      object: {},
      array: [],
      symbol: Symbol("s"),
      function: () => 1,
      map: new Map(),
    };
    for (const [name, value] of Object.entries(values)) {
      await step(`bind ${name}`, run("SELECT ? AS v, typeof(?) AS t", [value, value]));
    }
    for (const intMode of ["number", "bigint", "string"]) {
      await step(`intMode ${intMode}`, async () => {
        const other = createClient({ url: ":memory:", intMode });
        try {
          return rowsOf(await other.execute("SELECT 1, 9007199254740993, -1, 1.5, 'x', x'01'"));
        } finally {
          await other.close();
        }
      });
    }

    const wrong = [
      ["", undefined],
      ["SELEC 1", undefined],
      ["SELECT 1; SELECT 2", undefined],
      ["SELECT * FROM nowhere", undefined],
      ["SELECT nothing FROM t", undefined],
      ["SELECT ?", []],
      ["SELECT ?", [1, 2]],
      ["SELECT :a", {}],
      ["SELECT 1\0", undefined],
      ["INSERT INTO t (b) VALUES ('x')", undefined],
      ["INSERT INTO t (a, b) VALUES (1, 'new')", undefined],
      ["INSERT INTO t (b, c) VALUES ('new', NULL)", undefined],
      ["SELECT json('{')", undefined],
      ["BEGIN", undefined],
      ["COMMIT", undefined],
      ["PRAGMA wal_autocheckpoint = 10", undefined],
      ["ATTACH '/none/of/it.db' AS other", undefined],
    ];
    for (const [sql, args] of wrong) await step(`refused: ${sql}`, run(sql, args));

    await step("batch", async () =>
      (await client.batch(["SELECT 1", { sql: "SELECT ?", args: ["b"] }], "read")).map(rowsOf),
    );
    await step(
      "batch fails",
      client.batch(["INSERT INTO t (b) VALUES ('lost')", "INSERT INTO t (b) VALUES ('x')"], "write"),
    );
    await step("nothing of it", run("SELECT count(*) FROM t WHERE b = 'lost'"));
    await step(
      "multiple",
      client.executeMultiple("CREATE TABLE u (x); INSERT INTO u VALUES (1); INSERT INTO u VALUES (2);"),
    );
    await step("multiple fails", client.executeMultiple("INSERT INTO u VALUES (3); SELEC;"));
    await step("u", run("SELECT x FROM u ORDER BY x"));
    await step(
      "migrate",
      async () => (await client.migrate(["CREATE TABLE v (x)", "INSERT INTO v VALUES (1)"])).length,
    );

    await step("transaction", async () => {
      const tx = await client.transaction("write");
      await tx.execute("INSERT INTO u VALUES (10)");
      const inside = rowsOf(await tx.execute("SELECT max(x) FROM u"));
      await tx.commit();
      return { inside, closed: tx.closed, state: tx.state };
    });
    await step("rolled back", async () => {
      const tx = await client.transaction("write");
      await tx.execute("INSERT INTO u VALUES (11)");
      await tx.rollback();
      return { state: tx.state, rows: (await run("SELECT max(x) FROM u")).rows };
    });
    await step("after its end", async () => {
      const tx = await client.transaction("read");
      tx.close();
      return tx.execute("SELECT 1");
    });
    await step("read only", async () => {
      const tx = await client.transaction("read");
      try {
        return await tx.execute("INSERT INTO u VALUES (12)");
      } finally {
        tx.close();
      }
    });
    await step("savepoints", async () => {
      const tx = await client.transaction("write");
      const outer = await tx.savepoint();
      await tx.execute("INSERT INTO u VALUES (20)");
      const inner = await tx.savepoint();
      await tx.execute("INSERT INTO u VALUES (21)");
      const depth = tx.depth;
      await tx.rollbackTo(inner);
      await tx.release(outer);
      await tx.commit();
      return { depth, rows: (await run("SELECT x FROM u WHERE x >= 20")).rows };
    });
    await step("group commit", async () => {
      const writes = Array.from({ length: 60 }, (_, i) =>
        client.execute("INSERT INTO t (a, b) VALUES (?, ?)", [1000 + i, `g${i % 50}`]),
      );
      const settled = await Promise.allSettled(writes);
      return settled.map(({ status, value, reason }) => value?.lastInsertRowid ?? reason?.extendedCode ?? status);
    });
    await step("left of it", run("SELECT count(*) FROM t WHERE a >= 1000"));
    await step("many at once", async () => {
      const reads = Array.from({ length: 100 }, (_, i) => client.execute("SELECT ? * 2", [i]));
      return (await Promise.all(reads)).map(({ rows }) => rows[0][0]);
    });
    await step("full text", async () => {
      await client.execute("CREATE VIRTUAL TABLE f USING fts5(body, tokenize = 'porter unicode61')");
      await client.execute("INSERT INTO f VALUES ('the migrations ran'), ('café au lait')");
      const found = async (match) =>
        (await run("SELECT rowid, snippet(f, 0, '[', ']', '…', 5) FROM f WHERE f MATCH ?", [match])).rows;
      return [await found("migration"), await found("cafe"), await found('"').catch(({ code }) => code)];
    });
    await step(
      "vectors",
      run("SELECT vector_distance_cos(?, ?)", [new Float32Array([1, 0]), new Float32Array([1, 1])]),
    );
    await step("json", run('SELECT key, value FROM json_each(\'{"a": [1], "b": 2.5}\')'));
    await step("large text", async () => (await run("SELECT length(?)", ["x".repeat(3_000_000)])).rows);
    await step("large blob", async () => (await client.execute("SELECT zeroblob(2000000)")).rows[0][0].byteLength);
    await step(
      "wide row",
      async () => (await run(`SELECT ${Array.from({ length: 500 }, (_, i) => i).join(", ")}`)).rows[0].length,
    );
    await step("stats", () => Object.keys(client.stats()).sort());
    await step("checkpoint", async () => typeof (await client.checkpoint()));
    if (where === url) {
      await step("between processes", async () => {
        const other = createClient({ url, timeout: 20 });
        const tx = await client.transaction("write");
        try {
          return await other.execute("INSERT INTO u VALUES (99)");
        } finally {
          tx.close();
          await other.close();
        }
      });
      await step("acquire", async () => {
        const checkout = await client.pool.acquire("reader");
        await checkout.release();
        return Object.keys(client.pool.stats()).length > 0;
      });
    }
    await step("close", client.close());
    await step("close again", client.close());
    await step("closed", client.execute("SELECT 1"));
  }
  await note("not a database", async () => {
    const { writeFileSync } = await import("node:fs");
    writeFileSync(join(dir, "garbage.db"), "garbage ".repeat(1000));
    const client = createClient({ url: `file:${join(dir, "garbage.db")}` });
    try {
      return await client.execute("SELECT * FROM sqlite_schema");
    } finally {
      await client.close();
    }
  });
  await note("no folder", async () => createClient({ url: `file:${join(dir, "none/of/it.db")}` }).execute("SELECT 1"));
  await note("bad options", () => createClient({ url: ":memory:", readers: 0 }));
  await note("bad url", () => createClient({ url: "ftp://x" }));
});

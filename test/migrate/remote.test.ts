import { createClient } from "@libsql/client";
import { migrate, status, verify } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, rejection } from "../support/clients.js";
import { rebuild, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (id integer PRIMARY KEY, x text); CREATE TABLE log (line);" };
const TWO = { tag: "0001_two", sql: "INSERT INTO a (x) VALUES ('1');" };

/** A stock client. Like every client over http, it has no pool. */
async function stock() {
  const temp = await tempDatabase();
  const client = createClient({ url: temp.url, timeout: 2000 });
  return {
    temp,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("through a client without a pool", () => {
  test("pending migrations are applied once, and the result is the same", async () => {
    await using p = await stock();
    const folder = writeMigrations(p.temp.dir, [ONE, TWO]);
    expect(await rejection(verify(p.client, { folder }))).toMatchObject({ code: "MIGRATION_PENDING" });
    expect(await migrate(p.client, { folder, to: "0000_one" })).toMatchObject({ applied: ["0000_one"] });
    expect(await migrate(p.client, { folder })).toEqual({ applied: ["0001_two"], from: "0000_one", to: "0001_two" });
    expect(await migrate(p.client, { folder })).toEqual({ applied: [], from: "0001_two", to: "0001_two" });
    await verify(p.client, { folder });
    expect(await status(p.client, { folder })).toMatchObject({ applied: ["0000_one", "0001_two"] });
  });

  test("a failure names tag and statement and changes nothing", async () => {
    await using p = await stock();
    const folder = writeMigrations(p.temp.dir, [
      ONE,
      { tag: "0001_bad", sql: "INSERT INTO a VALUES (1, 2);\nINSERT INTO a VALUES (1, 3);" },
    ]);
    const error = await rejection(migrate(p.client, { folder }));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(error.message).toContain("Migration 0001_bad failed at line 2, `INSERT INTO a VALUES (1, 3)`");
    expect(await column(p.client, "SELECT name FROM sqlite_schema")).toEqual([]);
  });

  test("if the ledger changes between reading and applying, the migrations are planned again", async () => {
    await using p = await stock();
    const folder = writeMigrations(p.temp.dir, [ONE, TWO]);
    let calls = 0;
    const before = async () => {
      if (calls++ > 0) return;
      const other = createClient({ url: p.temp.url });
      await migrate(other, { folder, to: "0000_one" });
      other.close();
    };
    expect(await migrate(p.client, { folder, before })).toEqual({
      applied: ["0001_two"],
      from: "0000_one",
      to: "0001_two",
    });
    expect(await column(p.client, "SELECT x FROM a")).toEqual(["1"]);
  });

  test("a rebuild keeps children, triggers and objects that mention the table", async () => {
    await using p = await stock();
    const first = {
      tag: "0000_first",
      sql: `${ONE.sql}
        CREATE TABLE child (a REFERENCES a(id) ON DELETE CASCADE);
        CREATE VIEW v AS SELECT x FROM a;
        CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO log VALUES (new.x); END;
        INSERT INTO a VALUES (1, 'one'); INSERT INTO child VALUES (1);`,
    };
    const folder = writeMigrations(p.temp.dir, [first]);
    await migrate(p.client, { folder });
    writeMigrations(p.temp.dir, [
      first,
      { tag: "0001_rebuild", sql: rebuild("a", "id integer PRIMARY KEY, x text NOT NULL", ["id", "x"]) },
    ]);
    await migrate(p.client, { folder });
    await p.client.execute("INSERT INTO a VALUES (2, 'two')");
    expect(await column(p.client, "SELECT line FROM log")).toEqual(["one", "two"]);
    expect(await column(p.client, "SELECT x FROM v")).toEqual(["one", "two"]);
    expect(await column(p.client, "SELECT a FROM child")).toEqual([1]);
  });
});

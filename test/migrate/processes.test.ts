import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { migrate, status } from "holdfast/migrate";
import { expect, test } from "vitest";
import { runChild, startChild } from "../support/child.js";
import { column, openSecond, openTestClient, rejection } from "../support/clients.js";
import { writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x);" };
const TWO = { tag: "0001_two", sql: "INSERT INTO a VALUES (1);" };

const ROWS = 1_000;

interface Outcome {
  readonly event: string;
  readonly applied: string[];
  readonly backup?: string;
}

test("if six processes migrate one new file at once, one applies and five find it done", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  await using client = openTestClient(temp.url);
  await client.execute("SELECT 1");
  // All six have seen that the file is new before the first one can begin.
  using other = openSecond(temp.path, ["BEGIN IMMEDIATE"]);
  const children = Array.from({ length: 6 }, () => startChild("migrate", { url: temp.url, folder }));
  const waiting = ({ message }: { message?: string }) => message?.startsWith("Waiting") === true;
  await Promise.all(children.map((child) => child.message(waiting)));
  other.exec("COMMIT");
  const outcomes = await Promise.all(children.map((child) => child.message<Outcome>(({ event }) => event === "done")));
  for (const child of children) expect(await child.exited).toMatchObject({ code: 0 });
  expect(outcomes.map(({ applied }) => applied.length).sort()).toEqual([0, 0, 0, 0, 0, 2]);
  expect(await column(client, "SELECT x FROM a")).toEqual([1]);
  expect(await column(client, "SELECT count(*) FROM __drizzle_migrations")).toEqual([2]);
});

test("if six processes migrate one file with rows at once, one makes one backup", async () => {
  await using temp = await tempDatabase();
  await using client = openTestClient(temp.url);
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  await migrate(client, { folder });
  writeMigrations(temp.dir, [ONE, TWO, { tag: "0002_three", sql: "UPDATE a SET x = x + 1;" }]);
  const backupTo = join(temp.dir, "backups");
  const outcomes = await Promise.all(
    Array.from({ length: 6 }, () => runChild<Outcome>("migrate", { url: temp.url, folder, backupTo })),
  );
  expect(outcomes.filter(({ applied }) => applied.length === 1)).toHaveLength(1);
  expect(outcomes.filter(({ backup }) => backup !== undefined)).toHaveLength(1);
  expect(readdirSync(backupTo)).toHaveLength(1);
  expect(await column(client, "SELECT x FROM a")).toEqual([2]);
});

test("a migration killed half-way stays pending, and the next start applies it", async () => {
  await using temp = await tempDatabase();
  const long = `CREATE TABLE b (x); INSERT INTO b WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < (SELECT user_version FROM pragma_user_version)) SELECT i FROM n;`;
  const folder = writeMigrations(temp.dir, [ONE, { tag: "0001_long", sql: long }]);
  await using client = openTestClient(temp.url);
  await migrate(client, { folder, to: "0000_one" });
  // More rows than can be inserted before the kill.
  await client.execute("PRAGMA user_version = 500000000");
  await using child = startChild("migrate", { url: temp.url, folder });
  await child.message(({ event }) => event === "begun");
  // The kill falls into the long statement: some of its pages have spilled into the log.
  await expect
    .poll(() => statSync(`${temp.path}-wal`).size, { timeout: 60_000, interval: 5 })
    .toBeGreaterThan(4_000_000);
  child.kill();
  expect(await child.exited).toMatchObject({ signal: "SIGKILL" });
  expect(await status(client, { folder })).toMatchObject({ applied: ["0000_one"], pending: ["0001_long"] });
  expect(await column(client, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'")).toEqual([0]);
  using fresh = openSecond(temp.path);
  expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
  await client.execute(`PRAGMA user_version = ${ROWS}`);
  expect((await migrate(client, { folder })).applied).toEqual(["0001_long"]);
  expect(await column(client, "SELECT count(*) FROM b")).toEqual([ROWS]);
  // By then, the checkpoint of the large log has finished.
  await client.checkpoint();
});

test("a process that waits for another one logs it after a second, and applies when the lock is free", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE]);
  await using client = openTestClient(temp.url);
  await client.execute("SELECT 1");
  using other = openSecond(temp.path, ["BEGIN IMMEDIATE"]);
  const told: string[] = [];
  const logger = {
    info(message: string) {
      told.push(message);
      if (told.length === 1) other.exec("COMMIT");
    },
  };
  expect((await migrate(client, { folder, logger })).applied).toEqual(["0000_one"]);
  expect(told).toEqual([
    expect.stringMatching(
      /^Waiting to apply 0000_one: another process holds the write lock of .*, perhaps to migrate it$/,
    ),
    expect.stringMatching(/^Applied 0000_one to /),
  ]);
});

test("a lock that is not released in time is BUSY, retryable, and nothing has changed", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE]);
  await using client = openTestClient(temp.url);
  await client.execute("SELECT 1");
  using _ = openSecond(temp.path, ["BEGIN IMMEDIATE"]);
  const error = await rejection(migrate(client, { folder, lockTimeoutMs: 30 }));
  expect(error).toMatchObject({ code: "BUSY", retryable: true, message: expect.stringContaining("0000_one") });
  expect(await column(client, "SELECT count(*) FROM sqlite_schema")).toEqual([0]);
});

test("a file that is up to date is not locked: another process may hold the lock", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE]);
  await using client = openTestClient(temp.url);
  await migrate(client, { folder });
  using _ = openSecond(temp.path, ["BEGIN IMMEDIATE"]);
  expect((await migrate(client, { folder, lockTimeoutMs: 0 })).applied).toEqual([]);
});

test("two calls on one client at once: one applies, the other finds it done", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  await using client = openTestClient(temp.url);
  const results = await Promise.all([migrate(client, { folder }), migrate(client, { folder })]);
  // Either call may have read its folder first.
  expect(results.map(({ applied }) => applied.length).sort()).toEqual([0, 2]);
});

import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { migrate } from "holdfast/migrate";
import { expect, test } from "vitest";
import { column, openSecond, openTestClient, rejection } from "../support/clients.js";
import { writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x); CREATE VIRTUAL TABLE f USING fts5(x);" };
const TWO = { tag: "0001_two", sql: "DELETE FROM a;" };
const THREE = { tag: "0002_three", sql: "DROP TABLE a;" };

async function fileWith(rows: string | undefined, config: { encryptionKey?: string } = {}) {
  const temp = await tempDatabase("it's data.db");
  const client = openTestClient(temp.url, config);
  const folder = writeMigrations(temp.dir, [ONE]);
  const backupTo = join(temp.dir, "backups");
  await migrate(client, { folder, backupTo });
  expect(existsSync(backupTo)).toBe(false);
  if (rows !== undefined) await client.execute(rows);
  writeMigrations(temp.dir, [ONE, TWO, THREE]);
  return {
    temp,
    client,
    backupTo,
    run: () => migrate(client, { folder, backupTo }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

test("a file with rows is backed up once before its first pending migration, and the backup is complete and private", async () => {
  await using p = await fileWith("INSERT INTO a VALUES ('kept')");
  const { backup, applied } = await p.run();
  expect(applied).toEqual(["0001_two", "0002_three"]);
  const files = readdirSync(p.backupTo);
  expect(files).toEqual([expect.stringMatching(/^it's data-\d{8}-\d{6}-\d{3}-before-0001_two\.db$/)]);
  expect(backup).toBe(join(p.backupTo, files[0]!));
  expect(statSync(backup!).mode & 0o777).toBe(0o600);
  using copy = openSecond(backup!);
  expect(copy.all("SELECT x FROM a")).toEqual([["kept"]]);
  expect(copy.all("SELECT count(*) FROM __drizzle_migrations")).toEqual([[1]]);
  expect(copy.all("PRAGMA integrity_check")).toEqual([["ok"]]);
});

test.each([
  ["a row in a full-text table", "INSERT INTO f VALUES ('kept')", true],
  ["tables without rows", undefined, false],
])("%s: is it data?", async (_, rows, isData) => {
  await using p = await fileWith(rows);
  const { backup } = await p.run();
  expect(backup !== undefined).toBe(isData);
  expect(existsSync(p.backupTo)).toBe(isData);
});

test("another ledger in the file does not count as data", async () => {
  await using p = await fileWith(undefined);
  const folder = writeMigrations(p.temp.dir, [{ tag: "0000_theirs", sql: "CREATE TABLE t (x);" }], "theirs");
  const result = await migrate(p.client, { folder, table: "their_migrations", backupTo: p.backupTo });
  expect(result).toEqual({ applied: ["0000_theirs"], from: undefined, to: "0000_theirs" });
});

test("the backup of an encrypted file is encrypted with the same key", async () => {
  await using p = await fileWith("INSERT INTO a VALUES ('secret')", { encryptionKey: "a key" });
  const { backup } = await p.run();
  const open = (encryptionKey?: string) =>
    createClient({ url: `file:${encodeURI(backup!)}`, ...(encryptionKey && { encryptionKey }) });
  const right = open("a key");
  expect(await column(right as never, "SELECT x FROM a")).toEqual(["secret"]);
  await right.close();
  const wrong = open();
  expect(await rejection(wrong.execute("SELECT x FROM a"))).toMatchObject({ code: "SQLITE_NOTADB" });
  await wrong.close();
});

test("a database in memory is never backed up", async () => {
  await using temp = await tempDatabase();
  await using client = openTestClient(":memory:");
  const folder = writeMigrations(temp.dir, [ONE]);
  await migrate(client, { folder });
  await client.execute("INSERT INTO a VALUES (1)");
  writeMigrations(temp.dir, [ONE, TWO]);
  expect(await migrate(client, { folder, backupTo: join(temp.dir, "backups") })).not.toHaveProperty("backup");
});

test("if the backup fails, the migration is not applied and no unfinished file stays", async () => {
  await using p = await fileWith("INSERT INTO a VALUES ('kept')");
  writeFileSync(p.backupTo, "a file where the folder should be");
  const error = await rejection(p.run());
  expect(error).toMatchObject({ code: "MIGRATION_FAILED", message: expect.stringContaining(p.backupTo) });
  expect(error.message).toContain("Nothing was changed");
  expect(await column(p.client, "SELECT x FROM a")).toEqual(["kept"]);
});

test("only the backup stays in its folder, and an older backup of the same name is not changed", async () => {
  await using p = await fileWith("INSERT INTO a VALUES ('kept')");
  mkdirSync(p.backupTo);
  const older = join(p.backupTo, "older.db");
  writeFileSync(older, "older");
  const { backup } = await p.run();
  expect(
    readdirSync(p.backupTo)
      .map((name) => join(p.backupTo, name))
      .sort(),
  ).toEqual([backup, older].sort());
  expect(statSync(older).size).toBe(5);
});

test("as many backups from before migrations stay as the caller asks for, the newest ones", async () => {
  await using temp = await tempDatabase("app.db");
  await using client = openTestClient(temp.url);
  const backupTo = join(temp.dir, "backups");
  mkdirSync(backupTo);
  // Backups of a revert, of other databases, and the caller's own do not count.
  const others = [
    "app-20200101-000000-000-before-revert-0001_two.db",
    "app-x-20200101-000000-000-before-0001_two.db",
    "app.sqlite-20200101-000000-000-before-0001_two.db",
    "app-mine.db",
  ];
  for (const name of others) writeFileSync(join(backupTo, name), "");
  const migrations = [ONE];
  const run = async (keepBackups: number | undefined) => {
    const tag = `000${migrations.length}_more`;
    migrations.push({ tag, sql: `CREATE TABLE t${migrations.length} (x);` });
    const folder = writeMigrations(temp.dir, migrations);
    const result = await migrate(client, { folder, backupTo, keepBackups });
    const left = readdirSync(backupTo).filter((name) => !others.includes(name));
    return { result, tags: left.map((name) => /before-(.+)\.db$/.exec(name)![1]) };
  };
  await migrate(client, { folder: writeMigrations(temp.dir, [ONE]) });
  await client.execute("INSERT INTO a VALUES ('kept')");
  await run(undefined);
  await run(undefined);
  writeFileSync(join(backupTo, "app-20200101-000000-000-before-0000_old.db-wal"), "");
  writeFileSync(join(backupTo, "app-20200101-000000-000-before-0000_old.db"), "");
  expect((await run(3)).tags).toEqual(["0001_more", "0002_more", "0003_more"]);
  expect((await run(1)).tags).toEqual(["0004_more"]);
  const none = await run(0);
  expect(none.tags).toEqual([]);
  expect(none.result).toMatchObject({ applied: ["0005_more"] });
  expect(none.result).not.toHaveProperty("backup");
  expect(readdirSync(backupTo).sort()).toEqual(others.sort());
  for (const wrong of [-1, 1.5, "3"]) {
    const error = await rejection(migrate(client, { folder: temp.dir, backupTo, keepBackups: wrong as never }));
    expect(["TypeError", "RangeError"]).toContain(error.name);
  }
});

test("openStorage keeps the last three of these backups, or as many as the caller asks for", async () => {
  const folder = fileURLToPath(new URL("../../drizzle", import.meta.url));
  for (const keepMigrationBackups of [undefined, 1]) {
    await using temp = await tempDatabase("app.db");
    const backupTo = join(temp.dir, "backups");
    mkdirSync(backupTo);
    for (let n = 0; n < 4; n++) writeFileSync(join(backupTo, `app-2020010${n}-000000-000-before-0000_old.db`), "");
    await using client = openTestClient(temp.url);
    await migrate(client, { folder, to: "0008_full_text_in_step" });
    await client.execute("INSERT INTO sessions (project, id, started_at, metadata) VALUES ('p', 's', 1, '{}')");
    await (await openStorage({ url: temp.path, keepMigrationBackups })).close();
    const left = readdirSync(backupTo);
    expect(left).toHaveLength(keepMigrationBackups ?? 3);
    expect(left.at(-1)).toContain("-before-0009_message_sent_hash");
  }
});

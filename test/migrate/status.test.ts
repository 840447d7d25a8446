import { migrate, status, verify } from "holdfast/migrate";
import { expect, test } from "vitest";
import { HOLDFAST_MIGRATIONS } from "../../src/shared/holdfast-migrations.js";
import { column, openTestClient, rejection } from "../support/clients.js";
import { sha256, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x);" };
const TWO = { tag: "0001_two", sql: "CREATE TABLE b (x);" };
const THREE = { tag: "0002_three", sql: "CREATE TABLE c (x);" };

test("status reports where each migration stands, and changes nothing", async () => {
  await using temp = await tempDatabase();
  await using client = openTestClient(temp.url);
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  const nothing = { applied: [], pending: [], changed: [], unknown: [] };
  expect(await status(client, { folder })).toEqual({ ...nothing, pending: ["0000_one", "0001_two"] });
  expect(await column(client, "SELECT name FROM sqlite_schema")).toEqual([]);
  await migrate(client, { folder });
  expect(await status(client, { folder })).toEqual({ ...nothing, applied: ["0000_one", "0001_two"] });
  writeMigrations(temp.dir, [
    { ...ONE, sql: "CREATE TABLE a (y);" },
    { ...THREE, when: 3000 },
  ]);
  expect(await status(client, { folder })).toEqual({
    applied: [],
    pending: ["0002_three"],
    changed: ["0000_one"],
    unknown: [{ hash: sha256(TWO.sql), when: 2000 }],
  });
});

test("verify resolves if all migrations of the journal are applied, and otherwise says what is wrong", async () => {
  await using temp = await tempDatabase();
  await using client = openTestClient(temp.url);
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  const failure = () => rejection(verify(client, { folder }));
  expect(await failure()).toMatchObject({ code: "MIGRATION_PENDING", message: expect.stringContaining("0001_two") });
  expect(await failure()).toMatchObject({
    message: expect.stringContaining(`\`holdfast migrate --folder ${folder} --table __drizzle_migrations\``),
  });
  expect((await rejection(verify(client, { migrations: [ONE], table: "app" }))).message).toMatch(/Run migrate\(\)$/);
  const own = { migrations: HOLDFAST_MIGRATIONS };
  expect((await rejection(verify(client, own))).message).toMatch(/Run migrate\(\) or `holdfast migrate`$/);
  await migrate(client, { folder });
  await verify(client, { folder });
  writeMigrations(temp.dir, [ONE]);
  expect(await failure()).toMatchObject({ code: "MIGRATION_UNKNOWN" });
  writeMigrations(temp.dir, [ONE, { ...TWO, sql: "-- other" }]);
  expect(await failure()).toMatchObject({ code: "MIGRATION_CHANGED", message: expect.stringContaining("0001_two") });
  writeMigrations(temp.dir, [{ ...THREE, when: 7 }]);
  expect(await failure()).toMatchObject({ code: "FOREIGN_LEDGER" });
  expect(await rejection(verify(client, { folder, ownTables: ["a"] }))).toMatchObject({ code: "MIGRATION_UNKNOWN" });
});

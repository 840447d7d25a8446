import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readJournal } from "holdfast/migrate";
import { expect, test } from "vitest";
import { sha256, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x);" };
const TWO = { tag: "0001_two", sql: "-- é\nCREATE TABLE b (x);\n", when: 5 };

test("a journal is read in its own order, with drizzle's hash of each whole file", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  const expected = [
    { tag: "0000_one", when: 1000, sql: ONE.sql, hash: sha256(ONE.sql), path: join(folder, "0000_one.sql") },
    { tag: "0001_two", when: 5, sql: TWO.sql, hash: sha256(TWO.sql), path: join(folder, "0001_two.sql") },
  ];
  expect(readJournal(folder)).toEqual(expected);
  expect(readJournal(pathToFileURL(folder))).toEqual(expected);
});

test("a missing folder, journal or file is NOT_FOUND, and the error names it", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE, TWO]);
  const missing = (what: string) =>
    expect.objectContaining({ code: "NOT_FOUND", message: expect.stringContaining(what) });
  expect(() => readJournal(join(temp.dir, "nowhere"))).toThrow(missing("nowhere"));
  rmSync(join(folder, "0001_two.sql"));
  expect(() => readJournal(folder)).toThrow(missing("0001_two.sql"));
  rmSync(join(folder, "meta", "_journal.json"));
  expect(() => readJournal(folder)).toThrow(missing("_journal.json"));
});

test.each([
  ["{", "not a journal"],
  ["null", "no `entries`"],
  ['{"entries":{}}', "no `entries`"],
  ['{"entries":[null]}', "entry 0 has no usable `tag`"],
  ['{"entries":[{"tag":"../../etc/passwd","when":1}]}', "entry 0 has no usable `tag`"],
  ['{"entries":[{"tag":"0000_one","when":"1"}]}', "entry 0 (0000_one) has no usable `when`"],
  ['{"entries":[{"tag":"0000_one","when":1},{"tag":"0000_one","when":2}]}', "lists 0000_one twice"],
])("the journal %s is INVALID", async (text, reason) => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [ONE]);
  writeFileSync(join(folder, "meta", "_journal.json"), text);
  expect(() => readJournal(folder)).toThrow(
    expect.objectContaining({ code: "INVALID", message: expect.stringContaining(reason) }),
  );
});

test("a file with a NUL is unreadable: SQLite would run only the text before it", async () => {
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [{ ...ONE, sql: "CREATE TABLE a (x);\0CREATE TABLE b (x);" }]);
  expect(readJournal(folder)).toMatchObject([{ unreadable: expect.stringContaining("NUL") }]);
});

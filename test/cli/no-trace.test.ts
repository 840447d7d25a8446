import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { readWithoutTrace } from "../../src/client/local/read-without-trace.js";
import { runChild } from "../support/child.js";
import { canMount, withReadOnlyMount } from "../support/read-only-mount.js";
import { runSql } from "../support/stock-sql.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

// A command that only reads leaves no byte, -wal, -shm or time of change, whatever state the file is in.

const CONTENTS = ["a zebra", "a giraffe", "another zebra"];

/** Written by another process, which leaves its log and -shm behind; `hasLog: false` removes them. */
async function filled(db: TempDatabase, { hasLog }: { hasLog: boolean }): Promise<void> {
  await runChild("write-memories", { url: db.path, contents: CONTENTS, keepsLog: hasLog });
  if (hasLog) return;
  runSql(db.path, "PRAGMA wal_checkpoint(TRUNCATE)");
  for (const suffix of ["-wal", "-shm"]) rmSync(db.path + suffix);
}

/** Names, sizes, times of change and bytes, as another process sees them. */
const stateOf = (dir: string) =>
  execFileSync("sh", ["-c", 'cd "$0" && stat -c "%n %s %y" * && sha256sum *', dir], { encoding: "utf8" });

/** Runs every command that reads, and expects it to answer `rows` memories and to leave the folder as it is. */
async function expectNoTrace(dir: string, rows: number): Promise<void> {
  await using out = await tempDatabase();
  const url = join(dir, "test.db");
  const commands = [
    ["check", "--deep"],
    ["stats", "--json"],
    ["search", "zebra"],
    ["status"],
    ["export", "--out", join(out.dir, "all.jsonl")],
    ["prune", "--max-rows", "1", "--dry-run"],
    ["backup", join(out.dir, "copy.db")],
    ["export"],
  ].map((args) => [...args, "--url", url]);
  const before = stateOf(dir);
  const { answers } = await runChild<{ answers: { command: string; code: number; output: string }[] }>("commands", {
    commands,
  });
  expect(answers.filter(({ code }) => code !== 0)).toEqual([]);
  expect(stateOf(dir)).toBe(before);
  expect(JSON.parse(answers[1]!.output).tables[0]).toEqual({ table: "memories", rows });
  expect(answers[7]!.output.trim().split("\n")).toHaveLength(1 + rows);
}

test("reading a file that is closed, or one with a rollback journal, leaves no trace", async () => {
  await using db = await tempDatabase();
  await filled(db, { hasLog: false });
  await expectNoTrace(db.dir, 3);
  runSql(db.path, "PRAGMA journal_mode = DELETE");
  expect(readdirSync(db.dir)).toEqual(["test.db"]);
  await expectNoTrace(db.dir, 3);
});

test("reading a file with the log of a process that was killed leaves both as they are, with its -shm or without", async () => {
  await using db = await tempDatabase();
  await filled(db, { hasLog: true });
  expect(readdirSync(db.dir)).toEqual(["test.db", "test.db-shm", "test.db-wal"]);
  await expectNoTrace(db.dir, 3);
  rmSync(`${db.path}-shm`);
  await expectNoTrace(db.dir, 3);
});

test("reading a file that another process has open sees its log and changes nothing", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insertMany([{ content: "a zebra in the log" }, { content: "another" }]);
  await expectNoTrace(db.dir, 2);
  await storage.memories.insert({ content: "and one more" });
});

test.skipIf(!canMount)("reading on a read-only mount needs no option", async () => {
  await using db = await tempDatabase();
  await filled(db, { hasLog: true });
  rmSync(`${db.path}-shm`);
  await withReadOnlyMount(db.dir, (mount) => expectNoTrace(mount, 3));
});

test("a file that is changed while it is read without locks is read again with them", async () => {
  await using db = await tempDatabase();
  await filled(db, { hasLog: false });
  const ways: unknown[] = [];
  const count = await readWithoutTrace(db.path, async (readOnly) => {
    ways.push(readOnly);
    if (ways.length === 1) {
      await runChild("write-memories", { url: db.path, contents: ["a newcomer"] });
      throw new Error("what a torn read may end in");
    }
    return "whole";
  });
  expect({ count, ways }).toEqual({ count: "whole", ways: ["immutable", "keepsShm"] });
});

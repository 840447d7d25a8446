import { existsSync, readdirSync } from "node:fs";
import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { cliProgram, holdfast } from "../support/cli.js";
import { packagesOf } from "../support/packages-of.js";
import { tempDatabase } from "../support/temp.js";

describe("the database of a command", () => {
  // `holdfast check ./app.db` said that there were too many arguments.
  test.each([[["./test.db"]], [["test.db"]], [["--url", "test.db"]], [["-u", "test.db"]], [["--db", "test.db"]]])(
    "may be named by %j",
    async (named) => {
      await using db = await tempDatabase();
      await (await openStorage(db.path)).close();
      const { code, stdout, stderr } = await holdfast(["stats", "--json", ...named], { cwd: db.dir });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(JSON.parse(stdout)).toMatchObject({ path: db.path });
    },
  );

  test.each([
    [["migrate", "up"], /got "up"\. A file of this name is --url \.\/up\. .*`holdfast migrate --help`/],
    [["stats", "a.db", "--url", "b.db"], /one database, got b\.db and a\.db/],
    [["search", "two", "words"], /"words"\. Quote a text of several words\. .*`holdfast search --help`/],
    [
      ["search", "walrus", "./a.db"],
      /"\.\/a\.db"\. Name the database with --url: `holdfast search walrus --url \.\/a\.db`\./,
    ],
    // It named the destination as the database.
    [["backup", "data/a.db", "b/new db"], /"b\/new db"\. .*: `holdfast backup 'b\/new db' --url data\/a\.db`\./],
    [["import", "a.db", "./all.jsonl"], /: `holdfast import \.\/all\.jsonl --url a\.db`\./],
    [["restore", "old.db", "a.db"], /: `holdfast restore old\.db --url a\.db`\./],
    [["help", "nope"], /unknown command 'nope'/],
    [["serch", "x"], /unknown command 'serch' \(Did you mean search\?\) See/],
    [["stats", "--jsn"], /unknown option '--jsn' \(Did you mean --json\?\) See/],
    [["prune", "--max-rows", "-1"], /whole number of at least 0/],
    [["search", "x", "--limit", "0"], /whole number of at least 1/],
  ])("%j is wrong usage that says what is meant", async (args, message) => {
    await using db = await tempDatabase();
    const { code, stdout, stderr } = await holdfast(args, { cwd: db.dir });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(readdirSync(db.dir)).toEqual([]);
  });

  test("is not a folder, and the error says so once", async () => {
    await using db = await tempDatabase();
    for (const command of ["stats", "migrate"]) {
      const { code, stderr } = await holdfast([command, "--url", db.dir]);
      expect(code).toBe(1);
      expect(stderr).toBe(`holdfast: CANNOT_OPEN: Cannot open ${db.dir}: it is a folder. Name a database file in it\n`);
    }
  });
});

// `holdfast backup --project a` copied all projects.
test.each(["backup", "restore", "salvage"])("%s, which takes all projects, refuses --project", async (name) => {
  await using db = await tempDatabase();
  const { code, stderr } = await holdfast([name, "a", ...(name === "salvage" ? ["b"] : []), "--project", "p"], {
    cwd: db.dir,
  });
  expect(code).toBe(2);
  expect(stderr).toContain(`USAGE: --project has no effect on ${name}, which takes all projects`);
  expect(readdirSync(db.dir)).toEqual([]);
});

test("backup with the source as its only argument says how to name it", async () => {
  await using db = await tempDatabase("my app.db");
  await (await openStorage(db.path)).close();
  const { code, stderr } = await holdfast(["backup", "my app.db"], { cwd: db.dir });
  expect(code).toBe(1);
  expect(stderr).toContain("EXISTS: Expected the path of the new file, and my app.db exists already");
  expect(stderr).toContain("`holdfast backup DEST --url 'my app.db'`");
});

test.each([
  [["stats", "--url", "none.db"], 1, "NOT_FOUND"],
  [["prune"], 2, "USAGE"],
  [["frobnicate"], 2, "USAGE"],
] as const)("with --json, the error of %j is a document too", async (args, expected, errorCode) => {
  await using db = await tempDatabase();
  const { code, stdout, stderr } = await holdfast([...args, "--json"], { cwd: db.dir });
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
  expect([code, error.code]).toEqual([expected, errorCode]);
  expect(stderr).toBe(`holdfast: ${error.code}: ${error.message}\n`);
});

test("--out - is standard output", async () => {
  await using db = await tempDatabase();
  await (await openStorage(db.path)).close();
  const { code, stdout, stderr } = await holdfast(["export", "--out", "-", "--url", db.path], { cwd: db.dir });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toMatchObject({ format: "holdfast" });
  expect(existsSync(`${db.dir}/-`)).toBe(false);
});

test("one record is one record", async () => {
  await using db = await tempDatabase();
  const storage = await openStorage(db.path);
  await storage.memories.insert({ content: "a walrus" });
  await storage.close();
  const { stdout } = await holdfast(["export", "--out", "all.jsonl", "--url", db.path], { cwd: db.dir });
  expect(stdout).toBe(`${db.dir}/all.jsonl  1 record\n`);
});

test("the version loads nothing of the library", () => {
  expect(packagesOf(cliProgram)).toEqual(["commander"]);
});

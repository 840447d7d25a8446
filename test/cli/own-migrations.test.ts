import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { holdfast } from "../support/cli.js";
import { openSecond } from "../support/clients.js";
import { writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const ONE = { tag: "0000_one", sql: "CREATE TABLE a (x text);", down: "DROP TABLE a;" };
const TWO = { tag: "0001_two", sql: "CREATE TABLE b (x text);", down: "DROP TABLE b;" };

test("migrations of one's own are applied, shown, accepted, reverted and marked by commands", async () => {
  await using db = await tempDatabase();
  const folder = writeMigrations(db.dir, [ONE, TWO]);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await holdfast([...args, "--url", db.path, "--json"], { cwd: db.dir });
    return code === 0 ? JSON.parse(stdout) : stderr;
  };
  const set = ["--folder", folder, "--table", "app_migrations"];
  expect(await run("migrate", ...set)).toMatchObject({ applied: ["0000_one", "0001_two"], to: "0001_two" });
  expect(await run("status", ...set)).toMatchObject({ applied: ["0000_one", "0001_two"], pending: [] });
  writeMigrations(db.dir, [ONE, { ...TWO, sql: `${TWO.sql} -- why` }]);
  expect(await run("status", ...set)).toMatchObject({ changed: ["0001_two"] });
  expect(await run("accept", ...set, "--tag", "0001_two")).toEqual({ tag: "0001_two", changed: true });
  expect(await run("revert", ...set, "--steps", "1")).toMatchObject({ reverted: ["0001_two"], to: "0000_one" });
  {
    using file = openSecond(db.path);
    expect(file.all("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b', 'memories')")).toEqual([["a"]]);
    file.exec("CREATE TABLE b (x text)");
  }
  expect(await run("baseline", ...set, "--to", "0001_two")).toMatchObject({ applied: ["0001_two"] });
  expect(await run("adopt", "--table", "other", "--from", "app_migrations")).toEqual({
    table: "other",
    from: "app_migrations",
    entries: 2,
  });
  expect(await run("status", "--folder", folder, "--table", "other")).toMatchObject({ pending: [] });
});

test.each([
  [["migrate", "--folder", "x"], "Expected --folder and --table"],
  [["status", "--table", "x"], "Expected --folder and --table"],
  [["accept", "--tag", "x"], "Expected --folder and --table"],
  [["baseline", "--folder", "x", "--table", "y"], "Expected --to"],
  [["adopt"], "Expected --table"],
])("%j is wrong usage", async (args, hint) => {
  await using db = await tempDatabase();
  const { code, stderr } = await holdfast([...args, "--url", db.path], { cwd: db.dir });
  expect(code).toBe(2);
  expect(stderr).toContain(hint);
  expect(existsSync(db.path)).toBe(false);
});

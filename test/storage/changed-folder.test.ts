import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

// The folder of the migrations was resolved by the process of the check, in the folder of the runtime: NOT_CHECKED,
// "There is no migrations folder at /usr/bin/drizzle". Other paths were resolved when a file was opened again.
test("relative paths are those of the call that named them, for other processes and after a change of folder", async () => {
  await using db = await tempDatabase("app.db");
  const elsewhere = join(db.dir, "elsewhere");
  mkdirSync(elsewhere);
  writeMigrations(db.dir, [{ tag: "0000_notes", sql: "CREATE TABLE notes (id integer PRIMARY KEY);" }]);
  const { locked, ...checks } = await runChild<Record<string, unknown>>("changed-folder", { dir: db.dir, elsewhere });
  for (const [name, findings] of Object.entries(checks)) {
    const unexpected = (findings as { code: string }[]).filter(({ code }) => code !== "WAL_SIZE");
    expect({ name, unexpected }).toEqual({ name, unexpected: [] });
  }
  expect(locked).toBe(true);
  expect(existsSync(join(db.dir, "entries.db"))).toBe(true);
  expect(readdirSync(elsewhere)).toEqual([]);
});

import { migrate } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openSecond, openTestClient, rejection } from "../support/clients.js";
import { rebuild, writeMigrations, writeSnapshot } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

const NOTES = "CREATE TABLE notes (id text PRIMARY KEY NOT NULL, body text, old text);";
const LOG = "CREATE TABLE log (line text);";
const TRIGGER =
  "CREATE TRIGGER `notes_log` AFTER INSERT ON `notes` BEGIN INSERT INTO log VALUES ('new ' || new.id); END;";
const REBUILD = rebuild("notes", "id text PRIMARY KEY NOT NULL, body text NOT NULL", ["id", "body"]);

/** A file with `first` applied and `second` pending. */
async function rebuilding(first: string, second: string, url?: ":memory:") {
  const temp = await tempDatabase();
  const client = openTestClient(url ?? temp.url);
  const folder = writeMigrations(temp.dir, [{ tag: "0000_first", sql: first }]);
  await migrate(client, { folder });
  writeMigrations(temp.dir, [
    { tag: "0000_first", sql: first },
    { tag: "0001_second", sql: second },
  ]);
  return {
    client,
    folder,
    temp,
    migrate: () => migrate(client, { folder }),
    objects: () =>
      column(client, "SELECT name FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY 1"),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("a table rebuild", () => {
  test.each(["file", ":memory:"] as const)("keeps the triggers of its table: %s", async (kind) => {
    await using p = await rebuilding(NOTES + LOG + TRIGGER, REBUILD, kind === "file" ? undefined : kind);
    await p.migrate();
    await p.client.execute("INSERT INTO notes VALUES ('n1', 'x')");
    expect(await column(p.client, "SELECT line FROM log")).toEqual(["new n1"]);
  });

  test("keeps a trigger that an earlier migration of the same run created", async () => {
    await using temp = await tempDatabase();
    await using client = openTestClient(temp.url);
    const folder = writeMigrations(temp.dir, [
      { tag: "0000_first", sql: NOTES + LOG + TRIGGER },
      { tag: "0001_second", sql: REBUILD },
    ]);
    await migrate(client, { folder });
    await client.execute("INSERT INTO notes VALUES ('n1', 'x')");
    expect(await column(client, "SELECT line FROM log")).toEqual(["new n1"]);
  });

  test("keeps a trigger that the same migration created before it", async () => {
    await using p = await rebuilding(NOTES + LOG, `${TRIGGER}--> statement-breakpoint\n${REBUILD}`);
    await p.migrate();
    expect(await p.objects()).toEqual(["notes_log"]);
  });

  test("does not re-create a trigger that the migration drops", async () => {
    await using p = await rebuilding(NOTES + LOG + TRIGGER, `drop trigger if exists [NOTES_LOG];\n${REBUILD}`);
    await p.migrate();
    expect(await p.objects()).toEqual([]);
  });

  test("does not restore the old form of a trigger that the migration replaces", async () => {
    const next = TRIGGER.replace("new ' ||", "newer ' ||");
    await using p = await rebuilding(NOTES + LOG + TRIGGER, `${REBUILD}\n${next}`);
    await p.migrate();
    await p.client.execute("INSERT INTO notes VALUES ('n1', 'x')");
    expect(await column(p.client, "SELECT line FROM log")).toEqual(["newer n1"]);
  });

  test("does not re-create the objects of a table that is dropped for good", async () => {
    await using p = await rebuilding(NOTES + LOG + TRIGGER, "DROP TABLE notes;");
    await p.migrate();
    expect(await p.objects()).toEqual([]);
  });

  test("in the older form, which renames the old table first, drops what SQLite has moved with that table", async () => {
    const older =
      "ALTER TABLE notes RENAME TO __old_notes; CREATE TABLE notes (id text PRIMARY KEY, body text); INSERT INTO notes SELECT id, body FROM __old_notes; DROP TABLE __old_notes;";
    await using p = await rebuilding(NOTES + LOG + TRIGGER, older);
    await p.migrate();
    expect(await p.objects()).toEqual([]);
    await p.client.execute("INSERT INTO notes VALUES ('n1', 'x')");
  });

  test("succeeds although views and triggers of other tables mention the table, and keeps them", async () => {
    // SQLite refuses the RENAME of a rebuild with "error in view …: no such table: main.notes".
    const others = `
      CREATE VIEW bodies AS SELECT id, body FROM notes;
      CREATE VIEW more AS SELECT * FROM bodies;
      CREATE TRIGGER bodies_insert INSTEAD OF INSERT ON bodies BEGIN INSERT INTO notes (id, body) VALUES (new.id, new.body); END;
      CREATE TRIGGER log_notes AFTER DELETE ON log BEGIN DELETE FROM notes WHERE id = old.line; END;`;
    await using p = await rebuilding(NOTES + LOG + TRIGGER + others, REBUILD);
    await p.migrate();
    expect(await p.objects()).toEqual(["bodies", "bodies_insert", "log_notes", "more", "notes_log"]);
    await p.client.execute("INSERT INTO bodies VALUES ('n1', 'x')");
    expect(await column(p.client, "SELECT body FROM more")).toEqual(["x"]);
  });

  test("that leaves a trigger without its column is MIGRATION_FAILED, and nothing is changed", async () => {
    const trigger = "CREATE TRIGGER uses_old AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.old); END;";
    await using p = await rebuilding(NOTES + LOG + trigger, REBUILD);
    const error = await rejection(p.migrate());
    expect(error).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(error.message).toContain("Migration 0001_second loses the trigger uses_old");
    expect(error.message).toContain("no such column: new.old");
    expect(await column(p.client, "SELECT name FROM pragma_table_info('notes')")).toEqual(["id", "body", "old"]);
  });

  test("keeps handwritten indexes, but not those that drizzle-kit drops on purpose", async () => {
    const indexes =
      "CREATE INDEX by_hand ON notes (body) WHERE body > ''; CREATE INDEX of_drizzle ON notes (body); CREATE UNIQUE INDEX of_old ON notes (old);";
    await using p = await rebuilding(NOTES + indexes, REBUILD);
    writeSnapshot(p.folder, "0000", "notes", ["of_drizzle", "of_old"]);
    await p.migrate();
    expect(await p.objects()).toEqual(["by_hand"]);
  });

  test("keeps the children of its rows, which a DROP with foreign keys on would delete", async () => {
    const child =
      "CREATE TABLE tags (note text REFERENCES notes(id) ON DELETE CASCADE); INSERT INTO notes VALUES ('n1', 'x', 'y'); INSERT INTO tags VALUES ('n1');";
    await using p = await rebuilding(NOTES + child, REBUILD);
    await p.migrate();
    expect(await column(p.client, "SELECT note FROM tags")).toEqual(["n1"]);
    await p.client.execute("DELETE FROM notes");
    expect(await column(p.client, "SELECT note FROM tags")).toEqual([]);
  });
});

describe("a full-text index", () => {
  const fts = (content: string, name = "notes_fts") => `
    CREATE VIRTUAL TABLE ${name} USING fts5(body, content = '${content}');
    CREATE TRIGGER ${name}_insert AFTER INSERT ON notes BEGIN INSERT INTO ${name} (rowid, body) VALUES (new.rowid, new.body); END;
    CREATE TRIGGER ${name}_delete AFTER DELETE ON notes BEGIN INSERT INTO ${name} (${name}, rowid, body) VALUES ('delete', old.rowid, old.body); END;`;
  // Because the first row is deleted, the rebuild renumbers all others.
  const rows =
    "INSERT INTO notes VALUES ('n1', 'apple', ''), ('n2', 'banana', ''), ('n3', 'cherry', ''); DELETE FROM notes WHERE id = 'n1';";
  const found = "SELECT n.id FROM notes_fts f JOIN notes n ON n.rowid = f.rowid WHERE notes_fts MATCH 'cherry'";

  test.each([
    ["a table", fts("notes")],
    ["a view", `CREATE VIEW bodies AS SELECT rowid, body FROM notes; ${fts("bodies")}`],
  ])("over %s finds the right rows after a rebuild that renumbers them", async (_, index) => {
    await using p = await rebuilding(NOTES + index + rows, REBUILD);
    expect(await column(p.client, found)).toEqual(["n3"]);
    await p.migrate();
    expect(await column(p.client, "SELECT rowid FROM notes")).toEqual([1, 2]);
    expect(await column(p.client, found)).toEqual(["n3"]);
    await p.client.execute("DELETE FROM notes WHERE id = 'n3'");
    expect(await column(p.client, found)).toEqual([]);
    await p.client.execute("INSERT INTO notes_fts(notes_fts) VALUES('integrity-check')");
    using fresh = openSecond(p.temp.path);
    expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
  });

  test("of a table that no migration rebuilds is not changed", async () => {
    await using p = await rebuilding(NOTES + fts("notes") + rows, "ALTER TABLE notes ADD extra text;");
    // Only the index has this row: a rebuild would forget it.
    await p.client.execute("INSERT INTO notes_fts (rowid, body) VALUES (99, 'stray')");
    await p.migrate();
    expect(await column(p.client, "SELECT rowid FROM notes_fts WHERE notes_fts MATCH 'stray'")).toEqual([99]);
  });

  test("that no longer fits the rebuilt table is MIGRATION_FAILED", async () => {
    const index = "CREATE VIRTUAL TABLE old_fts USING fts5(old, content = notes);";
    await using p = await rebuilding(NOTES + index + rows, REBUILD);
    const error = await rejection(p.migrate());
    expect(error).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(error.message).toContain("old_fts");
  });
});

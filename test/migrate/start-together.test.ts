import { migrate } from "holdfast/migrate";
import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, openTestClient } from "../support/clients.js";
import { rebuild, writeMigrations } from "../support/migrations.js";
import { times } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

const PROCESSES = 8;
const ROWS = 2_000;
const FIRST = {
  tag: "0000_first",
  sql: `CREATE TABLE notes (id integer PRIMARY KEY, body text);
    CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes', content_rowid='id');
    CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN INSERT INTO notes_fts (rowid, body) VALUES (new.id, new.body); END;`,
};
/** A column, a rebuild, a data migration and a new table, so that a half of it is easy to tell. */
const PENDING = [
  { tag: "0001_stars", sql: "ALTER TABLE notes ADD stars integer NOT NULL DEFAULT 0;" },
  {
    tag: "0002_rebuild",
    sql: rebuild("notes", "id integer PRIMARY KEY, body text NOT NULL, stars integer NOT NULL", [
      "id",
      "body",
      "stars",
    ]),
  },
  { tag: "0003_data", sql: "UPDATE notes SET stars = id % 5 + 1;" },
  { tag: "0004_tags", sql: "CREATE TABLE tags (name text); INSERT INTO tags SELECT 'tag' || id FROM notes;" },
];
/** The schema, and what belongs to it in the rows, in one statement. */
const STATE = `SELECT (SELECT group_concat(name, ' ') FROM pragma_table_info('notes')) || ' | '
  || (SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE name IN ('tags', 'notes_insert', '__new_notes') ORDER BY name)) || ' | '
  || (SELECT count(*) FROM app_migrations) || ' | ' || (SELECT count(*) FROM notes)`;
const BEFORE = `id body | notes_insert | 1 | ${ROWS}`;
const AFTER = `id body stars | notes_insert tags | 5 | ${ROWS}`;

test("eight processes that start at once on an old file find it whole: one applies, none starts before, and none sees a mix", async () => {
  for (let round = 0; round < times(1, 20); round++) {
    await using temp = await tempDatabase();
    await using client = openTestClient(temp.url);
    const folder = writeMigrations(temp.dir, [FIRST]);
    await migrate(client, { folder, table: "app_migrations" });
    await client.execute(
      `INSERT INTO notes WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) SELECT i, 'note ' || i FROM n`,
    );
    writeMigrations(temp.dir, [FIRST, ...PENDING]);
    await using watcher = startChild("watch-schema", { url: temp.url, query: STATE });
    await watcher.message(({ event }) => event === "ready");
    const input = { url: temp.url, folder, table: "app_migrations", query: STATE };
    const children = Array.from({ length: PROCESSES }, () => startChild("migrate-and-read", input));
    await Promise.all(children.map((child) => child.message(({ event }) => event === "ready")));
    for (const child of children) child.send("go");
    const ended = await Promise.all(
      children.map((child) =>
        child.message<{ event: string; applied: string[]; found: string[] }>(({ event }) => event !== "ready"),
      ),
    );
    expect(ended.map(({ event }) => event)).toEqual(Array(PROCESSES).fill("done"));
    expect(ended.map(({ applied }) => applied.length).sort()).toEqual([
      ...Array(PROCESSES - 1).fill(0),
      PENDING.length,
    ]);
    expect(ended.map(({ found }) => found)).toEqual(Array(PROCESSES).fill([AFTER]));
    await watcher.message(({ answer }) => answer === AFTER);
    watcher.send("end");
    const { seen } = await watcher.message<{ event: string; seen: string[] }>(({ event }) => event === "done");
    expect(seen).toEqual([BEFORE, AFTER]);
    for (const child of [...children, watcher]) expect(await child.exited).toMatchObject({ code: 0 });
    expect(await column(client, "SELECT DISTINCT stars = id % 5 + 1 FROM notes")).toEqual([1]);
    expect(await column(client, "SELECT count(*) FROM tags")).toEqual([ROWS]);
    await client.execute("INSERT INTO notes_fts(notes_fts, rank) VALUES('integrity-check', 1)");
  }
});

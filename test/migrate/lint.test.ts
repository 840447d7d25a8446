import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { blob, integer, numeric, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { lint } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { addMigration } from "../support/drizzle-kit.js";
import { type MigrationSource, rebuild, writeMigrations } from "../support/migrations.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

const NOTES = {
  tag: "0000_notes",
  sql: "CREATE TABLE `notes` (`id` integer PRIMARY KEY, `body` text);--> statement-breakpoint\nCREATE INDEX by_body ON notes (body);",
  down: "DROP TABLE notes;",
};
const TAGS = {
  tag: "0001_tags",
  sql: "CREATE TABLE `tags` (`name` text, `note` integer);",
  down: "DROP TABLE tags;",
};

const FIRST = "00000000-0000-0000-0000-000000000000";

/** Writes a folder with a chain of snapshots, as drizzle-kit does. */
function write(temp: TempDatabase, sources: readonly MigrationSource[]): string {
  const folder = writeMigrations(temp.dir, sources);
  for (const [index, { tag }] of sources.entries()) {
    const number = tag.split("_", 1)[0];
    const snapshot = { id: `id-${index}`, prevId: index === 0 ? FIRST : `id-${index - 1}`, tables: {} };
    writeFileSync(join(folder, "meta", `${number}_snapshot.json`), JSON.stringify(snapshot, undefined, 2));
  }
  return folder;
}

/** The findings as `file:line code`, with the paths in the folder. */
async function found(folder: string, after?: string): Promise<string[]> {
  const { findings } = await lint({ folder, after });
  return findings.map(({ file, line, code }) => `${file.slice(folder.length + 1)}:${line} ${code}`);
}

test("a folder as drizzle-kit and its down files make it has no findings", async () => {
  await using temp = await tempDatabase();
  const folder = write(temp, [NOTES, TAGS]);
  expect(await lint({ folder })).toEqual({ ok: true, findings: [] });
});

test("the project's own folder is ok", async () => {
  const { ok, findings } = await lint({ folder: new URL("../../drizzle", import.meta.url) });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(ok).toBe(true);
});

const COLUMNS = {
  id: integer().primaryKey({ autoIncrement: true }),
  plan: text().notNull(),
  name: text().default("it's"),
  price: real().default(-1.5),
  isOpen: integer({ mode: "boolean" }).notNull().default(true),
  at: integer({ mode: "timestamp" }).default(sql`(unixepoch())`),
  day: text().default(sql`CURRENT_DATE`),
  list: text({ mode: "json" }).default([1]),
  bytes: blob(),
  amount: numeric(),
  lower: text().generatedAlwaysAs(sql`lower(name)`),
};

describe("columns that the last snapshot has otherwise", () => {
  const drift = async (edit: (text: string) => string) => {
    await using temp = await tempDatabase();
    const tag = await addMigration(temp, "all", { all: sqliteTable("all", COLUMNS) });
    const folder = join(temp.dir, "drizzle");
    const text = readFileSync(join(folder, `${tag}.sql`), "utf8");
    writeFileSync(join(folder, `${tag}.sql`), edit(text));
    writeFileSync(join(folder, `${tag}.down.sql`), "DROP TABLE `all`;");
    const { ok, findings } = await lint({ folder });
    expect(ok).toBe(findings.length === 0);
    expect(findings.map(({ code }) => code)).toEqual(findings.map(() => "SCHEMA_DRIFT"));
    return findings.map(({ message }) => /create the column .*?, so/.exec(message)?.[0]);
  };

  test("are none as drizzle-kit writes them, nor with the same value in other words", async () => {
    expect(await drift((text) => text)).toEqual([]);
    expect(
      await drift((text) => text.replace("DEFAULT true", "DEFAULT 1").replace("DEFAULT -1.5", "DEFAULT (-1.5)")),
    ).toEqual([]);
    expect(await drift((text) => text.replace("`plan` text", "`plan` TEXT"))).toEqual([]);
  });

  // Lint said ok, and the next migration was a rebuild that removed the default again.
  test.each([
    [
      "`plan` text NOT NULL",
      "`plan` text DEFAULT 'free' NOT NULL",
      "plan of all with DEFAULT 'free', and the last snapshot has it with no default",
    ],
    [
      "`plan` text NOT NULL",
      "`plan` text",
      "plan of all with NULL allowed, and the last snapshot has it with NOT NULL",
    ],
    [
      "`bytes` blob",
      "`bytes` blob NOT NULL",
      "bytes of all with NOT NULL, and the last snapshot has it with NULL allowed",
    ],
    [
      "DEFAULT true",
      "DEFAULT false",
      "isOpen of all with DEFAULT false, and the last snapshot has it with DEFAULT true",
    ],
    [
      " DEFAULT (unixepoch())",
      "",
      "at of all with no default, and the last snapshot has it with DEFAULT (unixepoch())",
    ],
    [
      "`amount` numeric",
      "`amount` integer",
      "amount of all with the type integer, and the last snapshot has it with numeric",
    ],
    ["`bytes` blob", "`bytes` blob, more text", "more of all, and the last snapshot does not have it"],
  ])("%s as %s", async (from, to, message) => {
    expect(await drift((text) => text.replace(from, to))).toEqual([`create the column ${message}, so`]);
  });
});

describe("lint finds, with file and line,", () => {
  const cases: [string, (folder: string) => void, string[]][] = [
    [
      "conflict markers in a migration",
      edit("0001_tags.sql", (text) => `-- a\n<<<<<<< HEAD\n${text}\n=======\n>>>>>>> b\n`),
      ["0001_tags.sql:2 CONFLICT_MARKER"],
    ],
    [
      "conflict markers in the journal",
      edit("meta/_journal.json", (text) => text.replace('"entries"', '\n<<<<<<< HEAD\n"entries"')),
      ["meta/_journal.json:5 CONFLICT_MARKER"],
    ],
    [
      "conflict markers in a snapshot",
      edit("meta/0001_snapshot.json", (text) => `${text}\n>>>>>>> other\n`),
      ["meta/0001_snapshot.json:6 CONFLICT_MARKER"],
    ],
    [
      "a journal that is not JSON",
      edit("meta/_journal.json", (text) => text.slice(1)),
      ["meta/_journal.json:1 JOURNAL_INVALID"],
    ],
    [
      "the same tag twice",
      journal((entries) => [...entries, { ...entries[1]!, idx: 2 }]),
      ["meta/_journal.json:23 DUPLICATE"],
    ],
    [
      "the same number twice",
      journal((entries) => entries.map((entry) => ({ ...entry, idx: 0 }))),
      ["meta/_journal.json:16 DUPLICATE"],
    ],
    [
      "a migration that is older than the one before",
      journal(([a, b]) => [{ ...a!, when: 5000 }, b!]),
      ["meta/_journal.json:16 OUT_OF_ORDER"],
    ],
    ["a missing file", (folder) => rmSync(join(folder, "0001_tags.sql")), ["meta/_journal.json:16 FILE_MISSING"]],
    [
      "a file that the journal lacks",
      (folder) => writeFileSync(join(folder, "0001_other.sql"), "SELECT 1;"),
      ["0001_other.sql:1 NOT_IN_JOURNAL"],
    ],
    [
      "a snapshot that the journal lacks",
      (folder) => writeFileSync(join(folder, "meta/0002_snapshot.json"), "{}"),
      ["meta/0002_snapshot.json:1 NOT_IN_JOURNAL"],
    ],
    [
      "a missing snapshot",
      (folder) => rmSync(join(folder, "meta/0001_snapshot.json")),
      ["meta/0001_snapshot.json:1 SNAPSHOT_MISSING"],
    ],
    [
      "a snapshot of another branch",
      edit("meta/0001_snapshot.json", (text) => text.replace("id-0", "id-x")),
      ["meta/0001_snapshot.json:3 SNAPSHOT_INVALID"],
    ],
    [
      "a table of the last snapshot that nothing creates",
      edit("meta/0001_snapshot.json", (text) => text.replace("{}", '{"a": {"name": "a", "columns": {}}}')),
      ["meta/0001_snapshot.json:1 SCHEMA_DRIFT"],
    ],
    [
      "a custom migration that is not written",
      edit("0001_tags.sql", () => "-- Custom SQL migration file, put your code below! --"),
      ["0001_tags.sql:1 MIGRATION_INVALID"],
    ],
    [
      "a file that is not UTF-8",
      (folder) => writeFileSync(join(folder, "0001_tags.sql"), Buffer.from([0x2d, 0x2d, 0xe9, 0x0a])),
      ["0001_tags.sql:1 MIGRATION_INVALID"],
    ],
    [
      "folders in place of files",
      (folder) => {
        for (const name of ["0001_tags.sql", "0000_notes.down.sql", "meta/0001_snapshot.json"]) {
          rmSync(join(folder, name));
          mkdirSync(join(folder, name));
        }
      },
      [
        "0001_tags.sql:1 MIGRATION_INVALID",
        "0000_notes.down.sql:1 DOWN_WRONG",
        "meta/0001_snapshot.json:1 SNAPSHOT_INVALID",
      ],
    ],
    [
      "a folder in place of the journal",
      (folder) => {
        rmSync(join(folder, "meta/_journal.json"));
        mkdirSync(join(folder, "meta/_journal.json"));
      },
      ["meta/_journal.json:1 JOURNAL_INVALID"],
    ],
    [
      "a parameter",
      edit("0001_tags.sql", (text) => `${text}\nUPDATE tags SET name = ?;`),
      ["0001_tags.sql:2 MIGRATION_INVALID"],
    ],
    [
      "transactions, settings and ATTACH, each of them",
      edit("0001_tags.sql", (text) => `BEGIN;\n${text}\nPRAGMA journal_mode = DELETE;\nATTACH 'x' AS y;\nCOMMIT;`),
      [
        "0001_tags.sql:1 MIGRATION_FAILED",
        "0001_tags.sql:3 MIGRATION_FAILED",
        "0001_tags.sql:4 MIGRATION_FAILED",
        "0001_tags.sql:5 MIGRATION_FAILED",
      ],
    ],
    [
      "a command of SQLite's shell",
      edit("0001_tags.sql", (text) => `${text}\n.read more.sql\n`),
      ["0001_tags.sql:2 MIGRATION_FAILED"],
    ],
    [
      "a statement that does not compile on the schema so far",
      edit("0001_tags.sql", (text) => `${text}\n\nUPDATE notes SET nothing = 1;`),
      ["0001_tags.sql:3 MIGRATION_FAILED"],
    ],
    [
      "a view that a migration breaks",
      edit("0001_tags.sql", (text) => `CREATE VIEW v AS SELECT nothing FROM notes;--> statement-breakpoint\n${text}`),
      ["0001_tags.sql:1 MIGRATION_FAILED"],
    ],
    ["a missing down file", (folder) => rmSync(join(folder, "0001_tags.down.sql")), ["0001_tags.sql:1 DOWN_MISSING"]],
    [
      "a down file that is not written yet",
      edit("0001_tags.down.sql", () => "-- \n-- NOT WRITTEN YET: x"),
      ["0001_tags.down.sql:2 DOWN_WRONG"],
    ],
    [
      "a down file that fails",
      edit("0001_tags.down.sql", (text) => `${text}\nDROP TABLE nothing;`),
      ["0001_tags.down.sql:2 DOWN_WRONG"],
    ],
    [
      "a down file that leaves another schema",
      edit("0001_tags.down.sql", () => "ALTER TABLE tags DROP COLUMN note;"),
      ["0001_tags.down.sql:1 DOWN_WRONG"],
    ],
  ];
  test.each(cases)("%s", async (_, damage, expected) => {
    await using temp = await tempDatabase();
    const folder = write(temp, [NOTES, TAGS]);
    damage(folder);
    const { ok, findings } = await lint({ folder });
    expect(await found(folder)).toEqual(expect.arrayContaining(expected));
    expect(ok).toBe(false);
    expect(findings.every(({ message }) => !message.includes("\n"))).toBe(true);
  });

  // `lint` was ok with it, and `migrate` failed on the first database in use.
  test("migrations that fail on every table with rows, and not those that fail on some", async () => {
    await using temp = await tempDatabase();
    const add = (number: number, sql: string) => ({ tag: `000${number}_add`, sql, down: "SELECT 1;" });
    const copied = rebuild("tags", "name text, note integer, kind text NOT NULL", ["name", "note"]);
    const sources = [
      NOTES,
      TAGS,
      add(2, "CREATE TABLE more (x text NOT NULL);\nALTER TABLE notes ADD owner text NOT NULL;"),
      add(3, "ALTER TABLE notes ADD at integer DEFAULT (unixepoch()) NOT NULL;"),
      add(4, copied),
      // These need rows that are as they expect, or none.
      add(5, "ALTER TABLE tags ADD size integer DEFAULT 0 NOT NULL;\nCREATE UNIQUE INDEX one ON tags (kind);"),
      add(6, "DELETE FROM more;\nALTER TABLE more ADD y text NOT NULL;"),
      add(7, rebuild("tags", "name text NOT NULL, note integer NOT NULL, kind text, size integer", ["name", "note"])),
    ];
    const { findings } = await lint({ folder: write(temp, sources) });
    expect(
      findings
        .filter(({ code }) => code === "FAILS_ON_ROWS")
        .map(({ file, line, severity }) => [file.slice(-12), line, severity]),
    ).toEqual([
      ["0002_add.sql", 2, "error"],
      ["0003_add.sql", 1, "error"],
      ["0004_add.sql", copied.split("\n").findIndex((line) => line.includes("INSERT")) + 1, "error"],
    ]);
    expect(findings.find(({ code }) => code === "FAILS_ON_ROWS")?.message).toMatch(
      /^Migration 0002_add failed at line 2, .*NOT NULL column.*\. It fails on each table that has rows\. Give the column/,
    );
  });

  test("as info, what a migration removes and where a breakpoint is missing, and is ok", async () => {
    await using temp = await tempDatabase();
    const folder = write(temp, [
      NOTES,
      TAGS,
      {
        tag: "0002_away",
        sql: "ALTER TABLE tags RENAME COLUMN name TO label;\nALTER TABLE tags DROP COLUMN note;--> statement-breakpoint\nDROP TABLE notes;",
        down: `${NOTES.sql}\nALTER TABLE tags ADD note integer;\nALTER TABLE tags RENAME label TO name;`,
      },
    ]);
    const { ok, findings } = await lint({ folder });
    expect(findings.map(({ line, code, severity }) => `${line} ${code} ${severity}`)).toEqual([
      "2 BREAKPOINT_MISSING info",
      "2 DESTRUCTIVE info",
      "3 DESTRUCTIVE info",
    ]);
    expect(ok).toBe(true);
  });
});

test("two migrations with one number, as after a merge, are found, and their snapshot is not blamed", async () => {
  await using temp = await tempDatabase();
  const folder = write(temp, [NOTES, { ...TAGS, tag: "0000_tags" }]);
  expect(await found(folder)).toEqual(["meta/_journal.json:16 DUPLICATE"]);
});

test("a down file that is wrong does not keep the later migrations from being tried", async () => {
  await using temp = await tempDatabase();
  const folder = write(temp, [
    { ...NOTES, down: "SELECT 1;" },
    { ...TAGS, sql: "DROP TABLE nothing;" },
  ]);
  expect(await found(folder)).toEqual(["0000_notes.down.sql:1 DOWN_WRONG", "0001_tags.sql:1 MIGRATION_FAILED"]);
});

test("released migrations are not reported with `after`", async () => {
  await using temp = await tempDatabase();
  const folder = write(temp, [
    { tag: "0000_notes", sql: NOTES.sql },
    { tag: "0001_tags", sql: TAGS.sql },
  ]);
  expect(await found(folder)).toEqual(["0000_notes.sql:1 DOWN_MISSING", "0001_tags.sql:1 DOWN_MISSING"]);
  expect(await found(folder, "0000_notes")).toEqual(["0001_tags.sql:1 DOWN_MISSING"]);
  expect(await rejection(lint({ folder, after: "nothing" }))).toMatchObject({ code: "NOT_FOUND" });
});

test("a missing folder or journal is NOT_FOUND", async () => {
  await using temp = await tempDatabase();
  expect(await rejection(lint({ folder: join(temp.dir, "none") }))).toMatchObject({ code: "NOT_FOUND" });
  mkdirSync(join(temp.dir, "empty"));
  expect(await rejection(lint({ folder: join(temp.dir, "empty") }))).toMatchObject({ code: "NOT_FOUND" });
});

interface Entry {
  readonly idx: number;
  readonly when: number;
  readonly tag: string;
}

function edit(file: string, change: (text: string) => string): (folder: string) => void {
  return (folder) => writeFileSync(join(folder, file), change(readFileSync(join(folder, file), "utf8")));
}

function journal(change: (entries: readonly Entry[]) => readonly Entry[]): (folder: string) => void {
  return edit("meta/_journal.json", (text) => {
    const { entries, ...rest } = JSON.parse(text) as { entries: Entry[] };
    return JSON.stringify({ ...rest, entries: change(entries) }, undefined, 2);
  });
}

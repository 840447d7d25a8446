import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adopt, lint, migrate, readJournal, revert, status } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openTestClient, rejection } from "../support/clients.js";
import { sha256, writeMigrations } from "../support/migrations.js";
import { tempDatabase } from "../support/temp.js";

/** A migration as drizzle-kit 1.0.0-rc.5 writes it, and the tables and indexes of its snapshot. */
interface Source {
  readonly tag: string;
  readonly sql: string;
  readonly down?: string;
  readonly indexes?: readonly string[];
}

const FIRST: Source = {
  tag: "20261130192204_first",
  sql: "CREATE TABLE `notes` (\n\t`id` text PRIMARY KEY,\n\t`size` integer\n);\n--> statement-breakpoint\nCREATE INDEX `by_size` ON `notes` (`size`);--> statement-breakpoint\nCREATE INDEX `by_both` ON `notes` (`size`,`id`);",
  down: "DROP TABLE `notes`;",
  indexes: ["by_size", "by_both"],
};
const SECOND: Source = {
  tag: "20261130192204_second",
  sql: "PRAGMA foreign_keys=OFF;--> statement-breakpoint\nCREATE TABLE `__new_notes` (\n\t`id` text PRIMARY KEY,\n\t`size` integer NOT NULL\n);\n--> statement-breakpoint\nINSERT INTO `__new_notes`(`id`, `size`) SELECT `id`, `size` FROM `notes`;--> statement-breakpoint\nDROP TABLE `notes`;--> statement-breakpoint\nALTER TABLE `__new_notes` RENAME TO `notes`;--> statement-breakpoint\nPRAGMA foreign_keys=ON;",
  indexes: ["by_size"],
};
const LEDGER =
  "CREATE TABLE app (\n\t\t\t\tid INTEGER PRIMARY KEY,\n\t\t\t\thash text NOT NULL,\n\t\t\t\tcreated_at numeric,\n\t\t\t\tname text,\n\t\t\t\tapplied_at TEXT\n\t\t\t)";

function writeFolders(dir: string, sources: readonly Source[]): string {
  const folder = join(dir, "drizzle");
  for (const [index, { tag, sql, down, indexes = [] }] of sources.entries()) {
    mkdirSync(join(folder, tag), { recursive: true });
    writeFileSync(join(folder, tag, "migration.sql"), sql);
    if (down !== undefined) writeFileSync(join(folder, tag, "migration.down.sql"), down);
    const ddl = [
      { entityType: "tables", name: "notes" },
      ...["id", "size"].map((name) => ({ entityType: "columns", table: "notes", name })),
      ...indexes.map((name) => ({ entityType: "indexes", table: "notes", name })),
    ];
    const prevIds = [index === 0 ? "00000000-0000-0000-0000-000000000000" : `id-${index - 1}`];
    writeFileSync(
      join(folder, tag, "snapshot.json"),
      JSON.stringify({ version: "7", dialect: "sqlite", id: `id-${index}`, prevIds, ddl, renames: [] }, undefined, 2),
    );
  }
  return folder;
}

describe("the folders of drizzle-kit 1.0", () => {
  test("are read in the order of their names, with the time in it", async () => {
    await using temp = await tempDatabase();
    const folder = writeFolders(temp.dir, [SECOND, FIRST]);
    expect(readJournal(folder).map(({ tag, when, hash }) => [tag, when, hash])).toEqual([
      [FIRST.tag, Date.UTC(2026, 10, 30, 19, 22, 4), sha256(FIRST.sql)],
      [SECOND.tag, Date.UTC(2026, 10, 30, 19, 22, 4), sha256(SECOND.sql)],
    ]);
  });

  test("are applied one after another, also within one second, and reverted", async () => {
    await using temp = await tempDatabase();
    await using client = openTestClient(temp.url);
    const set = { folder: writeFolders(temp.dir, [FIRST]), table: "app" };
    expect(await migrate(client, set)).toMatchObject({ applied: [FIRST.tag] });
    writeFolders(temp.dir, [FIRST, SECOND]);
    expect(await status(client, set)).toMatchObject({ applied: [FIRST.tag], pending: [SECOND.tag] });
    expect(await migrate(client, set)).toMatchObject({ applied: [SECOND.tag] });
    // The snapshot of the rebuild has one of the two indexes that the rebuild does not make.
    expect(await column(client, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")).toEqual([
      "by_size",
    ]);
    expect(await rejection(revert(client, { ...set, steps: 2 }))).toMatchObject({
      code: "IRREVERSIBLE",
      message: expect.stringContaining("migration.down.sql"),
    });
    writeFolders(temp.dir, [FIRST, { ...SECOND, down: "DROP TABLE nothing;" }]);
    expect(await rejection(revert(client, { ...set, steps: 1 }))).toMatchObject({
      code: "MIGRATION_FAILED",
      message: expect.stringContaining(`(${SECOND.tag}/migration.down.sql) failed at line 1`),
    });
    const down = SECOND.sql.replaceAll(" NOT NULL", "");
    writeFolders(temp.dir, [FIRST, { ...SECOND, down }]);
    expect(await revert(client, { ...set, steps: 2 })).toMatchObject({ reverted: [SECOND.tag, FIRST.tag] });
  });

  test("are recorded by name in a ledger of drizzle 1.0, which would apply them again otherwise", async () => {
    await using temp = await tempDatabase();
    await using client = openTestClient(temp.url);
    const folder = writeFolders(temp.dir, [FIRST, SECOND]);
    await client.executeMultiple(FIRST.sql.replaceAll("--> statement-breakpoint", ""));
    await client.execute(LEDGER);
    await client.execute({
      sql: "INSERT INTO app (hash, created_at, name, applied_at) VALUES (?, ?, ?, '2026-11-30T19:30:00.000Z')",
      args: [sha256(FIRST.sql), Date.UTC(2026, 10, 30, 19, 22, 4), FIRST.tag],
    });
    expect(await migrate(client, { folder, table: "app" })).toMatchObject({ applied: [SECOND.tag] });
    expect(await adopt(client, { from: "app", table: "other" })).toMatchObject({ entries: 2 });
    expect(await column(client, "SELECT name FROM other WHERE applied_at IS NOT NULL")).toEqual([
      FIRST.tag,
      SECOND.tag,
    ]);
    expect(await status(client, { folder, table: "other" })).toMatchObject({ pending: [], unknown: [] });
  });

  test("next to a journal of 0.31 are refused, with the layout named", async () => {
    await using temp = await tempDatabase();
    const folder = writeFolders(temp.dir, [FIRST]);
    writeMigrations(temp.dir, []);
    expect(caught(() => readJournal(folder))).toMatchObject({
      code: "INVALID",
      message: expect.stringMatching(/drizzle-kit 0\.31 .* drizzle-kit 1\.0 .*drizzle-kit up/),
    });
    expect(await lint({ folder })).toMatchObject({ ok: false, findings: [{ code: "NOT_IN_JOURNAL" }] });
  });

  test("are linted: down files, snapshots, and what the last snapshot has", async () => {
    await using temp = await tempDatabase();
    const down = SECOND.sql.replaceAll(" NOT NULL", "");
    const folder = writeFolders(temp.dir, [
      FIRST,
      { ...SECOND, down: `${down}--> statement-breakpoint\nCREATE INDEX by_both ON notes (size, id);` },
    ]);
    expect(await lint({ folder })).toEqual({ ok: true, findings: [] });
    const found = async () =>
      (await lint({ folder })).findings.map(({ file, code }) => `${file.slice(folder.length + 1)} ${code}`);
    rmSync(join(folder, SECOND.tag, "migration.down.sql"));
    expect((await lint({ folder })).findings).toMatchObject([
      { code: "DOWN_MISSING", message: expect.stringContaining(`Write ${SECOND.tag}/migration.down.sql`) },
    ]);
    expect(await found()).toEqual([`${SECOND.tag}/migration.sql DOWN_MISSING`]);
    rmSync(join(folder, FIRST.tag, "snapshot.json"));
    expect(await found()).toEqual([
      `${SECOND.tag}/migration.sql DOWN_MISSING`,
      `${FIRST.tag}/snapshot.json SNAPSHOT_MISSING`,
      `${SECOND.tag}/snapshot.json SNAPSHOT_INVALID`,
    ]);
    rmSync(join(folder, FIRST.tag, "migration.sql"));
    mkdirSync(join(folder, FIRST.tag, "migration.sql"));
    expect(await found()).toContain(`${FIRST.tag}/migration.sql MIGRATION_INVALID`);
  });
});

function caught(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

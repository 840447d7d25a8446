import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One migration of a test's own: what its file holds, and when it was "generated". */
export interface MigrationSource {
  readonly tag: string;
  readonly sql: string;
  /** What its down file holds; without it, there is none. */
  readonly down?: string;
  /** @default 1000 for the first, then 1000 more for each */
  readonly when?: number;
}

/** Writes a folder as drizzle-kit does (journal and .sql files), replacing what is there, and returns its path. */
export function writeMigrations(dir: string, sources: readonly MigrationSource[], name = "drizzle"): string {
  const folder = join(dir, name);
  mkdirSync(join(folder, "meta"), { recursive: true });
  const entries = sources.map(({ tag, when }, idx) => ({
    idx,
    version: "6",
    when: when ?? 1000 * (idx + 1),
    tag,
    breakpoints: true,
  }));
  const journal = { version: "7", dialect: "sqlite", entries };
  writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify(journal, undefined, 2));
  for (const { tag, sql, down } of sources) {
    writeFileSync(join(folder, `${tag}.sql`), sql);
    if (down !== undefined) writeFileSync(join(folder, `${tag}.down.sql`), down);
  }
  return folder;
}

/** Writes the snapshot of drizzle-kit that knows one table and its indexes. */
export function writeSnapshot(folder: string, name: string, table: string, indexes: readonly string[]): void {
  const snapshot = { tables: { [table]: { indexes: Object.fromEntries(indexes.map((index) => [index, {}])) } } };
  writeFileSync(join(folder, "meta", `${name}_snapshot.json`), JSON.stringify(snapshot));
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** What drizzle-kit 0.31 writes to rebuild `table`; `columns` are those that stay. */
export function rebuild(table: string, definition: string, columns: readonly string[]): string {
  const names = columns.map((column) => `"${column}"`).join(", ");
  return [
    "PRAGMA foreign_keys=OFF;",
    `CREATE TABLE \`__new_${table}\` (${definition});\n`,
    `INSERT INTO \`__new_${table}\`(${names}) SELECT ${names} FROM \`${table}\`;`,
    `DROP TABLE \`${table}\`;`,
    `ALTER TABLE \`__new_${table}\` RENAME TO \`${table}\`;`,
    "PRAGMA foreign_keys=ON;",
  ].join("--> statement-breakpoint\n");
}

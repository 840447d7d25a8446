import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A migration of a test: the content of its file, and when it was "generated". */
export interface MigrationSource {
  readonly tag: string;
  readonly sql: string;
  /** The content of its down file. Without it, there is no down file. */
  readonly down?: string;
  /** @default 1000 for the first, then 1000 more for each */
  readonly when?: number;
}

/** Writes a folder like drizzle-kit (journal and .sql files), replaces an existing one, and returns its path. */
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

/** Writes a snapshot of drizzle-kit with one table and its indexes. */
export function writeSnapshot(folder: string, name: string, table: string, indexes: readonly string[]): void {
  const snapshot = { tables: { [table]: { indexes: Object.fromEntries(indexes.map((index) => [index, {}])) } } };
  writeFileSync(join(folder, "meta", `${name}_snapshot.json`), JSON.stringify(snapshot));
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The SQL that drizzle-kit 0.31 writes to rebuild `table`. `columns` are the columns that stay. */
export function rebuild(table: string, definition: string, columns: readonly string[]): string {
  return rebuildStatements(table, definition, columns).join("--> statement-breakpoint\n");
}

/** The statements of `rebuild`. */
export function rebuildStatements(table: string, definition: string, columns: readonly string[]): string[] {
  const names = columns.map((column) => `"${column}"`).join(", ");
  return [
    "PRAGMA foreign_keys=OFF;",
    `CREATE TABLE \`__new_${table}\` (${definition});\n`,
    `INSERT INTO \`__new_${table}\`(${names}) SELECT ${names} FROM \`${table}\`;`,
    `DROP TABLE \`${table}\`;`,
    `ALTER TABLE \`__new_${table}\` RENAME TO \`${table}\`;`,
    "PRAGMA foreign_keys=ON;",
  ];
}

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { TempDatabase } from "./temp.js";

const require = createRequire(import.meta.url);
const KIT = join(dirname(require.resolve("drizzle-kit")), "bin.cjs");
const MODULES = dirname(dirname(KIT));
const { generateSQLiteDrizzleJson, generateSQLiteMigration } =
  require("drizzle-kit/api") as typeof import("drizzle-kit/api");

/** Runs the real command line in a project of its own; it exits 1, in silence, when it fails. */
export async function drizzleKit(temp: TempDatabase, ...args: string[]): Promise<void> {
  const config = { dialect: "sqlite", schema: "./schema.ts", out: "./drizzle", dbCredentials: { url: temp.url } };
  writeFileSync(join(temp.dir, "drizzle.config.json"), JSON.stringify(config));
  rmSync(join(temp.dir, "node_modules"), { force: true });
  symlinkSync(MODULES, join(temp.dir, "node_modules"));
  await promisify(execFile)(process.execPath, [KIT, ...args], { cwd: temp.dir });
}

/**
 * Adds a migration to `drizzle/` as drizzle-kit does: file, snapshot and journal entry; returns its tag.
 *
 * `schema` is what the schema's module exports. The SQL is drizzle-kit's own, unless `sql` is given: for a rename, which
 * it asks for at the terminal, and for custom SQL.
 */
export async function addMigration(
  temp: TempDatabase,
  name: string,
  schema: Record<string, unknown>,
  sql?: string,
): Promise<string> {
  const meta = join(temp.dir, "drizzle", "meta");
  mkdirSync(meta, { recursive: true });
  const journalPath = join(meta, "_journal.json");
  const journal = existsSync(journalPath)
    ? JSON.parse(readFileSync(journalPath, "utf8"))
    : { version: "7", dialect: "sqlite", entries: [] };
  const number = (index: number) => String(index).padStart(4, "0");
  const idx = journal.entries.length as number;
  const before =
    idx === 0
      ? await generateSQLiteDrizzleJson({})
      : JSON.parse(readFileSync(join(meta, `${number(idx - 1)}_snapshot.json`), "utf8"));
  const after = await generateSQLiteDrizzleJson(schema, idx === 0 ? undefined : before.id);
  const text = sql ?? (await generateSQLiteMigration(before, after)).join("\n--> statement-breakpoint\n");
  const tag = `${number(idx)}_${name}`;
  journal.entries.push({ idx, version: "6", when: 1000 * (idx + 1), tag, breakpoints: true });
  writeFileSync(journalPath, JSON.stringify(journal));
  writeFileSync(join(meta, `${number(idx)}_snapshot.json`), JSON.stringify(after));
  writeFileSync(join(temp.dir, "drizzle", `${tag}.sql`), text);
  return tag;
}

import { openMemoryClient } from "../../client/local/open-local.js";
import { tokens, unquote } from "../../client/sql/parse.js";
import { StorageError } from "../../shared/errors.js";
import { withoutState } from "../failure.js";
import { failureOnRows, ROWS_ADVICE } from "../generate/fails-on-rows.js";
import { difference, schemaText } from "../generate/schema-text.js";
import type { Journal } from "../journal.js";
import { migrate } from "../migrate.js";
import type { CodeMigration } from "../options.js";
import { revert } from "../revert.js";
import { fold } from "../schema-objects.js";
import { readScript, type Script } from "../script.js";
import { type Columns, readColumns } from "./columns.js";
import { finding, type LintFinding } from "./finding.js";
import { findDrift } from "./snapshot-drift.js";
import type { SnapshotJson } from "./snapshot-findings.js";

/** A migration to try, with the paths of its files. */
export interface Trial {
  readonly code: CodeMigration;
  readonly path: string;
  readonly downPath: string;
}

/**
 * Applies migrations one by one to an empty database in memory. Reverts each with its down file, compares the schema,
 * and applies it again. A migration that fails ends the trial, because the later ones need it.
 */
export async function* tryMigrations(
  journal: Journal,
  trials: readonly Trial[],
  lastSnapshot: { readonly path: string; readonly snapshot: SnapshotJson } | undefined,
): AsyncGenerator<LintFinding> {
  const migrations = trials.map(({ code }) => code);
  let client = openMemoryClient();
  try {
    for (const [index, { code, path, downPath }] of trials.entries()) {
      const { tag } = code;
      const before = await schemaText(client);
      const had = await readColumns(client);
      try {
        await migrate(client, { migrations, to: tag });
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        yield finding(path, "MIGRATION_FAILED", withoutState(error.message), error.line);
        return;
      }
      const script = readScript(journal[index]!);
      if (mayNeedValues(script) && hasNewColumns(had, await readColumns(client))) {
        const failure = await failureOnRows({ migrations }, trials[index - 1]?.code.tag, tag);
        if (failure !== undefined) {
          const message = `${withoutState(failure.message)}. It fails on each table that has rows. ${ROWS_ADVICE}`;
          yield finding(path, "FAILS_ON_ROWS", message, failure.line);
        }
      }
      for (const { what, line } of removed(script, had, await readColumns(client))) {
        yield finding(path, "DESTRUCTIVE", `${tag} removes ${what} with the values in it`, line, "info");
      }
      if (code.down === undefined) continue;
      const after = await schemaText(client);
      try {
        await revert(client, { migrations, steps: 1 });
        const restored = await schemaText(client);
        if (restored !== before) {
          yield finding(
            downPath,
            "DOWN_WRONG",
            `The down file of ${tag} leaves a different schema: ${difference(before, restored)}`,
          );
        } else {
          await migrate(client, { migrations, to: tag });
          const again = await schemaText(client);
          if (again === after) continue;
          yield finding(
            path,
            "MIGRATION_FAILED",
            `${tag} gives another schema after its down file: ${difference(after, again)}`,
          );
        }
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        const message = withoutState(error.message).replace(/^The `down` of/, "The down file of");
        yield finding(downPath, "DOWN_WRONG", message, error.line);
      }
      // Goes on from the migration alone.
      client.close();
      client = openMemoryClient();
      await migrate(client, { migrations, to: tag });
    }
    if (lastSnapshot !== undefined) yield* findDrift(client, lastSnapshot);
  } finally {
    client.close();
  }
}

/** Whether a script has something that a new column may need a value for. Trying it with rows takes time. */
function mayNeedValues({ statements }: Script): boolean {
  return statements.some(({ sql }) => /^(ALTER|CREATE)\s+TABLE\b.*\b(NOT\s+NULL|DEFAULT|STORED)\b/is.test(sql));
}

/** Whether a table that there was has more columns. */
function hasNewColumns(had: Columns, has: Columns): boolean {
  return [...has].some(([table, columns]) => {
    const old = had.get(table);
    return old !== undefined && [...columns.keys()].some((column) => !old.has(column));
  });
}

/** The tables and columns that a migration removed, without those that it renamed. */
function* removed({ statements }: Script, had: Columns, has: Columns): Generator<{ what: string; line: number }> {
  const lineOf = (...words: string[]) =>
    statements.findLast(({ sql }) => words.every((word) => fold(sql).includes(word)))?.line ?? 1;
  const tables = new Map<string, string>();
  const columns = new Map<string, string>();
  for (const { sql, ddl } of statements) {
    if (ddl?.action === "rename" && !fold(ddl.from).startsWith("__new_")) tables.set(fold(ddl.from), fold(ddl.to));
    const rename = readColumnRename(sql);
    if (rename !== undefined) columns.set(`${rename.table}.${rename.from}`, rename.to);
  }
  for (const [table, old] of had) {
    const name = tables.get(table) ?? table;
    const now = has.get(name);
    if (now === undefined) {
      yield { what: `the table ${table}`, line: lineOf("drop", table) };
      continue;
    }
    for (const column of old.keys()) {
      const to = columns.get(`${table}.${column}`) ?? columns.get(`${name}.${column}`) ?? column;
      if (!now.has(to)) yield { what: `the column ${column} of ${name}`, line: lineOf("drop", table) };
    }
  }
}

function readColumnRename(sql: string): { table: string; from: string; to: string } | undefined {
  const words = [...tokens(sql)].filter(({ text }, index) => index !== 4 || text.toUpperCase() !== "COLUMN");
  const [alter, , table, rename, from, to, name] = words;
  if (alter?.text.toUpperCase() !== "ALTER" || rename?.text.toUpperCase() !== "RENAME") return undefined;
  if (table === undefined || from === undefined || name === undefined || to?.text.toUpperCase() !== "TO")
    return undefined;
  return { table: fold(unquote(table)), from: fold(unquote(from)), to: fold(unquote(name)) };
}

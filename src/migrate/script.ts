import { isSetting } from "../client/local/session-settings.js";
import { parseStatement, splitScript } from "../client/sql/parse.js";
import { type Ddl, readDdl } from "./ddl.js";
import { type Failing, migrationFailed } from "./failure.js";
import type { Migration } from "./journal.js";

/** One statement of a migration. */
export interface MigrationStatement {
  readonly sql: string;
  /** The line of the file on which it starts. */
  readonly line: number;
  readonly ddl: Ddl | undefined;
}

/** A migration or its down file, split into statements. */
export interface Script {
  readonly migration: Migration;
  readonly isDown: boolean;
  readonly statements: readonly MigrationStatement[];
  /** The connection settings that it changes, which must be restored. */
  readonly settings: readonly string[];
}

/** The separator that drizzle-kit writes between statements. */
export const BREAKPOINT = "--> statement-breakpoint";

// Statements that would end the transaction of the run, or cannot run inside it.
const REFUSED: Readonly<Record<string, string>> = {
  begin: "BEGIN",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  vacuum: "VACUUM",
  attach: "ATTACH",
  detach: "DETACH",
};
/** PRAGMAs that a transaction ignores or refuses, or that belong to the engine. */
const REFUSED_PRAGMAS = new Set(["auto_vacuum", "encoding", "journal_mode", "page_size", "wal_checkpoint"]);
/** Settings that a migration may change while it runs. */
const RESTORED_PRAGMAS = new Set(["ignore_check_constraints", "legacy_alter_table", "recursive_triggers"]);

/**
 * Splits a migration at its breakpoints, and each part into its statements, so that a second statement without a
 * breakpoint runs too. If `down` is given, it is the text of the down file to split instead.
 *
 * Throws MIGRATION_FAILED for a statement that is not allowed in a migration.
 */
export function readScript(migration: Migration, down?: string): Script {
  const text = down ?? migration.sql;
  const isDown = down !== undefined;
  const statements: MigrationStatement[] = [];
  const settings = new Set<string>();
  let partStart = 0;
  for (const part of text.split(BREAKPOINT)) {
    for (const { sql, offset } of splitScript(part)) {
      const line = lineAt(text, partStart + offset);
      const { kind, pragma, isExplain } = parseStatement(sql);
      if (REFUSED[kind] !== undefined) throw refused({ migration, isDown }, line, REFUSED[kind], sql);
      if (pragma !== undefined && !isExplain) {
        const { name, value } = pragma;
        // drizzle-kit writes it around table rebuilds. It has no effect in a transaction, and foreign keys are already
        // off for the whole run.
        if (name === "foreign_keys") continue;
        if (RESTORED_PRAGMAS.has(name)) settings.add(name);
        else if (
          name === "wal_checkpoint" ||
          (value !== undefined && (isSetting(pragma) || REFUSED_PRAGMAS.has(name)))
        ) {
          throw refused({ migration, isDown }, line, `PRAGMA ${name}`, sql);
        }
      }
      statements.push({ sql, line, ddl: readDdl(sql) });
    }
    partStart += part.length + BREAKPOINT.length;
  }
  return { migration, isDown, statements, settings: [...settings] };
}

function refused(failing: Failing, line: number, word: string, sql: string) {
  const why = `${word} is not allowed in the transaction that applies migrations; run it separately, through the client`;
  return migrationFailed(failing, "cannot run", { at: { line, sql }, why });
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

import { parseStatement, type ScriptStatement, splitScript } from "../client/sql/parse.js";
import { type Ddl, readDdl } from "./ddl.js";
import type { Migration } from "./journal.js";

/** One statement of a migration. */
export interface MigrationStatement {
  readonly sql: string;
  /** The line of the file on which it starts. */
  readonly line: number;
  readonly ddl: Ddl | undefined;
  /** False after a PRAGMA foreign_keys that switches them off. */
  readonly enforcesKeys: boolean;
}

/** A migration or its down file, split into statements. */
export interface Script {
  readonly migration: Migration;
  readonly isDown: boolean;
  readonly statements: readonly MigrationStatement[];
}

/** The separator that drizzle-kit writes between statements. */
export const BREAKPOINT = "--> statement-breakpoint";

/** Settings that a migration may change while it runs, and that are restored afterwards. */
export const RESTORED_PRAGMAS: ReadonlySet<string> = new Set([
  "ignore_check_constraints",
  "legacy_alter_table",
  "recursive_triggers",
]);

/**
 * Splits a migration at its breakpoints, and each part into its statements, so that a second statement without a
 * breakpoint runs too. If `down` is given, it is the text of the down file to split instead.
 */
export function readScript(migration: Migration, down?: string): Script {
  const given = down ?? migration.sql;
  // UTF-16, which `assertRunnable` refuses.
  const text = given.includes("\0") ? "" : given;
  const statements: MigrationStatement[] = [];
  let line = 1;
  let counted = 0;
  let enforcesKeys = true;
  for (const { sql, offset } of splitMigration(text)) {
    for (let at = text.indexOf("\n", counted); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line++;
    counted = offset;
    const { pragma, isExplain } = parseStatement(sql);
    // drizzle-kit writes it around table rebuilds. It has no effect in a transaction, and foreign keys are already off
    // for the whole run: `Cascades` takes their place.
    if (pragma?.name === "foreign_keys" && !isExplain) {
      if (pragma.value !== undefined) enforcesKeys = /^(1|on|yes|true)$/i.test(pragma.value);
      continue;
    }
    statements.push({ sql, line, ddl: readDdl(sql), enforcesKeys });
  }
  return { migration, isDown: down !== undefined, statements };
}

/** A statement that can be told from those of a file. */
const PROBE = "breakpoint";

/**
 * The statements of a migration file. A breakpoint ends a statement as a semicolon does, but not inside a text, a
 * comment or the body of a trigger.
 */
export function splitMigration(text: string): ScriptStatement[] {
  return splitParts(text).flatMap(({ text: part, start }) =>
    splitScript(part).map(({ sql, offset }) => ({ sql, offset: start + offset })),
  );
}

/** The parts of a migration file between its breakpoints, and where they start. */
export function splitParts(text: string): { readonly text: string; readonly start: number }[] {
  const parts: { text: string; start: number }[] = [];
  let start = 0;
  for (let end = text.indexOf(BREAKPOINT); end >= 0; end = text.indexOf(BREAKPOINT, end + BREAKPOINT.length)) {
    const part = text.slice(start, end);
    // Inside of something, the probe is a part of it.
    if (splitScript(`${part};${PROBE}`).at(-1)?.sql !== PROBE) continue;
    parts.push({ text: part, start });
    start = end + BREAKPOINT.length;
  }
  return [...parts, { text: text.slice(start), start }];
}

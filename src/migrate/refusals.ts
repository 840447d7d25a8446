import { isSetting } from "../client/local/session-settings.js";
import { parseStatement, tokens, unquote } from "../client/sql/parse.js";
import { StorageError } from "../shared/errors.js";
import { type Failing, migrationFailed, nameOf } from "./failure.js";
import type { Migration } from "./journal.js";
import { type MigrationStatement, RESTORED_PRAGMAS, type Script } from "./script.js";

// Statements that would end the transaction of a run, or that cannot run inside it.
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
/** The text of a new custom migration of drizzle-kit. */
const PLACEHOLDER = /--\s*Custom SQL migration file, put your code below!/i;

/** The first and the last line of a conflict that a merge has left in a file. */
const CONFLICT = /^<{7} /m;
const CONFLICT_END = /^>{7} /m;

/**
 * Refuses a script that must not be run. MIGRATION_INVALID is for a file that is not UTF-8 or has the conflict markers
 * of a merge, a custom migration that is not written yet, and a parameter, which nothing would bind; MIGRATION_FAILED for a statement that is not allowed in
 * the transaction. Call it only for what is about to run, never for what is already applied.
 */
export function assertRunnable(script: Script): void {
  for (const refusal of refusalsOf(script)) throw refusal;
}

/** Refuses a script that drops or alters the ledger, in which it could not be recorded then. */
export function assertKeepsLedger(script: Script, ledger: string): void {
  const statement = script.statements.find(({ sql }) => {
    if (!/^(DROP|ALTER)\b/i.test(sql)) return false;
    const words = [...tokens(sql)].filter(({ text }) => !/^(IF|EXISTS|main|\.)$/i.test(text));
    const [, table, name] = words;
    if (table?.text.toUpperCase() !== "TABLE" || name === undefined) return false;
    return unquote(name).toLowerCase() === ledger.toLowerCase();
  });
  if (statement === undefined) return;
  const why = `${ledger} is the ledger of these migrations, which must stay as it is. Remove the statement`;
  throw migrationFailed(script, "cannot run", { at: statement, why });
}

/** The errors with which a script is refused, one for each reason. */
export function* refusalsOf(script: Script): Generator<StorageError> {
  const { migration, isDown } = script;
  if (!isDown && migration.unreadable !== undefined) {
    yield invalid(script, `${migration.unreadable}. Save the file as UTF-8`);
  }
  if (!isDown && script.statements.length === 0 && PLACEHOLDER.test(migration.sql)) {
    yield invalid(script, "it is a custom migration that is not written yet. Write its SQL, or remove it");
  }
  const conflict = script.statements.find(({ sql }) => CONFLICT.test(sql));
  if (conflict !== undefined && script.statements.some(({ sql }) => CONFLICT_END.test(sql))) {
    const line = conflict.line + conflict.sql.slice(0, CONFLICT.exec(conflict.sql)!.index).split("\n").length - 1;
    yield invalid(script, `line ${line} has a conflict marker of a merge. Resolve the conflict`, line);
  }
  for (const statement of script.statements) {
    const refusal = refusalOf(script, statement);
    if (refusal !== undefined) yield refusal;
  }
}

function refusalOf(script: Script, statement: MigrationStatement): StorageError | undefined {
  const { sql, line } = statement;
  const { kind, pragma, isExplain, parameterCount, namedParameters } = parseStatement(sql);
  if (parameterCount > 0) {
    const name = namedParameters[0]?.name ?? "?";
    return invalid(script, `line ${line} has the parameter ${name}, and nothing gives it a value`, line);
  }
  if (REFUSED[kind] !== undefined) return refused(script, statement, REFUSED[kind]);
  if (pragma === undefined || isExplain || RESTORED_PRAGMAS.has(pragma.name)) return undefined;
  const { name, value } = pragma;
  if (name === "wal_checkpoint" || (value !== undefined && (isSetting(pragma) || REFUSED_PRAGMAS.has(name)))) {
    return refused(script, statement, `PRAGMA ${name}`);
  }
  return undefined;
}

function invalid(failing: Failing & { readonly migration: Migration }, why: string, line?: number): StorageError {
  return new StorageError("MIGRATION_INVALID", `${nameOf(failing)} cannot be applied: ${why}. Nothing was changed`, {
    line,
  });
}

function refused(failing: Failing, at: MigrationStatement, word: string): StorageError {
  const why = `${word} is not allowed in the transaction that applies migrations; run it separately, through the client`;
  return migrationFailed(failing, "cannot run", { at, why });
}

import { StorageError } from "../shared/errors.js";

const SHOWN_SQL = 120;

export interface FailureDetails {
  /** The statement, and the line of the file on which it starts. */
  readonly at?: { readonly line: number; readonly sql: string };
  /** Why, in words; the message of the cause where it is left out. */
  readonly why?: string;
  readonly cause?: unknown;
}

/** What failed: a migration, or its down file. */
export interface Failing {
  readonly migration: { readonly tag: string };
  readonly isDown?: boolean;
}

/** A migration, or the way back from one, that failed: `MIGRATION_FAILED`. */
export class MigrationError extends StorageError {
  /** Of the migration that failed, or could not be reverted. */
  readonly tag: string;
  /** The statement that failed, as its file has it; undefined where no single one did. */
  readonly statement: string | undefined;
  readonly #details: FailureDetails;

  constructor(tag: string, message: string, details: FailureDetails) {
    super("MIGRATION_FAILED", message, {
      line: details.at?.line,
      ...("cause" in details ? { cause: details.cause } : {}),
    });
    this.tag = tag;
    this.statement = details.at?.sql;
    this.#details = details;
  }

  /** The same, with what state the file is in: that is not known where it is thrown. */
  withState(state: string): MigrationError {
    return new MigrationError(this.tag, `${this.message}. ${state}`, this.#details);
  }
}

/** MIGRATION_FAILED with tag, statement and cause; `what` continues "Migration 0003_name …". */
export function migrationFailed(failing: Failing, what: string, details: FailureDetails = {}): MigrationError {
  const { at, cause, why = reason(cause) } = details;
  const { tag } = failing.migration;
  const subject = failing.isDown === true ? `The way back from ${tag} (${tag}.down.sql)` : `Migration ${tag}`;
  const where = at === undefined ? "" : ` at line ${at.line}, \`${shorten(at.sql)}\``;
  const because = why === "" ? "" : `: ${why}`;
  return new MigrationError(tag, `${subject} ${what}${where}${because}`, details);
}

/** Adds to a MigrationError that nothing of its run stayed; other errors pass as they are. */
export function asRolledBack(error: unknown, standsAt: string | undefined): unknown {
  if (!(error instanceof MigrationError)) return error;
  return error.withState(`Nothing was changed: everything of this run was rolled back, and ${standing(standsAt)}`);
}

/** "the file stands at 0002_name", as the end of a sentence. */
export function standing(tag: string | undefined): string {
  return tag === undefined ? "the file has no migration" : `the file stands at ${tag}`;
}

function shorten(sql: string): string {
  const text = sql.replace(/\s+/g, " ").trim();
  return text.length > SHOWN_SQL ? `${text.slice(0, SHOWN_SQL)}…` : text;
}

function reason(cause: unknown): string {
  if (cause === undefined) return "";
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
}

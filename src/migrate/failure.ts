import { isFull } from "../client/sql/sqlite-error.js";
import { StorageError } from "../shared/errors.js";
import type { DryRunResult } from "./dry-run-result.js";
import { downName, type Migration } from "./journal.js";

const SHOWN_SQL = 120;

/** What SQLite refuses to add to a table that has rows, whatever is in them. */
export const CANNOT_ADD = /cannot add a (NOT NULL column|column with non-constant default|STORED column)/i;

export interface FailureDetails {
  /** The statement, and the line of the file on which it starts. */
  readonly at?: { readonly line: number; readonly sql: string };
  /** The reason, in words. If it is missing, the message of the cause is used. */
  readonly why?: string;
  readonly cause?: unknown;
}

/** The migration or down file that failed. */
export interface Failing {
  readonly migration: Pick<Migration, "tag"> & Partial<Pick<Migration, "path" | "code">>;
  readonly isDown?: boolean;
}

/** A migration or down file that failed: `MIGRATION_FAILED`, or `FULL` if the disk has no room for it. */
export class MigrationError extends StorageError {
  /** The migration that failed or could not be reverted. */
  readonly tag: string;
  /** The text of the statement that failed. Undefined if no single statement failed. */
  readonly statement: string | undefined;
  /** @internal What a dry run had listed when this failed. */
  tried: DryRunResult | undefined;
  readonly #details: FailureDetails;

  constructor(tag: string, message: string, details: FailureDetails) {
    super(isFull(details.cause) ? "FULL" : "MIGRATION_FAILED", message, {
      line: details.at?.line,
      ...("cause" in details ? { cause: details.cause } : {}),
    });
    this.tag = tag;
    this.statement = details.at?.sql;
    this.#details = details;
  }

  /** @internal Returns the same error with the state of the file, which is not known where the error is thrown. */
  withState(state: string): MigrationError {
    return new MigrationError(this.tag, `${this.message}. ${state}`, this.#details);
  }
}

/** Creates a MIGRATION_FAILED error with tag, statement and cause. `what` continues "Migration 0003_name …". */
export function migrationFailed(failing: Failing, what: string, details: FailureDetails = {}): MigrationError {
  const { at, cause, why = reason(cause) } = details;
  const where = at === undefined ? "" : ` at line ${at.line}, \`${shorten(at.sql)}\``;
  const because = why === "" ? "" : `: ${why}`;
  return new MigrationError(failing.migration.tag, `${nameOf(failing)} ${what}${where}${because}`, details);
}

/** The failed migration or down file, as the subject of a sentence. */
export function nameOf({ migration: { tag, path, code }, isDown }: Failing): string {
  if (isDown !== true) return `Migration ${tag}`;
  if (path === undefined || code !== undefined) return `The \`down\` of migration ${tag}`;
  return `The down file of migration ${tag} (${downName({ tag, path })})`;
}

/** Adds to a MigrationError that the whole run was rolled back. Returns other errors unchanged. */
export function asRolledBack(error: unknown, standsAt: string | undefined): unknown {
  if (!(error instanceof MigrationError)) return error;
  const advice = error.code === "FULL" ? ". The disk is full: free some space and try again" : "";
  return error.withState(`Nothing was changed: the whole run was rolled back, and ${standing(standsAt)}${advice}`);
}

/** Returns "the file stands at 0002_name", as the end of a sentence. */
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

/** A message of a refusal without what it says about a database. */
export function withoutState(message: string): string {
  return message.replace(/\. Nothing was changed\b.*$/s, "");
}

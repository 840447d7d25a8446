import { StorageError } from "../errors.js";

const SHOWN_SQL = 120;

export interface FailureDetails {
  /** The statement, and the line of the file on which it starts. */
  readonly at?: { readonly line: number; readonly sql: string };
  /** Why, in words; the message of the cause where it is left out. */
  readonly why?: string;
  readonly cause?: unknown;
}

/** MIGRATION_FAILED with tag, statement and cause; `what` continues "Migration 0003_name …". */
export function migrationFailed(tag: string, what: string, details: FailureDetails = {}): StorageError {
  const { at, cause, why = reason(cause) } = details;
  const where = at === undefined ? "" : ` at line ${at.line}, \`${shorten(at.sql)}\``;
  const because = why === "" ? "" : `: ${why}`;
  const message = `Migration ${tag} ${what}${where}${because}. Nothing was changed: file and ledger are as before this run`;
  return new StorageError("MIGRATION_FAILED", message, "cause" in details ? { cause } : {});
}

function shorten(sql: string): string {
  const text = sql.replace(/\s+/g, " ").trim();
  return text.length > SHOWN_SQL ? `${text.slice(0, SHOWN_SQL)}…` : text;
}

function reason(cause: unknown): string {
  if (cause === undefined) return "";
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
}

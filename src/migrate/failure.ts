import { StorageError } from "../errors.js";

const SHOWN_SQL = 120;

/** Where in its file a migration failed. */
export interface FailureSite {
  readonly line: number;
  readonly sql: string;
}

/** MIGRATION_FAILED with tag, place, statement and cause; `what` continues "Migration 0003_name …". */
export function migrationFailed(
  tag: string,
  what: string,
  site?: FailureSite | undefined,
  cause?: unknown,
): StorageError {
  const where = site === undefined ? "" : ` at line ${site.line}, \`${shorten(site.sql)}\``;
  const message = `Migration ${tag} ${what}${where}${cause === undefined ? "" : `: ${reason(cause)}`}. Nothing was changed: file and ledger are as before this run`;
  return new StorageError("MIGRATION_FAILED", message, cause === undefined ? {} : { cause });
}

function shorten(sql: string): string {
  const text = sql.replace(/\s+/g, " ").trim();
  return text.length > SHOWN_SQL ? `${text.slice(0, SHOWN_SQL)}…` : text;
}

function reason(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
}

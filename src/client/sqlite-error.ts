import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { LibsqlError } from "@libsql/client/sqlite3";

// SQLite's primary result codes (sqlite.org/rescode.html), by number.
const PRIMARY_CODES = [
  "SQLITE_OK",
  "SQLITE_ERROR",
  "SQLITE_INTERNAL",
  "SQLITE_PERM",
  "SQLITE_ABORT",
  "SQLITE_BUSY",
  "SQLITE_LOCKED",
  "SQLITE_NOMEM",
  "SQLITE_READONLY",
  "SQLITE_INTERRUPT",
  "SQLITE_IOERR",
  "SQLITE_CORRUPT",
  "SQLITE_NOTFOUND",
  "SQLITE_FULL",
  "SQLITE_CANTOPEN",
  "SQLITE_PROTOCOL",
  "SQLITE_EMPTY",
  "SQLITE_SCHEMA",
  "SQLITE_TOOBIG",
  "SQLITE_CONSTRAINT",
  "SQLITE_MISMATCH",
  "SQLITE_MISUSE",
  "SQLITE_NOLFS",
  "SQLITE_AUTH",
  "SQLITE_FORMAT",
  "SQLITE_RANGE",
  "SQLITE_NOTADB",
  "SQLITE_NOTICE",
  "SQLITE_WARNING",
] as const;

export const BUSY = 5;
export const READONLY = 8;
export const CORRUPT = 11;
export const CANTOPEN = 14;
export const NOTADB = 26;
/** What FTS5 reports when its index and its content disagree: the file itself is sound, and a rebuild mends it. */
const CORRUPT_VTAB = 267;
/** The same of an index that cannot even be opened. */
const UNUSABLE_INDEX = /vtable constructor failed/;

interface NativeError extends Error {
  readonly code: string;
  readonly rawCode?: number;
}

/** What the binding threw, as the LibsqlError that the stock client would throw. Other errors pass as they are. */
export function toLibsqlError(error: unknown): unknown {
  if (error instanceof LibsqlError || !(error instanceof Error)) return error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const { code, rawCode } = error as NativeError;
  if (rawCode === undefined || rawCode === null) return error;
  return new LibsqlError(
    error.message,
    PRIMARY_CODES[rawCode & 0xff] ?? `SQLITE_UNKNOWN_${rawCode & 0xff}`,
    code,
    rawCode,
    error,
  );
}

/** A failed open comes as a plain Error without a code. */
export function toOpenError(error: unknown, path: string): LibsqlError {
  const known = toLibsqlError(error);
  if (known instanceof LibsqlError) return known;
  const reason = error instanceof Error ? error.message : String(error);
  const advice = hasDescriptorLeft()
    ? "Check that its folder exists and that this user may write to it"
    : TOO_MANY_FILES;
  return new LibsqlError(
    `Cannot open ${path}: ${reason}. ${advice}`,
    "SQLITE_CANTOPEN",
    "SQLITE_CANTOPEN",
    14,
    error instanceof Error ? error : undefined,
  );
}

/** What to say when a process has no file descriptor left. */
export const TOO_MANY_FILES =
  "This process has as many files open as it may (EMFILE). Close storages and clients that are not used any more, and keep one for each file";

/** SQLite gives the same code for a file that it may not open and for one too many. */
function hasDescriptorLeft(): boolean {
  try {
    closeSync(openSync(devNull, "r"));
    return true;
  } catch (error) {
    return !["EMFILE", "ENFILE"].includes((error as NodeJS.ErrnoException).code ?? "");
  }
}

/** The primary result code of an error from SQLite, else undefined. Classify by it, never by text. */
export function primaryCode(error: unknown): number | undefined {
  const rawCode = error instanceof Error ? (error as NativeError).rawCode : undefined;
  return typeof rawCode === "number" ? rawCode & 0xff : undefined;
}

/** Whether waiting and trying again can help: another connection holds a lock, and no snapshot has gone stale. */
export function isBusy(error: unknown): boolean {
  const BUSY_SNAPSHOT = 517;
  return primaryCode(error) === BUSY && (error as NativeError).rawCode !== BUSY_SNAPSHOT;
}

/** Whether the error shows a damaged file, after which nothing should be written to it. */
export function showsDamage(error: unknown): boolean {
  const code = primaryCode(error);
  if (code === NOTADB) return true;
  return code === CORRUPT && !showsIndexDamage(error);
}

/** Whether the error shows a full-text index that is damaged, in a file that is sound. */
export function showsIndexDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (error as NativeError).rawCode === CORRUPT_VTAB || UNUSABLE_INDEX.test(error.message);
}

/** Whether the connection must be checked before it serves anybody else. */
export function makesSuspect(error: unknown): boolean {
  const code = primaryCode(error);
  return code !== undefined && code !== 1 && code !== 19 && code !== READONLY && code !== 20;
}

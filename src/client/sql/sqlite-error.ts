import { accessSync, constants, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { LibsqlError } from "@libsql/client/sqlite3";
import { mayLackDescriptors, TOO_MANY_FILES } from "../../files/descriptors.js";
import { isFullDisk } from "../../files/file-error.js";

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
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
export const CANTOPEN = 14;
const NOTADB = 26;
/** What FTS5 reports when its index and its content disagree: the file itself is sound, and a rebuild repairs the index. */
const CORRUPT_VTAB = 267;
/** The same of an index that cannot even be opened. */
const UNUSABLE_INDEX = /vtable constructor failed/;

interface NativeError extends Error {
  readonly code: string;
  readonly rawCode?: number;
}

/** What the binding threw, as the LibsqlError that the stock client would throw. Other errors pass as they are. */
function toLibsqlError(error: unknown): unknown {
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

const CONNECTION_FAILED = /^ConnectionFailed\("Unable to open connection to local database .*: 14"\)$/s;

/** A failed open comes as a plain Error without a code. */
export function toOpenError(error: unknown, path: string): LibsqlError {
  const known = toLibsqlError(error);
  if (known instanceof LibsqlError) return known;
  const reason = error instanceof Error ? error.message : String(error);
  // The binding's words for SQLITE_CANTOPEN say no more than the code and the path.
  const why = CONNECTION_FAILED.test(reason) ? "SQLite can neither open nor create it" : reason;
  return shortageError(`Cannot open ${path}: ${why}`, path, error, MAY_NOT_OPEN);
}

/**
 * The same as `toLibsqlError`, with the name of the file where the file system has failed, and with what it lacks:
 * SQLite gives one code for a file that it may not open and for one too many, and another for a full disk and a broken one.
 */
export function toFileError(error: unknown, path: string): unknown {
  const code = primaryCode(error);
  const { message } = error as Error;
  // Of an ATTACH, it names another file.
  if (code === CANTOPEN && message.includes("unable to open database file"))
    return shortageError(`${message}: ${path} or a file next to it`, path, error, MAY_NOT_OPEN);
  if (code === FULL) return withMessage(error, `${message}: ${path}`);
  if (code !== IOERR) return toLibsqlError(error);
  if ((error as NativeError).rawCode === SHORT_READ) return withMessage(error, `${message}: ${path}. ${MOVED}`);
  if (findShortage(path)?.code === "SQLITE_FULL") return shortageError(`${message}: ${path}`, path, error, "");
  return withMessage(error, `${message}: ${path}`);
}

/**
 * Where a file can be written to, SQLite has met a shortage when it opened it, and opened it for reading instead. Undefined
 * where the file cannot be written to.
 */
export function lostWriteError(error: unknown, path: string): LibsqlError | undefined {
  try {
    accessSync(path, constants.W_OK);
  } catch {
    return undefined;
  }
  const advice = "A shortage of descriptors or of space, or a fault of the disk, has passed by now: try again";
  return shortageError(`${path} could be opened for reading only`, path, error, advice);
}

export const SHORT_READ = 522;
/** SQLite has one index of the log for a file, whatever its name: that of a closed connection that is not collected yet. */
const MOVED =
  "It is shorter than its log says. A file that was moved while this process had it open can be read by another process now, and by this one once its closed connections are collected as garbage: restart it, or try later";
const MAY_NOT_OPEN = "Check that its folder exists and that this user may write to it";
/** A disk with less than this has no room for what SQLite keeps next to a database. */
const LEAST_FREE_BYTES = 64 * 1024;

interface Shortage {
  readonly code: "SQLITE_FULL" | "SQLITE_CANTOPEN";
  readonly advice: string;
}

/** What this process or the disk of a file lacks at this moment. Opens nothing of the disk. */
function findShortage(path: string): Shortage | undefined {
  if (mayLackDescriptors()) return { code: "SQLITE_CANTOPEN", advice: TOO_MANY_FILES };
  const full: Shortage = { code: "SQLITE_FULL", advice: "The disk is full" };
  try {
    const { bavail, blocks, bsize } = statfsSync(dirname(path));
    // A file system without a disk, such as /proc, has no blocks at all.
    return blocks > 0 && bavail * bsize < LEAST_FREE_BYTES ? full : undefined;
  } catch (error) {
    return isFullDisk(error) ? full : undefined;
  }
}

/** What is the matter, or else `advice`. The advice about a full disk comes with the StorageError. */
function shortageError(message: string, path: string, cause: unknown, advice: string): LibsqlError {
  const shortage = findShortage(path);
  const code = shortage?.code ?? "SQLITE_CANTOPEN";
  const rawCode = code === "SQLITE_FULL" ? FULL : CANTOPEN;
  const text = `${message}. ${shortage?.advice ?? advice}`;
  return new LibsqlError(text, code, code, rawCode, cause instanceof Error ? cause : undefined);
}

function withMessage(error: unknown, message: string): unknown {
  const known = toLibsqlError(error);
  if (!(known instanceof LibsqlError)) return known;
  return new LibsqlError(message, known.code, known.extendedCode, known.rawCode, error as Error);
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

/** Whether a disk without room kept something from being written; nothing was. */
export function isFull(error: unknown): boolean {
  return primaryCode(error) === FULL;
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

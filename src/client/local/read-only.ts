import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { LibsqlError } from "@libsql/client/sqlite3";
import { mayRead, mayWrite, otherThanFile } from "../../files/file-kind.js";
import { CANTOPEN, primaryCode } from "../sql/sqlite-error.js";

/** How a file is opened for reading only. The last two are ways to leave its -shm alone: see `readWithoutTrace`. */
export type ReadOnly = true | "immutable" | "keepsShm" | "privateLog";

interface Opening {
  readonly name: string;
  readonly setup: readonly string[];
}

/** The name by which SQLite opens a file and writes neither to it nor to its log, and what it is told first. */
export function readOnlyOpening(path: string, readOnly: ReadOnly): Opening {
  const name = `file:${pathToFileURL(path).pathname}?mode=ro`;
  switch (readOnly) {
    case true:
      return { name, setup: [] };
    case "immutable":
      return { name: `${name}&immutable=1`, setup: [] };
    case "keepsShm":
      return { name: `${name}&readonly_shm=1`, setup: [] };
    case "privateLog":
      // Without locks of other processes to heed, SQLite keeps the log's index in memory instead of a -shm.
      return { name: `${name}&vfs=unix-none`, setup: ["PRAGMA locking_mode = EXCLUSIVE"] };
  }
}

/**
 * Throws if something other than a file is at `path`, since opening a named pipe would wait for its other end, or a file
 * that this user may not read, which SQLite does not tell from other failures.
 */
export function assertOpenable(path: string): void {
  const kind = otherThanFile(path);
  if (kind === undefined && mayRead(path)) return;
  const advice = kind === "a folder" ? "Name a database file in it" : "Name a database file";
  const why = kind === undefined ? "this user may not read it. Check its permissions" : `it is ${kind}. ${advice}`;
  const message = `Cannot open ${path}: ${why}`;
  throw new LibsqlError(message, "SQLITE_CANTOPEN", "SQLITE_CANTOPEN", CANTOPEN);
}

/** Throws if there is no file: `readOnly` does not create one. */
export function assertFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  throw new LibsqlError(`There is no database ${path}, and readOnly does not create one. Check the path`, "NOT_FOUND");
}

function nothingWritten(path: string): string {
  const advice = mayWrite(path)
    ? "Open it without that option to write"
    : "This user may not write to it: make a copy with `backup`, and write to that";
  return `nothing is written to it. ${advice}`;
}

export function readOnlyError(path: string, reason = nothingWritten(path)): LibsqlError {
  return new LibsqlError(
    `${path} was opened with \`readOnly\`, and ${reason}`,
    "SQLITE_READONLY",
    "SQLITE_READONLY",
    8,
  );
}

const READONLY_CANTINIT = 1544;
const READONLY_ROLLBACK = 776;

/** Explains what SQLite needs if it cannot read a file without writing next to it. */
export function explainReadOnly(error: unknown, path: string, readOnly: ReadOnly): unknown {
  if (!(error instanceof LibsqlError)) return error;
  if (error.rawCode === READONLY_ROLLBACK) {
    const message = `Cannot read ${path} without writing: a program ended in the middle of a write and left ${path}-journal, which SQLite rolls back when the file is opened for writing. Open it so once, as openStorage() or \`holdfast migrate\` does`;
    return new LibsqlError(message, "SQLITE_CANTOPEN", "SQLITE_CANTOPEN", CANTOPEN, error);
  }
  const isShm = primaryCode(error) === CANTOPEN || error.rawCode === READONLY_CANTINIT;
  if (!isShm || readOnly === "immutable") return error;
  return new LibsqlError(
    `Cannot read ${path}: it is in WAL mode, and SQLite cannot make its -shm next to it. If no process writes to the file while it is open here, use \`readOnly: "immutable"\``,
    "SQLITE_CANTOPEN",
    "SQLITE_CANTOPEN",
    CANTOPEN,
    error,
  );
}

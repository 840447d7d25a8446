import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { LibsqlError } from "@libsql/client/sqlite3";
import { CANTOPEN, primaryCode } from "./sqlite-error.js";

/** How a file is opened for reading only. */
export type ReadOnly = true | "immutable";

/** The name by which SQLite opens a file and writes neither to it nor to its log. */
export function readOnlyName(path: string, readOnly: ReadOnly): string {
  const url = `file:${pathToFileURL(path).pathname}?mode=ro`;
  return readOnly === "immutable" ? `${url}&immutable=1` : url;
}

/** Throws where there is no file: one that is only read is not made. */
export function assertFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  throw new LibsqlError(`There is no database ${path}, and readOnly makes none. Check the path`, "NOT_FOUND");
}

export function readOnlyError(path: string): LibsqlError {
  return new LibsqlError(
    `${path} was opened with \`readOnly\`, and nothing is written to it. Open it without that option to write`,
    "SQLITE_READONLY",
    "SQLITE_READONLY",
    8,
  );
}

/** Says what SQLite needs where it cannot make the -shm through which the readers of a file in WAL mode agree. */
export function explainReadOnly(error: unknown, path: string, readOnly: ReadOnly): unknown {
  const isShm = error instanceof LibsqlError && (primaryCode(error) === CANTOPEN || error.rawCode === 1544);
  if (!isShm || readOnly === "immutable") return error;
  return new LibsqlError(
    `Cannot read ${path}: it is in WAL mode, and SQLite cannot make its -shm next to it. If no process writes to the file while it is open here, use \`readOnly: "immutable"\``,
    "SQLITE_CANTOPEN",
    "SQLITE_CANTOPEN",
    CANTOPEN,
    error,
  );
}

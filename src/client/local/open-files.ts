import { type BigIntStats, statSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";
import { quoteText } from "../sql/quote.js";
import { type NativeDatabase, openNative } from "./native.js";

/** Another thread may be noting the same file at this moment; that takes microseconds. */
const TIMEOUT_MS = 1000;

/**
 * Notes that a pool works on a file, until the function that it returns is called; to be called before it is opened.
 *
 * The note is a connection to a database in memory that is named after the file's device and inode. SQLite shares it
 * among all connections of the process, so every thread and every copy of the package sees it, and it is gone with the
 * last of them: by closing, at the end of the thread, or when a client that was never closed is collected.
 *
 * Throws IN_USE where the file is open under another name: SQLite keeps a log for each name, and the two would not know
 * of each other.
 */
export function noteOpen(path: string): () => void {
  const file = look(path);
  if (file === undefined) return () => undefined;
  const note = connect(file);
  let isOpen = true;
  const forget = () => {
    if (isOpen) note.close();
    isOpen = false;
  };
  try {
    note.exec(`CREATE TABLE IF NOT EXISTS held AS SELECT ${quoteText(path)} AS path`);
    // No statement may be prepared: it would keep the connection, and with it the note. So the answer is an error.
    note.exec(`SELECT CASE WHEN path <> ${quoteText(path)} THEN abs(-9223372036854775807 - 1) END FROM held`);
    return forget;
  } catch (error) {
    forget();
    if (!/overflow/.test((error as Error).message)) throw error;
    throw new LibsqlError(
      `${path} is another name (a hard link) of a database that is open in this process. Each name would have its own log, and writes would be lost: close it first, or open it by the same name`,
      "IN_USE",
    );
  }
}

/**
 * Whether a client of this process has the file open, in whatever thread and by whatever name.
 *
 * Its descriptors do not tell: the binding keeps those of a closed connection until they are collected.
 */
export function isOpenHere(path: string): boolean {
  const file = look(path);
  if (file === undefined) return false;
  const probe = connect(file);
  try {
    probe.exec("SELECT 1 FROM held");
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}

function look(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function connect({ dev, ino }: BigIntStats): NativeDatabase {
  return openNative(`file:/holdfast-${dev}-${ino}?vfs=memdb`, { timeout: TIMEOUT_MS });
}

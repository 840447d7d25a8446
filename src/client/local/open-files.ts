import { type BigIntStats, statSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";
import { FILE_REPLACED } from "../../files/file-identity.js";
import { quoteText } from "../sql/quote.js";
import { type NativeDatabase, openNative } from "./native.js";

/** Another thread may be noting the same file at this moment; that takes microseconds. */
const TIMEOUT_MS = 1000;

/** The notes of `noteLost`, as long as this process, or this thread with its connections, lives. */
const lost: NativeDatabase[] = [];

/**
 * Notes that a pool works on a file, until the function that it returns is called; to be called before it is opened.
 *
 * The note is a connection to a database in memory that is named after the file's device and inode. SQLite shares it
 * among all connections of the process, so every thread and every copy of the package sees it, and it is gone with the
 * last of them: by closing, at the end of the thread, or when a client that was never closed is collected.
 *
 * Throws FILE_REPLACED after `noteLost`, and IN_USE where the file is open under another name: SQLite keeps a log for each name, and the two would not know
 * of each other.
 */
export function noteOpen(path: string): () => void {
  const file = look(path);
  if (file === undefined) return () => undefined;
  const note = connect(file);
  if (has(note, lostName(file))) {
    note.close();
    throw new LibsqlError(
      `The log of ${path} was lost while this process had the file open, and to open it again could damage it. End this process, then run \`holdfast check\``,
      FILE_REPLACED,
    );
  }
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
 * Notes that the log of a file was lost while this process had it open: it must not open the file again. The binding
 * keeps a closed connection until its statements are collected. If such a connection were the last to close, SQLite
 * would copy pages of the old log, by the index of the new one, over the file.
 */
export function noteLost(path: string): void {
  const file = look(path);
  if (file === undefined) return;
  const note = connect(file);
  note.exec(`CREATE TABLE IF NOT EXISTS ${lostName(file)} (a)`);
  lost.push(note);
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
    return has(probe, "held");
  } finally {
    probe.close();
  }
}

/** A later file may have the same number. */
function lostName({ birthtimeNs }: BigIntStats): string {
  return `lost_${birthtimeNs}`;
}

function has(note: NativeDatabase, table: string): boolean {
  try {
    note.exec(`SELECT 1 FROM ${table}`);
    return true;
  } catch {
    return false;
  }
}

function look(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function connect({ dev, ino }: BigIntStats): NativeDatabase {
  return openNative(`file:/holdfast-${dev}-${ino}?vfs=memdb`, { timeout: TIMEOUT_MS });
}

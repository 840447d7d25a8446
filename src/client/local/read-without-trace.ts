import { type BigIntStats, existsSync, statSync } from "node:fs";
import { isOpenHere } from "./open-files.js";
import type { ReadOnly } from "./read-only.js";

/**
 * Runs `read` on a file without creating or changing anything in it or next to it: not even the -shm and the empty
 * -wal that SQLite creates for a reader. `read` opens the file with the given mode, and closes it.
 *
 * A log that processes may be using is read with their locks. Where there is none to share, SQLite reads without locks;
 * if the file was changed while it did, the result may be of two states, and `read` runs again with locks.
 */
export async function readWithoutTrace<T>(path: string, read: (readOnly: ReadOnly) => Promise<T>): Promise<T> {
  const readOnly = leastIntrusive(path);
  if (readOnly === true) return read(true);
  const files = { keepsShm: [], privateLog: [path, `${path}-wal`], immutable: [path] }[readOnly];
  const before = files.map(stateOf);
  let outcome: { readonly value: T } | { readonly error: unknown };
  try {
    outcome = { value: await read(readOnly) };
  } catch (error) {
    outcome = { error };
  }
  if (files.some((file, index) => stateOf(file) !== before[index])) return read(withLocks(path));
  if ("value" in outcome) return outcome.value;
  // The last process that had the file open closes it, and removes the -shm, before this one opens it.
  if (readOnly === "keepsShm" && leastIntrusive(path) !== readOnly) return readWithoutTrace(path, read);
  throw outcome.error;
}

function leastIntrusive(path: string): ReadOnly {
  if (existsSync(`${path}-shm`) && existsSync(`${path}-wal`)) return "keepsShm";
  if ((stat(`${path}-wal`)?.size ?? 0n) > 0n) {
    // Closing it there would take the locks of this process from the file.
    return isOpenHere(path) || process.platform === "win32" ? true : "privateLog";
  }
  // What an open transaction of a rollback journal has written may not be read as if it were committed.
  return existsSync(`${path}-journal`) ? true : "immutable";
}

function withLocks(path: string): ReadOnly {
  return existsSync(`${path}-shm`) ? "keepsShm" : true;
}

/** What differs after every write. (Not `ctime`: SQLite sets the owner of a log that it opens as root.) */
function stateOf(file: string): string {
  const found = stat(file);
  return found === undefined ? "" : [found.dev, found.ino, found.size, found.mtimeNs].join();
}

function stat(file: string): BigIntStats | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false });
}

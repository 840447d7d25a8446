import { accessSync, constants, type Stats, statSync } from "node:fs";
import { hasErrno } from "./file-error.js";

/** What is at a path that cannot be a database, in words; undefined for a file, and if nothing is there or can be seen. */
export function otherThanFile(path: string): string | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found === undefined ? undefined : kindOf(found);
  } catch {
    // Opening the path reports what is wrong with it.
    return undefined;
  }
}

/** Whether this user may read a file; true too if it is missing or cannot be looked at for another reason. */
export function mayRead(path: string): boolean {
  return may(path, constants.R_OK);
}

/** The same for writing; a folder that can be written to takes new files. */
export function mayWrite(path: string): boolean {
  return may(path, constants.W_OK);
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch (error) {
    return !hasErrno(error, "EACCES") && !hasErrno(error, "EROFS");
  }
}

function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a named pipe";
  return stats.isSocket() ? "a socket" : "a device";
}

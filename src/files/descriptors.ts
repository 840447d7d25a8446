import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";

/** What to say when a process has no file descriptor left. */
export const TOO_MANY_FILES =
  "This process has reached its limit of open files (EMFILE). Close storages and clients that you no longer use, keep one for each file, or raise the limit (`ulimit -n`)";

/** What SQLite needs for one database: the file, its log, the index of the log, and a temporary file. */
const NEEDED = 4;

export function isShortOfDescriptors(error: unknown): boolean {
  return ["EMFILE", "ENFILE"].includes((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}

/** Whether SQLite may have failed for want of descriptors: its code is that of a file that it may not open. */
export function mayLackDescriptors(needed = NEEDED): boolean {
  const opened: number[] = [];
  try {
    while (opened.length < needed) opened.push(openSync(devNull, "r"));
    return false;
  } catch (error) {
    return isShortOfDescriptors(error);
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

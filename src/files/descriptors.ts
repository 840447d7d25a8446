import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";

/** What to say when a process has no file descriptor left. */
export const TOO_MANY_FILES =
  "This process has as many files open as it may (EMFILE). Close storages and clients that are not used any more, keep one for each file, or raise the limit (`ulimit -n`)";

/** SQLite needs up to so many for one file: the file, its log, the index of the log, and a temporary file. */
const NEEDED = 4;

export function isShortOfDescriptors(error: unknown): boolean {
  return ["EMFILE", "ENFILE"].includes((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}

/** Whether SQLite may have failed because descriptors are short: it gives the same code for a file that it may not open. */
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

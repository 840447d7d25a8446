import { type Stats, statSync } from "node:fs";

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

function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a named pipe";
  return stats.isSocket() ? "a socket" : "a device";
}

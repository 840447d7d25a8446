import { readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** How many links in a row Linux follows. */
const MOST_LINKS = 40;

/**
 * Resolves all symbolic links of an absolute path, as SQLite does: -wal and -shm are next to the file, not next to the
 * link. If the file is missing, the result is the one that opening the path would create.
 */
export function realPath(path: string): string {
  let at = path;
  for (let count = 0; count < MOST_LINKS; count++) {
    try {
      return realpathSync.native(at);
    } catch (error) {
      // Opening the path reports anything else that is wrong with it.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") return path;
    }
    const folder = dirname(at);
    if (folder === at) return at;
    const name = join(realPath(folder), basename(at));
    const target = linkTarget(name);
    if (target === undefined) return name;
    // A link to a file that does not exist yet.
    at = resolve(dirname(name), target);
  }
  return path;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

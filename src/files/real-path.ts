import { readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** As many links in a row as Linux follows. */
const MOST_LINKS = 40;

/**
 * The file that an absolute path means, with all symbolic links resolved, as SQLite does it: -wal and -shm are next to
 * that file, and not next to the link. Where there is no such file, it is the one that opening the path would make.
 */
export function realPath(path: string): string {
  let at = path;
  for (let count = 0; count < MOST_LINKS; count++) {
    try {
      return realpathSync.native(at);
    } catch (error) {
      // What else is wrong with the path, opening it says.
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

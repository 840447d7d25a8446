import { chmodSync, closeSync, existsSync, linkSync, openSync, unlinkSync } from "node:fs";
import { NO_LINKS, temporaryName } from "./file-steps.js";

const OWNER_ONLY = 0o600;

/**
 * Makes an empty database file that only its owner may use, unless there is a file; SQLite would let in everyone whom
 * the umask lets in. Returns a function to call once SQLite has opened the file.
 *
 * The file gets its name by a link. Under its own name it could not be made and closed here: another thread that has
 * opened it by then would lose its locks. Where it cannot be made, SQLite says why, or makes it.
 */
export function createPrivately(path: string): () => unknown {
  const nothing = () => undefined;
  if (existsSync(path)) return nothing;
  const temporary = temporaryName(path);
  try {
    closeSync(openSync(temporary, "wx", OWNER_ONLY));
  } catch {
    return nothing;
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    // A file system without links: SQLite makes the file, which then gets its mode while it is still empty.
    if (NO_LINKS.has((error as NodeJS.ErrnoException).code ?? ""))
      return () => existsSync(path) && chmodSync(path, OWNER_ONLY);
    // Another thread or process was faster.
  } finally {
    unlinkSync(temporary);
  }
  return nothing;
}

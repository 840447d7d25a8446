import { chmodSync, existsSync, linkSync, unlinkSync } from "node:fs";
import { lacksLinks } from "./file-error.js";
import { createEmpty, temporaryName } from "./place-file.js";

/**
 * Makes an empty database file that only its owner may use, unless there is a file; SQLite would give it the mode that
 * the umask allows. Returns a function to call once SQLite has opened the file.
 *
 * The file gets its name by a link. It cannot be made and closed under its own name: another thread that has opened it
 * by then would lose its locks. If the file cannot be made here, SQLite makes it, or reports why it cannot.
 */
export function createPrivately(path: string): () => unknown {
  const nothing = () => undefined;
  if (existsSync(path)) return nothing;
  const temporary = temporaryName(path);
  try {
    createEmpty(temporary);
  } catch {
    return nothing;
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    // Without links, SQLite makes the file, which gets its mode while it is still empty.
    if (lacksLinks(error)) return () => existsSync(path) && chmodSync(path, 0o600);
    // Otherwise another thread or process was faster.
  } finally {
    unlinkSync(temporary);
  }
  return nothing;
}

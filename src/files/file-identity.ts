import { type Stats, statSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";

/** The code of the error if a path no longer names the file that was opened. */
export const FILE_REPLACED = "FILE_REPLACED";

/**
 * Which file, by device and inode, a pool has opened under a path.
 *
 * SQLite continues to write to a file that was removed or replaced, and no one can open again what it commits there. So
 * the pool checks before each commit that the path still names the file.
 */
export class FileIdentity {
  readonly #path: string;
  #dev: number | undefined;
  #ino: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Opens a connection, and throws FILE_REPLACED if it is not to the file of the earlier connections. */
  open<T extends { close(): void }>(open: () => T): T {
    // SQLite would create a missing file.
    this.assertInPlace();
    const before = look(this.#path);
    const opened = open();
    try {
      if (this.#ino === undefined) this.#remember(before);
      else this.assertInPlace();
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  isInPlace(): boolean {
    return this.#isSame(look(this.#path));
  }

  /** Throws FILE_REPLACED if the path now names another file, or none. */
  assertInPlace(): void {
    const found = look(this.#path);
    if (this.#isSame(found)) return;
    const what = found === undefined ? "has been removed" : "has been replaced by another file";
    throw new LibsqlError(
      `The database file ${this.#path} ${what} since it was opened, so nothing more is stored: no one could read again what is written to the old file. Close the client or storage and open it again, or put the old file back`,
      FILE_REPLACED,
    );
  }

  #isSame(found: Stats | "unknown" | undefined): boolean {
    // Without permission to look at the path, nothing is known.
    if (this.#ino === undefined || found === "unknown") return true;
    return found !== undefined && found.ino === this.#ino && found.dev === this.#dev;
  }

  /** Throws if the file was replaced while it was opened: nothing says which of the two is open. */
  #remember(before: Stats | "unknown" | undefined): void {
    const after = look(this.#path);
    if (typeof before !== "object" || typeof after !== "object") return;
    if (before.ino !== after.ino || before.dev !== after.dev) {
      throw new LibsqlError(`The database file ${this.#path} was replaced while it was being opened`, FILE_REPLACED);
    }
    this.#dev = after.dev;
    this.#ino = after.ino;
  }
}

/** What a path names; `unknown` without permission to look. */
export function look(path: string): Stats | "unknown" | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return "unknown";
  }
}

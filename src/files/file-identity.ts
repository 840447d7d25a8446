import { type Stats, statSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";

/** The code of the error that says so. */
export const FILE_REPLACED = "FILE_REPLACED";

/**
 * Which file, by device and inode, a pool has opened under a path.
 *
 * SQLite goes on writing to a file that has been removed, or that another one has taken the place of: what it commits
 * there, nobody can open any more. So the pool asks before each commit whether the path still names the file.
 */
export class FileIdentity {
  readonly #path: string;
  #dev: number | undefined;
  #ino: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Opens a connection, the first one or another to the same file; throws FILE_REPLACED if it is another file. */
  open<T extends { close(): void }>(open: () => T): T {
    // SQLite would make a file where there is none.
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

  /** Throws FILE_REPLACED if the path names another file by now, or none. */
  assertInPlace(): void {
    if (this.#ino === undefined) return;
    const found = look(this.#path);
    // Who may not look at it any more cannot tell.
    if (found === "unknown" || (found !== undefined && found.ino === this.#ino && found.dev === this.#dev)) return;
    const what = found === undefined ? "has been removed" : "has been replaced by another file";
    throw new LibsqlError(
      `The database file ${this.#path} ${what} since it was opened, so nothing more is stored: no one could open again what is written to the old file. Close the client or storage and open it again, or put the old file back`,
      FILE_REPLACED,
    );
  }

  /** Only if the file has not been exchanged while it was being opened: then nothing tells which of the two is open. */
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

function look(path: string): Stats | "unknown" | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return "unknown";
  }
}

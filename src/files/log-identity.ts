import type { Stats } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";
import { FILE_REPLACED, type FileIdentity, look } from "./file-identity.js";

const SUFFIXES = ["-wal", "-shm"] as const;

/**
 * Which log and which shared memory, by device and inode, a pool uses.
 *
 * SQLite continues to write to a log that was removed or replaced. Only the connections that have it open read it, and
 * it is gone with them. Without the common -shm, processes do not see each other's locks. While a connection has the
 * two open, SQLite itself neither removes nor replaces them.
 */
export class LogIdentity {
  readonly #path: string;
  readonly #file: FileIdentity;
  #known: readonly Stats[] | undefined;
  #loss: string | undefined;

  constructor(path: string, file: FileIdentity) {
    this.#path = path;
    this.#file = file;
  }

  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  get isLost(): boolean {
    return this.#loss !== undefined;
  }

  /** Must be called only while the writer has the log open: before, another process may still remove it by closing. */
  remember(): void {
    const found = this.#look();
    this.#known = found.every((stats) => typeof stats === "object") ? found : undefined;
  }

  /** Must be called when the writer closes: if it was the last connection, SQLite removes the log. */
  forget(): void {
    this.#known = undefined;
  }

  /** Notices that a path now names another file, or none; from then on `assertInPlace` throws. */
  check(): void {
    if (this.#known === undefined || this.#loss !== undefined) return;
    const found = this.#look();
    const at = found.findIndex((stats, index) => !this.#isSame(stats, index));
    // If the whole folder has moved, the log is still with its file, and may come back with it.
    if (at === -1 || !this.#file.isInPlace()) return;
    const what = found[at] === undefined ? "has been removed" : "has been replaced by another file";
    // For good, even if it is put back: a process that opened the file in between has not seen it.
    this.#loss = `The log of ${this.#path} is lost: ${this.#path}${SUFFIXES[at]} ${what} since it was opened. Nothing more is stored, and what was committed since may be lost. Close the client or storage, which moves the log into the file unless another process has opened it since, and remove nothing before that. Then end this process and run \`holdfast check\``;
  }

  /** Whether no other process can have opened the file since the log was lost: opening it makes the missing files. */
  isUnseen(): boolean {
    return this.#look().every((stats, index) => stats === undefined || this.#isSame(stats, index));
  }

  /** Throws FILE_REPLACED if a check has found the log gone. */
  assertInPlace(): void {
    if (this.#loss !== undefined) throw new LibsqlError(this.#loss, FILE_REPLACED);
  }

  #look() {
    return SUFFIXES.map((suffix) => look(this.#path + suffix));
  }

  #isSame(found: Stats | "unknown" | undefined, index: number): boolean {
    // Without permission to look at the path, nothing is known.
    if (found === "unknown") return true;
    const known = this.#known?.[index];
    return found !== undefined && found.ino === known?.ino && found.dev === known.dev;
  }
}

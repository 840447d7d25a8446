import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

// https://www.sqlite.org/fileformat2.html#the_write_ahead_log: all numbers are big-endian.
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_SIZE_AT = 8;
const HEADER_SALT_AT = 16;
const FRAME_SALT_AT = 8;
const SALT_BYTES = 8;

/**
 * Whether the log at `path` holds at least `bytes` that are in use.
 *
 * The size of the file does not tell: a log that starts anew writes over its old frames. But each generation has its
 * salt, in the header and in every frame, so the frame at that place is in use if its salt is the header's.
 */
export function isLogFilledTo(path: string, bytes: number): boolean {
  return withLog(path, "r", false, (file) => isFilledTo(file, bytes));
}

/** Whether less than `bytes` are left at the end of the log, and it may become longer than it is, up to `limit`. */
export function isLogNearlyFull(path: string, bytes: number, limit: number): boolean {
  return withLog(path, "r", false, (file) => {
    const { size } = fstatSync(file);
    return size < limit && isFilledTo(file, size - bytes);
  });
}

/**
 * Makes the log longer by `bytes` of zeros, or to `limit`. To be called with the write lock held, so that nobody writes
 * there meanwhile; SQLite takes zeros for no frame.
 *
 * A commit that writes over a log costs half of one that makes the file longer: the file system has nothing to record.
 */
export function lengthenLog(path: string, bytes: number, limit: number): void {
  withLog(path, "r+", undefined, (file) => {
    const { size } = fstatSync(file);
    const more = Math.min(bytes, limit - size);
    if (more > 0) writeSync(file, Buffer.alloc(more), 0, more, size);
  });
}

function withLog<T>(path: string, flags: "r" | "r+", otherwise: T, work: (file: number) => T): T {
  let file: number;
  try {
    file = openSync(path, flags);
  } catch {
    // There is no log yet, or none that this process may use: its own writes will say so.
    return otherwise;
  }
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}

function isFilledTo(file: number, bytes: number): boolean {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return false;
  const frameBytes = FRAME_HEADER_BYTES + header.readUInt32BE(PAGE_SIZE_AT);
  const frame = Math.max(0, Math.ceil((bytes - HEADER_BYTES) / frameBytes) - 1);
  const salt = Buffer.alloc(SALT_BYTES);
  const isWhole = readSync(file, salt, 0, SALT_BYTES, HEADER_BYTES + frame * frameBytes + FRAME_SALT_AT) === SALT_BYTES;
  return isWhole && header.compare(salt, 0, SALT_BYTES, HEADER_SALT_AT, HEADER_SALT_AT + SALT_BYTES) === 0;
}

import { closeSync, openSync, readSync } from "node:fs";

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
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    // There is no log yet, or none that this process may read: its own writes will say so.
    return false;
  }
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    if (readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return false;
    const frameBytes = FRAME_HEADER_BYTES + header.readUInt32BE(PAGE_SIZE_AT);
    const frame = Math.max(0, Math.ceil((bytes - HEADER_BYTES) / frameBytes) - 1);
    const salt = Buffer.alloc(SALT_BYTES);
    const isWhole =
      readSync(file, salt, 0, SALT_BYTES, HEADER_BYTES + frame * frameBytes + FRAME_SALT_AT) === SALT_BYTES;
    return isWhole && header.compare(salt, 0, SALT_BYTES, HEADER_SALT_AT, HEADER_SALT_AT + SALT_BYTES) === 0;
  } finally {
    closeSync(file);
  }
}

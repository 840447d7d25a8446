import { closeSync, openSync, readSync } from "node:fs";

// https://www.sqlite.org/fileformat2.html#the_write_ahead_log
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The lowest bit of the magic number says in which byte order the checksums are. */
const MAGIC = 0x377f0682;

/** The committed frames of a log. */
export interface Log {
  readonly pageSize: number;
  /** Pages of the database after the last commit; 0 if there is none. */
  readonly pageCount: number;
  /** The last committed version of a page. */
  page(number: number): Buffer | undefined;
  close(): void;
}

/** Reads a -wal as SQLite's recovery does: up to the last commit before the first frame that is not sound. */
export function readLog(path: string): Log | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    // If there is no readable log, the file is read alone.
    return undefined;
  }
  const read = (at: number, bytes: number): Buffer => {
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(file, buffer, 0, bytes, at));
  };
  const header = read(0, HEADER_BYTES);
  const magic = header.length < HEADER_BYTES ? 0 : header.readUInt32BE(0);
  const pageSize = header.length < HEADER_BYTES ? 0 : header.readUInt32BE(8);
  const sums: Sums = [0, 0];
  const isBig = magic === MAGIC + 1;
  if (header.length === HEADER_BYTES) addTo(sums, header.subarray(0, 24), isBig);
  const isSound =
    (magic === MAGIC || isBig) && pageSize >= 512 && pageSize <= 65_536 && matches(sums, header.subarray(24));
  if (!isSound) {
    closeSync(file);
    return undefined;
  }
  const frames = new Map<number, number>();
  let uncommitted = new Map<number, number>();
  let pageCount = 0;
  for (let at = HEADER_BYTES; ; at += FRAME_HEADER_BYTES + pageSize) {
    const frame = read(at, FRAME_HEADER_BYTES + pageSize);
    if (frame.length < FRAME_HEADER_BYTES + pageSize || frame.compare(header, 16, 24, 8, 16) !== 0) break;
    addTo(sums, frame.subarray(0, 8), isBig);
    addTo(sums, frame.subarray(FRAME_HEADER_BYTES), isBig);
    if (!matches(sums, frame.subarray(16))) break;
    uncommitted.set(frame.readUInt32BE(0), at + FRAME_HEADER_BYTES);
    const pagesAfterCommit = frame.readUInt32BE(4);
    if (pagesAfterCommit === 0) continue;
    for (const [number, place] of uncommitted) frames.set(number, place);
    uncommitted = new Map();
    pageCount = pagesAfterCommit;
  }
  return {
    pageSize,
    pageCount,
    page(number) {
      const place = frames.get(number);
      return place === undefined ? undefined : read(place, pageSize);
    },
    close: () => closeSync(file),
  };
}

type Sums = [number, number];

function addTo(sums: Sums, bytes: Buffer, isBig: boolean): void {
  let [first, second] = sums;
  for (let at = 0; at < bytes.length; at += 8) {
    const [a, b] = isBig
      ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
      : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    first = (first + a + second) >>> 0;
    second = (second + b + first) >>> 0;
  }
  sums[0] = first;
  sums[1] = second;
}

function matches([first, second]: Sums, stored: Buffer): boolean {
  return stored.readUInt32BE(0) === first && stored.readUInt32BE(4) === second;
}

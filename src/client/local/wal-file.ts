import { existsSync, fstatSync, readdirSync, readSync, statSync } from "node:fs";
import { endianness } from "node:os";

// https://www.sqlite.org/walformat.html: the header of the wal-index, in the byte order of the machine, twice.
const INDEX_HEADER_BYTES = 48;
const PAGE_SIZE_AT = 14;
const LAST_FRAME_AT = 16;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The number of a page of 65,536 bytes does not fit into the field. */
const LARGEST_PAGE = { stored: 1, bytes: 65_536 };

/** Where the system lists the open descriptors of this process. */
const DESCRIPTORS = ["/proc/self/fd", "/dev/fd"].find((folder) => existsSync(folder));
/** Listing all descriptors takes long where there are thousands. */
const SEARCH_EVERY_MS = 1000;

/**
 * Whether a gauge sees how much of a log is in use. Where it does not, it goes by the size of the file: let SQLite cut
 * the log whenever it starts again, so that the size is right.
 */
export const SEES_FILL = DESCRIPTORS !== undefined;

interface Borrowed {
  readonly descriptor: number;
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * Tells how full the log of a database is, without opening a file.
 *
 * The size of the file does not tell: a log that starts again writes over its old frames. SQLite keeps the number of
 * the last frame in the -shm file. That file must not be opened here: closing it would drop all locks that this process
 * holds on it, SQLite's included. So the gauge reads through SQLite's own descriptor, which it finds by inode and never
 * closes or writes to. A look at it before and after the read notices if the number has come to stand for another file.
 */
export class LogGauge {
  readonly #path: string;
  #borrowed: Borrowed | undefined;
  #searchedAt = Number.NEGATIVE_INFINITY;
  readonly #headers = Buffer.alloc(2 * INDEX_HEADER_BYTES);

  constructor(path: string) {
    this.#path = path;
  }

  /** The size of the log's file in bytes; 0 if there is none. */
  size(): number {
    return quietly(() => statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size) ?? 0;
  }

  /** Bytes of the log that are in use: from its start to the end of the last committed frame. */
  used(): number {
    this.#borrowed ??= this.#find();
    const used = this.#borrowed === undefined ? undefined : this.#read(this.#borrowed);
    if (used === "gone") this.#borrowed = undefined;
    return typeof used === "number" ? used : this.size();
  }

  /** Undefined while SQLite is writing the header. */
  #read(borrowed: Borrowed): number | "gone" | undefined {
    const headers = this.#headers;
    try {
      if (!isStill(borrowed)) return "gone";
      const bytes = readSync(borrowed.descriptor, headers, 0, headers.length, 0);
      if (!isStill(borrowed)) return "gone";
      if (bytes < headers.length) return undefined;
    } catch {
      // Another file has the number now, one that cannot be read like this.
      return "gone";
    }
    const isTorn = headers.compare(headers, 0, INDEX_HEADER_BYTES, INDEX_HEADER_BYTES) !== 0;
    if (isTorn) return undefined;
    const isLittle = endianness() === "LE";
    const stored = isLittle ? headers.readUInt16LE(PAGE_SIZE_AT) : headers.readUInt16BE(PAGE_SIZE_AT);
    const frames = isLittle ? headers.readUInt32LE(LAST_FRAME_AT) : headers.readUInt32BE(LAST_FRAME_AT);
    const pageBytes = stored === LARGEST_PAGE.stored ? LARGEST_PAGE.bytes : stored;
    return frames === 0 ? 0 : WAL_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytes);
  }

  #find(): Borrowed | undefined {
    const now = performance.now();
    if (DESCRIPTORS === undefined || now - this.#searchedAt < SEARCH_EVERY_MS) return undefined;
    this.#searchedAt = now;
    const wanted = quietly(() => statSync(`${this.#path}-shm`, { bigint: true, throwIfNoEntry: false }));
    if (wanted === undefined) return undefined;
    const { dev, ino } = wanted;
    const names = quietly(() => readdirSync(DESCRIPTORS)) ?? [];
    return names.map((name) => ({ descriptor: Number(name), dev, ino })).find(isStill);
  }
}

/** A gauge is read after a commit, which must not fail because of it: the next commit reports a problem of the log. */
function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function isStill({ descriptor, dev, ino }: Borrowed): boolean {
  try {
    const found = fstatSync(descriptor, { bigint: true });
    return found.ino === ino && found.dev === dev;
  } catch {
    // Closed, like the one that listed the folder.
    return false;
  }
}

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { Connection } from "../../client/local/connection.js";
import { StorageError } from "../../shared/errors.js";
import { readLog } from "./log.js";

/** The pages of a database, those of its log included; what cannot be read is undefined. Numbers start at 1. */
export interface Pages {
  readonly pageSize: number;
  /** Bytes of a page that SQLite uses: some are reserved at the end where a cipher needs them. */
  readonly usableSize: number;
  readonly pageCount: number;
  /** Whether page 1 begins as that of a database does. */
  readonly hasHeader: boolean;
  read(number: number): Buffer | undefined;
  close(): void;
}

export const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";
const PAGE_SIZES = [4096, 8192, 16_384, 32_768, 65_536, 2048, 1024, 512];
/** Bytes looked at to find the page size of a file without a header. */
const SAMPLED_BYTES = 8 * 1024 * 1024;

/**
 * Opens a plain file with its log, without SQLite: nothing is locked, made or written, and no damage stops the reading.
 * Only for a process that does not have the file open by other means.
 */
export function openFilePages(path: string): Pages {
  const file = openSync(path, "r");
  try {
    const log = readLog(`${path}-wal`);
    // After the log, which another process may move into the file and remove at any moment.
    const { size } = fstatSync(file);
    const readAt = (at: number, bytes: number): Buffer => {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, readSync(file, buffer, 0, bytes, at));
    };
    const first = log?.page(1) ?? readAt(0, HEADER_BYTES);
    const hasHeader = first.length >= HEADER_BYTES && first.toString("latin1", 0, 16) === MAGIC;
    const ownSize = hasHeader ? pageSizeOf(first) : undefined;
    const pageSize = log?.pageSize ?? guessPageSize(size, readAt, ownSize);
    // Any other number than those of the two encodings is damage.
    if (hasHeader && [2, 3].includes(first.readUInt32BE(56))) {
      throw new StorageError("NOT_SUPPORTED", `${path} holds UTF-16 text, which Holdfast never writes`);
    }
    return {
      pageSize,
      usableSize: pageSize - (hasHeader && reservesBytes(size, pageSize, first[20]!, readAt) ? first[20]! : 0),
      pageCount: Math.max(Math.ceil(size / pageSize), log?.pageCount ?? 0),
      hasHeader,
      read(number) {
        const page = log?.page(number) ?? readAt((number - 1) * pageSize, pageSize);
        return page.length === pageSize ? page : undefined;
      },
      close() {
        closeSync(file);
        log?.close();
      },
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The pages of an encrypted file as SQLite decrypts them; of a private copy, since SQLite may move the log into it. */
export function openEncryptedPages(copy: string, encryptionKey: string): Pages {
  const connection = Connection.open(copy, { statementCacheSize: 1, encryptionKey }, [
    "PRAGMA wal_autocheckpoint = 0",
    // A schema that cannot be read must not keep its pages from being read.
    "PRAGMA writable_schema = ON",
  ]);
  const number = (sql: string) => Number(connection.query(sql)[0]![0]);
  const page = (at: number): Buffer | undefined => {
    try {
      const [row] = connection.query(`SELECT data FROM sqlite_dbpage('main') WHERE pgno = ${at}`);
      return row === undefined ? undefined : Buffer.from(row[0] as Uint8Array);
    } catch {
      // One page that cannot be read says nothing about the others.
      return undefined;
    }
  };
  const first = page(1);
  const pageSize = number("PRAGMA page_size");
  const bytes = statSync(copy).size;
  return {
    pageSize,
    usableSize: pageSize - (first?.[20] ?? 0),
    pageCount: Math.max(number("PRAGMA page_count"), Math.ceil(bytes / pageSize)),
    hasHeader: first !== undefined,
    read: page,
    close: () => connection.close(),
  };
}

function pageSizeOf(header: Buffer): number | undefined {
  const value = header.readUInt16BE(16);
  const size = value === 1 ? 65_536 : value;
  return PAGE_SIZES.includes(size) ? size : undefined;
}

/** The size by which most of the sampled bytes are in pages of b-trees; not `named` only where another fits far better. */
function guessPageSize(
  bytes: number,
  readAt: (at: number, bytes: number) => Buffer,
  named: number | undefined,
): number {
  const end = Math.min(bytes, SAMPLED_BYTES);
  const covered = (size: number) => {
    let sum = 0;
    for (let at = size; at + size <= end; at += size) if (isTreePage(readAt(at, size))) sum += size;
    return sum;
  };
  let best = { size: named ?? PAGE_SIZES[0]!, sum: named === undefined ? 0 : covered(named) * 2 };
  for (const size of PAGE_SIZES) {
    const sum = covered(size);
    if (sum > best.sum) best = { size, sum };
  }
  return best.size;
}

/** False where cells begin in the bytes that the header calls reserved: then it is damaged. */
function reservesBytes(
  bytes: number,
  pageSize: number,
  reserved: number,
  readAt: (at: number, bytes: number) => Buffer,
): boolean {
  if (reserved === 0) return false;
  const end = Math.min(bytes, SAMPLED_BYTES);
  for (let at = pageSize; at + pageSize <= end; at += pageSize) {
    const page = readAt(at, pageSize);
    if (isTreePage(page) && Math.max(...cellPlaces(page)) >= pageSize - reserved) return false;
  }
  return true;
}

/** By its header and by where its cells are: they fill a page from its end. */
function isTreePage(page: Buffer): boolean {
  const type = page[0]!;
  if (![2, 5, 10, 13].includes(type)) return false;
  const count = page.readUInt16BE(3);
  const first = type < 10 ? 12 : 8;
  if (count === 0 || first + count * 2 > page.length) return false;
  const places = cellPlaces(page);
  const last = Math.max(...places);
  return Math.min(...places) >= first + count * 2 && last < page.length && last > page.length / 2;
}

function cellPlaces(page: Buffer): number[] {
  const first = page[0]! < 10 ? 12 : 8;
  return Array.from({ length: page.readUInt16BE(3) }, (_, at) => page.readUInt16BE(first + at * 2));
}

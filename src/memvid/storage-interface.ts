import type { MemoryEntry } from "../areas/memories/record.js";
import type { MemoryEntryInput } from "./entry.js";

/** A store of entries by id that can be searched. */
export interface StorageInterface {
  /**
   * Stores `entry` under `id`, in place of the one there. Resolves once the entry is stored or, without `strict`, its
   * failure was reported.
   */
  write(id: string, entry: MemoryEntryInput): Promise<void>;
  /** The entry of this id, or null. */
  read(id: string): Promise<MemoryEntry | null>;
  /** The entries that answer `query` best; takes any text. `limit` is 10 where it is left out. */
  search(query: string, limit?: number): Promise<MemoryEntry[]>;
  stats(): Promise<StorageStats>;
  /** Stores the waiting writes, finishes running calls and closes the file. Idempotent. */
  close(): Promise<void>;
}

export interface StorageOptions {
  /** The file; made with its folder where there is none, never wiped. */
  readonly path: string | URL;
  /** Opens a file that is there to read it only, as `openStorage` does; a write is a failure (`READONLY`). @default false */
  readonly readOnly?: boolean | "immutable" | undefined;
  /**
   * Most bytes that the file may have; the log beside it, which is there while it is open, is not counted. A nearly empty
   * file needs up to 1 MiB, so of a smaller `maxSize` the contents are counted instead.
   */
  readonly maxSize?: number | undefined;
  /** What happens to a write beyond `maxSize`: it is refused with `FULL`, or the oldest entries are removed for it. @default "refuse" */
  readonly onFull?: "refuse" | "evict" | undefined;
  /** Whether contents are stored compressed; all searches and calls answer the same. @default false */
  readonly compression?: boolean | undefined;
  /** Most characters of a content that are kept; the rest of a longer one is cut off. @default 1000000 */
  readonly maxContentChars?: number | undefined;
  /**
   * How long one attempt to write waits for another process, in ms. Without `strict` the write is then tried again, until
   * it is stored; `close` goes on trying for this long. With `strict` the write rejects with `BUSY`. @default 5000
   */
  readonly busyTimeoutMs?: number | undefined;
  /** Told of every failure that is not thrown. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Whether failures are thrown, instead of logged and counted. @default false */
  readonly strict?: boolean | undefined;
}

export interface StorageStats {
  readonly count: number;
  /** UTF-8 bytes of all contents. */
  readonly bytes: number;
  readonly oldest: Date | null;
  readonly newest: Date | null;
  /** Failures of this object so far. */
  readonly errors: number;
  readonly lastError: unknown;
}

import type { MemoryEntry } from "../areas/memories/record.js";
import type { MemoryEntryInput } from "./entry.js";

/** A store of entries by id that can be searched. */
export interface StorageInterface {
  /**
   * Stores `entry` under `id`, and replaces one that is there. Resolves once the entry is stored or, without `strict`, its
   * failure was reported.
   */
  write(id: string, entry: MemoryEntryInput): Promise<void>;
  /** The entry with this id, or null. */
  read(id: string): Promise<MemoryEntry | null>;
  /** The entries that match `query`, which may be any text, best; `limit` is 10 by default. */
  search(query: string, limit?: number): Promise<MemoryEntry[]>;
  /** Figures of the entries, and the failures of this object. */
  stats(): Promise<StorageStats>;
  /** Stores the waiting writes, finishes running calls and closes the file. Idempotent. */
  close(): Promise<void>;
}

/** The options of `createStorage`. */
export interface StorageOptions {
  /** The file. It is created with its folder if it is missing, and never wiped. */
  readonly path: string | URL;
  /** Opens an existing file for reading only, as in `openStorage`; a write fails with `READONLY`. @default false */
  readonly readOnly?: boolean | "immutable" | undefined;
  /**
   * The most bytes of the file, without the log next to the open file. A nearly empty file needs up to 1 MiB, so with a
   * smaller `maxSize` the contents are counted instead.
   */
  readonly maxSize?: number | undefined;
  /** Whether a write above `maxSize` is refused with `FULL`, or removes the oldest entries. @default "refuse" */
  readonly onFull?: "refuse" | "evict" | undefined;
  /** Whether contents are stored compressed. The results of all calls are the same. @default false */
  readonly compression?: boolean | undefined;
  /** The most characters of a content to keep. @default 1000000 */
  readonly maxContentChars?: number | undefined;
  /**
   * How long one attempt to write waits for another process, in ms. Without `strict`, the write is tried again until it is
   * stored, and `close` tries for this long. With `strict`, the write rejects with `BUSY`. @default 5000
   */
  readonly busyTimeoutMs?: number | undefined;
  /** Called with every failure that does not reject a call. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Whether failures reject, instead of being logged and counted. @default false */
  readonly strict?: boolean | undefined;
}

/** Figures of the entries, and the failures of this object. */
export interface StorageStats {
  readonly count: number;
  /** The UTF-8 bytes of all contents. */
  readonly bytes: number;
  readonly oldest: Date | null;
  readonly newest: Date | null;
  /** The number of failures of this object. */
  readonly errors: number;
  readonly lastError: unknown;
}

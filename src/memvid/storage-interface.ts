import type { MemoryEntry } from "../repositories/memory-record.js";
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
  /** Most bytes that all entries together may have, as `stats().bytes` counts them; a write beyond is refused with `FULL`. */
  readonly maxSize?: number | undefined;
  /** Accepted for compatibility; has no effect. */
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

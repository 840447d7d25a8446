import { sql } from "drizzle-orm";
import { StorageError } from "../errors.js";
import { expectation, expectInteger } from "../options.js";
import { expectFunction, expectKeys, expectObject } from "../repositories/arguments.js";
import type { Memory, MemoryEntry, MemoryInput } from "../repositories/memory-record.js";
import { openStorage, type Storage } from "../storage.js";
import type { StorageTransaction } from "../storage-transaction.js";
import type { StorageInterface, StorageOptions, StorageStats } from "./storage-interface.js";

/** What vectors without a named model are kept under. */
export const DEFAULT_MODEL = "default";

/**
 * Opens a store of entries, and makes its file where there is none; an existing one is never wiped.
 *
 * A file that cannot be opened is a failure like others: thrown with `strict`, else logged and counted, and tried again
 * by the next call. Rejects with TypeError or RangeError on wrong options in any case: with them there is nothing to open.
 */
export async function createStorage(options: StorageOptions): Promise<SQLiteStorage> {
  const storage = new SQLiteStorage(options);
  await storage.open();
  return storage;
}

/**
 * Entries in one libSQL file, which other processes may open too: they are the memories of project `"default"`.
 *
 * Built for callers that must not be brought down by their storage. Without `strict` no call rejects: `read` then gives
 * null, `search` nothing and `stats` zeros, wrong arguments included, and the failure is logged, given to `onError`,
 * counted in `stats().errors` and kept in `lastError`.
 */
export class SQLiteStorage implements StorageInterface {
  readonly #options: ResolvedOptions;
  #storage: Promise<Storage> | undefined;
  #isClosed = false;
  #errors = 0;
  #lastError: unknown = null;

  /** @internal Use `createStorage`. */
  constructor(options: StorageOptions) {
    this.#options = resolveOptions(options);
  }

  /** The last failure that was not thrown to the caller, or null. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** @internal Opens the file, or fails as any call does. */
  open(): Promise<void> {
    return this.#attempt(undefined, async () => {
      await this.#open();
    });
  }

  /** Stores an entry, in place of the one with this id. */
  write(id: string, entry: MemoryEntry): Promise<void> {
    return this.#attempt(undefined, async () => {
      const input = toInput(id, entry);
      const storage = await this.#open();
      await storage.transaction(async (tx) => {
        const stored = await tx.memories.put(id, input);
        const { createdAt = stored.createdAt } = input;
        // `put` keeps the time of what it replaces; an entry brings its own.
        if (Number(stored.createdAt) !== Number(createdAt)) {
          await tx.memories.update(id, { createdAt });
        }
        await assertFits(tx, this.#options.maxSize);
      });
    });
  }

  read(id: string): Promise<MemoryEntry | null> {
    return this.#attempt(null, async () => {
      const memory = await (await this.#open()).memories.get(id);
      return memory === undefined ? null : toEntry(memory);
    });
  }

  search(query: string, limit = 10): Promise<MemoryEntry[]> {
    return this.#attempt([], async () => {
      const results = await (await this.#open()).memories.search(query, { limit });
      return results.map(({ memory }) => toEntry(memory));
    });
  }

  async stats(): Promise<StorageStats> {
    const nothing = { count: 0, bytes: 0, oldest: null, newest: null };
    const found = await this.#attempt(nothing, async () => {
      const { count, bytes, oldest, newest } = await (await this.#open()).memories.stats();
      return { count, bytes, oldest, newest };
    });
    return { ...found, errors: this.#errors, lastError: this.#lastError };
  }

  close(): Promise<void> {
    return this.#attempt(undefined, async () => {
      this.#isClosed = true;
      const storage = this.#storage;
      this.#storage = undefined;
      // One that never opened has nothing to close.
      await (await storage?.catch(() => undefined))?.close();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Promise<Storage> {
    if (this.#isClosed) return Promise.reject(new StorageError("CLOSED", "The storage is closed. Create it again"));
    this.#storage ??= openStorage({ url: this.#options.path }).catch((error: unknown) => {
      this.#storage = undefined;
      throw error;
    });
    return this.#storage;
  }

  async #attempt<T>(fallback: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#errors++;
      this.#lastError = error;
      if (this.#options.strict) throw error;
      this.#report(error);
      return fallback;
    }
  }

  #report(error: unknown): void {
    try {
      const { name, message } = error as Error;
      console.error(`holdfast: ${(error as StorageError).code ?? name}: ${message}`);
      this.#options.onError?.(error);
    } catch {
      // A listener that fails must not bring down whom silence was promised to; the failure is in `lastError`.
    }
  }
}

interface ResolvedOptions {
  readonly path: string;
  readonly maxSize: number;
  readonly strict: boolean;
  readonly onError: ((error: unknown) => void) | undefined;
}

function resolveOptions(options: StorageOptions): ResolvedOptions {
  expectKeys("createStorage", options, ["path", "maxSize", "compression", "onError", "strict"]);
  const { path, maxSize = Number.POSITIVE_INFINITY, compression = false, onError, strict = false } = options;
  if (typeof path !== "string" || path === "") throw new TypeError(expectation("path", "the path of a file", path));
  if (maxSize !== Number.POSITIVE_INFINITY) expectInteger("maxSize", maxSize, 1);
  for (const [name, value] of Object.entries({ compression, strict })) {
    if (typeof value !== "boolean") throw new TypeError(expectation(name, "true or false", value));
  }
  if (onError !== undefined) expectFunction("onError", onError);
  return { path, maxSize, strict, onError };
}

/** Throws TypeError on an entry that names another id; the rest is checked where memories are. */
function toInput(id: string, entry: MemoryEntry): MemoryInput {
  expectObject("entry", entry);
  const { id: ownId = id, type, content, metadata, vector, createdAt } = entry;
  if (ownId !== id)
    throw new TypeError(expectation("entry.id", `the id it is written under, ${JSON.stringify(id)}`, ownId));
  const embedding = vector === undefined || vector === null ? {} : { embedding: vector, embeddingModel: DEFAULT_MODEL };
  return { type, content, metadata, ...(createdAt === undefined ? {} : { createdAt }), ...embedding };
}

function toEntry({ id, type, content, metadata, embedding, createdAt }: Memory): MemoryEntry {
  const vector = embedding === null ? {} : { vector: Array.from(embedding) };
  return { id, type, content, metadata, createdAt, ...vector };
}

/** Rejects with `FULL`, which undoes the transaction, when the entries have more than `maxSize` bytes together. */
async function assertFits(tx: StorageTransaction, maxSize: number): Promise<void> {
  if (maxSize === Number.POSITIVE_INFINITY) return;
  // The contents are in the file as they are: only one that is larger can hold more, and needs them added up.
  const [file] = await tx.db.all<{ bytes: number }>(
    sql`select page_count * page_size as bytes from pragma_page_count, pragma_page_size`,
  );
  if (file!.bytes <= maxSize) return;
  const { bytes } = await tx.memories.stats();
  if (bytes <= maxSize) return;
  throw new StorageError(
    "FULL",
    `The entries would have ${bytes} bytes, more than \`maxSize\`, ${maxSize}. Nothing was stored`,
  );
}

import type { MemoryEntry } from "../areas/memories/record.js";
import { expectReadOnly } from "../client/options.js";
import { absolutePath } from "../files/absolute-path.js";
import { StorageError } from "../shared/errors.js";
import { expectation, expectDuration, expectFunction, expectInteger, expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText } from "../shared/locations.js";
import { refuseSecond } from "../shared/surplus-arguments.js";
import { openStorage, type Storage } from "../storage/storage.js";
import type { StorageTransaction } from "../storage/transaction.js";
import { type CapacityOptions, makeRoom } from "./capacity.js";
import { type EntryDraft, type MemoryEntryInput, toEntry, toEntryDraft, toEntryId } from "./entry.js";
import type { StorageInterface, StorageOptions, StorageStats } from "./storage-interface.js";
import { WriteQueue } from "./write-queue.js";

/** The model of vectors that name none. */
export const DEFAULT_MODEL = "default";

/**
 * Opens a store of entries, and creates its file if it is missing. An existing file is never wiped.
 *
 * A file that cannot be opened is a failure like others: it rejects with `strict`, and is otherwise logged and counted; the
 * next call tries again. Wrong options always reject with TypeError or RangeError.
 */
export async function createStorage(options: StorageOptions): Promise<SQLiteStorage> {
  // biome-ignore lint/complexity/noArguments: a rest parameter would allow it in the types.
  refuseSecond("createStorage", arguments, ": pass options in its place, with the file as `path`");
  const storage = new SQLiteStorage(options);
  await storage.open();
  return storage;
}

/**
 * Entries in one libSQL file, which other processes may open too. The entries are the memories of project `"default"`.
 *
 * For callers that a failure of their storage must not stop. Without `strict`, no call rejects, even on wrong arguments:
 * `read` returns null, `search` an empty array and `stats` zeros. The failure is logged, passed to `onError`, counted in
 * `stats().errors` and kept in `lastError`.
 *
 * Accepted entries are not lost: text that the database cannot store is repaired, and a write waits in a queue while
 * another process holds the file. A waiting write keeps the process alive, but `process.exit()` and signals still end it,
 * so call `close` first.
 */
export class SQLiteStorage implements StorageInterface {
  readonly #options: ResolvedOptions;
  readonly #queue: WriteQueue<EntryDraft>;
  #storage: Promise<Storage> | undefined;
  #closing: Promise<void> | undefined;
  #errors = 0;
  #lastError: unknown = null;

  /** @internal Use `createStorage`. */
  constructor(options: StorageOptions) {
    this.#options = resolveOptions(options);
    const { busyTimeoutMs, strict } = this.#options;
    const store = (batch: readonly EntryDraft[]) => this.#store(batch);
    this.#queue = new WriteQueue({ store, closeTimeoutMs: busyTimeoutMs, retries: !strict });
  }

  /** The last failure that did not reject a call, or null. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** @internal Opens the file, or fails like any call. */
  open(): Promise<void> {
    return this.#attempt(undefined, async () => {
      await this.#open();
    });
  }

  /** How many writes wait to be stored. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Stores an entry, and replaces one with the same id. Entries are stored in the order of the calls.
   *
   * Resolves once the entry is stored or its failure was reported. Text that the database cannot store is repaired (U+FFFD
   * for NUL and lone surrogates), a content longer than `maxContentChars` is cut and marked with `metadata.truncated`, and
   * an unknown type is also kept in `metadata.type`.
   */
  write(id: string, entry: MemoryEntryInput): Promise<void> {
    return this.#attempt(undefined, async () => {
      this.#assertOpen();
      const draft = toEntryDraft(id, entry, this.#options.maxContentChars);
      await this.#queue.add(draft).catch((error: unknown) => {
        throw withId(error, draft.id);
      });
    });
  }

  /** The entry with this id; null if there is none, or if the read failed. */
  read(id: string): Promise<MemoryEntry | null> {
    return this.#attempt(null, async () => {
      const memory = await (await this.#open()).memories.get(toEntryId(id));
      return memory === undefined ? null : toEntry(memory);
    });
  }

  /** The entries that answer `query` best; any text is accepted. Empty if nothing matches, or if the search failed. */
  search(query: string, limit = 10): Promise<MemoryEntry[]> {
    return this.#attempt([], async () => {
      const results = await (await this.#open()).memories.search(query, { limit });
      return results.map(({ memory }) => toEntry(memory));
    });
  }

  /** Figures of the entries, and the failures of this object. */
  async stats(): Promise<StorageStats> {
    const nothing = { count: 0, bytes: 0, oldest: null, newest: null };
    const found = await this.#attempt(nothing, async () => {
      const { count, bytes, oldest, newest } = await (await this.#open()).memories.stats();
      return { count, bytes, oldest, newest };
    });
    return { ...found, errors: this.#errors, lastError: this.#lastError };
  }

  /**
   * Stores the waiting writes and closes the file. If another process holds the file, it tries for `busyTimeoutMs`; the
   * remaining writes then fail.
   */
  close(): Promise<void> {
    this.#closing ??= this.#attempt(undefined, async () => {
      await this.#queue.close();
      const storage = this.#storage;
      this.#storage = undefined;
      // A storage that was never open has nothing to close.
      await (await storage?.catch(() => undefined))?.close();
    });
    return this.#closing;
  }

  /** Calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StorageError("CLOSED", "The storage is closed. Create it again");
  }

  async #open(): Promise<Storage> {
    this.#assertOpen();
    return this.#openFile();
  }

  #openFile(): Promise<Storage> {
    const { path: url, readOnly, busyTimeoutMs, compression: compressContents } = this.#options;
    // New content was cut already; other content of the file may be longer.
    const maxContentChars = Number.MAX_SAFE_INTEGER;
    const options = { url, readOnly, busyTimeoutMs, maxContentChars, compressContents };
    this.#storage ??= openStorage(options).catch((error: unknown) => {
      this.#storage = undefined;
      throw error;
    });
    return this.#storage;
  }

  /** Stores a batch; resolves to the failure of each entry, or undefined. */
  async #store(batch: readonly EntryDraft[]): Promise<unknown[]> {
    const storage = await this.#openFile();
    try {
      return await storeEntries(storage, batch, this.#options);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "FILE_REPLACED") throw error;
      // The open file is no longer at the path: the entries go into the file that is there now.
      this.#storage = undefined;
      await storage.close().catch(() => undefined);
      return storeEntries(await this.#openFile(), batch, this.#options);
    }
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

  /** A failing logger or listener must not stop the caller. The failure is in `lastError` in any case. */
  #report(error: unknown): void {
    try {
      const { name, message } = error as Error;
      console.error(`holdfast: ${error instanceof StorageError ? error.code : name}: ${message}`);
    } catch {}
    try {
      const told: unknown = this.#options.onError?.(error);
      Promise.resolve(told).catch(() => undefined);
    } catch {}
  }
}

interface ResolvedOptions extends CapacityOptions {
  readonly path: string;
  readonly readOnly: boolean | "immutable";
  readonly compression: boolean;
  readonly maxContentChars: number;
  readonly busyTimeoutMs: number;
  readonly strict: boolean;
  readonly onError: ((error: unknown) => void) | undefined;
}

const OPTION_KEYS = [
  "path",
  "readOnly",
  "maxSize",
  "onFull",
  "compression",
  "maxContentChars",
  "busyTimeoutMs",
  "onError",
  "strict",
];

function resolveOptions(options: StorageOptions): ResolvedOptions {
  expectKeys("createStorage", options, OPTION_KEYS);
  const path = pathText("path", options.path);
  const { readOnly = false, maxSize = Number.POSITIVE_INFINITY, compression = false } = options;
  const { onError, strict = false } = options;
  const { onFull = "refuse", maxContentChars = 1_000_000, busyTimeoutMs = 5_000 } = options;
  if (typeof path !== "string" || path === "") throw new TypeError(expectation("path", "the path of a file", path));
  if (maxSize !== Number.POSITIVE_INFINITY) expectInteger("maxSize", maxSize, 1);
  if (maxContentChars !== Number.POSITIVE_INFINITY) expectInteger("maxContentChars", maxContentChars, 1);
  expectOneOf("onFull", onFull, ["refuse", "evict"]);
  expectDuration("busyTimeoutMs", busyTimeoutMs);
  for (const [name, value] of Object.entries({ compression, strict })) {
    if (typeof value !== "boolean") throw new TypeError(expectation(name, "true or false", value));
  }
  expectReadOnly(readOnly);
  if (onError !== undefined) expectFunction("onError", onError);
  return {
    path: toAbsolute(path),
    readOnly,
    maxSize,
    onFull,
    compression,
    maxContentChars,
    busyTimeoutMs,
    strict,
    onError,
  };
}

/** The file is opened again if it is replaced, perhaps in another working folder. */
function toAbsolute(path: string): string {
  try {
    return /^:memory:$|^[a-z][a-z.+-]+:/i.test(path) ? path : absolutePath(path);
  } catch {
    // Opening it reports that the working folder is gone.
    return path;
  }
}

/** Stores a batch in one transaction; resolves to the failure of each entry, or undefined. */
async function storeEntries(
  storage: Storage,
  batch: readonly EntryDraft[],
  options: CapacityOptions,
): Promise<unknown[]> {
  // With a savepoint for each entry, the full-text index would be written each time.
  const mayFail = options.maxSize !== Number.POSITIVE_INFINITY || batch.some(({ vector }) => vector !== undefined);
  return storage.transaction(async (tx) => {
    const failures: unknown[] = [];
    for (const draft of batch) {
      const put = (handle: StorageTransaction) => putEntry(handle, draft, options);
      // A failed entry must not make the others fail.
      const failure = await (mayFail ? tx.savepoint(put) : put(tx)).catch((error: unknown) => {
        if (!mayFail) throw error;
        return { error };
      });
      failures.push(failure?.error);
    }
    return failures;
  });
}

/** Stores one entry. If it does not fit, rejects with `FULL`, which rolls it back. */
async function putEntry(tx: StorageTransaction, draft: EntryDraft, options: CapacityOptions): Promise<undefined> {
  const { id, input, vector } = draft;
  const put = (handle: StorageTransaction, model: string) =>
    handle.memories.put(id, vector === undefined ? input : { ...input, embedding: vector, embeddingModel: model });
  const stored = await (vector === undefined
    ? put(tx, DEFAULT_MODEL)
    : tx
        .savepoint((inner) => put(inner, DEFAULT_MODEL))
        .catch((error: unknown) => {
          // All vectors of one model have one length, so another length needs another model.
          if (!isDimensionMismatch(error)) throw error;
          return put(tx, `${DEFAULT_MODEL}-${vector.length}`);
        }));
  const createdAt = input.createdAt ?? stored.createdAt;
  // `put` keeps the time of the replaced memory, but an entry has its own.
  if (Number(stored.createdAt) !== Number(createdAt)) await tx.memories.update(id, { createdAt });
  await makeRoom(tx, id, options);
}

function isDimensionMismatch(error: unknown): boolean {
  return error instanceof StorageError && error.code === "DIMENSION_MISMATCH";
}

/** Adds the id of the entry to a failure. */
function withId(error: unknown, id: string): unknown {
  if (!(error instanceof StorageError)) return error;
  const { code, message, retryable } = error;
  return new StorageError(code, `Entry ${JSON.stringify(id)} was not stored: ${message}`, { cause: error, retryable });
}

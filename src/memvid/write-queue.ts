import { toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";

/** Writes and characters that may wait at once: what does not fit is refused, so that a file held for long fills no memory. */
const MAX_WAITING = 100_000;
const MAX_WAITING_CHARS = 64 * 1024 * 1024;
/** What one transaction stores; other processes get their turn in between. */
const MAX_BATCH = 100;
const MAX_BATCH_CHARS = 4 * 1024 * 1024;
/** Longest pause after an attempt that did not get the lock, in ms. */
const PAUSE_MS = 50;

/** Something to be stored; `chars` is about how much memory it takes. */
export interface QueuedWrite {
  readonly chars: number;
}

export interface WriteQueueOptions<T> {
  /** Stores a batch in order, in one transaction; resolves to the failure of each write, or undefined where it is stored. */
  readonly store: (batch: readonly T[]) => Promise<readonly unknown[]>;
  /** How long a closing queue goes on trying, in ms. */
  readonly closeTimeoutMs: number;
  /** Whether a write is tried again after it waited for another process in vain. */
  readonly retries: boolean;
}

interface Waiting<T> {
  readonly write: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes that wait for their turn: stored in the order they came, several in one transaction.
 *
 * While another process holds the file they stay here and are tried again. A waiting write keeps the process alive, so a
 * program that reaches its end without `close` ends once everything is stored.
 */
export class WriteQueue<T extends QueuedWrite> {
  readonly #options: WriteQueueOptions<T>;
  #waiting: Waiting<T>[] = [];
  #chars = 0;
  #running: Promise<void> | undefined;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(options: WriteQueueOptions<T>) {
    this.#options = options;
  }

  /** How many writes are neither stored nor failed. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves once `write` is stored; rejects when it finally cannot be. */
  add(write: T): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING || this.#chars + write.chars > MAX_WAITING_CHARS) {
      const message = `${this.#waiting.length} writes of ${this.#chars} characters wait for the file already. Await the writes, or find out which process holds the file`;
      return Promise.reject(new StorageError("BUSY", message, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject });
      this.#chars += write.chars;
      this.#running ??= this.#run();
    });
  }

  /** Tries what waits for `closeTimeoutMs` more; what is not stored then fails. */
  async close(): Promise<void> {
    this.#deadline = performance.now() + this.#options.closeTimeoutMs;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      const failures = await this.#store(batch);
      if (failures !== undefined) this.#settle(batch, failures);
      else await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
    }
    this.#running = undefined;
  }

  #nextBatch(): Waiting<T>[] {
    let chars = 0;
    const batch: Waiting<T>[] = [];
    for (const waiting of this.#waiting) {
      chars += waiting.write.chars;
      if (batch.length === MAX_BATCH || (batch.length > 0 && chars > MAX_BATCH_CHARS)) break;
      batch.push(waiting);
    }
    return batch;
  }

  /** The failure of each of the first writes of a batch; undefined when it is to be tried again. */
  async #store(batch: readonly Waiting<T>[]): Promise<readonly unknown[] | undefined> {
    try {
      return await this.#options.store(batch.map(({ write }) => write));
    } catch (thrown) {
      const error = toStorageError(thrown);
      if (isBusy(error)) {
        if (this.#options.retries && performance.now() < this.#deadline) return undefined;
        return batch.map(() => error);
      }
      // One of several may have taken the transaction with it: the first alone, the others in the next rounds.
      return batch.length === 1 ? [error] : this.#store(batch.slice(0, 1));
    }
  }

  /** Takes the first writes out of the queue and tells how they ended. */
  #settle(batch: readonly Waiting<T>[], failures: readonly unknown[]): void {
    this.#waiting.splice(0, failures.length);
    for (const [index, failure] of failures.entries()) {
      const { write, resolve, reject } = batch[index]!;
      this.#chars -= write.chars;
      if (failure === undefined) resolve();
      else reject(failure);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof StorageError && (error.code === "BUSY" || error.code === "ACQUIRE_TIMEOUT");
}

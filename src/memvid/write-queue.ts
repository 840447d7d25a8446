import { toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";

/** The most writes and characters that may wait, so that a long wait for the file does not fill the memory. */
const MAX_WAITING = 100_000;
const MAX_WAITING_CHARS = 64 * 1024 * 1024;
/** The most writes and characters in one transaction, so that other processes get their turn in between. */
const MAX_BATCH = 100;
const MAX_BATCH_CHARS = 4 * 1024 * 1024;
/** The longest pause after an attempt that did not get the lock, in ms. */
const PAUSE_MS = 50;

/** A write; `chars` is about how much memory it takes. */
export interface QueuedWrite {
  readonly chars: number;
}

export interface WriteQueueOptions<T> {
  /** Stores a batch in order in one transaction; resolves to the failure of each write, or undefined if it is stored. */
  readonly store: (batch: readonly T[]) => Promise<readonly unknown[]>;
  /** How long a closing queue keeps trying, in ms. */
  readonly closeTimeoutMs: number;
  /** Whether a write is tried again after a wait for another process has timed out. */
  readonly retries: boolean;
}

interface Waiting<T> {
  readonly write: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A queue of writes, stored in the order of the calls, several in one transaction.
 *
 * While another process holds the file, writes stay in the queue and are tried again. A waiting write keeps the process
 * alive, so a program without a call of `close` ends once everything is stored.
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

  /** The number of waiting writes. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves once `write` is stored; rejects if it finally fails. */
  add(write: T): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING || this.#chars + write.chars > MAX_WAITING_CHARS) {
      const message = `${this.#waiting.length} writes of ${this.#chars} characters are already waiting for the file. Await the writes, or find out which process holds the file`;
      return Promise.reject(new StorageError("BUSY", message, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject });
      this.#chars += write.chars;
      this.#running ??= this.#run();
    });
  }

  /** Tries to store the waiting writes for `closeTimeoutMs`; the remaining ones then fail. */
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

  /** The failures of the first writes of a batch; undefined if the batch must be tried again. */
  async #store(batch: readonly Waiting<T>[]): Promise<readonly unknown[] | undefined> {
    try {
      return await this.#options.store(batch.map(({ write }) => write));
    } catch (thrown) {
      const error = toStorageError(thrown);
      if (isBusy(error)) {
        if (this.#options.retries && performance.now() < this.#deadline) return undefined;
        return batch.map(() => error);
      }
      // One write may have made the whole transaction fail: store the first alone, and the others in the next rounds.
      return batch.length === 1 ? [error] : this.#store(batch.slice(0, 1));
    }
  }

  /** Removes the first writes from the queue and settles their promises. */
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

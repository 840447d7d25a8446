import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../shared/errors.js";
import { expectation, expectDuration } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { pathText } from "../../shared/locations.js";
import { type Timer, unrefTimer } from "../../shared/timers.js";
import { Turn } from "../../shared/turn.js";
import { absolutePath } from "../absolute-path.js";
import { LockFile } from "./lock-file.js";
import { forgetToken, type LockRecord, noteToken, thisProcess } from "./lock-owner.js";

/** How long `acquire` waits by default, in ms. */
const DEFAULT_TIMEOUT_MS = 5_000;
/** Longest pause before the second attempt, in ms; doubled before each later one, up to the cap. */
const FIRST_PAUSE_MS = 1;
const MAX_PAUSE_MS = 50;
/** How often a release is tried before it rejects, and the pause before the second attempt, doubled before each later one. */
const RELEASE_ATTEMPTS = 6;
const RELEASE_PAUSE_MS = 10;
/** The pause between the attempts after that, in ms. */
const OWED_PAUSE_MS = 250;

/** The options of a lock. */
export interface FileLockOptions {
  /**
   * How long a lock of another host is respected, in ms. It must be longer than any work under the lock and longer than
   * the difference between the clocks of the hosts. A lock of this host is respected while its process lives.
   * @default 30000
   */
  readonly staleMs?: number | undefined;
}

/** The process that holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly since: Date;
}

/**
 * A lock across processes that at most one holder has at a time: the file `path + ".lock"`, while it exists.
 *
 * The lock is advisory: it only keeps out processes that ask for it. Concurrent calls of one object are served in turn.
 * If the holder's process has ended, exactly one waiter takes the lock over at once. A lock of a living process is never
 * taken over, except one of another host that is older than `staleMs`. Works under Node and Bun, on any file system with
 * hard links.
 */
export class FileLock {
  readonly #file: LockFile;
  /** One caller at a time contends for the file; the others of this object wait in line, each until its deadline. */
  readonly #turn = new Turn();
  #held: LockRecord | undefined;
  #releasing: Promise<void> | undefined;
  /** Set while a failed release is tried again. */
  #owed: Timer | undefined;
  /** Why the release failed. */
  #owedBecause: unknown;

  /**
   * Throws TypeError or RangeError on wrong arguments, and `CANNOT_OPEN` for a relative path if the working folder has been
   * deleted. Touches no file.
   */
  constructor(location: string | URL, options: FileLockOptions = {}) {
    expectKeys("FileLock", options, ["staleMs"]);
    const { staleMs = 30_000 } = options;
    const path = pathText("path", location);
    if (typeof path !== "string" || path === "" || path.includes("\0")) {
      throw new TypeError(expectation("path", "the path of a file", path));
    }
    expectDuration("staleMs", staleMs);
    this.#file = new LockFile(`${absolutePath(path)}.lock`, staleMs);
  }

  /** The path of the lock file, whether it exists or not. */
  get path(): string {
    return this.#file.path;
  }

  /**
   * Waits for the lock; false if it was not free within `timeoutMs` (by default 5,000). 0 tries once, and Infinity
   * waits without a limit.
   *
   * Creates the folder if it is missing. If the file system refuses, it rejects with `CANNOT_OPEN`, `READONLY`, `FULL`,
   * `IO` or `NOT_SUPPORTED`, and the lock is not held. It waits while a shortage may pass, such as one of descriptors. If
   * an earlier `release` of this object keeps failing for `timeoutMs`, it rejects with the error of that release.
   */
  async acquire(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<boolean> {
    expectDuration("timeoutMs", timeoutMs);
    const deadline = performance.now() + timeoutMs;
    if (this.#owed !== undefined) await this.release().catch(() => undefined);
    if (!(await this.#turn.takeWithin(timeoutMs))) {
      // This object itself holds the lock.
      if (this.#owed !== undefined) throw this.#owedBecause;
      return false;
    }
    try {
      this.#held = await this.#contend(deadline);
      return this.#held !== undefined;
    } finally {
      if (this.#held === undefined) this.#turn.pass();
    }
  }

  /**
   * Releases the lock if this object holds it; a lock of another holder is not touched. Tries for about half a second
   * before it rejects. The lock is then still held, and the release is tried again until it succeeds or the process ends.
   */
  async release(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    this.#releasing ??= this.#giveBack(held).finally(() => {
      this.#releasing = undefined;
    });
    await this.#releasing;
  }

  /**
   * Runs `work` under the lock and resolves to its result, or to null if the lock was not free within
   * `timeoutMs` (by default 5,000).
   *
   * A failed release does not change the result; it is reported as a process warning.
   */
  async withLock<T>(work: () => Promise<T> | T, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<T | null> {
    if (typeof work !== "function") throw new TypeError(expectation("work", "a function", work));
    if (!(await this.acquire(timeoutMs))) return null;
    try {
      return await work();
    } finally {
      // The outcome of the work is more important than that of the release.
      await this.release().catch((error: Error) => process.emitWarning(`${error.message}. It is tried again`));
    }
  }

  /** The holder that the lock file names, or null. Its process may have ended without releasing the lock. */
  async holder(): Promise<LockHolder | null> {
    const record = await this.#file.holder();
    return record === undefined ? null : { pid: record.pid, host: record.host, since: new Date(record.since) };
  }

  async #giveBack(held: LockRecord): Promise<void> {
    clearTimeout(this.#owed);
    this.#owed = undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#file.release(held);
        break;
      } catch (error) {
        if (attempt < RELEASE_ATTEMPTS) {
          await sleep(RELEASE_PAUSE_MS * 2 ** (attempt - 1));
          continue;
        }
        // Without another try, the lock would keep out all others until this process ends.
        this.#owedBecause = error;
        this.#owed = unrefTimer(setTimeout(() => void this.release().catch(() => undefined), OWED_PAUSE_MS));
        throw error;
      }
    }
    forgetToken(held.token);
    this.#held = undefined;
    this.#turn.pass();
  }

  async #contend(deadline: number): Promise<LockRecord | undefined> {
    const token = randomBytes(16).toString("hex");
    noteToken(token);
    try {
      const record = await this.#take(token, deadline);
      if (record === undefined) forgetToken(token);
      return record;
    } catch (error) {
      // The lock may have been taken before the failure. If it cannot be removed, its forgotten token marks it as abandoned.
      await this.#file.release({ ...thisProcess(), since: 0, token }).catch(() => undefined);
      forgetToken(token);
      throw error;
    }
  }

  async #take(token: string, deadline: number): Promise<LockRecord | undefined> {
    for (let attempt = 0; ; attempt++) {
      let failure: unknown;
      try {
        const record = await this.#file.take(token);
        if (record !== undefined) return record;
      } catch (error) {
        if (!(error instanceof StorageError) || !error.retryable) throw error;
        failure = error;
      }
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 && failure !== undefined) throw failure;
      if (leftMs <= 0) return undefined;
      // Full jitter: contenders that collided must not collide again.
      await sleep(Math.min(leftMs, Math.random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt)));
    }
  }
}

/** Acquires a lock on `path`; null if it was not free within `timeoutMs` (by default 5,000). `releaseLock` releases it. */
export async function acquireLock(path: string | URL, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<FileLock | null> {
  const lock = new FileLock(path);
  return (await lock.acquire(timeoutMs)) ? lock : null;
}

/** Releases a lock of `acquireLock`. Accepts null and a lock that was released before. */
export async function releaseLock(lock: FileLock | null): Promise<void> {
  if (lock === null || lock === undefined) return;
  if (typeof lock.release !== "function")
    throw new TypeError(expectation("lock", "a lock of acquireLock, or null", lock));
  await lock.release();
}

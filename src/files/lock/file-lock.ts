import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../shared/errors.js";
import { expectation, expectDuration } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { pathText } from "../../shared/locations.js";
import { type Timer, unrefTimer } from "../../shared/timers.js";
import { Turn } from "../../shared/turn.js";
import { LockFile } from "./lock-file.js";
import { forgetToken, type LockRecord, noteToken, thisProcess } from "./lock-owner.js";

/** How long `acquire` waits where it is not told, in ms. */
const DEFAULT_TIMEOUT_MS = 5_000;
/** Longest pause before the second attempt, in ms; doubled before each later one, up to the cap. */
const FIRST_PAUSE_MS = 1;
const MAX_PAUSE_MS = 50;
/** How often a release is tried before it rejects, and the pause before the second attempt; each later one is doubled. */
const RELEASE_ATTEMPTS = 6;
const RELEASE_PAUSE_MS = 10;
/** The pause between the attempts after that, in ms. */
const OWED_PAUSE_MS = 250;

export interface FileLockOptions {
  /**
   * How long a lock of another host is respected, in ms. It must be longer than any work under the lock, and than the
   * difference of the hosts' clocks. A lock of this host is respected while its process lives. @default 30000
   */
  readonly staleMs?: number | undefined;
}

/** Who holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly since: Date;
}

/**
 * A lock that at most one holder has at a time, across processes: the file `path + ".lock"`, for as long as it is there.
 *
 * It is advisory: it keeps out those who ask for it. One object asked several times at once serves them in turn. A lock
 * whose process has ended is taken over, at once and by exactly one of those who wait; nobody's live lock ever is, but
 * one of another host older than `staleMs`. Works under Node and Bun, on any file system with hard links.
 */
export class FileLock {
  readonly #file: LockFile;
  /** One caller at a time contends for the file; the others of this object wait in line, each until its deadline. */
  readonly #turn = new Turn();
  #held: LockRecord | undefined;
  #releasing: Promise<void> | undefined;
  /** Set while the lock was to be given back and could not be; it is tried again until it is. */
  #owed: Timer | undefined;
  /** Why it could not be. */
  #owedBecause: unknown;

  /** Throws TypeError or RangeError on wrong arguments; touches no file yet. */
  constructor(location: string | URL, options: FileLockOptions = {}) {
    expectKeys("FileLock", options, ["staleMs"]);
    const { staleMs = 30_000 } = options;
    const path = pathText("path", location);
    if (typeof path !== "string" || path === "" || path.includes("\0")) {
      throw new TypeError(expectation("path", "the path of a file", path));
    }
    expectDuration("staleMs", staleMs);
    this.#file = new LockFile(`${resolve(path)}.lock`, staleMs);
  }

  /** Where the lock file is, whether there is one now or not. */
  get path(): string {
    return this.#file.path;
  }

  /**
   * Waits for the lock; false if it was not free within `timeoutMs`, where 0 asks once and Infinity waits for good.
   *
   * Makes the folder where there is none. Rejects with `CANNOT_OPEN`, `FULL`, `IO` or `NOT_SUPPORTED` when the file
   * system refuses, and is then not held. A shortage that may pass, such as of descriptors, is waited for. What kept an
   * earlier `release` of this object from giving the lock back is what it rejects with if that lasts for `timeoutMs`.
   */
  async acquire(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<boolean> {
    expectDuration("timeoutMs", timeoutMs);
    const deadline = performance.now() + timeoutMs;
    if (this.#owed !== undefined) await this.release().catch(() => undefined);
    if (!(await this.#turn.takeWithin(timeoutMs))) {
      // It is this object that keeps everyone out.
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
   * Gives the lock back, if it is held; nobody else's is touched. Tries again for about half a second before it rejects.
   * The lock is then still held, and tried again until it is given back or the process ends.
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
   * Runs `work` under the lock and resolves to its result; to null if the lock was not free within `timeoutMs`.
   *
   * Where the lock cannot be given back afterwards, the result counts all the same: a process warning tells of it.
   */
  async withLock<T>(work: () => Promise<T> | T, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<T | null> {
    if (typeof work !== "function") throw new TypeError(expectation("work", "a function", work));
    if (!(await this.acquire(timeoutMs))) return null;
    try {
      return await work();
    } finally {
      // What the work gave or threw is what to tell.
      await this.release().catch((error: Error) => process.emitWarning(`${error.message}. It is tried again`));
    }
  }

  /** Whom the lock file names, in whatever process; null where there is none. It may have ended without releasing. */
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
        // A lock that a living process has left behind would keep out all others until it ends.
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
      // It may have been taken before it failed. What cannot be removed is told from a lock that somebody holds.
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
      // Full jitter: contenders that met once must not meet again.
      await sleep(Math.min(leftMs, Math.random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt)));
    }
  }
}

/** A lock on `path`, held; null if it was not free within `timeoutMs`. To be given back with `releaseLock`. */
export async function acquireLock(path: string | URL, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<FileLock | null> {
  const lock = new FileLock(path);
  return (await lock.acquire(timeoutMs)) ? lock : null;
}

/** Gives back a lock of `acquireLock`; null, or one given back before, is fine. */
export async function releaseLock(lock: FileLock | null): Promise<void> {
  if (lock === null || lock === undefined) return;
  if (typeof lock.release !== "function")
    throw new TypeError(expectation("lock", "a lock of acquireLock, or null", lock));
  await lock.release();
}

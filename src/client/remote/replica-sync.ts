import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { LibsqlError, type Replicated } from "@libsql/client/sqlite3";
import { MAX_TIMER_MS, type Timer } from "../../shared/timers.js";
import { SharedRun } from "../../shared/turn.js";
import { noDatabase, timedOut, UnavailableError } from "./remote-error.js";
import { replicaUnusable } from "./replica-files.js";
import type { ReplicaRelay } from "./replica-relay.js";
import { startReplicaThread, type ThreadAnswer } from "./replica-thread.js";

interface ReplicaSyncOptions {
  readonly path: string;
  readonly relay: ReplicaRelay;
  readonly encryptionKey: string | undefined;
  readonly remoteEncryptionKey: string | undefined;
  readonly timeoutMs: number;
  readonly redact: (text: string) => string;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

interface Waiter {
  readonly id: number;
  readonly resolve: (replicated: Replicated) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Fetches the primary's frames into the file of an embedded replica, on one thread.
 *
 * A call that comes while one runs waits for the next one, which all such calls share: the one that runs may have
 * asked the primary before the caller's write was there. A fetch cannot be interrupted, so one that takes longer than
 * its callers wait goes on, and the next begins when it has ended: two at a time would corrupt the file.
 */
export class ReplicaSync {
  readonly #options: ReplicaSyncOptions;
  #worker: Worker | undefined;
  #waiter: Waiter | undefined;
  readonly #fetches = new SharedRun(() => this.#fetch());
  #count = 0;
  #callers = 0;
  #isClosed = false;
  #isComplete = false;
  #unusable: LibsqlError | undefined;

  constructor(options: ReplicaSyncOptions) {
    this.#options = options;
  }

  /** Whether the file has held all that the primary had at some time; before that it answers no reads. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Why the file cannot go on as a replica. */
  get unusable(): LibsqlError | undefined {
    return this.#unusable;
  }

  /**
   * Resolves when everything that the primary had at the time of the call is here; rejects with UNAVAILABLE, after
   * `timeoutMs` at the latest, and with REPLICA_UNUSABLE.
   */
  async run(): Promise<Replicated> {
    return this.#within(this.#fetches.run(), this.#options.timeoutMs);
  }

  /** The same, for as long as data comes in: the primary may be silent for `timeoutMs`, and not longer. */
  async runPatiently(): Promise<Replicated> {
    return this.#within(this.#fetches.run(), Number.POSITIVE_INFINITY);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.relay.interrupt();
    await this.#fetches.settled();
    const worker = this.#worker;
    if (worker !== undefined) {
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      worker.ref();
      worker.postMessage(null);
      await ended;
    }
    this.#options.relay.close();
  }

  /** Waits for the fetch no longer than `ms`; the fetch itself goes on. */
  async #within(fetch: Promise<Replicated>, ms: number): Promise<Replicated> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      if (ms <= MAX_TIMER_MS) timer = setTimeout(() => reject(timedOut(ms, this.#options.relay.call)), ms);
    });
    this.#callers++;
    this.#worker?.ref();
    try {
      return await Promise.race([fetch, late]);
    } finally {
      clearTimeout(timer);
      this.#callers--;
      if (this.#callers === 0) this.#worker?.unref();
    }
  }

  /**
   * While the primary packs its log, it has neither the frames nor their snapshot for a moment, which under load lasts
   * seconds: asked again as long as a call may take.
   */
  async #fetch(): Promise<Replicated> {
    const end = performance.now() + this.#options.timeoutMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        return await this.#ask();
      } catch (error) {
        const isPacking = (error as Error).message.includes("snapshot not found");
        if (!isPacking || performance.now() + pause >= end) throw error;
        await sleep(pause);
      }
    }
  }

  async #ask(): Promise<Replicated> {
    if (this.#isClosed) throw new UnavailableError("The replica is closed", "notApplied");
    if (this.#unusable !== undefined) throw this.#unusable;
    const { timeoutMs, relay } = this.#options;
    const syncUrl = await relay.listen();
    relay.takeFailure();
    const worker = this.#open(syncUrl);
    const id = ++this.#count;
    try {
      return await new Promise<Replicated>((resolve, reject) => {
        this.#waiter = { id, resolve, reject };
        worker.postMessage({ id, waitMs: timeoutMs });
      });
    } finally {
      this.#waiter = undefined;
    }
  }

  #open(syncUrl: string): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const { path, relay, encryptionKey, remoteEncryptionKey, redact } = this.#options;
    const options = { syncUrl, authToken: relay.token, encryptionKey, remoteEncryptionKey };
    const worker = startReplicaThread({ path, options });
    worker.on("message", (answer: ThreadAnswer) => this.#take(answer));
    const fail = (error: Error) => {
      if (this.#worker === worker) this.#worker = undefined;
      this.#waiter?.reject(syncFailed(redact(error.message)));
    };
    worker.on("error", fail);
    worker.on("exit", () => fail(new Error("its thread has ended")));
    if (this.#callers === 0) worker.unref();
    this.#worker = worker;
    return worker;
  }

  #take({ id, replicated, isComplete, message, unusable, isBusy }: ThreadAnswer): void {
    if (this.#waiter?.id !== id) return;
    const { resolve, reject } = this.#waiter;
    if (isComplete !== undefined) {
      this.#isComplete = isComplete;
      return;
    }
    if (replicated !== undefined) {
      this.#isComplete = true;
      resolve(replicated);
      return;
    }
    const { path, relay, redact, timeoutMs } = this.#options;
    const failure = relay.takeFailure();
    const text = redact(message ?? "");
    if (unusable !== undefined) {
      this.#unusable = replicaUnusable(path, unusable);
      reject(this.#unusable);
    } else if (isBusy === true) {
      const reason = `another process fetched into the same file for more than ${timeoutMs} ms`;
      reject(syncFailed(reason));
    } else if (failure instanceof LibsqlError && !(failure instanceof UnavailableError)) reject(failure);
    else if (failure === undefined && text.includes("NamespaceDoesntExist")) reject(noDatabase());
    else if (failure !== undefined) reject(syncFailed(failure.message, failure));
    else if (PERMANENT.test(text)) reject(replicaUnusable(path, { reason: `it cannot be fetched into (${text})` }));
    else reject(syncFailed(text));
  }
}

/** What SQLite and libSQL say of files that no later call will find better. */
const PERMANENT = /wal_index|Invalid meta file|disk image is malformed|file is not a database/i;

function syncFailed(reason: string, cause?: Error): UnavailableError {
  const text = (reason.split("\n", 1)[0] ?? "").replace(/^UNAVAILABLE: /, "").replace(/\. Try again once.*$/, "");
  return new UnavailableError(
    `The replica could not fetch from its primary (${text}). It still has what it fetched before: try again`,
    "notApplied",
    cause,
  );
}

import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Replicated } from "@libsql/client";
import type { Timer } from "../../timers.js";
import { MAX_TIMER_MS } from "../write-lock.js";
import { timedOut, UnavailableError } from "./remote-error.js";

export interface ReplicaSyncOptions {
  readonly path: string;
  readonly syncUrl: string;
  readonly authToken: string | undefined;
  readonly encryptionKey: string | undefined;
  readonly remoteEncryptionKey: string | undefined;
  readonly timeoutMs: number;
  /** Rejects when the primary cannot be reached, within its own time: asked before the call that blocks. */
  readonly probe: () => Promise<unknown>;
  readonly redact: (text: string) => string;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

interface Answer {
  readonly id: number;
  readonly replicated?: Replicated;
  readonly message?: string;
}

interface Waiter {
  readonly resolve: (replicated: Replicated) => void;
  readonly reject: (error: Error) => void;
}

/**
 * What runs on the thread. As text, since it is the same from source and from the build.
 *
 * The library opens a replica by a network call that blocks. Fetching has a form that does not: with it the thread,
 * and so the process, can end at any time.
 */
const THREAD = `
const { parentPort, workerData } = require("node:worker_threads");
const Database = require(workerData.library);
const { sync } = require(workerData.asyncLibrary).prototype;
let database;
let running = Promise.resolve();
parentPort.on("message", (id) => {
  running = running.then(async () => {
    if (id === 0) {
      database?.close();
      parentPort.close();
      return;
    }
    try {
      database ??= new Database(workerData.path, workerData.options);
      const { frame_no, frames_synced } = (await sync.call({ db: database.db })) ?? {};
      parentPort.postMessage({ id, replicated: { frame_no, frames_synced } });
    } catch (error) {
      parentPort.postMessage({ id, message: String(error.message) });
    }
  });
});
`;

/**
 * Fetches the primary's frames into the file of an embedded replica, on a thread of its own.
 *
 * A call that comes while one runs waits for the next one, which all such calls share: the one that runs may have
 * asked the primary before the caller's write was there.
 */
export class ReplicaSync {
  readonly #options: ReplicaSyncOptions;
  #worker: Worker | undefined;
  #waiting: { id: number; waiter: Waiter } | undefined;
  #running: Promise<Replicated> | undefined;
  #next: Promise<Replicated> | undefined;
  #count = 0;
  #isClosed = false;

  constructor(options: ReplicaSyncOptions) {
    this.#options = options;
  }

  /** Resolves when everything that the primary had at the time of the call is here; rejects with UNAVAILABLE. */
  run(): Promise<Replicated> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#start();
      });
    return this.#next;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    await this.#running?.catch(() => undefined);
    if (this.#worker !== worker) return;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.ref();
    worker.postMessage(0);
    await ended;
  }

  #start(): Promise<Replicated> {
    const run = this.#fetch();
    this.#running = run;
    const done = () => {
      if (this.#running === run) this.#running = undefined;
    };
    run.then(done, done);
    return run;
  }

  /**
   * While the primary packs its log, it has neither the frames nor their snapshot for a moment, which under load lasts
   * seconds: asked again as long as the call may take.
   */
  async #fetch(): Promise<Replicated> {
    const end = performance.now() + this.#options.timeoutMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        return await this.#request(end - performance.now());
      } catch (error) {
        const isPacking = (error as Error).message.includes("snapshot not found");
        if (!isPacking || performance.now() + pause >= end) throw error;
        await sleep(pause);
      }
    }
  }

  async #request(timeLeftMs: number): Promise<Replicated> {
    if (this.#isClosed) throw new UnavailableError("The replica is closed", "notApplied");
    const { timeoutMs, probe } = this.#options;
    if (this.#worker === undefined) await probe();
    const id = ++this.#count;
    const worker = this.#open();
    let timer: Timer | undefined;
    worker.ref();
    try {
      return await new Promise<Replicated>((resolve, reject) => {
        this.#waiting = { id, waiter: { resolve, reject } };
        if (timeLeftMs <= MAX_TIMER_MS) {
          timer = setTimeout(() => {
            // The call itself cannot be interrupted: the next one gets another thread.
            this.#abandon(worker);
            reject(timedOut(timeoutMs, false));
          }, timeLeftMs);
        }
        worker.postMessage(id);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
      worker.unref();
    }
  }

  #open(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const { path, timeoutMs, redact, probe, ...options } = this.#options;
    // The library of @libsql/client: two copies of SQLite on one file drop each other's locks.
    const { resolve } = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
    const [library, asyncLibrary] = [resolve("libsql"), resolve("libsql/promise")];
    const worker = new Worker(THREAD, { eval: true, workerData: { library, asyncLibrary, path, options } });
    worker.on("message", ({ id, replicated, message }: Answer) => {
      if (this.#waiting?.id !== id) return;
      const { waiter } = this.#waiting;
      if (replicated !== undefined) waiter.resolve(replicated as Replicated);
      else waiter.reject(syncFailed(redact(message ?? "")));
    });
    const fail = (error: Error) => {
      this.#abandon(worker);
      this.#waiting?.waiter.reject(syncFailed(redact(error.message)));
    };
    worker.on("error", fail);
    worker.on("exit", () => {
      if (this.#worker === worker) fail(new Error("its thread has ended"));
    });
    this.#worker = worker;
    return worker;
  }

  #abandon(worker: Worker): void {
    if (this.#worker === worker) this.#worker = undefined;
    worker.unref();
    // It ends when its call returns: the library does not survive that the thread goes away first.
    worker.postMessage(0);
  }
}

function syncFailed(reason: string): UnavailableError {
  const text = reason.split("\n", 1)[0] ?? "";
  return new UnavailableError(
    `The replica could not fetch from its primary (${text}). It still has what it fetched before: try again`,
    "notApplied",
  );
}

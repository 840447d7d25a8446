import { Fifo } from "./fifo.js";
import { MAX_TIMER_MS, type Timer } from "./timers.js";

/** How long a call waits for its turn. */
export interface TurnLimit {
  readonly timeoutMs: number;
  /** Makes the error to reject with when the time is over. */
  readonly onTimeout: () => Error;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  timer: Timer | undefined;
}

/** Admits one call at a time, or `max`, in the order in which they ask. */
export class Turn {
  readonly #max: number;
  /** Made for the first waiter: most turns are free when they are asked for. */
  #waiting: Fifo<Waiter> | undefined;
  #active = 0;

  constructor(max = 1) {
    this.#max = max;
  }

  get activeCount(): number {
    return this.#active;
  }

  get waitingCount(): number {
    return this.#waiting?.size ?? 0;
  }

  /** Runs `use` in a turn: at once if one is free, and synchronously if `use` is synchronous. */
  async run<T>(use: () => T | Promise<T>): Promise<T> {
    const queued = this.take();
    if (queued !== undefined) await queued;
    try {
      const result = use();
      return result instanceof Promise ? await result : result;
    } finally {
      this.pass();
    }
  }

  /** Takes a turn: at once if one is free, else when the promise resolves. The caller must call `pass` to end the turn. */
  take(limit?: TurnLimit): Promise<void> | undefined {
    if (this.#takeFree()) return undefined;
    return new Promise((resolve, reject) => {
      const expire = () => reject((limit as TurnLimit).onTimeout());
      this.#enqueue({ resolve, reject, timer: undefined }, limit?.timeoutMs, expire);
    });
  }

  /** The same, but false if no turn was free within `timeoutMs`. */
  takeWithin(timeoutMs: number): Promise<boolean> | boolean {
    if (this.#takeFree()) return true;
    return new Promise((resolve, reject) => {
      this.#enqueue({ resolve: () => resolve(true), reject, timer: undefined }, timeoutMs, () => resolve(false));
    });
  }

  /** Ends a turn and gives it to the next waiter. */
  pass(): void {
    const next = this.#waiting?.shift();
    if (next === undefined) this.#active--;
    else {
      clearTimeout(next.timer);
      next.resolve();
    }
  }

  /** Rejects all waiters. */
  refuseAll(error: () => Error): void {
    for (let waiter = this.#waiting?.shift(); waiter !== undefined; waiter = this.#waiting?.shift()) {
      clearTimeout(waiter.timer);
      waiter.reject(error());
    }
  }

  #takeFree(): boolean {
    if (this.#active === this.#max) return false;
    this.#active++;
    return true;
  }

  #enqueue(waiter: Waiter, timeoutMs: number | undefined, expire: () => void): void {
    if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS) {
      waiter.timer = setTimeout(() => {
        this.#waiting?.remove(waiter);
        expire();
      }, timeoutMs);
    }
    this.#waiting ??= new Fifo();
    this.#waiting.push(waiter);
  }
}

/** Runs one task again and again, never twice at a time; calls made during a run share the next run. */
export class SharedRun<T> {
  readonly #task: () => Promise<T>;
  readonly #turn = new Turn();
  #next: Promise<T> | undefined;

  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** Resolves to the result of a run that began after this call. */
  run(): Promise<T> {
    if (this.#turn.activeCount === 0) return this.#turn.run(this.#task);
    this.#next ??= this.#turn.run(() => {
      this.#next = undefined;
      return this.#task();
    });
    return this.#next;
  }

  /** Resolves when the runs that were asked for have ended. */
  async settled(): Promise<void> {
    await this.#turn.run(() => undefined);
  }
}

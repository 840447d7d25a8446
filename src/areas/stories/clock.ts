import { callSafely } from "../../shared/callbacks.js";
import { MAX_TIMER_MS } from "../../shared/timers.js";

/** Timers, for tests that control the clock. */
export interface Clock {
  /** Calls `task` after `delayMs`; returns what `clearTimeout` takes. */
  setTimeout(task: () => void, delayMs: number): unknown;
  /** Cancels a timer of `setTimeout`. */
  clearTimeout(timer: unknown): void;
}

/** The global timers, looked up at each call. They keep the process alive until they fire. */
export const systemClock: Clock = {
  setTimeout: (task, delayMs) => setTimeout(task, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

/** Timers on a clock that may throw, or return a promise that rejects. */
export class SafeTimers {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns undefined if the delay is too long for a timer, or if the clock throws; `fail` gets the clock's error. */
  set(task: () => void, delayMs: number, fail: (error: unknown) => void): unknown {
    if (delayMs > MAX_TIMER_MS) return undefined;
    let timer: unknown;
    const start = () => {
      timer = this.#clock.setTimeout(task, delayMs);
      return timer;
    };
    callSafely(start, fail);
    return timer;
  }

  clear(timer: unknown): void {
    if (timer === undefined) return;
    // A failure is harmless: each task checks whether there is anything to do.
    callSafely(
      () => this.#clock.clearTimeout(timer),
      () => undefined,
    );
  }
}

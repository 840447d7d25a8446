import { MAX_TIMER_MS } from "./timers.js";

/** A place that one call has at a time, in the order of asking. */
export class Turn {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Runs `use` in the place: at once if it is free, and without a pause if `use` needs none. */
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

  /** Takes the place: at once if it is free, otherwise when the returned promise resolves. The caller passes it on. */
  take(): Promise<void> | undefined {
    if (this.#takeFree()) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The same, but false if the place was not free within `timeoutMs`. */
  takeWithin(timeoutMs: number): Promise<boolean> | boolean {
    if (this.#takeFree()) return true;
    return new Promise((resolve) => {
      const take = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        resolve(false);
      };
      const timer = timeoutMs <= MAX_TIMER_MS ? setTimeout(giveUp, timeoutMs) : undefined;
      this.#waiting.push(take);
    });
  }

  /** Hands the place to the next in line. */
  pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isTaken = false;
    else next();
  }

  #takeFree(): boolean {
    if (this.#isTaken) return false;
    this.#isTaken = true;
    return true;
  }
}

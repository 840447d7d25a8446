/** A place that one call has at a time, in order. */
export class Turn {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Runs `use` in the place: here and now where it is free, and without a pause where `use` needs none. */
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

  /** Takes the place: at once where it is free, or once what is answered resolves. The caller passes it on. */
  take(): Promise<void> | undefined {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Hands it to the next in line. */
  pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isTaken = false;
    else next();
  }
}

/** The calls that have not settled, so that closing can wait for them. */
export class InFlight {
  readonly #calls = new Set<Promise<unknown>>();

  /** Tracks a call until it settles, and returns it. */
  track<T>(call: Promise<T>): Promise<T> {
    this.#calls.add(call);
    const forget = () => this.#calls.delete(call);
    call.then(forget, forget);
    return call;
  }

  /** Resolves when the calls that are running now have settled; undefined if there are none. Never rejects. */
  settledNow(): Promise<unknown> | undefined {
    return this.#calls.size === 0 ? undefined : Promise.allSettled(this.#calls);
  }

  /** Resolves when no call is left, including calls that begin in the meantime. Never rejects. */
  async settled(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls);
  }
}

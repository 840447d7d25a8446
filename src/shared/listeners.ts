import { expectFunction, expectOneOf } from "./expectation.js";

/** The listeners of each event of `Events`. */
export class Listeners<Events extends object> {
  readonly #byEvent: ReadonlyMap<string, Set<unknown>>;

  constructor(events: readonly (keyof Events & string)[]) {
    this.#byEvent = new Map(events.map((event) => [event, new Set()]));
  }

  /** Whether no event has a listener. */
  get isEmpty(): boolean {
    for (const listeners of this.#byEvent.values()) if (listeners.size > 0) return false;
    return true;
  }

  /** Adds a listener; the returned function removes it. Throws TypeError for an unknown event. */
  on<K extends keyof Events & string>(event: K, listener: (payload: Events[K]) => unknown): () => void {
    expectOneOf("event", event, [...this.#byEvent.keys()]);
    expectFunction("listener", listener);
    // A wrapper, so that one function added twice is two listeners and each can be removed.
    const own = (payload: Events[K]) => listener(payload);
    const listeners = this.of(event) as Set<typeof own>;
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  of<K extends keyof Events & string>(event: K): ReadonlySet<(payload: Events[K]) => unknown> {
    return this.#byEvent.get(event) as ReadonlySet<(payload: Events[K]) => unknown>;
  }
}

/** Calls a listener. `fail` gets what it throws, or what its promise, of any library or realm, rejects with. */
export function callListener(call: () => unknown, fail: (error: unknown) => void): void {
  try {
    const answer = call();
    if (typeof answer === "object" && answer !== null && "then" in answer) Promise.resolve(answer).catch(fail);
  } catch (error) {
    fail(error);
  }
}

import type { AreaChange } from "../areas/context.js";
import type { ChangeArea } from "../areas/registry.js";
import { callSafely } from "../shared/callbacks.js";

/** A change by this process, announced after COMMIT. */
export interface Change extends AreaChange {
  readonly area: ChangeArea;
}

/** The events of a storage: changes of this process after COMMIT, and failures that no caller may have seen. */
export interface StorageEvents {
  readonly change: Change;
  readonly error: unknown;
}

type Listener<T> = (event: T) => unknown;

/** Listeners and their events. If a listener throws, the error becomes an `error` event. */
export class EventHub {
  readonly #change = new Set<Listener<Change>>();
  readonly #error = new Set<Listener<unknown>>();

  on<K extends keyof StorageEvents>(event: K, listener: Listener<StorageEvents[K]>): () => void {
    if (typeof listener !== "function") throw new TypeError("Expected the listener to be a function");
    const listeners = this.#listeners(event);
    // Wrapped, so that adding one function twice adds two listeners, each removed by its own function.
    const own: Listener<StorageEvents[K]> = (value) => listener(value);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  emit<K extends keyof StorageEvents>(event: K, value: StorageEvents[K]): void {
    for (const listener of [...this.#listeners(event)]) {
      callSafely(
        () => listener(value),
        (error) => {
          // If a listener for errors fails, no one is left to tell.
          if (event !== "error") this.emit("error", error);
        },
      );
    }
  }

  #listeners<K extends keyof StorageEvents>(event: K): Set<Listener<StorageEvents[K]>> {
    if (event === "change") return this.#change as Set<Listener<StorageEvents[K]>>;
    if (event === "error") return this.#error as Set<Listener<StorageEvents[K]>>;
    throw new TypeError(`Expected the event to be "change" or "error", got ${JSON.stringify(event)}`);
  }
}

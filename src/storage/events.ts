import type { AreaChange } from "../areas/context.js";
import type { ChangeArea } from "../areas/registry.js";
import { callSafely } from "../shared/callbacks.js";

/** What was changed by this process, told after COMMIT. */
export interface Change extends AreaChange {
  readonly area: ChangeArea;
}

/** What a storage tells: changes of this process after COMMIT, and failures that no caller may have seen. */
export interface StorageEvents {
  readonly change: Change;
  readonly error: unknown;
}

type Listener<T> = (event: T) => unknown;

/** Listeners and their events. A listener that throws harms nobody: what it threw becomes an `error` event. */
export class EventHub {
  readonly #change = new Set<Listener<Change>>();
  readonly #error = new Set<Listener<unknown>>();

  on<K extends keyof StorageEvents>(event: K, listener: Listener<StorageEvents[K]>): () => void {
    if (typeof listener !== "function") throw new TypeError("Expected the listener to be a function");
    const listeners = this.#listeners(event);
    // Wrapped, so that one function added twice is two listeners, each with its own way out.
    const own: Listener<StorageEvents[K]> = (value) => listener(value);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  emit<K extends keyof StorageEvents>(event: K, value: StorageEvents[K]): void {
    for (const listener of [...this.#listeners(event)]) {
      callSafely(
        () => listener(value),
        (error) => {
          // There is no one to tell that a listener for errors has failed.
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

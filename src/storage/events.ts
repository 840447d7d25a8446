import type { AreaChange } from "../areas/context.js";
import type { ChangeArea } from "../areas/registry.js";
import { callSafely } from "../shared/callbacks.js";
import { Listeners } from "../shared/listeners.js";

/** A change by this process, announced after COMMIT. */
export interface Change extends AreaChange {
  readonly area: ChangeArea;
}

/** The events of a storage: changes of this process after COMMIT, and failures that no caller may have seen. */
export interface StorageEvents {
  readonly change: Change;
  readonly error: unknown;
}

/** Delivers the events of a storage. If a listener throws, others still run, and the error becomes an `error` event. */
export class EventHub extends Listeners<StorageEvents> {
  constructor() {
    super(["change", "error"]);
  }

  emit<K extends keyof StorageEvents>(event: K, value: StorageEvents[K]): void {
    for (const listener of [...this.of(event)]) {
      callSafely(
        () => listener(value),
        (error) => {
          // A failed listener of errors is not reported: it would receive the report itself.
          if (event !== "error") this.emit("error", error);
        },
      );
    }
  }
}

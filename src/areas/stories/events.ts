import { callListener, Listeners } from "../../shared/listeners.js";
import type { StoryData, StoryMetadata } from "./story.js";

/** The events of a service, delivered after the fact. Each listener gets its own copy of the data. */
export interface StoryEvents {
  readonly story_saved: { readonly id: string; readonly data: StoryData; readonly isNew: boolean };
  /** After `story_saved`, if the story is new. */
  readonly story_created: { readonly id: string };
  /** After `story_saved`, if the story existed before. */
  readonly story_updated: { readonly id: string };
  readonly story_loaded: { readonly id: string; readonly fromCache: boolean };
  readonly story_deleted: { readonly id: string };
  readonly metadata_updated: { readonly id: string; readonly metadata: StoryMetadata };
  readonly storage_cleared: Record<string, never>;
  /** A call failed because of the store and not because of its arguments, or a listener threw. */
  readonly storage_error: { readonly operation: string; readonly key?: string; readonly error: unknown };
}

/** The names of the events, for `service.on(StoryEvents.STORY_SAVED, …)`. */
export const StoryEvents = {
  STORY_SAVED: "story_saved",
  STORY_CREATED: "story_created",
  STORY_UPDATED: "story_updated",
  STORY_LOADED: "story_loaded",
  STORY_DELETED: "story_deleted",
  METADATA_UPDATED: "metadata_updated",
  STORAGE_CLEARED: "storage_cleared",
  STORAGE_ERROR: "storage_error",
} as const satisfies Readonly<Record<string, keyof StoryEvents>>;

/** Delivers the events of a service to its listeners, asynchronously and in order. */
export class StoryEventHub extends Listeners<StoryEvents> {
  readonly #isEnabled: boolean;
  #waiting: (() => void)[] = [];

  constructor(isEnabled: boolean) {
    super(Object.values(StoryEvents));
    this.#isEnabled = isEnabled;
  }

  /** Whether an event reaches a listener now. */
  isHeard(event: keyof StoryEvents): boolean {
    return this.#isEnabled && this.of(event).size > 0;
  }

  /** Tells the present listeners soon. Each gets its own payload, so that none can change what another gets. */
  emit<K extends keyof StoryEvents>(event: K, payload: () => StoryEvents[K]): void {
    if (!this.#isEnabled) return;
    for (const listener of this.of(event)) {
      const tell = () => this.#tell(event, () => listener(payload()));
      if (this.#waiting.push(tell) === 1) queueMicrotask(() => this.#drain());
    }
  }

  #drain(): void {
    const due = this.#waiting;
    this.#waiting = [];
    for (const tell of due) tell();
  }

  #tell(event: keyof StoryEvents, call: () => unknown): void {
    callListener(call, (error) => {
      // A failed listener of errors is not reported: it would receive the report itself.
      if (event !== "storage_error") this.emit("storage_error", () => ({ operation: `listener of ${event}`, error }));
    });
  }
}

import { expectFunction, expectOneOf } from "../../shared/expectation.js";
import { onRejection } from "../../shared/promises.js";
import type { StoryData, StoryMetadata } from "./story.js";

/** What a service tells, after the fact. Data is the listener's own copy. */
export interface StoryEvents {
  readonly story_saved: { readonly id: string; readonly data: StoryData; readonly isNew: boolean };
  /** After `story_saved`, where the story is new. */
  readonly story_created: { readonly id: string };
  /** After `story_saved`, where it is not. */
  readonly story_updated: { readonly id: string };
  readonly story_loaded: { readonly id: string; readonly fromCache: boolean };
  readonly story_deleted: { readonly id: string };
  readonly metadata_updated: { readonly id: string; readonly metadata: StoryMetadata };
  readonly storage_cleared: Record<string, never>;
  /** A call that failed for another reason than what it was asked, or a listener that threw. */
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

const EVENTS: readonly (keyof StoryEvents)[] = Object.values(StoryEvents);

type Listener = (payload: never) => unknown;

/** Listeners and what waits to be told to them, in order. */
export class StoryEventHub {
  readonly #isEnabled: boolean;
  readonly #listeners = new Map<string, Set<Listener>>();
  #waiting: (() => void)[] = [];

  constructor(isEnabled: boolean) {
    this.#isEnabled = isEnabled;
  }

  get hasListeners(): boolean {
    return [...this.#listeners.values()].some((listeners) => listeners.size > 0);
  }

  /** Whether an event reaches a listener now. */
  isHeard(event: keyof StoryEvents): boolean {
    return this.#isEnabled && (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  on<K extends keyof StoryEvents>(event: K, listener: (payload: StoryEvents[K]) => unknown): () => void {
    expectOneOf("event", event, EVENTS);
    expectFunction("listener", listener);
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    // Wrapped, so that one function added twice is two listeners, each with its own way out.
    const own: Listener = (payload) => listener(payload);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** Tells all who listen now, soon; `payload` is made for each, so that none can change what another gets. */
  emit<K extends keyof StoryEvents>(event: K, payload: () => StoryEvents[K]): void {
    const listeners = this.#listeners.get(event);
    if (!this.#isEnabled || listeners === undefined) return;
    for (const listener of listeners) {
      if (this.#waiting.push(() => this.#tell(event, listener, payload)) === 1) queueMicrotask(() => this.#drain());
    }
  }

  #drain(): void {
    const due = this.#waiting;
    this.#waiting = [];
    for (const tell of due) tell();
  }

  #tell(event: string, listener: Listener, payload: () => unknown): void {
    // There is nothing to tell of a listener for errors that throws.
    const fail = (error: unknown) => {
      if (event !== "storage_error") this.emit("storage_error", () => ({ operation: `listener of ${event}`, error }));
    };
    try {
      onRejection(listener(payload() as never), fail);
    } catch (error) {
      fail(error);
    }
  }
}

import type { StoryData } from "./story.js";

/** Both sides of a story that someone else changed after the edit began. */
export interface StoryConflict {
  readonly id: string;
  readonly local: StoryData;
  /** Undefined if it was deleted. */
  readonly remote: StoryData | undefined;
  /** 0 if it was deleted. */
  readonly remoteRevision: number;
}

/**
 * How a conflict ends: `"local"` saves the local story over the remote one, which stays in the history. `"remote"` drops
 * the edit. `{ merged }` replaces both with a third story. `"keepBoth"` saves the local story under another id.
 */
export type ConflictResolution = "local" | "remote" | "keepBoth" | { readonly merged: StoryData };

/** Where a story stands. `error`: `maxRetries` attempts failed, or a conflict waits for a decision. */
export type AutosaveState = "idle" | "saving" | "saved" | "error" | "paused";

/** The events of `Autosave`, with what their listeners get. */
export interface AutosaveEvents {
  /** `savedAs` is the id of the copy if both sides were kept, else `id`; `revision` is the revision of `savedAs`. */
  readonly saved: { readonly id: string; readonly revision: number; readonly savedAs: string };
  /** An attempt failed. `attempts` counts the failed attempts in a row. */
  readonly error: { readonly id: string; readonly error: unknown; readonly attempts: number };
  /** Someone else changed the story, and `resolve` did not decide. */
  readonly conflict: StoryConflict;
}

/** What an `Autosave` has done so far. */
export interface AutosaveStats {
  /** Saves that were stored. */
  readonly saved: number;
  /** Saves that failed. */
  readonly failed: number;
  /** Saves that met a conflict. */
  readonly conflicts: number;
  /** Stories with unsaved edits. */
  readonly dirty: number;
}

import type { DefinedBackend } from "./backend.js";
import type { SearchStoriesOptions, StorySearchResult } from "./search.js";
import type { LoadedStory, StoryDraft, StoryMetadata, StoryMetadataInput } from "./story.js";

export interface SavedStory {
  readonly metadata: StoryMetadata;
  /** What `version` answers from now on. */
  readonly version: string;
  /** Whether there was no story with this key. */
  readonly isNew: boolean;
}

/** Receives a problem; returns whether it could pass the problem on. */
export type ProblemListener = (operation: string, key: string | undefined, error: unknown) => boolean;

/** A story with its metadata and history, to be stored as it is in another store. */
export interface StoryCopy {
  readonly metadata: StoryMetadata;
  readonly text: string;
  /** Earlier revisions, oldest first. */
  readonly history: readonly { readonly revision: number; readonly createdAt: Date; readonly text: string }[];
}

/** What the service works on: stories as JSON text, and a version of each that is cheap to ask for. */
export interface StoryStore {
  /**
   * Whether this is one of the built-in backends: it saves several stories in one transaction, and a TypeError or
   * RangeError always means a wrong argument.
   */
  readonly isBuiltIn: boolean;
  /** The same stories for reads that decide about a write: these reads never lag behind a write. */
  readonly current: DefinedBackend;
  /** Saves all of them, or none; a failed condition rejects with RevisionConflictError. */
  saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]>;
  loadText(key: string): Promise<LoadedStory | undefined>;
  /** Text that changes with the story, whichever process changes it; undefined if there is no story. */
  version(key: string): Promise<string | undefined>;
  /** Stores the last revision of a deleted story again, with its tags. Undefined if there is none. */
  restoreLast(key: string): Promise<SavedStory | undefined>;
  /** Stores a copy of a story: under a new key with its times, revisions and history, as far as the store can. */
  saveCopy(copy: StoryCopy): Promise<void>;
  /** Throws `WRONG_HANDLE` where a write would. Only a store with transactions has this. */
  assertOutside?(): void;
  /** These two never come between the check of a conditional save and the save. */
  delete(key: string): Promise<boolean>;
  updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined>;
  /** Only a store that can search has this. */
  searchStories?(text: string, options?: SearchStoriesOptions): Promise<StorySearchResult[]>;
  /** Reports problems to `listener` that no call can reject with. Only a store that may have such problems has this. */
  onProblem?(listener: ProblemListener): void;
}

/** A built-in backend: it implements all methods of a backend, and is its own store. */
export type TextStore = DefinedBackend & StoryStore;

import { keepText, type Repair } from "../repair.js";
import type { BackendMethod, DefinedBackend } from "./backend.js";
import { isBackendMethod, markDefined } from "./backend.js";
import type { StoryConflictFile } from "./filesystem/conflict-files.js";
import {
  expectRevision,
  type Preference,
  type StoryData,
  type StoryDraft,
  type StoryFilter,
  type StoryMetadata,
  type StoryMetadataInput,
  type StoryRevision,
  type SyncEntry,
  type SyncEntryInput,
  toDraft,
  toImport,
} from "./story.js";

export interface SavedStory {
  readonly metadata: StoryMetadata;
  /** As `version` tells it from now on. */
  readonly version: string;
  /** Whether there was no story of this key. */
  readonly isNew: boolean;
}

export interface LoadedStory {
  readonly text: string;
  readonly revision: number;
  readonly version: string;
}

/** Hears of a problem; true where it could pass it on. */
export type ProblemListener = (operation: string, key: string | undefined, error: unknown) => boolean;

/** A story with all that is known of it, to be stored as it was elsewhere. */
export interface StoryCopy {
  readonly metadata: StoryMetadata;
  readonly text: string;
  /** Earlier revisions, oldest first. */
  readonly history: readonly { readonly revision: number; readonly createdAt: Date; readonly text: string }[];
}

/** What the service works on: stories as JSON text, and a version of each that is cheap to ask for. */
export interface StoryStore {
  /** Saves all of them, or none; a failed condition rejects with RevisionConflictError. */
  saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]>;
  loadText(key: string): Promise<LoadedStory | undefined>;
  /** Text that another process's change changes too; undefined where there is no story. */
  version(key: string): Promise<string | undefined>;
  /** Stores the last revision of a deleted story again, with its tags. Undefined if there is none. */
  restoreLast(key: string): Promise<SavedStory | undefined>;
  /** These two never come between the check of a conditional save and the save. */
  delete(key: string): Promise<boolean>;
  updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined>;
}

/** What the built-in backends have in common: they keep JSON text, and do all that a backend can do. */
export abstract class TextBackend implements DefinedBackend, StoryStore {
  readonly #listeners = new Set<ProblemListener>();

  /** Applied to stories, their metadata and preferences before they are checked. */
  protected readonly repair: Repair;

  constructor(repair: Repair = keepText) {
    this.repair = repair;
    markDefined(this);
  }

  /** Has `listener` hear of problems that no call can reject with. */
  onProblem(listener: ProblemListener): void {
    this.#listeners.add(listener);
  }

  /** Whether anybody was told. */
  protected reportProblem(operation: string, key: string | undefined, error: unknown): boolean {
    let isHeard = false;
    for (const listener of this.#listeners) isHeard = listener(operation, key, error) || isHeard;
    return isHeard;
  }

  /** The same stories, with reads that see all that is stored where those of this one may lag. */
  get current(): TextBackend {
    return this;
  }

  has(method: BackendMethod): boolean {
    return isBackendMethod(method);
  }

  abstract initialize(): Promise<void>;
  abstract saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]>;
  abstract loadText(key: string): Promise<LoadedStory | undefined>;
  abstract version(key: string): Promise<string | undefined>;
  abstract restoreLast(key: string): Promise<SavedStory | undefined>;
  /** Stores a story as it was elsewhere; under a key that is new here with its times, revisions and history. */
  abstract saveCopy(copy: StoryCopy): Promise<void>;
  abstract delete(key: string): Promise<boolean>;
  abstract list(filter?: StoryFilter): Promise<StoryMetadata[]>;
  abstract getMetadata(key: string): Promise<StoryMetadata | undefined>;
  abstract updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined>;
  abstract getStorageUsage(): Promise<number>;
  abstract clear(): Promise<void>;
  abstract revisions(key: string): Promise<StoryRevision[]>;
  abstract loadRevisionText(key: string, revision: number): Promise<string | undefined>;
  abstract savePreference(key: string, preference: { readonly value: unknown; readonly scope?: string }): Promise<void>;
  abstract loadPreference(key: string): Promise<Preference | undefined>;
  abstract deletePreference(key: string): Promise<boolean>;
  abstract listPreferences(prefix?: string): Promise<string[]>;
  abstract addToSyncQueue(entry: SyncEntryInput): Promise<SyncEntry>;
  abstract getSyncQueue(): Promise<SyncEntry[]>;
  abstract removeFromSyncQueue(id: string): Promise<boolean>;
  abstract clearSyncQueue(): Promise<void>;
  abstract saveGithubToken(token: unknown): Promise<void>;
  abstract loadGithubToken(): Promise<unknown>;
  abstract deleteGithubToken(): Promise<boolean>;
  abstract conflicts(): Promise<StoryConflictFile[]>;
  abstract close(): Promise<void>;

  async save(key: string, data: StoryData, metadata?: StoryMetadataInput): Promise<StoryMetadata> {
    return this.#saveOne(toDraft(key, this.repair(data), this.repair(metadata)));
  }

  async saveIf(
    key: string,
    data: StoryData,
    metadata: StoryMetadataInput | undefined,
    expectedRevision: number,
  ): Promise<StoryMetadata> {
    return this.#saveOne(toDraft(key, this.repair(data), this.repair(metadata), expectedRevision));
  }

  async load(key: string): Promise<StoryData | undefined> {
    const loaded = await this.loadText(key);
    return loaded === undefined ? undefined : (JSON.parse(loaded.text) as StoryData);
  }

  async exists(key: string): Promise<boolean> {
    return (await this.version(key)) !== undefined;
  }

  async export(key: string): Promise<string | undefined> {
    return (await this.loadText(key))?.text;
  }

  async importData(story: string | StoryData): Promise<string> {
    const { id, data } = toImport(story);
    await this.#saveOne(toDraft(id, this.repair(data)));
    return id;
  }

  async loadRevision(key: string, revision: number): Promise<StoryData | undefined> {
    expectRevision(revision);
    const text = await this.loadRevisionText(key, revision);
    return text === undefined ? undefined : (JSON.parse(text) as StoryData);
  }

  async #saveOne(draft: StoryDraft): Promise<StoryMetadata> {
    const [saved] = await this.saveTexts([draft]);
    return saved!.metadata;
  }
}

import { StorageError } from "../../shared/errors.js";
import { expectObject } from "../../shared/expectation.js";
import { checkedAnswer, METHODS, type Method } from "./answers.js";
import type { StoryConflictFile } from "./filesystem/conflict-files.js";
import type {
  Preference,
  StoryData,
  StoryFilter,
  StoryMetadata,
  StoryMetadataInput,
  StoryRevision,
  SyncEntry,
  SyncEntryInput,
} from "./story.js";

/**
 * A store of stories: twelve required methods, and optional ones.
 *
 * A missing story is `undefined` or `false`. `storyBackendCases` of `holdfast/stories/testing` tests an implementation.
 */
export interface StoryBackend {
  /** Called before all other methods; a second call must do nothing. */
  initialize(): Promise<void>;
  /** Saves a story and replaces one with the same key; without tags, the old ones stay. */
  save(key: string, data: StoryData, metadata?: StoryMetadataInput): Promise<StoryMetadata>;
  /** A copy that the caller owns. */
  load(key: string): Promise<StoryData | undefined>;
  /** False if there is no story. */
  delete(key: string): Promise<boolean>;
  /** The most recently updated first; a story matches if it has any of the tags. Paging comes last. */
  list(filter?: StoryFilter): Promise<StoryMetadata[]>;
  /** Whether there is a story with this key. */
  exists(key: string): Promise<boolean>;
  /** The metadata of a story. */
  getMetadata(key: string): Promise<StoryMetadata | undefined>;
  /** Changes the fields given, as a new revision; undefined if there is no story. */
  updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined>;
  /** The story as JSON text. */
  export(key: string): Promise<string | undefined>;
  /** Saves a story under its own `id`, or a new one; resolves to the id. */
  importData(story: string | StoryData): Promise<string>;
  /** Bytes of the stories' JSON, without history. */
  getStorageUsage(): Promise<number>;
  /** Permanently removes everything. */
  clear(): Promise<void>;

  /** Stores a preference, and replaces one with the same key. */
  savePreference?(key: string, preference: { readonly value: unknown; readonly scope?: string }): Promise<void>;
  /** The preference with this key. */
  loadPreference?(key: string): Promise<Preference | undefined>;
  /** False if there is no preference. */
  deletePreference?(key: string): Promise<boolean>;
  /** The keys that start with `prefix`, sorted. */
  listPreferences?(prefix?: string): Promise<string[]>;

  /** Adds an entry at the end, or replaces the entry with its id in its place; resolves to the stored entry. */
  addToSyncQueue?(entry: SyncEntryInput): Promise<SyncEntry>;
  /** Oldest first. */
  getSyncQueue?(): Promise<SyncEntry[]>;
  /** False if there is no entry with this id. */
  removeFromSyncQueue?(id: string): Promise<boolean>;
  /** Removes all entries of the queue. */
  clearSyncQueue?(): Promise<void>;

  /** Any JSON value; stored encrypted. */
  saveGithubToken?(token: unknown): Promise<void>;
  /** The stored token; undefined if there is none. */
  loadGithubToken?(): Promise<unknown>;
  /** False if there is no token. */
  deleteGithubToken?(): Promise<boolean>;

  /** As `save`; rejects with `CONFLICT` and `actualRevision` unless the story is at that revision (0: does not exist). */
  saveIf?(key: string, data: StoryData, metadata: StoryMetadataInput, expectedRevision: number): Promise<StoryMetadata>;
  /** Newest first, with the current one; `delete` keeps them. */
  revisions?(key: string): Promise<StoryRevision[]>;
  /** The story as it was at this revision; undefined if the revision is not kept. */
  loadRevision?(key: string, revision: number): Promise<StoryData | undefined>;

  /** Copies that another program has put next to the stories, for example the "conflicted copy" of a sync service. */
  conflicts?(): Promise<StoryConflictFile[]>;

  /** Called once, when the service closes. */
  close?(): Promise<void>;
}

/** A backend with all methods: the ones that the implementation lacks reject with `NOT_SUPPORTED`. */
export interface DefinedBackend extends Required<StoryBackend> {
  /** Whether the implementation has this method. */
  has(method: BackendMethod): boolean;
}

/** The methods of a backend whose support `has` reports. */
export type BackendMethod = Exclude<keyof StoryBackend, "close">;

const methods: Readonly<Record<BackendMethod, Method>> = METHODS;
const NAMES = Object.keys(METHODS) as BackendMethod[];
const defined = new WeakSet<object>();

/**
 * Wraps an implementation. Throws TypeError `Backend must implement <name>() method` if a required method is missing. A
 * call rejects with `INVALID_ANSWER` if the answer does not fit the interface; the error names the backend, the method
 * and the expected answer.
 */
export function defineBackend(implementation: StoryBackend): DefinedBackend {
  expectObject("backend", implementation);
  if (defined.has(implementation)) return implementation as StoryBackend as DefinedBackend;
  const given = implementation as unknown as Record<string, unknown>;
  for (const name of NAMES) {
    if (methods[name].part !== undefined || typeof given[name] === "function") continue;
    throw new TypeError(`Backend must implement ${name}() method`);
  }
  const { name: className = "" } = (implementation.constructor ?? {}) as { name?: string };
  const label = className === "" || className === "Object" ? "backend" : className;
  const has = (name: string) => isBackendMethod(name) && typeof given[name] === "function";
  const backend: Record<string, unknown> = {
    has,
    close: async () => implementation.close?.(),
  };
  for (const name of NAMES) {
    // Each call looks the method up and calls it on the implementation, which may be a class with private fields.
    backend[name] = async (...args: unknown[]) => {
      if (has(name)) {
        const answer = await (given[name] as (...args: unknown[]) => unknown).apply(implementation, args);
        return checkedAnswer(label, name, answer);
      }
      throw new StorageError("NOT_SUPPORTED", `Backend does not support ${methods[name].part}`);
    };
  }
  markDefined(backend);
  return backend as unknown as DefinedBackend;
}

export function isBackendMethod(name: string): name is BackendMethod {
  return Object.hasOwn(METHODS, name);
}

/** Tells `defineBackend` that it has nothing to add to this backend. */
export function markDefined(backend: object): void {
  defined.add(backend);
}

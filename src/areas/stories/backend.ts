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
 * A store of stories: twelve methods that any store can implement, and more where it can do more.
 *
 * A missing story is `undefined` or `false`. `storyBackendCases` of `holdfast/stories/testing` shows whether an
 * implementation does what is asked of it.
 */
export interface StoryBackend {
  /** Makes ready; called once before anything else, again without harm. */
  initialize(): Promise<void>;
  /** Stores a story, in place of one of that key; tags that are not named stay. */
  save(key: string, data: StoryData, metadata?: StoryMetadataInput): Promise<StoryMetadata>;
  /** A copy that the caller owns. */
  load(key: string): Promise<StoryData | undefined>;
  /** False if there is none. */
  delete(key: string): Promise<boolean>;
  /** The newest updated first; tags match any of them, before paging. */
  list(filter?: StoryFilter): Promise<StoryMetadata[]>;
  exists(key: string): Promise<boolean>;
  getMetadata(key: string): Promise<StoryMetadata | undefined>;
  updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined>;
  /** The story as JSON text. */
  export(key: string): Promise<string | undefined>;
  /** Stores a story under its own `id`, or a new one; resolves to the id. */
  importData(story: string | StoryData): Promise<string>;
  /** Bytes of the stories' JSON, history aside. */
  getStorageUsage(): Promise<number>;
  /** Removes everything, for good. */
  clear(): Promise<void>;

  savePreference?(key: string, preference: { readonly value: unknown; readonly scope?: string }): Promise<void>;
  loadPreference?(key: string): Promise<Preference | undefined>;
  deletePreference?(key: string): Promise<boolean>;
  /** The keys that start with `prefix`, sorted. */
  listPreferences?(prefix?: string): Promise<string[]>;

  /** Adds an entry at the end, or replaces the one of its id where it is; resolves to what was stored. */
  addToSyncQueue?(entry: SyncEntryInput): Promise<SyncEntry>;
  /** Oldest first. */
  getSyncQueue?(): Promise<SyncEntry[]>;
  removeFromSyncQueue?(id: string): Promise<boolean>;
  clearSyncQueue?(): Promise<void>;

  /** Any JSON value; stored encrypted. */
  saveGithubToken?(token: unknown): Promise<void>;
  loadGithubToken?(): Promise<unknown>;
  deleteGithubToken?(): Promise<boolean>;

  /** As `save`; rejects with `CONFLICT` and `actualRevision` unless the story is at that revision (0: does not exist). */
  saveIf?(key: string, data: StoryData, metadata: StoryMetadataInput, expectedRevision: number): Promise<StoryMetadata>;
  /** Newest first, the present one included; they outlive `delete`. */
  revisions?(key: string): Promise<StoryRevision[]>;
  loadRevision?(key: string, revision: number): Promise<StoryData | undefined>;

  /** Copies that another program has put next to the stories, such as the "conflicted copy" of a sync service. */
  conflicts?(): Promise<StoryConflictFile[]>;

  close?(): Promise<void>;
}

/** A backend whose every method can be called: those it lacks reject with `NOT_SUPPORTED`. */
export interface DefinedBackend extends Required<StoryBackend> {
  /** Whether the implementation has this method. */
  has(method: BackendMethod): boolean;
}

export type BackendMethod = Exclude<keyof StoryBackend, "close">;

const methods: Readonly<Record<BackendMethod, Method>> = METHODS;
const NAMES = Object.keys(METHODS) as BackendMethod[];
const defined = new WeakSet<object>();

/**
 * The backend of an implementation. Throws TypeError `Backend must implement <name>() method` where a required one is
 * missing. A call whose answer is not what the interface asks for rejects with `INVALID_ANSWER`, which names backend,
 * method and what was expected.
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

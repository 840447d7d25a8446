import { StorageError } from "../../shared/errors.js";
import { describeValue, expectArray, expectFunction, expectPlainObject, toBoolean } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId } from "../arguments.js";
import { keepText, type Repair } from "../repair.js";
import { storeOf } from "./adapted-store.js";
import { type DefinedBackend, defineBackend, type StoryBackend } from "./backend.js";
import {
  type BatchLoadResult,
  type BatchSaveResult,
  errorsById,
  saveEach,
  throwIfOfTheCall,
  toDrafts,
} from "./batches.js";
import { StoryCachePool } from "./cache.js";
import { InvalidStoryError, noStory } from "./errors.js";
import type { StoryEvents } from "./events.js";
import type { StoryConflictFile } from "./filesystem/conflict-files.js";
import { StoryHub, type StoryServiceSetup, type StoryStatistics } from "./hub.js";
import {
  type ImportStoryOptions,
  type LoadStoryOptions,
  resolveStoryOptions,
  type SaveStoryOptions,
  type StoryServiceOptions,
} from "./options.js";
import type { SearchStoriesOptions, StorySearchResult } from "./search.js";
import type { SavedStory, StoryStore } from "./store.js";
import {
  expectRevision,
  type LoadedStory,
  type StoryData,
  type StoryDraft,
  type StoryFilter,
  type StoryMetadata,
  type StoryMetadataInput,
  type StoryRevision,
  toDraft,
  toFilter,
  toImport,
  toMetadataPatch,
} from "./story.js";
import { fromExport, toExport } from "./story-export.js";
import { validateStory } from "./story-versions.js";

/** Errors that answer a request of the caller and are not failures of the store. */
const ANSWERS: readonly unknown[] = ["CONFLICT", "NOT_FOUND", "NOT_SUPPORTED", "WRONG_HANDLE", "CLOSED", "INVALID"];

/** Stories as applications use them: a cache, events, statistics, batches and history on top of a backend. */
export class StoryService {
  /** The backend. The next load sees what you write to it directly, but no event reports it. */
  readonly backend: DefinedBackend;
  readonly #store: StoryStore;
  readonly #hub: StoryHub;
  readonly #afterCommit: StoryServiceSetup["afterCommit"];
  readonly #repair: Repair;
  readonly #close: () => Promise<void>;
  #isClosed = false;

  /** Wraps a backend; `openStories` opens both. Throws TypeError if the backend lacks a required method. */
  constructor(backend: StoryBackend, options: StoryServiceOptions = {}, setup?: StoryServiceSetup) {
    const { events, ...cache } = resolveStoryOptions(options);
    this.backend = defineBackend(backend);
    this.#store = storeOf(this.backend);
    this.#hub = setup?.hub ?? new StoryHub(new StoryCachePool(cache), "", events);
    this.#afterCommit = setup?.afterCommit;
    this.#repair = setup?.repair ?? keepText;
    this.#close = setup?.close ?? (() => this.backend.close());
    this.#store.onProblem?.((operation, key, error) => {
      if (!this.#hub.events.isHeard("storage_error")) return false;
      this.#emit("storage_error", () => ({ operation, ...(key === undefined ? {} : { key }), error }));
      return true;
    });
  }

  /** Initializes the backend; `openStories` does this for you. */
  async initialize(): Promise<void> {
    await this.#watch("initialize", undefined, () => this.backend.initialize());
  }

  /**
   * Saves a story and replaces one with the same id. If you give no tags, the old ones stay. A title set with
   * `updateMetadata` stays until a save brings another.
   *
   * Rejects with `CONFLICT` and `actualRevision`, and stores nothing, if the story is not at `expectedRevision`.
   */
  async saveStory(id: string, data: StoryData, options: SaveStoryOptions = {}): Promise<StoryMetadata> {
    expectKeys("saveStory", options, ["metadata", "expectedRevision", "skipCache"]);
    const { metadata, expectedRevision } = options;
    const skipCache = toBoolean("skipCache", options.skipCache);
    const draft = toDraft(id, this.#repair(data), this.#repair(metadata), expectedRevision);
    const [saved] = await this.#watch("saveStory", id, () => this.#store.saveTexts([draft]));
    this.#noteSaved(draft, saved!, skipCache);
    return saved!.metadata;
  }

  /** A copy of the story that the caller owns; undefined if there is none. */
  async loadStory<T extends object = StoryData>(id: string, options: LoadStoryOptions = {}): Promise<T | undefined> {
    expectId(id);
    expectKeys("loadStory", options, ["skipCache"]);
    const skipCache = toBoolean("skipCache", options.skipCache);
    const loaded = await this.#watch("loadStory", id, () => this.#loadText(id, skipCache));
    this.#after(({ shown }) => shown.note(id, loaded?.revision ?? 0));
    return loaded === undefined ? undefined : (JSON.parse(loaded.text) as T);
  }

  /** Resolves to false if there is no story. Its revisions stay, so that `restore` can undo this. */
  async deleteStory(id: string): Promise<boolean> {
    const isDeleted = await this.#watch("deleteStory", id, () => this.#store.delete(id));
    if (!isDeleted) return false;
    this.#after(({ cache, shown, counts, events }) => {
      cache.delete(id);
      shown.note(id, 0);
      counts.deletes++;
      events.emit("story_deleted", () => ({ id }));
    });
    return true;
  }

  /** Lists stories, the most recently updated first. */
  async listStories(filter: StoryFilter = {}): Promise<StoryMetadata[]> {
    toFilter(filter);
    return this.#watch("listStories", undefined, () => this.backend.list(filter));
  }

  /** Whether there is a story with this id. */
  async hasStory(id: string): Promise<boolean> {
    return this.#watch("hasStory", id, () => this.backend.exists(id));
  }

  /** The metadata of a story; undefined if there is none. */
  async getMetadata(id: string): Promise<StoryMetadata | undefined> {
    return this.#watch("getMetadata", id, () => this.backend.getMetadata(id));
  }

  /** Changes title or tags, as a new revision of the same story. Undefined if there is no story. */
  async updateMetadata(id: string, given: StoryMetadataInput): Promise<StoryMetadata | undefined> {
    expectId(id);
    const patch = this.#repair(given);
    toMetadataPatch(patch);
    const metadata = await this.#watch("updateMetadata", id, () => this.#store.updateMetadata(id, patch));
    if (metadata === undefined) return undefined;
    this.#after(({ cache, shown, events }) => {
      cache.delete(id);
      shown.noteMetadata(id, metadata.revision);
      events.emit("metadata_updated", () => ({ id, metadata: { ...metadata, tags: [...metadata.tags] } }));
    });
    return metadata;
  }

  /**
   * The stories of a libSQL backend that match `text` best. Takes any text, like the search of memories. Searches the
   * first 200,000 characters of each story. Rejects with `NOT_SUPPORTED` on other backends.
   */
  async searchStories(text: string, options: SearchStoriesOptions = {}): Promise<StorySearchResult[]> {
    const store = this.#store;
    if (store.searchStories !== undefined) {
      return this.#watch("searchStories", undefined, () => store.searchStories!(text, options));
    }
    throw new StorageError("NOT_SUPPORTED", "Only stories in a libSQL database can be searched: copy them to one");
  }

  /** The story as JSON text, with its tags and title in `metadata`, for `importStory`; undefined if there is none. */
  async exportStory(id: string): Promise<string | undefined> {
    return this.#watch("exportStory", id, async () => {
      const { value: text, metadata } = await readUnchanged(this.backend, id, () => this.backend.export(id));
      return text === undefined || metadata === undefined ? text : toExport(text, metadata);
    });
  }

  /**
   * Saves a story, given as JSON text or an object, under its own `id` or a new one, with the tags and title that it
   * carries; resolves to the id. Rejects with `INVALID` if it is not a JSON object. Unless `validate` is false, rejects
   * with `INVALID_STORY` and `errors` if `StoryMigrations.validate` finds it invalid.
   */
  async importStory(story: string | StoryData, options: ImportStoryOptions = {}): Promise<string> {
    expectKeys("importStory", options, ["validate"]);
    const validate = toBoolean("validate", options.validate, true);
    const { id, data: given } = toImport(story);
    const { data, metadata } = fromExport(given);
    const { valid, errors, warnings } = validateStory(data);
    if (validate && !valid) throw new InvalidStoryError(id, errors, warnings, "Nothing was stored");
    await this.saveStory(id, data, { metadata });
    return id;
  }

  /**
   * Saves several stories by id. `errors` has the stories that were not stored. With `atomic`, all stories or none are
   * stored, and the first error rejects.
   */
  async batchSave(
    stories: Readonly<Record<string, StoryData>>,
    options: { readonly atomic?: boolean | undefined } = {},
  ): Promise<BatchSaveResult> {
    expectPlainObject("stories", stories);
    expectKeys("batchSave", options, ["atomic"]);
    const atomic = toBoolean("atomic", options.atomic);
    const { drafts, errors } = toDrafts(stories, this.#repair, atomic);
    if (atomic) return { saved: await this.#saveAll(drafts), errors: {} };
    const save = (some: readonly StoryDraft[], id?: string) => this.#saveAll(some, id);
    const saved = await saveEach(drafts, errors, save, this.#store.isBuiltIn);
    return { saved, errors: errorsById(Object.keys(stories), errors) };
  }

  /** Loads several stories. A missing one is in `errors` with `NOT_FOUND`; the call does not reject because of it. */
  async batchLoad(ids: readonly string[]): Promise<BatchLoadResult> {
    expectArray("ids", ids, "ids");
    const stories = new Map<string, StoryData>();
    const errors = new Map<string, unknown>();
    for (const id of ids) {
      try {
        const story = await this.loadStory(id);
        if (story === undefined) errors.set(id, noStory(id));
        else stories.set(id, story);
      } catch (error) {
        throwIfOfTheCall(error);
        errors.set(typeof id === "string" ? id : describeValue(id), error);
      }
    }
    return { stories: Object.fromEntries(stories), errors: Object.fromEntries(errors) };
  }

  /** The kept revisions of a story, newest first, with the current one; also of a deleted story. */
  async revisions(id: string): Promise<StoryRevision[]> {
    return this.#watch("revisions", id, () => this.backend.revisions(id));
  }

  /** The story at a revision; undefined if that revision is not kept. */
  async loadRevision<T extends object = StoryData>(id: string, revision: number): Promise<T | undefined> {
    expectId(id);
    expectRevision(revision);
    return this.#watch("loadRevision", id, () => this.backend.loadRevision(id, revision)) as Promise<T | undefined>;
  }

  /** Saves an earlier revision as a new one. Rejects with `NOT_FOUND` if the story or the revision does not exist. */
  async revert(id: string, revision: number): Promise<StoryMetadata> {
    expectId(id);
    expectRevision(revision);
    const backend = this.#store.current;
    const data = await this.#watch("loadRevision", id, () => backend.loadRevision(id, revision));
    if (!(await this.#watch("hasStory", id, () => backend.exists(id)))) throw noStory(id);
    if (data !== undefined) return this.saveStory(id, data);
    throw new StorageError(
      "NOT_FOUND",
      `Story ${JSON.stringify(id)} has no revision ${revision}. See revisions(${JSON.stringify(id)})`,
    );
  }

  /** @internal A story with its metadata and its revision, which is 0 if there is none; never from a stale read. */
  async loadCurrent(id: string) {
    const { current } = this.#store;
    const read = () => readUnchanged(current, id, () => current.load(id));
    const { value: story, metadata } = await this.#watch("loadStory", id, read);
    return { story, metadata, revision: metadata?.revision ?? 0 };
  }

  /**
   * Undoes a delete: saves the last revision as a new one. Does nothing if the story exists. Rejects with `NOT_FOUND` if
   * it has no history.
   */
  async restore(id: string): Promise<StoryMetadata> {
    expectId(id);
    this.#store.assertOutside?.();
    const backend = this.#store.current;
    const present = await this.#watch("getMetadata", id, () => backend.getMetadata(id));
    if (present !== undefined) return present;
    const restored = await this.#watch("restore", id, () => this.#store.restoreLast(id));
    if (restored === undefined) throw noStory(id);
    const text = (await this.#watch("restore", id, () => storeOf(backend).loadText(id)))?.text;
    if (text !== undefined) this.#noteSaved({ key: id, text }, restored, false);
    return restored.metadata;
  }

  /**
   * Files that sync services and version control have put next to a story because both sides changed it. Read them from
   * `path`, save what you want to keep, and remove them. A database has none.
   */
  async conflicts(): Promise<StoryConflictFile[]> {
    return this.#watch("conflicts", undefined, () => this.backend.conflicts());
  }

  /** Figures of the cache and of the stored stories. */
  async getStatistics(): Promise<StoryStatistics> {
    const totalSizeBytes = await this.#watch("getStatistics", undefined, () => this.backend.getStorageUsage());
    return this.#hub.statistics(totalSizeBytes);
  }

  /** Permanently removes all stories with their history, and all that the backend keeps next to them. */
  async clear(): Promise<void> {
    await this.#watch("clear", undefined, () => this.backend.clear());
    this.#after(({ cache, shown, events }) => {
      cache.clear();
      shown.clear();
      events.emit("storage_cleared", () => ({}));
    });
  }

  /** Adds a listener for events of this process; the returned function removes it. Events arrive in order. */
  on<K extends keyof StoryEvents>(event: K, listener: (payload: StoryEvents[K]) => unknown): () => void {
    return this.#hub.on(event, listener);
  }

  /** @internal The revision that this service loaded or saved last; 0: no story, undefined: not known. */
  shownRevision(id: string): number | undefined {
    return this.#hub.shown.get(id);
  }

  /** @internal Runs `flush` before the service closes; the returned function cancels this. */
  onClose(flush: () => Promise<void>): () => void {
    expectFunction("flush", flush);
    return this.#hub.onClose(flush);
  }

  /** Saves the edits of an Autosave, then closes what this service has opened. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.#hub.flush();
    if (this.#close === keepOpen) return;
    this.#isClosed = true;
    this.#hub.cache.clear();
    await this.#close();
  }

  /** Calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #loadText(id: string, skipCache: boolean): Promise<LoadedStory | undefined> {
    const { cache, counts } = this.#hub;
    const mayUseCache = this.#afterCommit === undefined && !skipCache;
    const cached = mayUseCache ? cache.get(id) : undefined;
    if (cached !== undefined) {
      if ((await this.#store.version(id)) === cached.version) {
        counts.cacheHits++;
        this.#emit("story_loaded", () => ({ id, fromCache: true }));
        return cached;
      }
      cache.delete(id);
    }
    const loaded = await this.#store.loadText(id);
    this.#after(({ counts: shared }) => {
      shared.cacheMisses++;
      shared.loads++;
    });
    if (loaded === undefined) return undefined;
    if (mayUseCache) cache.set(id, loaded);
    this.#emit("story_loaded", () => ({ id, fromCache: false }));
    return loaded;
  }

  async #saveAll(drafts: readonly StoryDraft[], id?: string): Promise<number> {
    if (drafts.length === 0) return 0;
    const saved = await this.#watch("batchSave", id, () => this.#store.saveTexts(drafts));
    for (const [index, one] of saved.entries()) this.#noteSaved(drafts[index]!, one, false);
    return saved.length;
  }

  #noteSaved({ key: id, text }: Pick<StoryDraft, "key" | "text">, saved: SavedStory, skipCache: boolean): void {
    const isInTransaction = this.#afterCommit !== undefined;
    this.#after(({ cache, shown, counts, events }) => {
      counts.saves++;
      const { revision } = saved.metadata;
      shown.note(id, revision);
      if (skipCache || isInTransaction) cache.delete(id);
      else cache.set(id, { text, revision, version: saved.version });
      const { isNew } = saved;
      events.emit("story_saved", () => ({ id, data: JSON.parse(text) as StoryData, isNew }));
      events.emit(isNew ? "story_created" : "story_updated", () => ({ id }));
    });
  }

  #emit<K extends keyof StoryEvents>(event: K, payload: () => StoryEvents[K]): void {
    this.#after(({ events }) => events.emit(event, payload));
  }

  /** Runs `task` now, or after the transaction has committed. */
  #after(task: (hub: StoryHub) => void): void {
    if (this.#afterCommit === undefined) task(this.#hub);
    else this.#afterCommit(() => task(this.#hub));
  }

  async #watch<T>(operation: string, key: string | undefined, work: () => Promise<T>): Promise<T> {
    if (key !== undefined) expectId(key);
    this.#assertOpen();
    try {
      return await work();
    } catch (error) {
      // A backend of the caller may fail with these too: a failed `fetch` throws a TypeError.
      const isMisuse = this.#store.isBuiltIn && (error instanceof TypeError || error instanceof RangeError);
      const isFailure = !isMisuse && !ANSWERS.includes((error as { code?: unknown } | undefined)?.code);
      if (isFailure) this.#emit("storage_error", () => ({ operation, ...(key === undefined ? {} : { key }), error }));
      throw error;
    }
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new StorageError("CLOSED", "This story service is closed: open another one");
  }
}

/** @internal For a service that owns nothing: `close` only flushes, and the service stays usable. */
export async function keepOpen(): Promise<void> {}

/** Reads a story together with its metadata: again if it was changed in between. */
async function readUnchanged<T>(backend: DefinedBackend, id: string, read: () => Promise<T>) {
  for (;;) {
    const before = await backend.getMetadata(id);
    const value = await read();
    const metadata = await backend.getMetadata(id);
    if (before?.revision === metadata?.revision) return { value, metadata };
  }
}

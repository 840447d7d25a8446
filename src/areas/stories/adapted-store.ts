import { Turn } from "../../shared/turn.js";
import type { DefinedBackend } from "./backend.js";
import { RevisionConflictError } from "./errors.js";
import type { SavedStory, StoryCopy, StoryStore, TextStore } from "./store.js";
import {
  type LoadedStory,
  type StoryData,
  type StoryDraft,
  type StoryMetadata,
  type StoryMetadataInput,
  toJson,
} from "./story.js";

/** The store of a backend: a built-in backend itself, any other through an adapter. */
export function storeOf(backend: DefinedBackend): StoryStore {
  return "saveTexts" in backend ? (backend as TextStore) : new AdaptedStore(backend);
}

/** Makes a store of any backend. Work that the backend cannot do atomically is serialized within this process. */
class AdaptedStore implements StoryStore {
  readonly isBuiltIn = false;
  readonly #backend: DefinedBackend;
  /** Of the keys in use. */
  readonly #turns = new Map<string, Turn>();

  constructor(backend: DefinedBackend) {
    this.#backend = backend;
  }

  get current(): DefinedBackend {
    return this.#backend;
  }

  /** Saves one after the other. A backend has no transactions, so a failure undoes the saves before it. */
  async saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]> {
    if (drafts.length === 1) return [await this.#inTurn(drafts[0]!.key, () => this.#save(drafts[0]!))];
    const done: SavedStory[] = [];
    const undo: (() => Promise<unknown>)[] = [];
    try {
      for (const draft of drafts) {
        const { key } = draft;
        const before = await this.#backend.load(key);
        const metadata = before === undefined ? undefined : await this.#backend.getMetadata(key);
        done.push(await this.#inTurn(key, () => this.#save(draft)));
        undo.push(async () =>
          before === undefined || metadata === undefined
            ? this.#backend.delete(key)
            : this.#backend.save(key, before, { title: metadata.title, tags: metadata.tags }),
        );
      }
    } catch (error) {
      // If this fails too, the save stays; the caller needs the first error.
      for (const step of undo.reverse()) await step().catch(() => undefined);
      throw error;
    }
    return done;
  }

  async loadText(key: string): Promise<LoadedStory | undefined> {
    // Metadata first: if the story changes before it is loaded, the next check finds another version.
    const metadata = await this.#backend.getMetadata(key);
    if (metadata === undefined) return undefined;
    const data = await this.#backend.load(key);
    if (data === undefined) return undefined;
    return { text: toJson("data", data), revision: metadata.revision, version: versionOf(metadata) };
  }

  async version(key: string): Promise<string | undefined> {
    const metadata = await this.#backend.getMetadata(key);
    return metadata === undefined ? undefined : versionOf(metadata);
  }

  async restoreLast(key: string): Promise<SavedStory | undefined> {
    const [last] = await this.#backend.revisions(key);
    if (last === undefined) return undefined;
    const data = await this.#backend.loadRevision(key, last.revision);
    if (data === undefined) return undefined;
    const metadata = await this.#inTurn(key, () => this.#saveIf(key, data, {}, 0));
    return { metadata, version: versionOf(metadata), isNew: true };
  }

  /** A backend that does not store times ignores them. */
  async saveCopy({ metadata, text }: StoryCopy): Promise<void> {
    const { id, title, tags, createdAt, updatedAt } = metadata;
    const input: StoryMetadataInput & Partial<StoryMetadata> = { title, tags, createdAt, updatedAt };
    await this.#backend.save(id, JSON.parse(text), input);
  }

  delete(key: string): Promise<boolean> {
    return this.#inTurn(key, () => this.#backend.delete(key));
  }

  updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined> {
    return this.#inTurn(key, () => this.#backend.updateMetadata(key, patch));
  }

  async #save({ key, text, ownTitle, tags, expectedRevision }: StoryDraft): Promise<SavedStory> {
    const data = JSON.parse(text) as StoryData;
    const named = {
      ...(ownTitle === undefined ? {} : { title: ownTitle }),
      ...(tags === undefined ? {} : { tags }),
    };
    const isNew = !(await this.#backend.exists(key));
    const metadata =
      expectedRevision === undefined
        ? await this.#backend.save(key, data, named)
        : await this.#saveIf(key, data, named, expectedRevision);
    return { metadata, version: versionOf(metadata), isNew };
  }

  async #saveIf(
    key: string,
    data: StoryData,
    named: { title?: string; tags?: readonly string[] },
    expectedRevision: number,
  ): Promise<StoryMetadata> {
    if (this.#backend.has("saveIf")) return this.#backend.saveIf(key, data, named, expectedRevision);
    const actual = (await this.#backend.getMetadata(key))?.revision ?? 0;
    if (actual !== expectedRevision) throw new RevisionConflictError(key, expectedRevision, actual);
    return this.#backend.save(key, data, named);
  }

  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(key) ?? new Turn();
    this.#turns.set(key, turn);
    try {
      return await turn.run(work);
    } finally {
      if (turn.activeCount === 0) this.#turns.delete(key);
    }
  }
}

/** With the times, because a backend may count from 1 again after a delete. */
function versionOf({ revision, createdAt, updatedAt, size }: StoryMetadata): string {
  return `${revision}:${Number(createdAt)}:${Number(updatedAt)}:${size}`;
}

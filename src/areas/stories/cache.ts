import { LruCache } from "../../shared/lru-cache.js";
import type { LoadedStory } from "./story.js";

interface Entry extends LoadedStory {
  readonly owner: StoryCache;
}

export interface StoryCacheOptions {
  /** The most stories in memory. */
  readonly cacheSize: number;
  /** The most bytes that the texts may take in memory. */
  readonly cacheBytes: number;
}

/** One memory budget for the caches of several projects; it evicts the least recently used story of all of them. */
export class StoryCachePool {
  readonly options: StoryCacheOptions;
  readonly entries: LruCache<Entry> | undefined;
  /** The map that the `ShownRevisions` of all projects share. */
  readonly shownRevisions = new Map<string, number>();

  constructor(options: StoryCacheOptions) {
    this.options = options;
    const { cacheSize, cacheBytes } = options;
    if (cacheSize === 0 || cacheBytes === 0) return;
    this.entries = new LruCache<Entry>({
      max: cacheSize,
      maxSize: cacheBytes,
      // A string takes up to two bytes a character.
      sizeOf: ({ text }, key) => 2 * (text.length + key.length) + 100,
      onRemove: ({ owner }) => owner.forgetOne(),
    });
  }
}

/** The cached stories of one project, as text: each load gets its own copy. */
export class StoryCache {
  readonly #pool: StoryCachePool;
  readonly #prefix: string;
  #size = 0;

  constructor(pool: StoryCachePool, project: string) {
    this.#pool = pool;
    this.#prefix = `${JSON.stringify(project)}:`;
  }

  get size(): number {
    return this.#size;
  }

  get maxSize(): number {
    return this.#pool.options.cacheSize;
  }

  /** Marks the story as most recently used. */
  get(id: string): LoadedStory | undefined {
    return this.#pool.entries?.get(this.#prefix + id);
  }

  set(id: string, { text, revision, version }: LoadedStory): void {
    const { entries } = this.#pool;
    if (entries === undefined) return;
    const key = this.#prefix + id;
    entries.delete(key);
    entries.set(key, { text, revision, version, owner: this });
    if (entries.has(key)) this.#size++;
  }

  delete(id: string): void {
    this.#pool.entries?.delete(this.#prefix + id);
  }

  clear(): void {
    for (const key of [...(this.#pool.entries?.keys() ?? [])]) {
      if (key.startsWith(this.#prefix)) this.#pool.entries?.delete(key);
    }
  }

  /** @internal The pool calls this for each story that it removes. */
  forgetOne(): void {
    this.#size--;
  }
}

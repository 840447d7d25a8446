import { LRUCache } from "lru-cache";

/** A story as it was when `version` was asked for. */
export interface CachedStory {
  readonly text: string;
  readonly revision: number;
  readonly version: string;
}

interface Entry extends CachedStory {
  readonly owner: StoryCache;
}

export interface StoryCacheOptions {
  /** Stories kept at most. */
  readonly cacheSize: number;
  /** Bytes kept at most, as the texts take them in memory. */
  readonly cacheBytes: number;
}

/** One budget of memory for the caches of several projects; the story unused for longest goes first, whosever it is. */
export class StoryCachePool {
  readonly options: StoryCacheOptions;
  readonly entries: LRUCache<string, Entry> | undefined;
  /** What `ShownRevisions` of all projects share. */
  readonly shownRevisions = new Map<string, number>();

  constructor(options: StoryCacheOptions) {
    this.options = options;
    const { cacheSize, cacheBytes } = options;
    if (cacheSize === 0 || cacheBytes === 0) return;
    this.entries = new LRUCache<string, Entry>({
      ...(cacheSize === Number.POSITIVE_INFINITY ? {} : { max: cacheSize }),
      // A string takes up to two bytes a character; a limit is needed where `max` is none.
      maxSize: Math.min(cacheBytes, Number.MAX_SAFE_INTEGER),
      sizeCalculation: ({ text }, key) => 2 * (text.length + key.length) + 100,
      dispose: ({ owner }) => owner.forgetOne(),
    });
  }
}

/** The stories of one project that are kept in memory, as text: each load gets its own copy. */
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

  /** Makes the story the one used last. */
  get(id: string): CachedStory | undefined {
    return this.#pool.entries?.get(this.#prefix + id);
  }

  set(id: string, { text, revision, version }: CachedStory): void {
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

  /** @internal Called by the pool for each story that leaves it. */
  forgetOne(): void {
    this.#size--;
  }
}

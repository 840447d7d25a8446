import type { Repair } from "../repair.js";
import { StoryCache, type StoryCacheOptions, StoryCachePool } from "./cache.js";
import { StoryEventHub, type StoryEvents } from "./events.js";
import { ShownRevisions } from "./shown-revisions.js";

/** Counts since the service was opened. */
export interface StoryStatistics {
  readonly saves: number;
  /** Loads from the backend. */
  readonly loads: number;
  readonly deletes: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  /** The share of loads that the cache answered, 0 to 1. */
  readonly cacheHitRate: number;
  /** Stories in memory now. */
  readonly cacheSize: number;
  readonly cacheMaxSize: number;
  /** Bytes of the stories' JSON, without history. */
  readonly totalSizeBytes: number;
}

/** What all handles on the stories of one project share, including handles in transactions. */
export class StoryHub {
  readonly cache: StoryCache;
  readonly shown: ShownRevisions;
  readonly events: StoryEventHub;
  readonly counts = { saves: 0, loads: 0, deletes: 0, cacheHits: 0, cacheMisses: 0 };
  readonly #flushes = new Set<() => Promise<void>>();
  readonly #hubsInUse: Set<StoryHub>;

  constructor(pool: StoryCachePool, project: string, events: boolean, hubsInUse = new Set<StoryHub>()) {
    this.cache = new StoryCache(pool, project);
    this.shown = new ShownRevisions(pool.shownRevisions, project);
    this.events = new StoryEventHub(events);
    this.#hubsInUse = hubsInUse;
  }

  on<K extends keyof StoryEvents>(event: K, listener: (payload: StoryEvents[K]) => unknown): () => void {
    const off = this.events.on(event, listener);
    this.#noteUse();
    return () => {
      off();
      this.#noteUse();
    };
  }

  /** Runs `flush` before the stories are closed; the returned function cancels this. */
  onClose(flush: () => Promise<void>): () => void {
    this.#flushes.add(flush);
    this.#noteUse();
    return () => {
      this.#flushes.delete(flush);
      this.#noteUse();
    };
  }

  statistics(totalSizeBytes: number): StoryStatistics {
    const { counts, cache } = this;
    const asked = counts.cacheHits + counts.cacheMisses;
    const cacheHitRate = asked === 0 ? 0 : counts.cacheHits / asked;
    return { ...counts, cacheHitRate, cacheSize: cache.size, cacheMaxSize: cache.maxSize, totalSizeBytes };
  }

  get hasWork(): boolean {
    return this.#flushes.size > 0;
  }

  async flush(): Promise<void> {
    for (const flush of [...this.#flushes]) await flush();
  }

  #noteUse(): void {
    if (this.#flushes.size > 0 || !this.events.isEmpty) this.#hubsInUse.add(this);
    else this.#hubsInUse.delete(this);
  }
}

/** @internal How a storage uses a service. */
export interface StoryServiceSetup {
  readonly hub?: StoryHub | undefined;
  /** In a transaction: runs a task after COMMIT. The service then caches nothing. */
  readonly afterCommit?: ((task: () => void) => void) | undefined;
  readonly close?: (() => Promise<void>) | undefined;
  /** Applied to stories and their metadata before they are checked. */
  readonly repair?: Repair | undefined;
}

/** The hubs of a storage by project; a hub stays while it is in use, has listeners or has work to flush. */
export class StoryHubs {
  readonly #pool: StoryCachePool;
  readonly #events: boolean;
  readonly #hubs = new Map<string, WeakRef<StoryHub>>();
  readonly #inUse = new Set<StoryHub>();
  #sweepAt = 1000;

  constructor({ events, ...cache }: StoryCacheOptions & { readonly events: boolean }) {
    this.#pool = new StoryCachePool(cache);
    this.#events = events;
  }

  get(project: string): StoryHub {
    const known = this.#hubs.get(project)?.deref();
    if (known !== undefined) return known;
    const hub = new StoryHub(this.#pool, project, this.#events, this.#inUse);
    this.#hubs.set(project, new WeakRef(hub));
    if (this.#hubs.size > this.#sweepAt) {
      for (const [name, ref] of this.#hubs) if (ref.deref() === undefined) this.#hubs.delete(name);
      this.#sweepAt = 1000 + 2 * this.#hubs.size;
    }
    return hub;
  }

  /** Saves the edits of all Autosaves; undefined if there are none. */
  flush(): Promise<void> | undefined {
    const due = [...this.#inUse].filter((hub) => hub.hasWork);
    return due.length === 0 ? undefined : Promise.all(due.map((hub) => hub.flush())).then(() => undefined);
  }
}

/** The bounds of a cache. */
interface LruCacheOptions<Value> {
  /** The most entries. @default Infinity */
  readonly max?: number;
  /** The most that all entries may measure by `sizeOf`. A larger one is not kept. @default Infinity */
  readonly maxSize?: number;
  readonly sizeOf?: (value: Value, key: string) => number;
  /** Called for each entry that leaves, with whether the bounds were the reason. */
  readonly onRemove?: (value: Value, isEvicted: boolean) => void;
}

interface Entry<Value> {
  readonly value: Value;
  readonly size: number;
}

/** A map within bounds: the least recently used entry leaves first. */
export class LruCache<Value> {
  /** In the order of last use, because a map iterates in the order of insertion. */
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #options: LruCacheOptions<Value>;
  readonly #max: number;
  readonly #maxSize: number;
  #totalSize = 0;
  /** The most recently used key, if known: asking for it again moves nothing. */
  #newest: string | undefined;

  constructor(options: LruCacheOptions<Value>) {
    this.#options = options;
    this.#max = options.max ?? Number.POSITIVE_INFINITY;
    this.#maxSize = options.maxSize ?? Number.POSITIVE_INFINITY;
  }

  /** The number of entries. */
  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  keys(): MapIterator<string> {
    return this.#entries.keys();
  }

  /** Marks the entry as most recently used. */
  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (key !== this.#newest) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      this.#newest = key;
    }
    return entry.value;
  }

  set(key: string, value: Value): void {
    this.delete(key);
    const size = this.#options.sizeOf?.(value, key) ?? 0;
    if (size > this.#maxSize) return;
    this.#entries.set(key, { value, size });
    this.#newest = key;
    this.#totalSize += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max && this.#totalSize <= this.#maxSize) return;
      this.#remove(oldest, true);
    }
  }

  delete(key: string): void {
    this.#remove(key, false);
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.#remove(key, false);
  }

  #remove(key: string, isEvicted: boolean): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#totalSize -= entry.size;
    if (key === this.#newest) this.#newest = undefined;
    this.#options.onRemove?.(entry.value, isEvicted);
  }
}

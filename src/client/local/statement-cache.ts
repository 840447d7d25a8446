import { LruCache } from "../../shared/lru-cache.js";
import type { RowMaker } from "../sql/rows.js";
import type { NativeStatement } from "./native.js";

/**
 * How a prepared statement is run. The binding's `get` is not among them: it does not reset before it binds, and it
 * cannot say whether there was a second row. `single-row.ts` prepares a separate form for it.
 */
export type StatementMethod = "all" | "run" | "exec";

export interface CachedStatement {
  readonly native: NativeStatement;
  readonly method: StatementMethod;
  columns: string[];
  columnTypes: string[];
  makeRow: RowMaker;
  /** Calls so far, counted up to the one that looks whether there is a `singleRow`. */
  uses: number;
  /** The form of a look-up by key that `get` can run. */
  singleRow: NativeStatement | undefined;
  /** The schema for which the columns behind a `*` hold. */
  schemaVersion: number;
  /** The count of rollbacks up to which they hold. */
  rollbacks: number;
}

/** Figures of a statement cache since it was made. */
export interface StatementCacheStats {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  /** Statements held now. */
  readonly size: number;
  /** Hits among all look-ups, 0 to 1; 0 before the first. */
  readonly hitRate: number;
}

/**
 * The prepared statements of one connection, by SQL text; the least recently used one goes first.
 *
 * A statement that threw must be deleted: its state is then unknown.
 */
export class StatementCache {
  readonly #statements: LruCache<CachedStatement>;
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(options: { readonly max: number }) {
    this.#statements = new LruCache<CachedStatement>({
      max: options.max,
      onRemove: (_statement, isEvicted) => {
        if (isEvicted) this.#evictions++;
      },
    });
  }

  /** The statement for `sql`, prepared with `prepare` where there is none yet. */
  getOrPrepare(sql: string, prepare: () => CachedStatement): CachedStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#hits++;
      return known;
    }
    this.#misses++;
    const statement = prepare();
    this.#statements.set(sql, statement);
    return statement;
  }

  /** Removes the statement for `sql`. */
  delete(sql: string): void {
    this.#statements.delete(sql);
  }

  /** Removes all statements. */
  clear(): void {
    this.#statements.clear();
  }

  /** Figures since the cache was made. */
  stats(): StatementCacheStats {
    const lookups = this.#hits + this.#misses;
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      size: this.#statements.size,
      hitRate: lookups === 0 ? 0 : this.#hits / lookups,
    };
  }
}

/** The figures of several caches as one. */
export function sumStatementStats(all: readonly StatementCacheStats[]): StatementCacheStats {
  const sum = { hits: 0, misses: 0, evictions: 0, size: 0 };
  for (const stats of all) {
    sum.hits += stats.hits;
    sum.misses += stats.misses;
    sum.evictions += stats.evictions;
    sum.size += stats.size;
  }
  const lookups = sum.hits + sum.misses;
  return { ...sum, hitRate: lookups === 0 ? 0 : sum.hits / lookups };
}

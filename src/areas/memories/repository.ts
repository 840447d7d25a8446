import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { memories } from "../../schema/memories.js";
import type { QueryPlan } from "../../search/query.js";
import { searchScope, toGiven, toSearchTextInSlices } from "../../search/terms.js";
import { StorageError } from "../../shared/errors.js";
import { toBoolean } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { definedOnly, expectId, expectLimit, toSqlLimit } from "../arguments.js";
import type { BatchOptions } from "../batch.js";
import { type ChangeAction, type RepositoryContext, removing } from "../context.js";
import { decodeCursor, encodeCursor, type Page, toPage } from "../cursor.js";
import { type Executor, finishing, scalar } from "../executor.js";
import type { Metadata } from "../metadata.js";
import { hasMoved, withoutLock } from "../optimistic.js";
import { forStored } from "../repair.js";
import { announce, notFound, readMany, runAll } from "../repository.js";
import { all, toStatement } from "../statements.js";
import { insertMemories } from "./batch.js";
import {
  dropModel,
  type EmbeddingSelector,
  embedMemories,
  namingDimensions,
  type ReembedFunction,
  type ReembedOptions,
  type ReembedResult,
  storeEmbedding,
  unembedded,
} from "./embeddings.js";
import { FILTER_KEYS, filterConditions, type MemoryFilter } from "./filter.js";
import {
  at,
  columns,
  createdThen,
  draftToMemory,
  isLong,
  MEMORY_KEYS,
  type Memory,
  type MemoryDraft,
  type MemoryInput,
  type MemoryPatch,
  memoriesWithVector,
  toDraft,
  toMemory,
  withLongTerms,
} from "./record.js";
import {
  MEMORY_TARGET,
  type NearestOptions,
  type NearMemory,
  nearestMemories,
  type RankedRow,
  type RankOptions,
  rankMemories,
  readRows,
  type SearchOptions,
  type SearchResult,
  searchMemories,
} from "./search.js";
import {
  assertStill,
  forUpdate,
  insertStatements,
  isLive,
  newestFirst,
  removeStatements,
  replaceStatements,
  selectForUpdate,
  selectMany,
  selectOne,
  softDelete,
  undelete,
} from "./statements.js";
import { findDuplicates, type MemoryStats, readStats } from "./stats.js";
import { readTimeline, type TimelineOptions } from "./timeline.js";

/** Which memories, and how many. */
export interface ListMemoriesOptions<M extends object = Metadata> extends MemoryFilter<M> {
  /** The most memories of a page. @default 50 */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

const m = memories;

/** The memories of one project. Nothing of another project can be read or changed through it. */
export class MemoryRepository<M extends object = Metadata> {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /**
   * The same repository, whose memories have metadata of the type `Shape`. If it has required keys, a new memory needs
   * `metadata`. Only the compiler knows the type: nothing checks stored metadata, and a memory that was inserted without
   * metadata has `{}`.
   *
   * @example
   * const notes = storage.memories.withMetadata<{ file: string; line?: number }>();
   */
  withMetadata<Shape extends object>(): MemoryRepository<Shape> {
    return this as unknown as MemoryRepository<Shape>;
  }

  /**
   * Stores a memory, and resolves to the stored record. Rejects with `CONFLICT` if the project has its id already, deleted
   * or not, and with `DIMENSION_MISMATCH` if the stored vectors of its model and version have another length.
   */
  async insert(input: MemoryInput<M>): Promise<Memory<M>> {
    const draft = toDraft(this.#context, input);
    if (!isLong(draft)) return this.#insert(draft);
    const { executor, project } = this.#context;
    return finishing(executor, async () => this.#insert(await withLongTerms(project, draft)));
  }

  async #insert(draft: MemoryDraft): Promise<Memory<M>> {
    const { executor, indexer } = this.#context;
    const before = draft.searchText === undefined ? indexer?.defer(MEMORY_TARGET) : undefined;
    const statements = [...(before ?? []), ...insertStatements(this.#context, draft, before !== undefined)];
    await namingDimensions(this.#context, draft.embedding, () => runAll(executor, statements));
    if (before !== undefined) indexer?.stored(MEMORY_TARGET);
    this.#announce("insert", [draft.id]);
    return draftToMemory(this.#context.project, draft);
  }

  /**
   * Stores all of them, or none; an error about one of them has its `index` and `id`. With `onConflict`, a taken id is
   * not an error, and the result holds the stored memories, in the order of `inputs`.
   */
  insertMany(inputs: readonly MemoryInput<M>[], options: BatchOptions = {}): Promise<Memory<M>[]> {
    return insertMemories(this.#context, inputs, options) as Promise<Memory<M>[]>;
  }

  /**
   * Stores a memory under `id`, in place of the one there, whose `createdAt` stays; a deleted one is revived. Rejects with
   * `DIMENSION_MISMATCH` as `insert` does.
   */
  async put(id: string, input: MemoryInput<M>): Promise<Memory<M>> {
    expectId(id);
    const draft = toDraft(this.#context, input, id);
    const { executor, project } = this.#context;
    return finishing(executor, async () => this.#put(id, await withLongTerms(project, draft)));
  }

  async #put(id: string, draft: MemoryDraft): Promise<Memory<M>> {
    const attempt = async (executor: Executor) => {
      const known = await this.#find(executor, id);
      if (known === undefined) {
        await executor.batch(insertStatements(this.#context, draft));
        return { action: "insert", draft } as const;
      }
      const createdAt = known.createdAt.getTime();
      const replacement = createdThen(draft, known.createdAt);
      const isStill = assertStill(this.#context, id, sql`${m.createdAt} = ${createdAt}`);
      await executor.batch([isStill, ...replaceStatements(this.#context, replacement, { dropsVectors: true })]);
      return { action: "update", draft: replacement } as const;
    };
    const isLost = (error: unknown) => hasMoved(error) || isIdTaken(error);
    const stored = await namingDimensions(this.#context, draft.embedding, () =>
      withoutLock(this.#context.executor, attempt, isLost),
    );
    this.#announce(stored.action, [id]);
    return draftToMemory(this.#context.project, stored.draft);
  }

  /**
   * The memory with this id; undefined if there is none. A deleted memory is undefined too, unless `includeDeleted` is
   * set.
   */
  async get(id: string, options: { readonly includeDeleted?: boolean } = {}): Promise<Memory<M> | undefined> {
    expectId(id);
    expectKeys("get", options, ["includeDeleted"]);
    const includeDeleted = toBoolean("includeDeleted", options.includeDeleted);
    const memory = await this.#find(this.#context.executor, id);
    return memory?.deletedAt === null || includeDeleted ? memory : undefined;
  }

  /** The memories that exist among `ids`, in the order of `ids`. */
  getMany(ids: readonly string[]): Promise<Memory<M>[]> {
    return readMany(this.#context, ids, selectMany, (row) => toMemory(this.#context.project, row));
  }

  /** The memory with this id. Rejects with `NOT_FOUND` if `get` would find nothing. */
  async require(id: string): Promise<Memory<M>> {
    return (await this.get(id)) ?? Promise.reject(notFound(this.#context, "memory", id));
  }

  /** The one memory whose id starts with `idPrefix`; undefined for less than 4 characters, none, or several. */
  async find(idPrefix: string): Promise<Memory<M> | undefined> {
    expectId(idPrefix, "idPrefix");
    if (idPrefix.length < 4) return undefined;
    // No character sorts after U+10FFFF, so this bounds all continuations.
    const { project, executor } = this.#context;
    const { rows } = await executor.execute(
      toStatement(sql`select ${columns} from ${memoriesWithVector} where ${m.project} = ${project} and ${isLive}
        and ${m.id} >= ${idPrefix} and ${m.id} < ${`${idPrefix}\u{10FFFF}`} limit 2`),
    );
    return rows.length === 1 ? toMemory(project, rows[0]!) : undefined;
  }

  /**
   * A page of memories, newest first; of equal times the one inserted last comes first. Pass its `nextCursor` as `cursor`
   * to get the next page; it is undefined on the last one.
   */
  async list(options: ListMemoriesOptions<M> = {}): Promise<Page<Memory<M>>> {
    expectKeys("list", options, [...FILTER_KEYS, "limit", "cursor"]);
    const { limit = 50, cursor, ...filter } = options;
    expectLimit(limit);
    const { project, executor } = this.#context;
    const conditions = filterConditions(project, filter as MemoryFilter);
    if (cursor !== undefined) {
      const { key, rowId } = decodeCursor("memories", cursor);
      conditions.push(sql`(${m.createdAt}, ${m.rowId}) < (${key}, ${rowId})`);
    }
    const { rows } = await executor.execute(
      toStatement(sql`select ${columns} from ${memoriesWithVector} where ${all(conditions)}
        order by ${newestFirst} limit ${toSqlLimit(limit + 1)}`),
    );
    const cursorOf = (row: Row) =>
      encodeCursor("memories", { key: Number(row[at.createdAt]), rowId: Number(row[at.rowId]) });
    return toPage(rows, limit, (row) => toMemory(project, row), cursorOf);
  }

  /**
   * Changes the fields given, `metadata` as a whole, and resolves to the new record; undefined when unknown or deleted. New content without a
   * vector drops the old ones. Rejects with `DIMENSION_MISMATCH` as `insert` does.
   */
  async update(id: string, patch: MemoryPatch<M>): Promise<Memory<M> | undefined> {
    expectId(id);
    expectKeys("a patch", patch, MEMORY_KEYS);
    // Checked before any work starts. Values that the patch leaves out come from the row.
    const { embedding: given } = toDraft(this.#context, { content: "-", ...definedOnly(patch) }, id);
    const { project } = this.#context;
    const attempt = async (executor: Executor) => {
      const row = (await executor.execute(selectForUpdate({ project, id }))).rows[0];
      const known = row === undefined ? undefined : toMemory(project, row);
      if (row === undefined || known === undefined || known.deletedAt !== null) return undefined;
      const { embedding, embeddingModel, embeddingVersion, ...rest } = known;
      const changes = definedOnly(patch);
      // Stored content may be longer than a limit that was lowered since, or hold text that is refused now.
      const repair = forStored(this.#context.repair);
      const unlimited = { ...this.#context, repair, maxContentChars: Number.POSITIVE_INFINITY };
      const changed = toDraft(unlimited, { ...rest, ...changes }, id);
      const keepsContent = changed.content === known.content;
      const draft = keepsContent ? changed : await withLongTerms(project, changed);
      const dropsVectors = !keepsContent || changes.embedding === null;
      const checksum = row[forUpdate.at.checksum];
      const isStill = assertStill(this.#context, id, sql`${m.deletedAt} is null and ${m.checksum} = ${checksum}`);
      await executor.batch([isStill, ...replaceStatements(this.#context, draft, { dropsVectors, keepsContent })]);
      const kept = dropsVectors || draft.embedding !== undefined ? {} : { embedding, embeddingModel, embeddingVersion };
      return { ...draftToMemory<M>(project, draft), ...kept };
    };
    const updated = await namingDimensions(this.#context, given, () =>
      withoutLock(this.#context.executor, attempt, hasMoved),
    );
    if (updated !== undefined) this.#announce("update", [id]);
    return updated;
  }

  /** Hides a memory from every call but `restore`, `purge` and `get` with `includeDeleted`. False if there is none. */
  async delete(id: string): Promise<boolean> {
    expectId(id);
    const { project, executor, now } = this.#context;
    const { rowsAffected } = await executor.execute(softDelete({ project, id, now: now() }));
    if (rowsAffected > 0) this.#announce("delete", [id]);
    return rowsAffected > 0;
  }

  /** Undoes `delete`. False if there is no deleted memory of this id. */
  async restore(id: string): Promise<boolean> {
    expectId(id);
    const { project, now } = this.#context;
    this.#context.executor.assertOutside?.();
    const attempt = async (executor: Executor, isLocked = false): Promise<boolean> => {
      const known = await this.#find(executor, id);
      if (known === undefined || known.deletedAt === null) {
        // The read may have been stale.
        return !isLocked && executor.mayLag === true && executor.atomically((locked) => attempt(locked, true));
      }
      const searchText = toGiven(await toSearchTextInSlices(known.content, searchScope(project)));
      // The content that was read, which another program may have changed since it was stored.
      const content = isLocked ? null : known.content;
      const { rowsAffected } = await executor.execute(undelete({ project, id, now: now(), searchText, content }));
      // Otherwise it has been changed, restored or purged since it was read, which cannot happen with the lock held.
      return rowsAffected > 0 || (!isLocked && executor.atomically((locked) => attempt(locked, true)));
    };
    const isRestored = await finishing(this.#context.executor, () => attempt(this.#context.executor));
    if (isRestored) this.#announce("restore", [id]);
    return isRestored;
  }

  /** Removes a memory with its vectors for good, deleted before or not. False if there is none. */
  async purge(id: string): Promise<boolean> {
    expectId(id);
    const { project, executor } = this.#context;
    const results = await removing(this.#context, () => executor.batch(removeStatements(project, id)));
    const isGone = results.at(-1)!.rowsAffected > 0;
    if (isGone) {
      this.#announce("purge", [id]);
      await this.#context.erase?.();
    }
    return isGone;
  }

  /** The number of memories that the filter selects, without deleted ones. */
  async count(filter: MemoryFilter<M> = {}): Promise<number> {
    expectKeys("count", filter, FILTER_KEYS);
    const { project, executor } = this.#context;
    const count = sql`select count(*) from ${m} where ${all(filterConditions(project, filter as MemoryFilter))}`;
    return Number(scalar(await executor.execute(toStatement(count))));
  }

  /** The number, size and age of the memories, without deleted ones, by type and by embedding model. */
  stats(): Promise<MemoryStats> {
    return readStats(this.#context);
  }

  /**
   * Groups of memories whose content is equal, the largest first; oldest first within a group: 50 groups, or up to
   * `limit`. Nothing is merged.
   */
  findDuplicates(options: { readonly limit?: number | undefined } = {}): Promise<Memory<M>[][]> {
    return findDuplicates(this.#context, options) as Promise<Memory<M>[][]>;
  }

  /**
   * The neighbors in time of a memory (itself included) or of a moment, oldest first. Rejects with `NOT_FOUND` for an
   * unknown id.
   */
  timeline(options: TimelineOptions): Promise<Memory<M>[]> {
    return readTimeline(this.#context, options) as Promise<Memory<M>[]>;
  }

  /**
   * The memories that answer `text` best, best first. Takes any text; `match` tells how each was found. An empty text
   * gives the newest memories.
   *
   * With an embedding, the scores of words and vectors are combined: `vectorWeight` says how, and `mode` chooses one of them.
   */
  search(text: string, options: SearchOptions<M> = {}): Promise<SearchResult<M>[]> {
    return searchMemories(this.#context, text, options as SearchOptions) as Promise<SearchResult<M>[]>;
  }

  /** @internal The rows that `search` finds. `read` returns their records. */
  rank(plan: QueryPlan, options: RankOptions): Promise<RankedRow[]> {
    return rankMemories(this.#context, plan, options);
  }

  /** @internal The memories of these rows that are there and not deleted, by row. */
  read(rowIds: readonly number[]): Promise<Map<number, Memory<M>>> {
    return readRows(this.#context, rowIds) as Promise<Map<number, Memory<M>>>;
  }

  /**
   * The memories whose vectors of `model` are nearest by cosine distance, nearest first. A large project is searched by
   * codes in memory, unless `exact` is set; the distances are exact. Rejects with `DIMENSION_MISMATCH`, and with RangeError
   * for a vector of zeros.
   */
  nearest(embedding: Float32Array | readonly number[], options: NearestOptions<M>): Promise<NearMemory<M>[]> {
    return nearestMemories(this.#context, embedding, options as NearestOptions) as Promise<NearMemory<M>[]>;
  }

  /**
   * Stores a vector of a memory, in place of one of the same model and version. Rejects with `NOT_FOUND` if there is no
   * such memory, and with `DIMENSION_MISMATCH` if the stored vectors of this model and version have another length.
   */
  setEmbedding(id: string, vector: Float32Array | readonly number[], selector: EmbeddingSelector): Promise<void> {
    return storeEmbedding(this.#context, id, vector, selector);
  }

  /** Memories that have no vector of this model (and version, where named), oldest first: 50, or up to `limit`. */
  unembedded(options: EmbeddingSelector & { readonly limit?: number | undefined }): Promise<Memory<M>[]> {
    return unembedded(this.#context, options) as Promise<Memory<M>[]>;
  }

  /**
   * Makes the missing vectors of a model with `embed`, a batch at a time, each stored before the next: after a crash
   * or an abort, the same call continues with the remaining memories.
   */
  reembed(embed: ReembedFunction, options: ReembedOptions): Promise<ReembedResult> {
    return embedMemories(this.#context, embed, options);
  }

  /**
   * Removes all vectors of a model, or of one version of it; resolves to how many there were. Announces an update of the
   * memories whose `embedding` this changes.
   */
  dropModel(model: string, version?: string): Promise<number> {
    return dropModel(this.#context, model, version);
  }

  async #find(executor: Executor, id: string): Promise<Memory<M> | undefined> {
    const { project } = this.#context;
    const { rows } = await executor.execute(selectOne({ project, id }));
    return rows[0] === undefined ? undefined : toMemory(project, rows[0]);
  }

  #announce(action: ChangeAction, ids: readonly string[]): void {
    announce(this.#context, "memories", action, ids);
  }
}

/** Whether an insert failed because the id is taken. */
function isIdTaken(error: unknown): boolean {
  return error instanceof StorageError && error.code === "CONFLICT" && error.table === "memories";
}

import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { searchScope, toSearchTextInSlices } from "../../search/terms.js";
import { StorageError } from "../../shared/errors.js";
import { expectArray, expectInteger } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { definedOnly, expectId, expectLimit, toMillis, toSqlLimit } from "../arguments.js";
import {
  atRecord,
  type BatchOptions,
  checkEach,
  failedStatement,
  isOfRecord,
  settleConflicts,
  toOnConflict,
} from "../batch.js";
import { type ChangeAction, type RepositoryContext, removing } from "../context.js";
import { decodeCursor, encodeCursor, type Page, toPage } from "../cursor.js";
import { type Executor, scalar } from "../executor.js";
import { expectStill, hasMoved, withoutLock } from "../optimistic.js";
import { readAll } from "../read-all.js";
import { forStored } from "../repair.js";
import { announce, inOrderOf, notFound, runAll } from "../repository.js";
import { all, inParts, list, prepareStatement, type Statement, set, toStatement, touch } from "../statements.js";
import { contentBytes } from "./content.js";
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
  withDimensions,
} from "./embeddings.js";
import { FILTER_KEYS, filterConditions, type MemoryFilter } from "./filter.js";
import {
  createdThen,
  derivedColumns,
  draftToMemory,
  embeddingStatements,
  insertStatements,
  isLong,
  MEMORY_KEYS,
  type Memory,
  type MemoryDraft,
  type MemoryInput,
  type MemoryPatch,
  memoriesWithVector,
  memoryColumns,
  storedContent,
  toDraft,
  toMemory,
  withLongTerms,
} from "./record.js";
import {
  type NearestOptions,
  type NearMemory,
  nearestMemories,
  type RankedRow,
  rankMemories,
  readRows,
  type SearchOptions,
  type SearchResult,
  searchMemories,
} from "./search.js";

export interface ListMemoriesOptions extends MemoryFilter {
  /** @default 50 */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface MemoryStats {
  readonly count: number;
  /** UTF-8 bytes of all contents. */
  readonly bytes: number;
  readonly oldest: Date | null;
  readonly newest: Date | null;
  readonly byType: readonly { readonly type: string; readonly count: number }[];
  readonly embeddings: readonly {
    readonly model: string;
    readonly version: string | null;
    readonly dimensions: number;
    readonly count: number;
  }[];
}

export interface TimelineOptions {
  /** A memory, which is part of the answer, or a moment. */
  readonly around: string | Date | number;
  /** How many older ones. @default 5 */
  readonly before?: number | undefined;
  /** How many newer ones. @default 5 */
  readonly after?: number | undefined;
}

const m = memories;
const e = memoryEmbeddings;
const columns = list([...memoryColumns]);
const isId = sql`${m.project} = ${sql.placeholder("project")} and ${m.id} = ${sql.placeholder("id")}`;
const isLive = sql`${m.deletedAt} is null`;
const newestFirst = sql`${m.createdAt} desc, ${m.rowId} desc`;

const selectOne = prepareStatement(sql`select ${columns} from ${memoriesWithVector} where ${isId}`);
const selectForUpdate = prepareStatement(
  sql`select ${columns}, ${m.checksum} from ${memoriesWithVector} where ${isId}`,
);
const selectMany = prepareStatement(sql`select ${columns} from ${memoriesWithVector}
  where ${m.project} = ${sql.placeholder("project")} and ${isLive}
  and ${m.id} in (select value from json_each(${sql.placeholder("ids")}))`);
const selectAnyMany = prepareStatement(sql`select ${columns} from ${memoriesWithVector}
  where ${m.project} = ${sql.placeholder("project")}
  and ${m.id} in (select value from json_each(${sql.placeholder("ids")})) order by ${m.rowId}`);
const softDelete = prepareStatement(
  sql`update ${m} set ${list([
    touch(m.deletedAt, m.createdAt),
    touch(m.updatedAt, m.createdAt),
    set(m.searchText, ""),
  ])} where ${isId} and ${isLive}`,
);
const undelete = prepareStatement(
  sql`update ${m} set ${list([
    set(m.deletedAt, null),
    touch(m.updatedAt, m.createdAt),
    set(m.searchText, sql.placeholder("searchText")),
  ])} where ${isId} and ${m.deletedAt} is not null and ${m.content} = coalesce(${sql.placeholder("content")}, ${m.content})`,
);
const replaceRow = prepareStatement(
  sql`update ${m} set ${list([
    set(m.sessionId, sql.placeholder("sessionId")),
    set(m.type, sql.placeholder("type")),
    set(m.source, sql.placeholder("source")),
    set(m.content, sql.placeholder("content")),
    set(m.metadata, sql.placeholder("metadata")),
    set(m.createdAt, sql.placeholder("createdAt")),
    set(m.updatedAt, sql.placeholder("updatedAt")),
    set(m.deletedAt, null),
    set(m.contentHash, sql.placeholder("contentHash")),
    set(m.checksum, sql.placeholder("checksum")),
    set(m.searchText, sql.placeholder("searchText")),
  ])} where ${isId}`,
);
/** All but those of one model and version, which a new vector is about to replace. */
const deleteVectors = prepareStatement(
  sql`delete from ${e} where ${e.memoryRowId} = (select ${m.rowId} from ${m} where ${isId})
    and not (${e.model} is ${sql.placeholder("model")} and ${e.version} is ${sql.placeholder("version")})`,
);
const forgetVector = prepareStatement(sql`update ${m} set ${set(m.embeddingRowId, null)} where ${isId}`);
const deleteRow = prepareStatement(sql`delete from ${m} where ${isId}`);

/** The memories of one project. Nothing of another project can be read or changed through it. */
export class MemoryRepository {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /** Stores a memory. Rejects with `CONFLICT` if the project has its id already, deleted or not. */
  async insert(input: MemoryInput): Promise<Memory> {
    let draft = toDraft(this.#context, input);
    if (isLong(draft)) draft = await withLongTerms(this.#context.project, draft);
    const statements = insertStatements(this.#context, draft);
    await namingDimensions(this.#context, draft.embedding, () => runAll(this.#context.executor, statements));
    this.#announce("insert", [draft.id]);
    return draftToMemory(this.#context.project, draft);
  }

  /**
   * Stores all of them, or none; an error about one of them has its `index` and `id`. With `onConflict`, a taken id is
   * no error, and the answer holds what is stored now, in the order of `inputs`.
   */
  async insertMany(inputs: readonly MemoryInput[], options: BatchOptions = {}): Promise<Memory[]> {
    expectArray("inputs", inputs, "memories");
    const onConflict = toOnConflict("insertMany", options);
    let drafts = checkEach(inputs, (input) => toDraft(this.#context, input));
    if (drafts.some(isLong)) drafts = await this.#withLongTerms(drafts);
    if (drafts.length === 0) return [];
    if (onConflict !== "fail") return this.#insertOver(drafts, onConflict);
    await this.#storeEach(drafts, (draft) => insertStatements(this.#context, draft), this.#context.executor);
    this.#announce(
      "insert",
      drafts.map((draft) => draft.id),
    );
    return drafts.map((draft) => draftToMemory(this.#context.project, draft));
  }

  /** Stores a memory under `id`, in place of the one there, whose `createdAt` stays; a deleted one is revived. */
  async put(id: string, input: MemoryInput): Promise<Memory> {
    expectId(id);
    let draft = toDraft(this.#context, input, id);
    if (isLong(draft)) draft = await withLongTerms(this.#context.project, draft);
    const attempt = async (executor: Executor) => {
      const known = await this.#find(executor, id);
      if (known === undefined) {
        await executor.batch(insertStatements(this.#context, draft));
        return { action: "insert", draft } as const;
      }
      const createdAt = known.createdAt.getTime();
      const replacement = createdThen(draft, known.createdAt);
      const isStill = this.#isStill(id, sql`${m.createdAt} = ${createdAt}`);
      await executor.batch([isStill, ...this.#replaceStatements(replacement, true)]);
      return { action: "update", draft: replacement } as const;
    };
    const isLost = (error: unknown) => hasMoved(error) || isIdTaken(error);
    const stored = await namingDimensions(this.#context, draft.embedding, () =>
      withoutLock(this.#context.executor, attempt, isLost),
    );
    this.#announce(stored.action, [id]);
    return draftToMemory(this.#context.project, stored.draft);
  }

  async get(id: string, options: { readonly includeDeleted?: boolean } = {}): Promise<Memory | undefined> {
    expectId(id);
    expectKeys("get", options, ["includeDeleted"]);
    const memory = await this.#find(this.#context.executor, id);
    return memory?.deletedAt === null || options.includeDeleted === true ? memory : undefined;
  }

  /** The memories that exist among `ids`, in the order of `ids`. */
  async getMany(ids: readonly string[]): Promise<Memory[]> {
    expectArray("ids", ids, "ids");
    checkEach(ids, (id) => expectId(id));
    const found = await this.#select(selectMany({ project: this.#context.project, ids: JSON.stringify(ids) }));
    return inOrderOf(ids, found);
  }

  /** Rejects with `NOT_FOUND` when `get` would find nothing. */
  async require(id: string): Promise<Memory> {
    const memory = await this.get(id);
    if (memory === undefined) throw notFound(this.#context, "memory", id);
    return memory;
  }

  /** The one memory whose id starts with `idPrefix`; undefined for less than 4 characters, none, or several. */
  async find(idPrefix: string): Promise<Memory | undefined> {
    expectId(idPrefix, "idPrefix");
    if (idPrefix.length < 4) return undefined;
    // No character sorts after U+10FFFF, so this bounds all continuations.
    const found = await this.#select(
      toStatement(sql`select ${columns} from ${memoriesWithVector} where ${m.project} = ${this.#context.project} and ${isLive}
        and ${m.id} >= ${idPrefix} and ${m.id} < ${`${idPrefix}\u{10FFFF}`} limit 2`),
    );
    return found.length === 1 ? found[0] : undefined;
  }

  /** A page of memories, newest first; of equal times the one inserted last comes first. */
  async list(options: ListMemoriesOptions = {}): Promise<Page<Memory>> {
    expectKeys("list", options, [...FILTER_KEYS, "limit", "cursor"]);
    const { limit = 50, cursor, ...filter } = options;
    expectLimit(limit);
    const { project, executor } = this.#context;
    const conditions = filterConditions(project, filter);
    if (cursor !== undefined) {
      const { key, rowId } = decodeCursor("memories", cursor);
      conditions.push(sql`(${m.createdAt}, ${m.rowId}) < (${key}, ${rowId})`);
    }
    const { rows } = await executor.execute(
      toStatement(sql`select ${columns} from ${memoriesWithVector} where ${all(conditions)}
        order by ${newestFirst} limit ${toSqlLimit(limit + 1)}`),
    );
    const cursorOf = (row: Row) => encodeCursor("memories", { key: Number(row[7]), rowId: Number(row[0]) });
    return toPage(rows, limit, (row) => toMemory(project, row), cursorOf);
  }

  /** Changes the fields given; undefined when unknown or deleted. New content without a vector drops the old ones. */
  async update(id: string, patch: MemoryPatch): Promise<Memory | undefined> {
    expectId(id);
    expectKeys("a patch", patch, MEMORY_KEYS);
    // Checked before any work starts; what the patch leaves out comes from the row.
    const { embedding: given } = toDraft(this.#context, { content: "-", ...definedOnly(patch) }, id);
    const { project } = this.#context;
    const attempt = async (executor: Executor) => {
      const row = (await executor.execute(selectForUpdate({ project, id }))).rows[0];
      const known = row === undefined ? undefined : toMemory(project, row);
      if (row === undefined || known === undefined || known.deletedAt !== null) return undefined;
      const { embedding, embeddingModel, embeddingVersion, ...rest } = known;
      const changes = definedOnly(patch);
      // What is stored already may be longer than a limit that was lowered since, or hold text that is refused now.
      const repair = forStored(this.#context.repair);
      const unlimited = { ...this.#context, repair, maxContentChars: Number.POSITIVE_INFINITY };
      const draft = await withLongTerms(project, toDraft(unlimited, { ...rest, ...changes }, id));
      const dropsVectors = draft.content !== known.content || changes.embedding === null;
      const checksum = row[memoryColumns.length];
      const isStill = this.#isStill(id, sql`${m.deletedAt} is null and ${m.checksum} = ${checksum}`);
      await executor.batch([isStill, ...this.#replaceStatements(draft, dropsVectors)]);
      const kept = dropsVectors || draft.embedding !== undefined ? {} : { embedding, embeddingModel, embeddingVersion };
      return { ...draftToMemory(project, draft), ...kept };
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
    const attempt = async (executor: Executor, isLocked = false): Promise<boolean> => {
      const known = await this.#find(executor, id);
      if (known === undefined || known.deletedAt === null) {
        // What was read may be old.
        return !isLocked && executor.mayLag === true && executor.atomically((locked) => attempt(locked, true));
      }
      const searchText = await toSearchTextInSlices(known.content, searchScope(project));
      // Its content as it is now, which need not be what was stored: other programs may have changed it.
      const content = isLocked ? null : known.content;
      const { rowsAffected } = await executor.execute(undelete({ project, id, now: now(), searchText, content }));
      // Otherwise it has been changed, restored or purged since it was read, which cannot happen with the lock held.
      return rowsAffected > 0 || (!isLocked && executor.atomically((locked) => attempt(locked, true)));
    };
    const isRestored = await attempt(this.#context.executor);
    if (isRestored) this.#announce("restore", [id]);
    return isRestored;
  }

  /** Removes a memory with its vectors for good, deleted before or not. False if there is none. */
  async purge(id: string): Promise<boolean> {
    expectId(id);
    const values = { project: this.#context.project, id };
    const statements = [
      forgetVector(values),
      deleteVectors({ ...values, model: null, version: null }),
      deleteRow(values),
    ];
    const results = await removing(this.#context, () => this.#context.executor.batch(statements));
    const isGone = results[2]!.rowsAffected > 0;
    if (isGone) {
      this.#announce("purge", [id]);
      await this.#context.erase?.();
    }
    return isGone;
  }

  async count(filter: MemoryFilter = {}): Promise<number> {
    expectKeys("count", filter, FILTER_KEYS);
    const { project, executor } = this.#context;
    const count = sql`select count(*) from ${m} where ${all(filterConditions(project, filter))}`;
    return Number(scalar(await executor.execute(toStatement(count))));
  }

  async stats(): Promise<MemoryStats> {
    const own = sql`${m.project} = ${this.#context.project} and ${isLive}`;
    const [totals, types, models] = await this.#context.executor.batch([
      toStatement(sql`select count(*), coalesce(sum(${contentBytes(m.content)}), 0), min(${m.createdAt}),
          max(${m.createdAt}) from ${m} where ${own}`),
      toStatement(sql`select ${m.type}, count(*) from ${m} where ${own} group by 1 order by 2 desc, 1`),
      toStatement(sql`select ${e.model}, ${e.version}, ${e.dimensions}, count(*) from ${e} join ${m} on ${m.rowId} = ${e.memoryRowId}
          where ${e.project} = ${this.#context.project} and ${isLive} group by 1, 2, 3 order by 4 desc, 1, 2`),
    ]);
    const [count, bytes, oldest, newest] = Array.from(totals!.rows[0] as ArrayLike<unknown>);
    return {
      count: Number(count),
      bytes: Number(bytes),
      oldest: oldest === null ? null : new Date(Number(oldest)),
      newest: newest === null ? null : new Date(Number(newest)),
      byType: types!.rows.map((row) => ({ type: row[0] as string, count: Number(row[1]) })),
      embeddings: models!.rows.map((row) => ({
        model: row[0] as string,
        version: (row[1] as string) || null,
        dimensions: Number(row[2]),
        count: Number(row[3]),
      })),
    };
  }

  /** Groups of memories whose content is equal, the largest first; oldest first within a group. Nothing is merged. */
  async findDuplicates(options: { readonly limit?: number | undefined } = {}): Promise<Memory[][]> {
    expectKeys("findDuplicates", options, ["limit"]);
    const { limit = 50 } = options;
    expectLimit(limit);
    const { project, executor } = this.#context;
    const own = sql`${m.project} = ${project} and ${isLive}`;
    const { rows } = await executor.execute(
      toStatement(sql`select ${m.contentHash}, ${columns} from ${memoriesWithVector} join (
          select ${m.contentHash} as hash, count(*) as size from ${m} where ${own} group by 1 having size > 1
          order by size desc, hash limit ${toSqlLimit(limit)}
        ) as repeated on repeated.hash = ${m.contentHash} where ${own}
        order by repeated.size desc, repeated.hash, ${m.createdAt}, ${m.rowId}`),
    );
    const groups = new Map<string, Memory[]>();
    for (const row of rows) {
      const hash = row[0] as string;
      groups.set(hash, [...(groups.get(hash) ?? []), toMemory(project, row, 1)]);
    }
    return [...groups.values()];
  }

  /** The neighbours in time of a memory (itself included) or of a moment, oldest first. `NOT_FOUND` for an unknown id. */
  async timeline(options: TimelineOptions): Promise<Memory[]> {
    expectKeys("timeline", options, ["around", "before", "after"]);
    const { around, before = 5, after = 5 } = options;
    expectInteger("before", before, 0);
    expectInteger("after", after, 0);
    const { project } = this.#context;
    // A moment stands after all memories of that millisecond.
    const isId = typeof around === "string";
    let position: SQL = sql`(${isId ? 0 : toMillis("around", around)}, ${Number.MAX_SAFE_INTEGER})`;
    if (isId) {
      position = sql`(select ${m.createdAt}, ${m.rowId} from ${m} where ${m.project} = ${project} and ${m.id} = ${around})`;
    }
    const beside = (comparison: SQL, order: SQL, limit: number) =>
      toStatement(sql`select ${columns} from ${memoriesWithVector} where ${m.project} = ${project} and ${isLive}
        and (${m.createdAt}, ${m.rowId}) ${comparison} ${position} order by ${order} limit ${limit}`);
    const [older, newer, center] = await this.#context.executor.batch([
      beside(sql`<`, newestFirst, before),
      beside(sql`>`, sql`${m.createdAt}, ${m.rowId}`, after),
      ...(isId ? [selectOne({ project, id: around })] : []),
    ]);
    const record = (row: Row) => toMemory(project, row);
    const own = (center?.rows ?? []).map(record).filter(({ deletedAt }) => deletedAt === null);
    if (isId && own.length === 0) throw notFound(this.#context, "memory", around);
    return [...older!.rows.map(record).reverse(), ...own, ...newer!.rows.map(record)];
  }

  /**
   * The memories that answer `text` best. Takes any text; `match` tells how each was found.
   *
   * With an embedding, keyword and vector lists are fused; `mode` chooses one of them.
   */
  search(text: string, options: SearchOptions = {}): Promise<SearchResult[]> {
    return searchMemories(this.#context, text, options);
  }

  /** @internal What `search` finds, by row and without the records, which `read` gives. */
  rank(text: string, options: SearchOptions): Promise<RankedRow[]> {
    return rankMemories(this.#context, text, options);
  }

  /** @internal The memories of these rows that are there and not deleted, by row. */
  read(rowIds: readonly number[]): Promise<Map<number, Memory>> {
    return readRows(this.#context, rowIds);
  }

  /** The memories whose vectors of `model` are nearest by cosine distance, exactly; rejects with `DIMENSION_MISMATCH`. */
  nearest(embedding: Float32Array | readonly number[], options: NearestOptions): Promise<NearMemory[]> {
    return nearestMemories(this.#context, embedding, options);
  }

  /** Stores a vector of a memory, in place of one of the same model and version. False if there is no such memory. */
  setEmbedding(id: string, vector: Float32Array | readonly number[], selector: EmbeddingSelector): Promise<boolean> {
    return storeEmbedding(this.#context, id, vector, selector);
  }

  /** Memories that have no vector of this model (and version, where named), oldest first. */
  unembedded(options: EmbeddingSelector & { readonly limit?: number | undefined }): Promise<Memory[]> {
    return unembedded(this.#context, options);
  }

  /**
   * Makes the missing vectors of a model with `embed`, a batch at a time, each stored before the next: after a crash
   * or an abort, the same call goes on with what is left.
   */
  reembed(embed: ReembedFunction, options: ReembedOptions): Promise<ReembedResult> {
    return embedMemories(this.#context, embed, options);
  }

  /** Removes all vectors of a model, or of one version of it; resolves to how many there were. */
  dropModel(model: string, version?: string): Promise<number> {
    return dropModel(this.#context, model, version);
  }

  async #withLongTerms(drafts: readonly MemoryDraft[]): Promise<MemoryDraft[]> {
    const made: MemoryDraft[] = [];
    for (const draft of drafts) made.push(await withLongTerms(this.#context.project, draft));
    return made;
  }

  /** With the lock held, so that what is known of the ids stays true. */
  async #insertOver(drafts: readonly MemoryDraft[], onConflict: "skip" | "replace"): Promise<Memory[]> {
    const { project, executor } = this.#context;
    const { known, settled } = await executor.atomically(async (locked) => {
      const known = await this.#findAny(
        locked,
        drafts.map(({ id }) => id),
      );
      const settled = settleConflicts(drafts, onConflict, known, (draft, earlier) =>
        createdThen(draft, new Date(earlier.createdAt)),
      );
      await this.#storeEach(
        [...settled.values()],
        (draft) =>
          known.has(draft.id) ? this.#replaceStatements(draft, true) : insertStatements(this.#context, draft),
        locked,
        drafts,
      );
      return { known, settled };
    });
    const ids = [...settled.keys()];
    for (const action of ["insert", "update"] as const) {
      const changed = ids.filter((id) => known.has(id) === (action === "update"));
      this.#announce(action, changed);
    }
    return drafts.map(({ id }) => {
      const stored = settled.get(id);
      return stored === undefined ? known.get(id)! : draftToMemory(project, stored);
    });
  }

  /** Those that exist among `ids`, deleted ones too, by id. */
  async #findAny(executor: Executor, ids: readonly string[]): Promise<Map<string, Memory>> {
    const { project } = this.#context;
    const found = new Map<string, Memory>();
    const statements = inParts(
      ids.map((id) => [id]),
      (part) => selectAnyMany({ project, ids: JSON.stringify(part.flat()) }),
    );
    for (const statement of statements) {
      for (const row of await readAll(executor, statement)) {
        const memory = toMemory(project, row);
        found.set(memory.id, memory);
      }
    }
    return found;
  }

  /** Runs the statements of drafts as one batch; a failure names its draft by its place in `all`. */
  async #storeEach(
    drafts: readonly MemoryDraft[],
    toStatements: (draft: MemoryDraft) => Statement[],
    executor: Executor,
    all: readonly MemoryDraft[] = drafts,
  ): Promise<void> {
    const statements = drafts.map(toStatements);
    try {
      await runAll(executor, statements.flat());
    } catch (error) {
      if (!isOfRecord(error)) throw error;
      const owners = statements.flatMap((own, index) => own.map(() => drafts[index]!));
      const draft = owners[failedStatement(error) ?? 0];
      // The later of two with one id is the one that failed.
      const index =
        draft === undefined
          ? -1
          : all.indexOf(draft) >= 0
            ? all.indexOf(draft)
            : all.findLastIndex(({ id }) => id === draft.id);
      if (draft === undefined) throw error;
      const named = await withDimensions(executor, this.#context.project, draft.embedding, error);
      throw atRecord(named, { index, id: draft.id });
    }
  }

  #replaceStatements(draft: MemoryDraft, dropsVectors: boolean): Statement[] {
    const { project } = this.#context;
    const { id } = draft;
    const [contentHash, checksum, searchText] = derivedColumns(project, draft);
    const { embedding, ...row } = draft;
    const content = storedContent(this.#context, draft.content);
    const statements = [replaceRow({ ...row, content, project, contentHash, checksum, searchText })];
    const { model = null, version = null } = embedding ?? {};
    if (dropsVectors) statements.push(forgetVector({ project, id }), deleteVectors({ project, id, model, version }));
    if (embedding !== undefined) statements.push(...embeddingStatements(this.#context, id, embedding));
    return statements;
  }

  async #find(executor: Executor, id: string): Promise<Memory | undefined> {
    const { project } = this.#context;
    const { rows } = await executor.execute(selectOne({ project, id }));
    return rows[0] === undefined ? undefined : toMemory(project, rows[0]);
  }

  async #select(statement: Statement): Promise<Memory[]> {
    const { rows } = await this.#context.executor.execute(statement);
    return rows.map((row) => toMemory(this.#context.project, row));
  }

  #isStill(id: string, condition: SQL): Statement {
    const { project } = this.#context;
    return expectStill(
      sql`exists (select 1 from ${m} where ${m.project} = ${project} and ${m.id} = ${id} and ${condition})`,
    );
  }

  #announce(action: ChangeAction, ids: readonly string[]): void {
    announce(this.#context, "memories", action, ids);
  }
}

/** Whether an insert failed since the id was there already. */
function isIdTaken(error: unknown): boolean {
  return error instanceof StorageError && error.code === "CONFLICT" && error.table === "memories";
}

import { setImmediate as nextTurn } from "node:timers/promises";
import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { memoryEmbeddings, vectorVersions } from "../../schema/memories.js";
import { centerOf, VectorCodes } from "../../search/vector-codes.js";
import { LruCache } from "../../shared/lru-cache.js";
import type { Executor } from "../executor.js";
import { all, toStatement } from "../statements.js";

/** Fewer vectors are compared one by one in about the same time. */
const LEAST_VECTORS = 2_000;
/** Vectors whose mean is the center. */
const SAMPLE = 512;
/** Vectors that are read at once, and their numbers: the event loop waits for their codes. */
const VECTORS_PER_READ = 128;
const VALUES_PER_READ = VECTORS_PER_READ * 384;
/** Row ids that come as one value. */
const IDS_PER_VALUE = 16_384;

/** Vectors of one project, model, version and length. */
export interface VectorSet {
  readonly project: string;
  readonly model: string;
  /** Empty for those of all versions. */
  readonly version: string;
  readonly dimensions: number;
}

/** The codes of a set of vectors, and the state of the database that they were made of. */
export interface CachedVectors {
  readonly codes: VectorCodes;
  readonly version: number | undefined;
  /** No vector of the project that is not in `codes` has a row id up to this one, unless `version` has changed. */
  lastRowId: number;
  /** Whether the next search should add the codes of new vectors first. */
  isBehind: boolean;
}

interface Entry extends CachedVectors {
  readonly database: object;
  adding: Promise<void> | undefined;
}

const e = memoryEmbeddings;
const v = vectorVersions;

/**
 * Keeps codes of vectors in memory, up to a number of bytes; the least recently used ones are dropped first.
 *
 * Codes only choose which vectors a search compares: it reads those from the database, with the version of the project in
 * the same statement. So deleted vectors are not found, new ones are compared without a code, and every other change, also
 * of another process or by manual SQL, changes the version (`0013_vector_versions_in_step.sql`). Nothing is read within a
 * transaction, whose changes may be rolled back.
 */
export class VectorCache {
  readonly maxBytes: number;
  readonly #entries: LruCache<Entry> | undefined;
  /** Sets that were asked for once, and those that do not fit. */
  readonly #asked = new LruCache<"once" | "too many">({ max: 1000 });
  readonly #building = new Set<string>();
  #isClosed = false;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    if (maxBytes === 0) return;
    this.#entries = new LruCache(
      maxBytes === Number.POSITIVE_INFINITY ? { max: 1000 } : { maxSize: maxBytes, sizeOf: bytesOf },
    );
  }

  /**
   * The codes of a set; undefined if all of its vectors have to be compared. The second search of a large set starts to
   * make its codes, and no search waits for them.
   */
  async get(executor: Executor, set: VectorSet): Promise<CachedVectors | undefined> {
    const { database } = executor;
    if (this.#entries === undefined || database === undefined) return undefined;
    const key = keyOf(set);
    const known = this.#entries.get(key);
    if (known !== undefined && known.database === database) {
      if (known.isBehind) await this.#addNew(executor, set, key, known);
      return known;
    }
    if (this.#building.has(key) || this.#asked.get(key) === "too many" || !(await isLarge(executor, set))) return;
    if (!this.#asked.has(key)) this.#asked.set(key, "once");
    // Without waiting, since it takes many times as long as a search; and if it fails, searches go on without it.
    else this.#build(executor, set, key, database).catch(() => undefined);
    return undefined;
  }

  /** Drops the codes of a set if they are still these. */
  forget(set: VectorSet, cached: CachedVectors): void {
    const key = keyOf(set);
    if (this.#entries?.get(key) === cached) this.#entries.delete(key);
  }

  close(): void {
    this.#isClosed = true;
    this.#entries?.clear();
  }

  async #build(executor: Executor, set: VectorSet, key: string, database: object): Promise<void> {
    this.#building.add(key);
    try {
      const { version, lastRowId, rowIds } = await readRowIds(executor, set, 0);
      if (VectorCodes.bytesFor(rowIds.length, set.dimensions) > this.maxBytes) {
        this.#asked.set(key, "too many");
        return;
      }
      const step = Math.ceil(rowIds.length / SAMPLE);
      const sample: Float32Array[] = [];
      const sampled = Array.from({ length: Math.ceil(rowIds.length / step) }, (_, index) => rowIds[index * step]!);
      await this.#read(executor, set, sampled, (_, vector) => sample.push(vector));
      const codes = new VectorCodes(set.dimensions, centerOf(set.dimensions, sample));
      await this.#read(executor, set, rowIds, (rowId, vector) => codes.add(rowId, vector));
      if (this.#isClosed) return;
      this.#entries!.set(key, { codes, version, lastRowId, isBehind: false, database, adding: undefined });
    } finally {
      this.#building.delete(key);
    }
  }

  /** Concurrent searches share the work. */
  async #addNew(executor: Executor, set: VectorSet, key: string, entry: Entry): Promise<void> {
    entry.adding ??= (async () => {
      const { lastRowId, rowIds } = await readRowIds(executor, set, entry.lastRowId);
      await this.#read(executor, set, rowIds, (rowId, vector) => entry.codes.add(rowId, vector));
      entry.lastRowId = lastRowId;
      entry.isBehind = false;
      // Its size is counted when it is set.
      if (this.#entries?.get(key) === entry) this.#entries.set(key, entry);
    })().finally(() => {
      entry.adding = undefined;
    });
    await entry.adding;
  }

  async #read(
    executor: Executor,
    { dimensions }: VectorSet,
    rowIds: readonly number[],
    use: (rowId: number, vector: Float32Array) => void,
  ): Promise<void> {
    const count = Math.min(VECTORS_PER_READ, Math.ceil(VALUES_PER_READ / dimensions));
    for (let start = 0; start < rowIds.length && !this.#isClosed; start += count) {
      const ids = JSON.stringify(rowIds.slice(start, start + count));
      const { rows } = await executor.scan(
        toStatement(
          sql`select ${e.rowId}, ${e.vector} from ${e} where ${e.rowId} in (select value from json_each(${ids}))`,
        ),
      );
      for (const row of rows) {
        const vector = row[1] as ArrayBuffer;
        // A vector that manual SQL has cut is an error of the exact search, and of none that does not meet it.
        if (vector.byteLength === dimensions * 4) use(Number(row[0]), new Float32Array(vector));
      }
    }
  }
}

/** The version and the last row id of a project, for the SELECT list of a statement. */
export function stateOf(project: string) {
  return sql`(select ${v.version} from ${v} where ${v.project} = ${project}),
    (select ${v.lastRowId} from ${v} where ${v.project} = ${project})`;
}

/** Condition on the vectors of a set. */
export function isInSet({ project, model, version, dimensions }: VectorSet) {
  const conditions = [sql`${e.project} = ${project}`, sql`${e.model} = ${model}`, sql`${e.dimensions} = ${dimensions}`];
  return all(version === "" ? conditions : [...conditions, sql`${e.version} = ${version}`]);
}

export function toOptionalNumber(value: unknown): number | undefined {
  return value === null ? undefined : Number(value);
}

function keyOf({ project, model, version, dimensions }: VectorSet): string {
  return JSON.stringify([project, model, version, dimensions]);
}

function bytesOf({ codes }: Entry): number {
  return codes.bytes;
}

/** Whether codes are worth their memory, and can be kept in step: a file of an earlier version lacks the triggers. */
async function isLarge(executor: Executor, set: VectorSet): Promise<boolean> {
  const { rows } = await executor.execute(
    toStatement(sql`select exists (select 1 from ${e} where ${isInSet(set)} limit 1 offset ${LEAST_VECTORS - 1})
      and (select count(*) = 2 from sqlite_schema where type = 'trigger'
        and name in ('memory_embeddings_insert', 'memory_embeddings_update'))`),
  );
  return Number(rows[0]![0]) === 1;
}

/**
 * The row ids of a set after one of them, of one state of the database, whose version and last row id come with them. The
 * first row counts the others: SQLite then has them all before it, and the event loop does not wait while they are read.
 */
async function readRowIds(executor: Executor, set: VectorSet, after: number) {
  const { rows } = await executor.scan(
    toStatement(sql`with ids(part) as materialized (
      select json_group_array(row_id) from (
        select ${e.rowId} as row_id from ${e} where ${isInSet(set)} and ${e.rowId} > ${after}
      ) group by row_id / ${IDS_PER_VALUE}
    ) select ${stateOf(set.project)}, (select count(*) from ids) union all select null, null, part from ids`),
  );
  const [state, ...groups] = rows as unknown as readonly [Row, ...Row[]];
  const rowIds: number[] = [];
  let last = after;
  for (const group of groups) {
    for (const rowId of JSON.parse(group[2] as string) as number[]) {
      rowIds.push(rowId);
      last = Math.max(last, rowId);
    }
    await nextTurn();
  }
  return { version: toOptionalNumber(state[0]), lastRowId: toOptionalNumber(state[1]) ?? last, rowIds };
}

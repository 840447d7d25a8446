import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { memories, memoryEmbeddings, vectorVersions } from "../../schema/memories.js";
import { StorageError } from "../../shared/errors.js";
import { toSqlLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { all, toStatement } from "../statements.js";
import { type EmbeddingSelector, isOfModel, modelOf } from "./embeddings.js";
import { FILTER_KEYS, filterConditions, type MemoryFilter } from "./filter.js";
import { type CachedVectors, isInSet, stateOf, toOptionalNumber, type VectorSet } from "./vector-cache.js";

/** The most results that are worth looking for with codes. */
const MOST_BY_CODES = 100;
/** How many vectors are compared first. */
const FIRST_COMPARED = 200;
/** By what the number grows if a filter has left too few. */
const GROWTH = 8;
/** The largest share of a set that is read by row ids; to read all vectors in their order takes less time. */
const MOST_COMPARED = 1 / 8;
/** Distances are float32. */
const ROUNDING = 1e-6;
/** How many vectors without a code, or row ids of other models, slow a search down less than adding codes does. */
const NEW_VECTORS = 64;
const NEW_ROW_IDS = 512;

/** Which vectors a search compares. */
export interface NearestScope extends MemoryFilter, EmbeddingSelector {
  /** Whether all of them must be compared. */
  readonly exact?: boolean;
}

/** A memory by row id, and its distance. */
export interface NearRow {
  readonly rowId: number;
  readonly distance: number;
}

const m = memories;
const e = memoryEmbeddings;
const v = vectorVersions;
const other = alias(memoryEmbeddings, "other");

/** By cosine distance; of several versions of a memory's vector the nearest counts. Equal distances: the latest memory first. */
export async function findNearest(
  context: RepositoryContext,
  vector: Float32Array,
  { exact = false, model: name, version: given, ...filter }: NearestScope,
  limit: number,
): Promise<NearRow[]> {
  const { project, executor } = context;
  const { model, version } = modelOf({ model: name, version: given });
  const query = {
    vector,
    set: { project, model, version, dimensions: vector.length },
    conditions: filterConditions(project, filter),
    isFiltered: FILTER_KEYS.some((key) => filter[key] !== undefined),
    limit,
  };
  const isWithCodes = !exact && limit > 0 && limit <= MOST_BY_CODES;
  const found = isWithCodes ? await findByCodes(context, query) : undefined;
  if (found !== undefined) return found;
  const { rows } = await executor.scan(toStatement(exactScan(query)));
  if (rows.length === 0) await assertDimensions(context, query.set);
  return rows.map(toNearRow);
}

interface NearestQuery {
  readonly vector: Float32Array;
  readonly set: VectorSet;
  /** On the memory. */
  readonly conditions: readonly SQL[];
  readonly isFiltered: boolean;
  readonly limit: number;
}

/** Undefined if all vectors have to be compared. */
async function findByCodes(context: RepositoryContext, query: NearestQuery): Promise<NearRow[] | undefined> {
  const { executor, vectors } = context;
  const cached = await vectors.get(executor, query.set);
  if (cached === undefined) return undefined;
  const most = cached.codes.size * MOST_COMPARED;
  try {
    if (most >= FIRST_COMPARED) return await compareSome(context, query, cached, most);
  } catch {
    // The exact search rejects too, or it has the answer.
  }
  vectors.forget(query.set, cached);
  return undefined;
}

async function compareSome(
  context: RepositoryContext,
  query: NearestQuery,
  cached: CachedVectors,
  most: number,
): Promise<NearRow[] | undefined> {
  const { lastRowId } = cached;
  const estimates = await cached.codes.estimate(query.vector);
  for (let count = FIRST_COMPARED; count <= most; count *= GROWTH) {
    const first = estimates.best(count);
    const near = await compare(context, query, cached, lastRowId, first);
    if (near === undefined) return undefined;
    if (near.length < query.limit) continue;
    // What may be as near as the last of these has to be compared too.
    const rest = estimates.atLeast(1 - near.at(-1)!.distance - ROUNDING, most);
    if (rest === undefined) return undefined;
    const both = new Set([...first, ...rest]);
    return both.size === first.length ? near : compare(context, query, cached, lastRowId, [...both]);
  }
  return undefined;
}

/** The nearest of some vectors, and of those that have no code yet; undefined if the codes do not fit the database any more. */
async function compare(
  { executor, vectors }: RepositoryContext,
  query: NearestQuery,
  cached: CachedVectors,
  lastRowId: number,
  rowIds: readonly number[],
): Promise<NearRow[] | undefined> {
  const { rows } = await executor.scan(toStatement(scanOf(query, rowIds, lastRowId)));
  const [state, ...found] = rows.map((row) => Array.from(row));
  const [version, last] = [toOptionalNumber(state![0]), toOptionalNumber(state![1])];
  const [compared, isNew] = [Number(state![2]), Number(state![3])];
  const isMoved = version !== cached.version || (last !== undefined && last < lastRowId);
  // Deleted vectors keep their codes until they are many.
  if (isMoved || compared - isNew < rowIds.length / 2) vectors.forget(query.set, cached);
  if (isMoved) return undefined;
  if (isNew > NEW_VECTORS || (last ?? 0) > lastRowId + NEW_ROW_IDS) cached.isBehind = true;
  return found
    .map((row) => ({ rowId: Number(row[4]), distance: Number(row[5]) }))
    .sort((a, b) => a.distance - b.distance || b.rowId - a.rowId);
}

/**
 * One row with the state of the project and how many vectors were compared, then the nearest memories in any order. The
 * first row counts the others, so that they are there before it is, and none of the work is left to the event loop.
 */
function scanOf(query: NearestQuery, rowIds: readonly number[], lastRowId: number): SQL {
  const { set, vector } = query;
  const { project } = set;
  // The plus signs keep SQLite from reading all vectors of the model by its index. It does that for vectors without a
  // code only if the project may have many of them: `latest` is empty if it has none.
  const latest = (condition: SQL) => sql`(select 1 from ${v} where ${v.project} = ${project} and ${condition})`;
  const few = lastRowId + NEW_ROW_IDS;
  return sql`with chosen(row_id) as materialized (
      select value from json_each(${JSON.stringify(rowIds)})
      union
      select ${e.rowId} from ${latest(sql`${v.lastRowId} > ${lastRowId} and ${v.lastRowId} <= ${few}`)} cross join ${e}
      where ${e.rowId} > ${lastRowId} and ${e.rowId} <= ${few} and +${isInSet(set)}
      union
      select ${e.rowId} from ${latest(sql`${v.lastRowId} > ${few}`)} cross join ${e}
      where ${isInSet(set)} and ${e.rowId} > ${lastRowId}
    ), near(memory, vector, distance) as materialized (
      select ${e.memoryRowId}, ${e.rowId}, ${distanceOf(e.vector, vector)} from chosen cross join ${e}
      on ${e.rowId} = chosen.row_id where +${isInSet(set)}
    ), best(memory, distance) as materialized (
      select near.memory, near.distance from (select * from near order by distance, memory desc limit -1) as near
      where ${isWanted(query)} and ${isFound(query)} limit ${query.limit}
    ) select ${stateOf(project)}, (select count(*) from near), (select count(*) from near where vector > ${lastRowId}),
      (select count(*) from best), null
    union all select null, null, null, null, memory, distance from best`;
}

/**
 * Sorts the distances alone. Then it looks at the memories, nearest first, until it has enough. A filter comes
 * first, because it may leave few rows.
 */
function exactScan(query: NearestQuery): SQL {
  const { vector, set, conditions, isFiltered, limit } = query;
  const isComparable = isFiltered
    ? sql`${isInSet(set)} and ${e.memoryRowId} in (select ${m.rowId} from ${m} where ${all(conditions)})`
    : isInSet(set);
  // LIMIT -1 keeps SQLite from moving the conditions into the subquery, and from leaving out its ORDER BY. The
  // materialized rows are there before the first one is read, so that none of the work is left to the event loop.
  return sql`with best as materialized (
      select near.memory, near.distance from (
        select ${e.memoryRowId} as memory, ${e.rowId} as vector, ${distanceOf(e.vector, vector)} as distance from ${e}
        where ${isComparable} order by distance, memory desc limit -1
      ) as near where ${isWanted(query)} ${isFiltered ? sql`` : sql`and ${isFound(query)}`} limit ${toSqlLimit(limit)}
    ) select memory, distance from best order by distance, memory desc`;
}

/** Condition on a row of `near`: that its memory is not deleted and the filter passes it. */
function isFound({ conditions }: NearestQuery): SQL {
  return sql`exists (select 1 from ${m} where ${m.rowId} = near.memory and ${all(conditions)})`;
}

/** Condition on a row of `near`: that no version of the memory's vector is nearer. */
function isWanted({ vector, set }: NearestQuery): SQL {
  if (set.version !== "") return sql`true`;
  const distance = distanceOf(other.vector, vector);
  return sql`not exists (select 1 from ${memoryEmbeddings} as other where ${other.memoryRowId} = near.memory
    and ${other.model} = ${set.model} and ${other.dimensions} = ${set.dimensions}
    and (${distance} < near.distance or (${distance} = near.distance and ${other.rowId} < near.vector)))`;
}

function distanceOf(column: AnyColumn, vector: Float32Array): SQL {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  // A vector of zeros has no direction; SQLite then gives NULL, which stands for as far as unrelated. Earlier versions
  // also stored vectors whose length overflows in the library, which then gives anything.
  return sql`max(0.0, min(2.0, coalesce(vector_distance_cos(${column}, ${bytes}), 1.0)))`;
}

function toNearRow(row: ArrayLike<unknown>): NearRow {
  return { rowId: Number(row[0]), distance: Number(row[1]) };
}

/** Nothing found may mean that the question was made by another model than the vectors. */
async function assertDimensions({ executor }: RepositoryContext, set: VectorSet): Promise<void> {
  const { project, model, version, dimensions } = set;
  const { rows } = await executor.execute(
    toStatement(
      sql`select distinct ${e.dimensions} from ${e} where ${isOfModel(project, { model, version: version || undefined })} limit 10`,
    ),
  );
  const known = rows.map((row) => Number(row[0]));
  if (known.length === 0 || known.includes(dimensions)) return;
  throw new StorageError(
    "DIMENSION_MISMATCH",
    `The vectors of ${JSON.stringify(model)} have ${known.join(" or ")} dimensions, the one given has ${dimensions}`,
  );
}

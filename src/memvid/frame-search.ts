import { type SQL, sql } from "drizzle-orm";
import { DEFAULT_PROJECT } from "../areas/arguments.js";
import type { MemoryFilter } from "../areas/memories/filter.js";
import { all } from "../areas/statements.js";
import { memories, memoryEmbeddings } from "../schema/memories.js";
import { fuse } from "../search/fuse.js";
import { matchExpression, type QueryPlan } from "../search/query.js";
import { searchScope } from "../search/terms.js";
import type { Storage } from "../storage/storage.js";
import { CORRECTION, NO_SOURCE } from "./frame.js";
import { VecDimensionMismatchError } from "./memvid-error.js";

/** The row of a found frame, with its score. */
interface FrameHit {
  readonly rowId: number;
  readonly score: number;
}

export interface FrameQuery {
  readonly plan: QueryPlan;
  readonly uses: "words" | "vectors" | "both";
  readonly vector?: readonly number[] | undefined;
  /** @default every model with vectors of that length */
  readonly model?: string | undefined;
  /** Only frames at or after this time, in ms. */
  readonly since?: number | undefined;
  /** Only frames at or before this time, in ms. */
  readonly until?: number | undefined;
  /** Only frames whose URI starts with this. */
  readonly scope?: string | undefined;
  /** Only frames up to this row. */
  readonly lastRowId?: number | undefined;
  /** How many of the best hits to return. */
  readonly depth: number;
}

export interface FrameHits {
  /** The best hits: at least `depth`, if there are that many. A greater depth only adds hits at the end. */
  readonly hits: readonly FrameHit[];
  /** The number of all hits. */
  readonly total: number;
}

/** The search always ranks this many candidates, so a lower depth would save nothing. */
const RANKED = 200;
const m = memories;
const e = memoryEmbeddings;
// The plus signs keep SQLite from scanning all frames by an index: other conditions name the rows.
const isLive = sql`+${m.project} = ${DEFAULT_PROJECT} and +${m.deletedAt} is null`;

/** The rows of the frames that match a query, best first, and their number. Reads no frames. */
export async function searchFrames(storage: Storage, query: FrameQuery): Promise<FrameHits> {
  const { scope = "", lastRowId, depth } = query;
  if (scope !== "" || lastRowId !== undefined) {
    // The search does not apply these filters, so all hits must be ranked to count them.
    const { hits } = await rankFrames(storage, query, Number.POSITIVE_INFINITY);
    const accepted = await within(storage, hits, scope, lastRowId ?? Number.MAX_SAFE_INTEGER);
    return { hits: accepted, total: accepted.length };
  }
  const first = await rankFrames(storage, query, RANKED);
  if (depth <= first.hits.length || first.hits.length >= first.total) return first;
  // A greater depth may change the order, so later pages continue after the hits of earlier ones, each frame once.
  const shown = new Set(first.hits.map(({ rowId }) => rowId));
  const all = await rankFrames(storage, query, Number.POSITIVE_INFINITY);
  return { hits: [...first.hits, ...all.hits.filter(({ rowId }) => !shown.has(rowId))], total: first.total };
}

/** The hits in a scope, among the frames up to a row. */
async function within(
  storage: Storage,
  hits: readonly FrameHit[],
  scope: string,
  lastRowId: number,
): Promise<FrameHit[]> {
  const uri = sql`case ${m.source} when ${NO_SOURCE} then 'mv2://frames/' || (${m.rowId} - 1) else ${m.source} end`;
  const rows = await storage.db.all<{ rowId: number }>(
    sql`select ${m.rowId} as "rowId" from ${m} where ${m.rowId} in ${rowsOf(hits)} and ${m.rowId} <= ${lastRowId}
      and substr(${uri}, 1, length(${scope})) = ${scope}`,
  );
  const accepted = new Set(rows.map(({ rowId }) => rowId));
  return hits.filter(({ rowId }) => accepted.has(rowId));
}

function rowsOf(hits: readonly FrameHit[]): SQL {
  return sql`(select value from json_each(${JSON.stringify(hits.map(({ rowId }) => rowId))}))`;
}

async function rankFrames(storage: Storage, query: FrameQuery, depth: number): Promise<FrameHits> {
  const { uses, vector } = query;
  const models = vector === undefined || uses === "words" ? [] : await modelsFor(storage, vector.length, query.model);
  const near =
    vector === undefined || models.length === 0 ? NOTHING : await findNear(storage, query, vector, models, depth);
  const words = uses === "vectors" ? NOTHING : await findWords(storage, query, models, vector?.length ?? 0, depth);
  const found = near === NOTHING ? words : words === NOTHING ? near : fuseHits(words, near);
  return { ...found, hits: await boostCorrections(storage, found.hits) };
}

/** Ranks corrections before the frames that they correct. */
async function boostCorrections(storage: Storage, hits: readonly FrameHit[]): Promise<readonly FrameHit[]> {
  if (hits.length === 0) return hits;
  const rows = await storage.db.all<{ rowId: number; boost: unknown }>(
    sql`select ${m.rowId} as "rowId", json_extract(${m.metadata}, '$.memvid.boost') as boost from ${m}
      where ${m.rowId} in ${rowsOf(hits)} and +${m.type} = ${CORRECTION}`,
  );
  const boosts = new Map(rows.flatMap(({ rowId, boost }) => (typeof boost === "number" ? [[rowId, boost]] : [])));
  if (boosts.size === 0) return hits;
  const boosted = hits.map(({ rowId, score }) => ({ rowId, score: score * (boosts.get(rowId) ?? 1) }));
  return boosted.sort((a, b) => b.score - a.score);
}

const NOTHING: FrameHits = { hits: [], total: 0 };

/** Searches by words. `total` does not count frames with a vector of `models`, which the vector search finds. */
async function findWords(
  storage: Storage,
  { plan, since, until }: FrameQuery,
  models: readonly string[],
  dimensions: number,
  depth: number,
): Promise<FrameHits> {
  const frames = storage.memories;
  const filter = toFilter(since, until);
  if (plan.isRecent) {
    // Next to vectors, recent frames would only dilute the hits.
    if (models.length > 0) return NOTHING;
    const hits = await frames.rank(plan, { ...filter, limit: depth });
    return { hits, total: await frames.count(filter) };
  }
  const isOther = models.length === 0 ? sql`true` : sql`${m.rowId} not in (${embeddedBy(models, dimensions)})`;
  const conditions = [isLive, isOther, ...between(since, until)];
  const match = matchExpression(plan.terms, searchScope(DEFAULT_PROJECT), "any");
  const counted = plan.terms.length === 0 ? 0 : await countIndexed(storage, match, conditions);
  if (counted > 0) {
    return { hits: await frames.rank(plan, { ...filter, limit: depth }), total: counted };
  }
  // The index cannot count prefixes and parts of words. They are few, or the text is not specific.
  const hits = await frames.rank(plan, { ...filter, limit: Number.POSITIVE_INFINITY });
  if (models.length === 0) return { hits, total: hits.length };
  const [row] = await storage.db.all<{ total: number }>(
    sql`select count(*) as total from ${m} where ${m.rowId} in ${rowsOf(hits)} and ${isOther}`,
  );
  return { hits, total: row!.total };
}

async function findNear(
  storage: Storage,
  { plan, since, until }: FrameQuery,
  vector: readonly number[],
  models: readonly string[],
  depth: number,
): Promise<FrameHits> {
  const filter = toFilter(since, until);
  const nearest = (embeddingModel: string) =>
    storage.memories.rank(plan, { ...filter, mode: "vector", embedding: vector, embeddingModel, limit: depth });
  const lists = await Promise.all(models.map(nearest));
  const best = new Map<number, FrameHit>();
  for (const hit of lists.flat()) {
    const known = best.get(hit.rowId);
    if (known === undefined || known.score < hit.score) best.set(hit.rowId, hit);
  }
  const hits = [...best.values()].sort((a, b) => b.score - a.score || b.rowId - a.rowId);
  const conditions = [isLive, ...between(since, until), sql`${m.rowId} in (${embeddedBy(models, vector.length)})`];
  const [row] = await storage.db.all<{ total: number }>(
    sql`select count(*) as total from ${m} where ${all(conditions)}`,
  );
  return { hits, total: row!.total };
}

function fuseHits(words: FrameHits, near: FrameHits): FrameHits {
  const [byWord, byVector] = [words, near].map(({ hits }) => hits.map(({ rowId, score }) => ({ id: rowId, score })));
  const fused = fuse(byWord!, byVector!);
  return { hits: fused.map(({ id, score }) => ({ rowId: id, score })), total: words.total + near.total };
}

/** The models that have vectors of this length; rejects with MV014 if there are only vectors of other lengths. */
async function modelsFor(storage: Storage, dimensions: number, model: string | undefined): Promise<string[]> {
  if (model !== undefined) return [model];
  const rows = await storage.db.all<{ model: string; dimensions: number }>(
    sql`select distinct ${e.model}, ${e.dimensions} from ${e} where ${e.project} = ${DEFAULT_PROJECT}`,
  );
  const fitting = rows.filter((row) => row.dimensions === dimensions).map((row) => row.model);
  if (fitting.length > 0 || rows.length === 0) return [...new Set(fitting)];
  const known = [...new Set(rows.map((row) => row.dimensions))].join(" or ");
  throw new VecDimensionMismatchError(`The vectors stored have ${known} dimensions, the one given has ${dimensions}`);
}

function embeddedBy(models: readonly string[], dimensions: number): SQL {
  return sql`select ${e.memoryRowId} from ${e} where ${e.project} = ${DEFAULT_PROJECT} and ${e.dimensions} = ${dimensions}
    and ${e.model} in (select value from json_each(${JSON.stringify(models)}))`;
}

function toFilter(since: number | undefined, until: number | undefined): MemoryFilter {
  return {
    ...(since === undefined ? {} : { since: new Date(since) }),
    ...(until === undefined ? {} : { until: new Date(until) }),
  };
}

function between(since: number | undefined, until: number | undefined): SQL[] {
  const from = since === undefined ? [] : [sql`${m.createdAt} >= ${since}`];
  return until === undefined ? from : [...from, sql`${m.createdAt} <= ${until}`];
}

/** How many frames have any of the words; 0 if the index is missing. */
async function countIndexed(storage: Storage, match: string, conditions: readonly SQL[]): Promise<number> {
  try {
    const [row] = await storage.db.all<{ total: number }>(
      sql`select count(*) as total from memories_fts cross join ${m} on ${m.rowId} = memories_fts.rowid
        where memories_fts match ${match} and ${all(conditions)}`,
    );
    return row!.total;
  } catch {
    // Without an index, the search that follows scans; it meets any other failure itself.
    return 0;
  }
}

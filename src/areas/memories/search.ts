import { sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { memories } from "../../schema/memories.js";
import { DEFAULT_VECTOR_WEIGHT, FUSED_PLACES, fuse } from "../../search/fuse.js";
import { keywordSearch } from "../../search/keyword-search.js";
import { planQuery, type QueryPlan } from "../../search/query.js";
import type { KeywordMatch, SearchTarget } from "../../search/request.js";
import { resolveSnippetOptions, type SnippetOptions, snippet } from "../../search/snippet.js";
import { searchScope } from "../../search/terms.js";
import { expectation, expectOneOf } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit, hasDirection, toDirection } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Metadata } from "../metadata.js";
import { readAll } from "../read-all.js";
import { backlogOf } from "../search-backlog.js";
import { searchReader, toWhere } from "../search-reader.js";
import { toStatement } from "../statements.js";
import { readContent } from "./content.js";
import { FILTER_KEYS, filterConditions, type MemoryFilter } from "./filter.js";
import { findNearest } from "./nearest.js";
import { at, columns, type Memory, memoriesWithVector, toMemory } from "./record.js";

/** How a result was found. */
export type SearchMatch = KeywordMatch | "vector" | "hybrid";
/** Whether a search uses words, vectors or both. */
export type SearchMode = "auto" | "keyword" | "vector" | "hybrid";

/** Which memories a search finds, and how. */
export interface SearchOptions<M extends object = Metadata> extends MemoryFilter<M> {
  /** The most results. @default 10 */
  readonly limit?: number | undefined;
  /** The vector of the question; needs `embeddingModel`. */
  readonly embedding?: Float32Array | readonly number[] | undefined;
  /** The model of `embedding`. Only vectors of this model are compared. */
  readonly embeddingModel?: string | undefined;
  /** The version of that model. Without it, vectors of all its versions are compared. */
  readonly embeddingVersion?: string | undefined;
  /** `auto` is `hybrid` with an embedding and `keyword` without. @default "auto" */
  readonly mode?: SearchMode | undefined;
  /**
   * How much the vectors count in `hybrid`, from 0 (the list of the keywords) to 1 (that of the vectors). Raise it for a
   * strong model. @default 0.15
   */
  readonly vectorWeight?: number | undefined;
  /** The length and the marks of `snippet`. */
  readonly snippet?: SnippetOptions | undefined;
}

/** The options that decide which rows a search finds, and in which order. */
export type RankOptions = Omit<SearchOptions, "snippet">;

/** One memory that a search found. */
export interface SearchResult<M extends object = Metadata> {
  readonly memory: Memory<M>;
  /** Higher is better; comparable within one result only. */
  readonly score: number;
  /** Which strategy found it: words (`keyword`), beginnings of words, any part of the text, vectors, words and vectors (`hybrid`), or, for a text that asks for nothing, the time (`recent`). */
  readonly match: SearchMatch;
  /** At most 300 characters of the content, with the matches between `<mark>` and `</mark>`. */
  readonly snippet: string;
}

/** Which memories `nearest` compares. */
export interface NearestOptions<M extends object = Metadata> extends MemoryFilter<M> {
  /** Only vectors of this model are compared. */
  readonly model: string;
  /** Only vectors of this version are compared. @default vectors of any version of the model */
  readonly version?: string | undefined;
  /** The most results. @default 10 */
  readonly limit?: number | undefined;
  /**
   * Whether every vector is compared. Without it, from 2,000 vectors on, a search for up to 100 results compares those that
   * may be among them by their codes in memory, within the error of the codes. @default false
   */
  readonly exact?: boolean | undefined;
}

/** One memory that `nearest` found. */
export interface NearMemory<M extends object = Metadata> {
  readonly memory: Memory<M>;
  /** Cosine distance, 0 (same direction) to 2. */
  readonly distance: number;
  /** One minus the distance. */
  readonly score: number;
}

/** A row that a search found. */
export interface RankedRow {
  readonly rowId: number;
  readonly score: number;
  readonly match: SearchMatch;
}

const m = memories;
const aliased = alias(memories, "m");
export const MEMORY_TARGET: SearchTarget = {
  table: "memories",
  rowId: m.rowId.name,
  content: m.content.name,
  unpack: readContent,
  searchText: m.searchText.name,
  hasNoTerms: `m.${m.deletedAt.name} IS NOT NULL`,
  fts: "memories_fts",
  session: {
    group: m.sessionId.name,
    time: m.createdAt.name,
    isOther: `n.${m.project.name} = m.${m.project.name} AND n.${m.deletedAt.name} IS NULL`,
  },
  metadata: m.metadata.name,
  recentOrder: "m.created_at DESC, m.row_id DESC",
};
const RANKING_KEYS = [
  ...FILTER_KEYS,
  "limit",
  "embedding",
  "embeddingModel",
  "embeddingVersion",
  "mode",
  "vectorWeight",
];

export async function searchMemories(
  context: RepositoryContext,
  text: string,
  options: SearchOptions,
): Promise<SearchResult[]> {
  if (typeof text !== "string") throw new TypeError(expectation("text", "a string", text));
  expectKeys("search", options, [...RANKING_KEYS, "snippet"]);
  const { snippet: given, ...ranking } = options;
  const shape = resolveSnippetOptions(given);
  const plan = planQuery(text);
  const hits = await rankMemories(context, plan, ranking);
  const records = await readRows(
    context,
    hits.map(({ rowId }) => rowId),
  );
  return hits.flatMap(({ rowId, score, match }) => {
    const memory = records.get(rowId);
    return memory === undefined ? [] : { memory, score, match, snippet: snippet(memory.content, plan, shape) };
  });
}

/** The rows that a search finds, best first, without their records. */
export async function rankMemories(
  context: RepositoryContext,
  plan: QueryPlan,
  options: RankOptions,
): Promise<RankedRow[]> {
  const { limit = 10, embedding, embeddingModel, embeddingVersion, mode = "auto", vectorWeight, ...filter } = options;
  expectLimit(limit);
  expectOneOf("mode", mode, ["auto", "keyword", "vector", "hybrid"]);
  if (embedding === undefined && (mode === "vector" || mode === "hybrid")) {
    throw new TypeError(expectation("embedding", `a vector for mode "${mode}"`, embedding));
  }
  if (embedding !== undefined && embeddingModel === undefined) {
    throw new TypeError(expectation("embeddingModel", "the name of the model that made the vector", embeddingModel));
  }
  const weight = toWeight(vectorWeight);
  // Some models give zeros for a text without a word that they know. Then the keywords alone decide.
  const isFused =
    (mode === "auto" || mode === "hybrid") && embedding !== undefined && hasDirection("embedding", embedding);
  const usesKeywords = isFused ? weight < 1 : mode !== "vector";
  const usesVectors = isFused ? weight > 0 : mode === "vector";
  // Whole blocks of the fusion, so that the first places do not depend on the limit.
  const depth = usesKeywords && usesVectors ? FUSED_PLACES * Math.max(1, Math.ceil(limit / FUSED_PLACES)) : limit;
  const selector = { model: embeddingModel as string, version: embeddingVersion };
  const direction = usesVectors ? toDirection("embedding", embedding) : undefined;
  // Side by side: to a server each waits for its own answers.
  const [words, neighbors] = await Promise.all([
    usesKeywords ? findWords(context, plan, filter, depth) : [],
    direction === undefined ? [] : findNearest(context, direction, { ...filter, ...selector }, depth),
  ]);
  const near = neighbors.map(({ rowId, distance }): RankedRow => ({ rowId, score: 1 - distance, match: "vector" }));
  // The text holds no words, so recent memories would only dilute the hits of the vector.
  const asked = usesVectors ? words.filter(({ match }) => match !== "recent") : words;
  const hits = !usesVectors ? words : usesKeywords ? fuseHits(asked, near, weight) : near;
  return hits.slice(0, limit);
}

export async function nearestMemories(
  context: RepositoryContext,
  embedding: Float32Array | readonly number[],
  options: NearestOptions,
): Promise<NearMemory[]> {
  expectKeys("nearest", options, [...FILTER_KEYS, "model", "version", "limit", "exact"]);
  const { limit = 10, exact = false, ...selector } = options;
  if (typeof exact !== "boolean") throw new TypeError(expectation("exact", "a boolean", exact));
  expectLimit(limit);
  const hits = await findNearest(context, toDirection("embedding", embedding), { ...selector, exact }, limit);
  const records = await readRows(
    context,
    hits.map(({ rowId }) => rowId),
  );
  return hits.flatMap(({ rowId, distance }) => {
    const memory = records.get(rowId);
    return memory === undefined ? [] : { memory, distance, score: 1 - distance };
  });
}

function findWords(
  context: RepositoryContext,
  plan: QueryPlan,
  filter: MemoryFilter,
  limit: number,
): Promise<RankedRow[]> {
  const { project, executor } = context;
  return keywordSearch(searchReader(executor), {
    target: MEMORY_TARGET,
    plan,
    scope: searchScope(project),
    where: toWhere(filterConditions(project, filter, aliased)),
    backlog: backlogOf(context, MEMORY_TARGET),
    limit: Math.min(limit, Number.MAX_SAFE_INTEGER),
  });
}

function toWeight(vectorWeight: number = DEFAULT_VECTOR_WEIGHT): number {
  if (typeof vectorWeight !== "number") throw new TypeError(expectation("vectorWeight", "a number", vectorWeight));
  if (vectorWeight >= 0 && vectorWeight <= 1) return vectorWeight;
  throw new RangeError(expectation("vectorWeight", "a number from 0 to 1", vectorWeight));
}

function fuseHits(words: readonly RankedRow[], near: readonly RankedRow[], weight: number): RankedRow[] {
  const byWord = new Map(words.map((hit) => [hit.rowId, hit]));
  const byVector = new Set(near.map((hit) => hit.rowId));
  const fused = fuse(words.map(toScored), near.map(toScored), weight);
  return fused.map(({ id, score }) => {
    const word = byWord.get(id);
    return { rowId: id, score, match: word === undefined ? "vector" : byVector.has(id) ? "hybrid" : word.match };
  });
}

function toScored({ rowId, score }: RankedRow): { id: number; score: number } {
  return { id: rowId, score };
}

/** The records of the rows that still exist. */
export async function readRows(context: RepositoryContext, rowIds: readonly number[]): Promise<Map<number, Memory>> {
  if (rowIds.length === 0) return new Map();
  const { project, executor } = context;
  // The plus signs keep SQLite from walking the whole project by its index, to look for these few rows.
  const rows = await readAll(
    executor,
    toStatement(sql`select ${columns} from ${memoriesWithVector} where +${m.project} = ${project}
      and +${m.deletedAt} is null and ${m.rowId} in (select value from json_each(${JSON.stringify(rowIds)}))`),
  );
  return new Map(rows.map((row) => [Number(row[at.rowId]), toMemory(project, row)]));
}

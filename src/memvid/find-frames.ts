import { toDirection } from "../areas/arguments.js";
import type { Memory } from "../areas/memories/record.js";
import { planQuery, type QueryPlan } from "../search/query.js";
import { countMatches, snippet } from "../search/snippet.js";
import { expectation, expectInteger, expectOneOf, expectText } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import type { Storage } from "../storage/storage.js";
import { embedQuery } from "./embedder.js";
import { fromRowId, toFrameId, toFrameInfo, toRowId, toText } from "./frame.js";
import { type FrameHits, type FrameQuery, searchFrames } from "./frame-search.js";
import { EmbeddingFailedError, NotSupportedError } from "./memvid-error.js";
import type {
  AskInput,
  AskResult,
  FindHit,
  FindInput,
  FindResult,
  VecSearchInput,
  VecSearchResult,
} from "./memvid-types.js";
import { endOfSecond, startOfSecond, toIsoSeconds } from "./timestamp.js";

const VEC_SEARCH_KEYS = [
  "k",
  "snippetChars",
  "scope",
  "minRelevancy",
  "adaptive",
  "maxK",
  "adaptiveStrategy",
  "aclContext",
  "aclEnforcementMode",
];
const FIND_KEYS = [
  ...VEC_SEARCH_KEYS,
  "mode",
  "queryEmbedding",
  "embedder",
  "queryEmbeddingModel",
  "cursor",
  "asOfFrame",
  "asOfTs",
];
const ASK_KEYS = [
  ...FIND_KEYS.filter((key) => key !== "cursor"),
  "since",
  "until",
  "contextOnly",
  "returnSources",
  "model",
  "llmContextChars",
  "modelApiKey",
  "maskPii",
  "showChunks",
];
/** The default of `k` for questions, as in the SDK. */
const ASK_HITS = 6;

type Uses = Pick<FrameQuery, "uses" | "vector" | "model">;

/** See `Memvid.find`. */
export async function findFrames(storage: Storage, query: string, options: FindInput): Promise<FindResult> {
  expectKeys("find", options, FIND_KEYS);
  return findPage(storage, query, options, await toUses(query, options));
}

/** See `Memvid.vecSearch`. */
export async function findNearFrames(
  storage: Storage,
  query: string,
  vector: readonly number[],
  options: VecSearchInput,
): Promise<VecSearchResult> {
  expectKeys("vecSearch", options, VEC_SEARCH_KEYS);
  toDirection("queryEmbedding", vector);
  return findPage(storage, query, options, { uses: "vectors", vector });
}

/** See `Memvid.ask`. */
export async function findContext(storage: Storage, question: string, options: AskInput): Promise<AskResult> {
  expectKeys("ask", options, ASK_KEYS);
  if (options.contextOnly !== true)
    throw new NotSupportedError("ask() without contextOnly: no model is called, so this");
  const { since, until, k = ASK_HITS } = options;
  const uses = await toUses(question, { ...options, mode: toMode(options.mode ?? "auto") });
  const times = {
    ...(since === undefined ? {} : { since: startOfSecond("since", since) }),
    ...(until === undefined ? {} : { until: endOfSecond("until", until) }),
  };
  const found = await findPage(storage, question, { ...options, mode: undefined, k }, { ...uses, ...times });
  const retriever = { words: "lex", vectors: "sem", both: "hybrid" }[uses.uses];
  const { hits, context, took_ms } = found;
  return {
    question,
    answer: null,
    context,
    context_fragments: hits.map(({ snippet }) => snippet),
    context_only: true,
    mode: retriever,
    retriever,
    hits,
    sources: [],
    stats: { latency_ms: took_ms, retrieval_ms: took_ms, synthesis_ms: 0 },
    usage: { retrieved: hits.length },
  };
}

async function toUses(query: string, options: FindInput): Promise<Uses> {
  const mode = toMode(options.mode);
  const vector = mode === "lex" ? undefined : (options.queryEmbedding ?? (await embedQuery(options.embedder, query)));
  if (mode === "sem" && vector === undefined) {
    throw new EmbeddingFailedError("Nothing to compare with: give a queryEmbedding, or an embedder");
  }
  const uses = mode === "sem" ? "vectors" : vector === undefined ? "words" : "both";
  return { uses, vector, model: options.queryEmbeddingModel };
}

async function findPage(
  storage: Storage,
  text: string,
  options: Omit<FindInput, "mode"> & { readonly mode?: undefined | string },
  query: Uses & Pick<FrameQuery, "since" | "until">,
): Promise<FindResult> {
  const started = performance.now();
  if (typeof text !== "string") throw new TypeError(expectation("query", "a string", text));
  const { k = 10, snippetChars = 240, scope, cursor, asOfFrame, asOfTs } = options;
  expectInteger("k", k, 0);
  expectInteger("snippetChars", snippetChars, 10);
  if (options.aclContext !== undefined) throw new NotSupportedError("aclContext");
  const offset = toOffset(cursor);
  if (scope !== undefined) expectText("scope", scope, 1000, 0);
  const asOf = asOfTs === undefined ? Number.POSITIVE_INFINITY : endOfSecond("asOfTs", asOfTs);
  const until = Math.min(asOf, query.until ?? Number.POSITIVE_INFINITY);
  const plan = planQuery(text);
  const { hits, total }: FrameHits = await searchFrames(storage, {
    ...query,
    plan,
    until: until === Number.POSITIVE_INFINITY ? undefined : until,
    scope,
    lastRowId: asOfFrame === undefined ? undefined : toRowId(toFrameId(asOfFrame)),
    depth: offset + k,
  });
  const shown = hits.slice(offset, offset + k);
  const memories = await storage.memories.read(shown.map(({ rowId }) => rowId));
  const page = shown.flatMap(({ rowId, score }, index): FindHit | [] => {
    const memory = memories.get(rowId);
    return memory === undefined ? [] : toHit(rowId, memory, plan, { score, rank: offset + index + 1, snippetChars });
  });
  const next = offset + shown.length;
  return {
    query: text,
    engine: "holdfast",
    hits: page,
    total_hits: total,
    context: page.map((hit) => `### [${hit.rank}] ${hit.uri} — ${hit.title}\n${hit.snippet}`).join("\n\n"),
    next_cursor: shown.length > 0 && next < Math.min(total, Math.max(hits.length, next + 1)) ? String(next) : null,
    took_ms: Math.round(performance.now() - started),
  };
}

function toHit(
  rowId: number,
  memory: Memory,
  plan: QueryPlan,
  { score, rank, snippetChars }: { score: number; rank: number; snippetChars: number },
): FindHit {
  const { id, uri, title, tags, labels, track } = toFrameInfo(fromRowId(rowId), memory);
  const text = toText(memory);
  const shown = snippet(text, plan, { maxChars: snippetChars, open: "", close: "" });
  const found = { frame_id: id, uri, title, snippet: shown, score, rank, matches: countMatches(memory.content, plan) };
  return { ...found, tags, labels, track, content_dates: [], created_at: toIsoSeconds(memory.createdAt) };
}

function toMode(mode: unknown = "lex"): "lex" | "sem" | "auto" {
  const name = typeof mode === "string" ? mode.toLowerCase() : mode;
  const known = { lexical: "lex", semantic: "sem", hybrid: "auto" }[name as string] ?? name;
  expectOneOf("mode", known, ["lex", "sem", "auto"]);
  return known as "lex" | "sem" | "auto";
}

function toOffset(cursor: string | null | undefined): number {
  if (cursor === undefined || cursor === null) return 0;
  if (/^\d{1,9}$/.test(cursor)) return Number(cursor);
  throw new TypeError(expectation("cursor", "the next_cursor of a page", cursor));
}

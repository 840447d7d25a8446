import { sql } from "drizzle-orm";
import { StorageError } from "../errors.js";
import { expectation, expectInteger, expectOneOf } from "../options.js";
import { expectKeys, expectText } from "../repositories/arguments.js";
import { readContent } from "../repositories/memory-content.js";
import type { Memory } from "../repositories/memory-record.js";
import { all } from "../repositories/statements.js";
import { memories } from "../schema/memories.js";
import { countMatches, snippet } from "../search/snippet.js";
import type { Storage } from "../storage.js";
import { embed, embedQuery } from "./embedder.js";
import { checkFile, healFile } from "./file-care.js";
import { type FrameDraft, fromRowId, toDraft, toFrameId, toFrameInfo, toRowId, toText, toUri } from "./frame.js";
import { type FrameHits, type FrameQuery, searchFrames } from "./frame-search.js";
import { FrameWriter, findByUri, isFrame, missingFrame, nextFrameId, requireFrame } from "./frame-store.js";
import { lockWho } from "./lock-who.js";
import {
  asMemvidErrors,
  EmbeddingFailedError,
  FrameNotFoundError,
  MemvidError,
  NotSupportedError,
} from "./memvid-error.js";
import type {
  DoctorOptions,
  DoctorResult,
  FindHit,
  FindInput,
  FindResult,
  FrameInfo,
  LockWhoResult,
  PutInput,
  PutManyInput,
  PutManyOptions,
  StatsResult,
  TimelineEntry,
  TimelineInput,
  VecSearchInput,
  VecSearchResult,
  VerifyOptions,
  VerifyResult,
} from "./memvid-types.js";
import { cutText } from "./repair.js";
import { DEFAULT_MODEL } from "./sqlite-storage.js";
import { toIsoSeconds } from "./timestamp.js";
import { UnsupportedCalls } from "./unsupported.js";

const PREVIEW_CHARS = 120;
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
const PUT_MANY_KEYS = ["embedder", "enableEmbedding", "embeddingModel", "compressionLevel", "enableEnrichment"];
const TIMELINE_KEYS = ["limit", "since", "until", "reverse", "asOfFrame", "asOfTs"];
const m = memories;

/**
 * A memory in the shape of @memvid/sdk, on one libSQL file that any number of processes may write.
 *
 * What is put is a frame: a memory of project `"default"`, as the entries of `createStorage` are, numbered from 0 in the order
 * of putting. A call that resolved is
 * stored, sealed or not. Every call rejects with a MemvidError: `MV007` when another process kept the file, `MV012` on a
 * damaged one, `MV001` on a full disk, `MV999` on wrong arguments, whose TypeError or RangeError is the cause.
 */
export class Memvid extends UnsupportedCalls {
  readonly #path: string;
  readonly #isReadOnly: boolean;
  readonly #open: () => Promise<Storage>;
  readonly #writer = new FrameWriter();
  readonly #running = new Set<Promise<unknown>>();
  #storage: Promise<Storage> | undefined;
  #isClosed = false;

  /** @internal Use `create`, `open` or `use`. */
  constructor(path: string, isReadOnly: boolean, open: () => Promise<Storage>) {
    super();
    this.#path = path;
    this.#isReadOnly = isReadOnly;
    this.#open = open;
  }

  /** @internal Opens the file, so that what is wrong with it is known at once. */
  async opened(): Promise<this> {
    await this.#run(async () => undefined);
    return this;
  }

  async path(): Promise<string> {
    return this.#path;
  }

  /** Stores one frame; resolves to its id. */
  put(input: PutInput): Promise<string> {
    return this.#write(async (storage) => {
      const [id] = await this.#writer.put(storage, [{ draft: await toDraft(input) }]);
      return id!;
    });
  }

  /** Stores all of them, or none; resolves to their ids, in order. */
  putMany(inputs: readonly PutManyInput[], options: PutManyOptions = {}): Promise<string[]> {
    return this.#write(async (storage) => {
      if (!Array.isArray(inputs)) throw new TypeError(expectation("inputs", "an array of documents", inputs));
      expectKeys("putMany", options, PUT_MANY_KEYS);
      const { embedder } = options;
      if (options.enableEmbedding === true && embedder === undefined) {
        throw new NotSupportedError("enableEmbedding without an embedder: models are not downloaded, so this");
      }
      const drafts: FrameDraft[] = [];
      for (const input of inputs) drafts.push(await toDraft(input));
      const vectors = embedder === undefined ? new Map() : await embed(embedder, drafts);
      const model = embedder?.modelName ?? DEFAULT_MODEL;
      return this.#writer.put(
        storage,
        drafts.map((draft) => ({
          draft,
          made: vectors.has(draft) ? { vector: vectors.get(draft)!, model } : undefined,
        })),
      );
    });
  }

  /** The frames that answer `query`, best first: any text, quotes, parentheses and operators included. */
  find(query: string, options: FindInput = {}): Promise<FindResult> {
    return this.#run(async (storage) => {
      expectKeys("find", options, FIND_KEYS);
      const mode = toMode(options.mode);
      const vector =
        mode === "lex" ? undefined : (options.queryEmbedding ?? (await embedQuery(options.embedder, query)));
      if (mode === "sem" && vector === undefined) {
        throw new EmbeddingFailedError("Nothing to compare with: give a queryEmbedding, or an embedder");
      }
      const uses = mode === "sem" ? "vectors" : vector === undefined ? "words" : "both";
      const model = options.queryEmbeddingModel;
      return this.#page(storage, query, options, { uses, vector, model });
    });
  }

  /** The frames whose embeddings are nearest to `queryEmbedding`, by cosine; `query` marks the snippets only. */
  vecSearch(query: string, queryEmbedding: readonly number[], options: VecSearchInput = {}): Promise<VecSearchResult> {
    return this.#run(async (storage) => {
      expectKeys("vecSearch", options, VEC_SEARCH_KEYS);
      return this.#page(storage, query, options, { uses: "vectors", vector: queryEmbedding });
    });
  }

  /** The whole text of a frame. `MV010` when there is none, or it was removed. */
  view(frameId: number | string): Promise<string> {
    return this.#run(async (storage) => toText(await requireFrame(storage, toFrameId(frameId))));
  }

  /** The whole text of the frame put last under this URI. */
  viewByUri(uri: string): Promise<string> {
    return this.#run(async (storage) => {
      expectText("uri", uri, 1000);
      const frameId = await findByUri(storage, uri);
      if (frameId === undefined) throw new FrameNotFoundError(`There is no frame with uri ${JSON.stringify(uri)}`);
      return toText(await requireFrame(storage, frameId));
    });
  }

  getFrameInfo(frameId: number | string): Promise<FrameInfo> {
    return this.#run(async (storage) => {
      const id = toFrameId(frameId);
      return toFrameInfo(id, await requireFrame(storage, id));
    });
  }

  /** Hides a frame from every other call; its row stays. Resolves to the frame's number. */
  remove(frameId: number | string): Promise<number> {
    return this.#write(async (storage) => {
      const id = toFrameId(frameId);
      const memory = await requireFrame(storage, id);
      if (!(await storage.memories.delete(memory.id))) throw missingFrame(id);
      return id;
    });
  }

  /** The frames by time, oldest first; of equal times by id. */
  timeline(options: TimelineInput = {}): Promise<TimelineEntry[]> {
    return this.#run(async (storage) => {
      expectKeys("timeline", options, TIMELINE_KEYS);
      const { limit, since, until, reverse = false, asOfFrame, asOfTs } = options;
      if (limit !== undefined) expectInteger("limit", limit, 0);
      const conditions = [sql`${isFrame} and ${m.deletedAt} is null`];
      if (since !== undefined) conditions.push(sql`${m.createdAt} >= ${startOf("since", since)}`);
      if (until !== undefined) conditions.push(sql`${m.createdAt} <= ${endOf("until", until)}`);
      if (asOfTs !== undefined) conditions.push(sql`${m.createdAt} <= ${endOf("asOfTs", asOfTs)}`);
      if (asOfFrame !== undefined) conditions.push(sql`${m.rowId} <= ${toRowId(toFrameId(asOfFrame))}`);
      const order = reverse ? sql`${m.createdAt} desc, ${m.rowId} desc` : sql`${m.createdAt}, ${m.rowId}`;
      const textChars = sql`json_extract(${m.metadata}, '$.memvid.textChars')`;
      // A compressed content has no beginning that SQL could cut off.
      const rows = await storage.db.all<TimelineRow>(
        sql`select ${m.rowId} as "rowId", ${m.source} as uri, ${m.createdAt} as "createdAt", ${textChars} as "textChars",
          case typeof(${m.content}) when 'text' then substr(${m.content}, 1, ${PREVIEW_CHARS}) else ${m.content} end as content
          from ${m} where ${all(conditions)} order by ${order} limit ${limit ?? -1}`,
      );
      return rows.map(({ rowId, uri, createdAt, textChars, content }) => ({
        frame_id: fromRowId(rowId),
        uri: toUri(fromRowId(rowId), uri),
        timestamp: Math.floor(createdAt / 1000),
        preview: cutText(readContent(content).slice(0, textChars ?? undefined), PREVIEW_CHARS),
        child_frames: [],
      }));
    });
  }

  stats(): Promise<StatsResult> {
    return this.#run(async (storage) => {
      const [{ count, bytes, embeddings }, { fileBytes, walBytes }, { fts }, next, [frames]] = await Promise.all([
        storage.memories.stats(),
        storage.stats(),
        storage.health(),
        nextFrameId(storage),
        storage.db.all<{ count: number }>(sql`select count(*) as count from ${m} where ${isFrame}`),
      ]);
      const [most] = embeddings;
      const size = fileBytes + walBytes;
      const average = count === 0 ? 0 : Math.round(bytes / count);
      return {
        frame_count: frames!.count,
        active_frame_count: count,
        seq_no: next,
        size_bytes: size,
        logical_bytes: bytes,
        payload_bytes: bytes,
        average_frame_logical_bytes: average,
        average_frame_payload_bytes: average,
        saved_bytes: 0,
        savings_percent: 0,
        compression_ratio_percent: 100,
        capacity_bytes: Number.MAX_SAFE_INTEGER,
        remaining_capacity_bytes: Number.MAX_SAFE_INTEGER - size,
        storage_utilisation_percent: 0,
        tier: "local",
        has_lex_index: fts,
        has_time_index: true,
        has_vec_index: most !== undefined,
        lex_enabled: true,
        vec_enabled: true,
        effective_vec_dimension: most?.dimensions ?? null,
        embedding_identity: most === undefined ? null : { model: most.model, dimension: most.dimensions },
      };
    });
  }

  /** Whether the file is sound. What is wrong with it is in the answer; it does not reject because of that. */
  verify(options: VerifyOptions = {}): Promise<VerifyResult> {
    return this.#run((storage) => checkFile(storage, this.#path, options));
  }

  /** Rebuilds the word index, gives free pages back, and verifies. Other processes may go on meanwhile. */
  doctor(options: DoctorOptions = {}): Promise<DoctorResult> {
    const heal = (storage: Storage) => healFile(storage, this.#path, options);
    return options.dryRun === true ? this.#run(heal) : this.#write(heal);
  }

  /** Finishes running calls and closes the file. Everything was stored before; the next call opens it again. */
  async seal(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    const storage = this.#storage;
    this.#storage = undefined;
    await asMemvidErrors(async () => (await storage)?.close());
  }

  /** As `seal`, but for good: calls after it reject. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.seal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Who holds the `FileLock` on this memory's path, if anybody does. */
  lockWho(): Promise<LockWhoResult> {
    return lockWho(this.#path);
  }

  /** There is no limit but the disk's. */
  async getCapacity(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }

  /** Has no effect: words are always indexed. */
  async enableLex(): Promise<void> {}

  /** Has no effect: vectors are kept as float32. */
  async setVectorCompression(_enabled: boolean): Promise<void> {}

  /** Always null: there is no cloud to be bound to. */
  async getMemoryBinding(): Promise<null> {
    return null;
  }

  async #page(
    storage: Storage,
    text: string,
    options: FindInput,
    query: Pick<FrameQuery, "uses" | "vector" | "model">,
  ): Promise<FindResult> {
    const started = performance.now();
    if (typeof text !== "string") throw new TypeError(expectation("query", "a string", text));
    const { k = 10, snippetChars = 240, scope, cursor, asOfFrame, asOfTs } = options;
    expectInteger("k", k, 0);
    expectInteger("snippetChars", snippetChars, 10);
    if (options.aclContext !== undefined) throw new NotSupportedError("aclContext");
    const offset = toOffset(cursor);
    if (scope !== undefined) expectText("scope", scope, 1000, 0);
    const { hits, total }: FrameHits = await searchFrames(storage, {
      ...query,
      text,
      until: asOfTs === undefined ? undefined : endOf("asOfTs", asOfTs),
      scope,
      lastRowId: asOfFrame === undefined ? undefined : toRowId(toFrameId(asOfFrame)),
      depth: offset + k,
    });
    const shown = hits.slice(offset, offset + k);
    const memories = await storage.memories.read(shown.map(({ rowId }) => rowId));
    const page = shown.flatMap(({ rowId, score }, index): FindHit | [] => {
      const memory = memories.get(rowId);
      return memory === undefined ? [] : toHit(rowId, memory, text, { score, rank: offset + index + 1, snippetChars });
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

  #write<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
    if (!this.#isReadOnly) return this.#run(work);
    return Promise.reject(new MemvidError("MV999", `${this.#path} was opened with readOnly: nothing can be changed`));
  }

  /** Runs `work` on the open file; `seal` waits for it. */
  #run<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
    const running = asMemvidErrors(async () => {
      if (this.#isClosed) throw new StorageError("CLOSED", `${this.#path} is closed. Open it again`);
      this.#storage ??= this.#open().catch((error: unknown) => {
        this.#storage = undefined;
        throw error;
      });
      return work(await this.#storage);
    });
    this.#running.add(running);
    const forget = () => this.#running.delete(running);
    running.then(forget, forget);
    return running;
  }
}

interface TimelineRow {
  readonly rowId: number;
  readonly uri: string;
  readonly createdAt: number;
  readonly textChars: number | null;
  readonly content: unknown;
}

function toHit(
  rowId: number,
  memory: Memory,
  query: string,
  { score, rank, snippetChars }: { score: number; rank: number; snippetChars: number },
): FindHit {
  const { id, uri, title, tags, labels, track } = toFrameInfo(fromRowId(rowId), memory);
  const text = toText(memory);
  const shown = snippet(text, query, { maxChars: snippetChars, open: "", close: "" });
  const found = { frame_id: id, uri, title, snippet: shown, score, rank, matches: countMatches(memory.content, query) };
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

function startOf(name: string, seconds: unknown): number {
  if (typeof seconds !== "number") throw new TypeError(expectation(name, "seconds since 1970", seconds));
  if (!Number.isFinite(seconds)) throw new RangeError(expectation(name, "seconds since 1970", seconds));
  return Math.floor(seconds * 1000);
}

/** All of a second is up to it. */
function endOf(name: string, seconds: unknown): number {
  return startOf(name, seconds) + 999;
}

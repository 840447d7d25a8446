import { sql } from "drizzle-orm";
import { atIndex } from "../areas/batch.js";
import { readContent } from "../areas/memories/content.js";
import { all } from "../areas/statements.js";
import { memories } from "../schema/memories.js";
import { StorageError } from "../shared/errors.js";
import { expectation, expectInteger, expectText } from "../shared/expectation.js";
import { InFlight } from "../shared/in-flight.js";
import { expectKeys } from "../shared/known-keys.js";
import type { Storage } from "../storage/storage.js";
import { addCards, cardEntities, cardStats, entityState, exportCards, findCards } from "./cards.js";
import { embed } from "./embedder.js";
import { checkFile, healFile } from "./file-care.js";
import { findContext, findFrames, findNearFrames } from "./find-frames.js";
import {
  type FrameDraft,
  fromRowId,
  toCorrection,
  toDraft,
  toFrameId,
  toFrameInfo,
  toRowId,
  toText,
  toUri,
} from "./frame.js";
import { FrameWriter, findByUri, isFrame, missingFrame, nextFrameId, requireFrame } from "./frame-store.js";
import { lockWho } from "./lock-who.js";
import { asMemvidErrors, FrameNotFoundError, MemvidError, NotSupportedError } from "./memvid-error.js";
import type {
  AddMemoryCardsResult,
  AskInput,
  AskResult,
  CorrectManyInput,
  CorrectOptions,
  DoctorOptions,
  DoctorResult,
  EntityState,
  FindInput,
  FindResult,
  FrameInfo,
  LockWhoResult,
  MemoriesResult,
  MemoriesStats,
  MemoryCardInput,
  PutInput,
  PutManyInput,
  PutManyOptions,
  SessionSummary,
  StatsResult,
  TimelineEntry,
  TimelineInput,
  VecSearchInput,
  VecSearchResult,
  VerifyOptions,
  VerifyResult,
} from "./memvid-types.js";
import { listRecordings, Recording } from "./recordings.js";
import { cutText } from "./repair.js";
import { DEFAULT_MODEL } from "./sqlite-storage.js";
import { endOfSecond, startOfSecond } from "./timestamp.js";
import { UnsupportedCalls } from "./unsupported.js";

const PREVIEW_CHARS = 120;
const PUT_MANY_KEYS = ["embedder", "enableEmbedding", "embeddingModel", "compressionLevel", "enableEnrichment"];
const TIMELINE_KEYS = ["limit", "since", "until", "reverse", "asOfFrame", "asOfTs"];
const m = memories;

/**
 * A memory with the API of @memvid/sdk, on one libSQL file that any number of processes may write.
 *
 * `put` stores a frame: a memory of project `"default"`, like the entries of `createStorage`, numbered from 0 in order. A
 * resolved call is stored, sealed or not. Calls reject with a MemvidError: `MV007` if another process kept the file,
 * `MV012` if it is damaged, `MV001` if the disk is full, `MV999` on wrong arguments, with the TypeError or RangeError as
 * the cause.
 */
export class Memvid extends UnsupportedCalls {
  readonly #path: string;
  readonly #isReadOnly: boolean;
  readonly #open: () => Promise<Storage>;
  readonly #writer = new FrameWriter();
  readonly #recording = new Recording();
  readonly #running = new InFlight();
  #storage: Promise<Storage> | undefined;
  #isClosed = false;

  /** @internal Use `create`, `open` or `use`. */
  constructor(path: string, isReadOnly: boolean, open: () => Promise<Storage>) {
    super();
    this.#path = path;
    this.#isReadOnly = isReadOnly;
    this.#open = open;
  }

  /** @internal Opens the file, so that problems show at once. */
  async opened(): Promise<this> {
    await this.#run(async () => undefined);
    return this;
  }

  /** The path of the file. */
  async path(): Promise<string> {
    return this.#path;
  }

  /** Stores one frame; resolves to its id. */
  put(input: PutInput): Promise<string> {
    this.#recording.count();
    return this.#write(async (storage) => {
      const [id] = await this.#writer.put(storage, [{ draft: await toDraft(input) }]);
      return id!;
    });
  }

  /** Stores all inputs or none; resolves to their ids in order. */
  putMany(inputs: readonly PutManyInput[], options: PutManyOptions = {}): Promise<string[]> {
    return this.#write(async (storage) => {
      if (!Array.isArray(inputs)) throw new TypeError(expectation("inputs", "an array of documents", inputs));
      expectKeys("putMany", options, PUT_MANY_KEYS);
      const { embedder } = options;
      if (options.enableEmbedding === true && embedder === undefined) {
        throw new NotSupportedError("enableEmbedding without an embedder: models are not downloaded, so this");
      }
      const drafts: FrameDraft[] = [];
      for (const [index, input] of inputs.entries()) drafts.push(await atIndex(index, () => toDraft(input)));
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

  /** Searches for `query`, which may be any text, also with quotes, parentheses and operators; best frames first. */
  find(query: string, options: FindInput = {}): Promise<FindResult> {
    return this.#act((storage) => findFrames(storage, query, options));
  }

  /** The frames with the embeddings nearest to `queryEmbedding`, by cosine; `query` only marks the snippets. */
  vecSearch(query: string, queryEmbedding: readonly number[], options: VecSearchInput = {}): Promise<VecSearchResult> {
    return this.#act((storage) => findNearFrames(storage, query, queryEmbedding, options));
  }

  /**
   * With `contextOnly: true`, finds the text to answer a question from: pass `context` to your language model. Without it,
   * the call is `NOT_SUPPORTED`, since no model is called here.
   */
  ask(question: string, options: AskInput = {}): Promise<AskResult> {
    return this.#act((storage) => findContext(storage, question, options));
  }

  /** Stores a statement that ranks before the frames that it corrects; resolves to its frame id. */
  async correct(statement: string, options: CorrectOptions = {}): Promise<string> {
    const [id] = await this.correctMany([{ ...options, statement }]);
    return id!;
  }

  /** Stores all corrections or none; resolves to their frame ids in order. */
  correctMany(corrections: readonly CorrectManyInput[]): Promise<string[]> {
    return this.#write(async (storage) => {
      if (!Array.isArray(corrections)) throw new TypeError(expectation("corrections", "an array", corrections));
      const drafts: FrameDraft[] = [];
      for (const [index, one] of corrections.entries()) drafts.push(await atIndex(index, () => toCorrection(one)));
      return this.#writer.put(
        storage,
        drafts.map((draft) => ({ draft })),
      );
    });
  }

  /** Stores statements about entities, all or none, as nodes of the project's graph. */
  addMemoryCards(cards: readonly MemoryCardInput[]): Promise<AddMemoryCardsResult> {
    return this.#write((storage) => addCards(storage, cards));
  }

  /** The memory cards of an entity and a slot, newest first; all cards if neither is named. */
  memories(entity?: string, slot?: string): Promise<MemoriesResult> {
    return this.#run((storage) => findCards(storage, entity, slot));
  }

  /** How many memory cards and entities there are. */
  memoriesStats(): Promise<MemoriesStats> {
    return this.#run(cardStats);
  }

  /** The entities that have memory cards, in lower case. */
  memoryEntities(): Promise<string[]> {
    return this.#run(cardEntities);
  }

  /** The newest card of each slot of an entity. */
  state(entity: string, slot?: string): Promise<EntityState> {
    return this.#run((storage) => entityState(storage, entity, slot));
  }

  /** The memory cards as text; `format` is "json", "csv" or "ntriples". */
  exportFacts(format?: string, entity?: string, withProvenance?: boolean): Promise<string> {
    return this.#run((storage) => exportCards(storage, format, entity, withProvenance));
  }

  /** Starts a session, which counts the puts, searches and questions of this object; resolves to its id. */
  sessionStart(name?: string): Promise<string> {
    return this.#write((storage) => this.#recording.start(storage, name));
  }

  /** Ends the session, and resolves to its counts. */
  sessionEnd(): Promise<SessionSummary> {
    return this.#write((storage) => this.#recording.end(storage));
  }

  /** The sessions of this memory, the oldest first. */
  sessionList(): Promise<SessionSummary[]> {
    return this.#run(listRecordings);
  }

  /** Counts a checkpoint; its number, or null while no session is active. */
  async sessionCheckpoint(): Promise<string | null> {
    return this.#recording.checkpoint();
  }

  /** The whole text of a frame. `MV010` if the frame does not exist or was removed. */
  view(frameId: number | string): Promise<string> {
    return this.#run(async (storage) => toText(await requireFrame(storage, toFrameId(frameId))));
  }

  /** The whole text of the last frame put under this URI. */
  viewByUri(uri: string): Promise<string> {
    return this.#run(async (storage) => {
      expectText("uri", uri, 1000);
      const frameId = await findByUri(storage, uri);
      if (frameId === undefined) throw new FrameNotFoundError(`There is no frame with uri ${JSON.stringify(uri)}`);
      return toText(await requireFrame(storage, frameId));
    });
  }

  /** The fields of a frame without its text. `MV010` if the frame does not exist or was removed. */
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

  /** The frames by time, oldest first, then by id. */
  timeline(options: TimelineInput = {}): Promise<TimelineEntry[]> {
    return this.#run(async (storage) => {
      expectKeys("timeline", options, TIMELINE_KEYS);
      const { limit, since, until, reverse = false, asOfFrame, asOfTs } = options;
      if (limit !== undefined) expectInteger("limit", limit, 0);
      const conditions = [sql`${isFrame} and ${m.deletedAt} is null`];
      if (since !== undefined) conditions.push(sql`${m.createdAt} >= ${startOfSecond("since", since)}`);
      if (until !== undefined) conditions.push(sql`${m.createdAt} <= ${endOfSecond("until", until)}`);
      if (asOfTs !== undefined) conditions.push(sql`${m.createdAt} <= ${endOfSecond("asOfTs", asOfTs)}`);
      if (asOfFrame !== undefined) conditions.push(sql`${m.rowId} <= ${toRowId(toFrameId(asOfFrame))}`);
      const order = reverse ? sql`${m.createdAt} desc, ${m.rowId} desc` : sql`${m.createdAt}, ${m.rowId}`;
      const textChars = sql`json_extract(${m.metadata}, '$.memvid.textChars')`;
      // SQL cannot cut the beginning off a compressed content.
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

  /** The number and size of the frames, and what the file has. */
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

  /** Checks the file. The result lists the problems; the call does not reject because of them. */
  verify(options: VerifyOptions = {}): Promise<VerifyResult> {
    return this.#run((storage) => checkFile(storage, this.#path, options));
  }

  /** Rebuilds the word index, returns free pages, and verifies. Other processes may use the file during the call. */
  doctor(options: DoctorOptions = {}): Promise<DoctorResult> {
    const heal = (storage: Storage) => healFile(storage, this.#path, options);
    return asMemvidErrors(() => (options?.dryRun === true ? this.#run(heal) : this.#write(heal)));
  }

  /** Finishes running calls and closes the file. The next call opens it again. */
  async seal(): Promise<void> {
    await this.#running.settled();
    const storage = this.#storage;
    this.#storage = undefined;
    await asMemvidErrors(async () => (await storage)?.close());
  }

  /** Like `seal`, but later calls reject. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.seal();
  }

  /** Closes the memory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The holder of the `FileLock` on this memory's path, if there is one. */
  lockWho(): Promise<LockWhoResult> {
    return lockWho(this.#path);
  }

  /** Only the disk is a limit. */
  async getCapacity(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }

  /** Has no effect: words are always indexed. */
  async enableLex(): Promise<void> {}

  /** Has no effect: vectors are stored as float32. */
  async setVectorCompression(_enabled: boolean): Promise<void> {}

  /** Always null: there is no cloud. */
  async getMemoryBinding(): Promise<null> {
    return null;
  }

  /** Runs a call, and counts it in the session. */
  #act<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
    this.#recording.count();
    return this.#run(work);
  }

  #write<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
    if (!this.#isReadOnly) return this.#run(work);
    return Promise.reject(new MemvidError("MV999", `${this.#path} was opened with readOnly: nothing can be changed`));
  }

  /** Runs `work` on the open file; `seal` waits for it. */
  #run<T>(work: (storage: Storage) => Promise<T>): Promise<T> {
    const call = asMemvidErrors(async () => {
      if (this.#isClosed) throw new StorageError("CLOSED", `${this.#path} is closed. Open it again`);
      this.#storage ??= this.#open().catch((error: unknown) => {
        this.#storage = undefined;
        throw error;
      });
      return work(await this.#storage);
    });
    return this.#running.track(call);
  }
}

interface TimelineRow {
  readonly rowId: number;
  readonly uri: string;
  readonly createdAt: number;
  readonly textChars: number | null;
  readonly content: unknown;
}

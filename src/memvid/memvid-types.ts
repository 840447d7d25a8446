/** Makes vectors, as the embedders of @memvid/sdk do. */
export interface EmbeddingProvider {
  readonly dimension?: number;
  readonly modelName?: string;
  readonly provider?: string;
  embedDocuments(texts: string[]): Promise<number[][]>;
  embedQuery(text: string): Promise<number[]>;
}

/** The origin of an embedding; only `model` is stored. */
export interface EmbeddingIdentity {
  readonly provider?: string;
  readonly model?: string;
  readonly dimension?: number;
  readonly normalized?: boolean;
}

export interface PutInput {
  /** @default the name of the file, or "Untitled" */
  readonly title?: string;
  readonly label?: string;
  readonly metadata?: Record<string, unknown>;
  /** The text to store; either this or `file` is required. */
  readonly text?: string;
  /** A text file to read instead; anything but UTF-8 text is `NOT_SUPPORTED`. */
  readonly file?: string | URL;
  /** @default `mv2://frames/<frame id>` */
  readonly uri?: string;
  readonly tags?: readonly string[];
  readonly labels?: readonly string[];
  readonly kind?: string;
  readonly track?: string;
  /** More text for searches, which is not part of the frame. */
  readonly searchText?: string;
  /** Whole seconds since 1970, or a date such as "2023-01-15", "Jan 15, 2023", "01/15/2023", in UTC. @default now */
  readonly timestamp?: number | string;
  readonly embedding?: readonly number[];
  /** Without a model the embedding belongs to "default". */
  readonly embeddingIdentity?: EmbeddingIdentity;
  /** True is `NOT_SUPPORTED`: pass an `embedding`, or an `embedder` to `putMany`. */
  readonly enableEmbedding?: boolean;
  readonly embeddingModel?: string;
  /** These three have no effect. */
  readonly autoTag?: boolean;
  readonly extractDates?: boolean;
  readonly vectorCompression?: boolean;
}

export type PutManyInput = PutInput;

export interface PutManyOptions {
  /** Makes the embeddings of documents without one. */
  readonly embedder?: EmbeddingProvider;
  /** True needs an `embedder`. */
  readonly enableEmbedding?: boolean;
  /** These have no effect. */
  readonly embeddingModel?: string;
  readonly compressionLevel?: number;
  readonly enableEnrichment?: boolean;
}

/** The options that `find` and `vecSearch` share. */
export interface VecSearchInput {
  /** The most hits. @default 10 */
  readonly k?: number;
  /** The longest snippet, at least 10. @default 240 */
  readonly snippetChars?: number;
  /** Only frames whose URI starts with this. */
  readonly scope?: string;
  /** These have no effect. */
  readonly minRelevancy?: number;
  readonly adaptive?: boolean;
  readonly maxK?: number;
  readonly adaptiveStrategy?: string;
  /** `NOT_SUPPORTED`. */
  readonly aclContext?: unknown;
  readonly aclEnforcementMode?: string;
}

export interface FindInput extends VecSearchInput {
  /** `lex`: words; `sem`: vectors; `auto`: both, if there is a query vector. @default "lex" */
  readonly mode?: "lex" | "sem" | "auto";
  readonly queryEmbedding?: readonly number[];
  readonly embedder?: EmbeddingProvider;
  /** The model whose vectors are searched. @default every model with vectors of that length */
  readonly queryEmbeddingModel?: string;
  /** The `next_cursor` of the previous page. */
  readonly cursor?: string;
  /** Only frames up to this one, or up to this second. */
  readonly asOfFrame?: number;
  readonly asOfTs?: number;
}

export interface FindHit {
  readonly frame_id: number;
  readonly uri: string;
  readonly title: string;
  readonly snippet: string;
  /** Higher is better; comparable within one result only. */
  readonly score: number;
  /** 1 for the best hit of the first page. */
  readonly rank: number;
  /** How many words of the frame match the query, including its title and tags. */
  readonly matches: number;
  readonly tags: string[];
  readonly labels: string[];
  readonly track: string | null;
  /** Always empty. */
  readonly content_dates: string[];
  /** ISO text, such as "2023-11-14T22:13:20Z"; all other times are seconds since 1970. */
  readonly created_at: string;
}

export interface VecSearchResult {
  readonly query: string;
  readonly engine: string;
  readonly hits: FindHit[];
  /** How many frames match, on all pages. */
  readonly total_hits: number;
  /** The hits as one text. */
  readonly context: string;
  readonly next_cursor: string | null;
  readonly took_ms: number;
}

export type FindResult = VecSearchResult;

export interface AskInput extends Omit<FindInput, "mode" | "cursor"> {
  /** Must be true: no language model is called. */
  readonly contextOnly?: boolean;
  /** As in `find`. @default "auto" */
  readonly mode?: string;
  /** Only frames of these times, in seconds since 1970, inclusive. */
  readonly since?: number;
  readonly until?: number;
  /** These have no effect. */
  readonly returnSources?: boolean;
  readonly model?: string;
  readonly llmContextChars?: number;
  readonly modelApiKey?: string;
  readonly maskPii?: boolean;
  readonly showChunks?: boolean;
}

export interface AskResult {
  readonly question: string;
  /** Always null: no language model is called. */
  readonly answer: string | null;
  /** The hits as one text for a language model. */
  readonly context: string;
  readonly context_fragments: string[];
  readonly context_only: boolean;
  readonly mode: string;
  readonly retriever: string;
  readonly hits: FindHit[];
  /** Always empty: there is no answer that quotes. */
  readonly sources: {
    readonly frame_id: number;
    readonly uri: string;
    readonly title: string;
    readonly snippet: string;
    readonly score: number;
  }[];
  readonly stats: { readonly latency_ms: number; readonly retrieval_ms: number; readonly synthesis_ms: number };
  readonly usage: { readonly retrieved: number };
}

export interface CorrectOptions {
  /** More words for searches, stored as tags. */
  readonly topics?: readonly string[];
  /** The origin of the correction, stored in its metadata. */
  readonly source?: string;
  /** How many times a correction counts in a search. @default 2 */
  readonly boost?: number;
}

export interface CorrectManyInput extends CorrectOptions {
  readonly statement: string;
}

/** A statement about an entity. */
export interface MemoryCard {
  readonly id: number;
  readonly kind: string;
  readonly entity: string;
  readonly slot: string;
  readonly value: string;
  readonly polarity: string | null;
  readonly sourceFrameId: number | null;
  readonly engine: string | null;
  readonly engineVersion: string | null;
  /** These are always null. */
  readonly confidence: number | null;
  readonly sourceUri: string | null;
  readonly documentDate: number | null;
  readonly eventDate: number | null;
}

export interface MemoryCardInput {
  /** @default "Fact" */
  readonly kind?: "Fact" | "Preference" | "Event" | "Profile" | "Relationship" | "Other";
  readonly entity: string;
  readonly slot: string;
  readonly value: string;
  /** @default "Neutral" */
  readonly polarity?: "Positive" | "Negative" | "Neutral";
  /** @default 0 */
  readonly sourceFrameId?: number;
  readonly engine?: string;
  readonly engineVersion?: string;
}

export interface AddMemoryCardsResult {
  readonly added: number;
  readonly ids: number[];
}

export interface MemoriesResult {
  readonly cards: MemoryCard[];
  readonly count: number;
}

export interface MemoriesStats {
  readonly entityCount: number;
  readonly cardCount: number;
  /** Pairs of an entity and a slot. */
  readonly slotCount: number;
  readonly cardsByKind: Record<string, number>;
  /** Always 0 and null: nothing is enriched. */
  readonly enrichedFrames: number;
  readonly lastEnrichment: number | null;
}

export interface EntityState {
  readonly entity: string;
  readonly found: boolean;
  readonly slots: Record<
    string,
    Pick<MemoryCard, "value" | "kind" | "polarity" | "sourceFrameId" | "documentDate" | "engine">
  >;
}

export interface SessionSummary {
  readonly session_id: string;
  readonly name?: string;
  readonly created_secs: number;
  readonly ended_secs?: number;
  /** The number of puts, searches and questions; 0 until the session has ended. */
  readonly action_count: number;
  readonly checkpoint_count: number;
  readonly duration_secs: number;
}

export interface TimelineInput {
  /** @default all of them */
  readonly limit?: number;
  /** Seconds since 1970, inclusive. */
  readonly since?: number;
  readonly until?: number;
  /** Newest first. @default false */
  readonly reverse?: boolean;
  readonly asOfFrame?: number;
  readonly asOfTs?: number;
}

export interface TimelineEntry {
  readonly frame_id: number;
  readonly uri: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** The first 120 characters. */
  readonly preview: string;
  /** Always empty. */
  readonly child_frames: number[];
}

export interface FrameInfo {
  readonly id: number;
  readonly uri: string;
  readonly title: string;
  readonly timestamp: number;
  readonly kind: string | null;
  readonly track: string | null;
  readonly tags: string[];
  readonly labels: string[];
  /** Frames are never part of others, so these three are null. */
  readonly parent_id: number | null;
  readonly chunk_index: number | null;
  readonly chunk_count: number | null;
  /** Always "Document". */
  readonly role: string;
  readonly metadata: Record<string, unknown>;
}

export interface StatsResult {
  /** The number of stored frames, and of those that were not removed. */
  readonly frame_count: number;
  readonly active_frame_count: number;
  /** One more than the highest frame id. */
  readonly seq_no: number;
  /** Bytes of the file and its log. */
  readonly size_bytes: number;
  /** The UTF-8 bytes of the indexed text, before compression. */
  readonly logical_bytes: number;
  readonly payload_bytes: number;
  readonly average_frame_logical_bytes: number;
  readonly average_frame_payload_bytes: number;
  readonly saved_bytes: number;
  readonly savings_percent: number;
  readonly compression_ratio_percent: number;
  /** Only the disk is a limit: `Number.MAX_SAFE_INTEGER`. */
  readonly capacity_bytes: number;
  readonly remaining_capacity_bytes: number;
  readonly storage_utilisation_percent: number;
  readonly tier: string;
  readonly has_lex_index: boolean;
  readonly has_time_index: boolean;
  readonly has_vec_index: boolean;
  readonly lex_enabled: boolean;
  readonly vec_enabled: boolean;
  /** Of the model with the most vectors; null without vectors. */
  readonly effective_vec_dimension: number | null;
  readonly embedding_identity: { readonly model: string; readonly dimension: number } | null;
}

export interface VerifyOptions {
  /** Reads every page and index entry, not only the structure. @default false */
  readonly deep?: boolean;
}

export interface VerifyResult {
  readonly file_path: string;
  readonly overall_status: "passed" | "failed";
  readonly checks: { readonly name: string; readonly status: "passed" | "failed"; readonly details: string | null }[];
}

export interface DoctorOptions {
  readonly rebuildLexIndex?: boolean;
  /** The database maintains these two indexes, so there is nothing to rebuild. */
  readonly rebuildTimeIndex?: boolean;
  readonly rebuildVecIndex?: boolean;
  /** Returns free pages to the disk. */
  readonly vacuum?: boolean;
  /** Only report what would be done. */
  readonly dryRun?: boolean;
  readonly quiet?: boolean;
}

export interface DoctorResult {
  /** `clean`: no repair was requested and nothing is wrong; `healed`: repaired; `failed`: the check after it failed. */
  readonly status: "clean" | "healed" | "failed";
  readonly findings: string[];
  readonly phases: { readonly phase: string; readonly status: "executed" | "skipped"; readonly duration_ms: number }[];
  readonly metrics: {
    readonly actions_completed: number;
    readonly actions_skipped: number;
    readonly total_duration_ms: number;
  };
  readonly verification: VerifyResult | null;
}

export interface LockWhoResult {
  readonly locked: boolean;
  readonly owner?: { readonly pid: number; readonly host: string; readonly since: string };
}

export interface UseOptions {
  /** @default "open" */
  readonly mode?: "open" | "create" | "auto";
  /** Open an existing file, leave it unchanged, and refuse writes. @default false */
  readonly readOnly?: boolean;
  /** The longest wait for the write of another process, in ms. @default 5000 */
  readonly lockTimeoutMs?: number;
  /** These have no effect. */
  readonly enableLex?: boolean;
  readonly enableVec?: boolean;
  readonly force?: string;
  readonly forceWritable?: boolean;
  readonly memvidApiKey?: string;
  /** Cloud memories are `NOT_SUPPORTED`. */
  readonly memoryId?: string;
}

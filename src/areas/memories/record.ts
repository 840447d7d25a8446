import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { isLongText, searchScope, toSearchText, toSearchTextInSlices } from "../../search/terms.js";
import { expectation, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectType, MAX_NAME_CHARS, toJsonText, toMillis, toVector } from "../arguments.js";
import { checksumOf, hashText } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { parseObject } from "../json.js";
import type { Repair } from "../repair.js";
import { packContent, readContent } from "./content.js";

/** What kind of thing was observed; any other lower-case word of up to 32 characters is allowed too. */
export type ObservationType = "tool" | "file" | "error" | "decision" | "context" | (string & {});

/** Something that a project remembers. */
export interface Memory {
  readonly id: string;
  readonly project: string;
  readonly sessionId: string | null;
  readonly type: ObservationType;
  readonly source: string;
  readonly content: string;
  readonly metadata: Record<string, unknown>;
  /** The vector stored last, of whichever model. */
  readonly embedding: Float32Array | null;
  readonly embeddingModel: string | null;
  readonly embeddingVersion: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly deletedAt: Date | null;
}

/** A memory as an observation log sees it. */
export type Observation = Memory;

/** A memory as a key-value store of entries sees it. */
export interface MemoryEntry {
  readonly id: string;
  readonly type: ObservationType;
  readonly content: string;
  readonly metadata: Record<string, unknown>;
  /** The values are float32: 0.1 comes back as 0.10000000149011612. */
  readonly vector?: number[];
  readonly createdAt: Date;
}

/** What a caller gives to store a memory. */
export interface MemoryInput {
  /** @default a new UUIDv7 */
  readonly id?: string | undefined;
  readonly sessionId?: string | null | undefined;
  /** @default "context" */
  readonly type?: ObservationType | undefined;
  /** @default "unknown" */
  readonly source?: string | undefined;
  /** 1 to `maxContentChars` characters. */
  readonly content: string;
  /** @default {} */
  readonly metadata?: Record<string, unknown> | undefined;
  /** Needs `embeddingModel`. */
  readonly embedding?: Float32Array | readonly number[] | null | undefined;
  readonly embeddingModel?: string | null | undefined;
  readonly embeddingVersion?: string | null | undefined;
  /** @default now */
  readonly createdAt?: Date | number | undefined;
}

/** Fields to change; those left out, or undefined, stay. */
export type MemoryPatch = { readonly [K in Exclude<keyof MemoryInput, "id">]?: MemoryInput[K] | undefined };

/** A vector with whose it is. */
export interface EmbeddingInput {
  readonly vector: Float32Array;
  readonly model: string;
  /** Empty where none is named. */
  readonly version: string;
}

/** A checked input: the columns of the row, and its vector. */
export interface MemoryDraft {
  readonly id: string;
  readonly sessionId: string | null;
  readonly type: string;
  readonly source: string;
  readonly content: string;
  readonly metadata: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly embedding: EmbeddingInput | undefined;
  /** The index terms of a long content, which take a while to make; those of others are made when they are stored. */
  readonly searchText?: string;
}

/** The names in an input or a patch; a record of `get` may be given as either. */
export const MEMORY_KEYS = [
  "id",
  "sessionId",
  "type",
  "source",
  "content",
  "metadata",
  "embedding",
  "embeddingModel",
  "embeddingVersion",
  "createdAt",
  "project",
  "updatedAt",
  "deletedAt",
];

/** Checks an input and fills in the defaults; throws TypeError or RangeError. Records of `get` are inputs as well. */
export function toDraft(context: RepositoryContext, input: MemoryInput, id = input?.id): MemoryDraft {
  expectKeys("a memory", input, MEMORY_KEYS);
  // Records are inputs too, but never a way into another project.
  const { project = context.project } = input as Partial<Memory>;
  if (project !== context.project)
    throw new TypeError(expectation("project", JSON.stringify(context.project), project));
  const { sessionId = null, type = "context", createdAt } = input;
  const { source = "unknown", content, metadata = {} } = repairFields(context.repair, input);
  if (id !== undefined) expectId(id);
  if (input.id !== undefined && input.id !== id) throw new TypeError(expectation("id", JSON.stringify(id), input.id));
  if (sessionId !== null) expectText("sessionId", sessionId, MAX_NAME_CHARS);
  expectType(type);
  expectText("source", source, 1000, 0);
  expectText("content", content, context.maxContentChars);
  const now = context.now();
  const created = createdAt === undefined ? now : toMillis("createdAt", createdAt);
  return {
    id: id ?? newId(),
    sessionId,
    type,
    source,
    content,
    metadata: toJsonText("metadata", metadata, context.repair),
    createdAt: created,
    updatedAt: Math.max(created, now),
    embedding: toEmbedding(input.embedding, input.embeddingModel, input.embeddingVersion),
  };
}

function repairFields(repair: Repair, { source, content, metadata }: MemoryInput) {
  return { source: repair(source), content: repair(content), metadata: repair(metadata) };
}

/** Throws TypeError on a vector without a model, or a model without a vector. */
export function toEmbedding(vector: unknown, model: unknown, version: unknown): EmbeddingInput | undefined {
  if (vector === undefined || vector === null) {
    if (model === undefined || model === null) return undefined;
    throw new TypeError(expectation("embedding", "a vector, since `embeddingModel` is given", vector));
  }
  return { vector: toVector("embedding", vector), ...toModel("embeddingModel", model, "embeddingVersion", version) };
}

export function toModel(modelName: string, model: unknown, versionName: string, version: unknown) {
  if (model === undefined || model === null) {
    throw new TypeError(expectation(modelName, "the name of the model that made the vector", model));
  }
  expectText(modelName, model, MAX_NAME_CHARS);
  if (version === undefined || version === null) return { model, version: "" };
  expectText(versionName, version, MAX_NAME_CHARS);
  return { model, version };
}

/** A content in the form that the storage keeps it in. */
export function storedContent({ compressContents }: RepositoryContext, content: string): string | Uint8Array {
  return compressContents ? packContent(content) : content;
}

/** The draft of what replaces a memory, whose time of creation stays. */
export function createdThen(draft: MemoryDraft, createdAt: Date): MemoryDraft {
  const created = createdAt.getTime();
  return { ...draft, createdAt: created, updatedAt: Math.max(created, draft.updatedAt) };
}

/** Whether making the index terms of a draft takes a while. */
export function isLong({ content }: MemoryDraft): boolean {
  return isLongText(content);
}

/** The same draft, with the index terms of a long content: made in slices, so that the event loop goes on. */
export async function withLongTerms(project: string, draft: MemoryDraft): Promise<MemoryDraft> {
  if (!isLong(draft)) return draft;
  return { ...draft, searchText: await toSearchTextInSlices(draft.content, searchScope(project)) };
}

/** The columns that follow from the others: content hash, checksum and index terms. */
export function derivedColumns(
  project: string,
  draft: Omit<MemoryDraft, "embedding">,
): [hash: string, checksum: string, searchText: string] {
  const { id, sessionId, type, source, content, metadata, createdAt } = draft;
  return [
    hashText(content),
    checksumOf([project, id, sessionId, type, source, content, metadata, createdAt]),
    draft.searchText ?? toSearchText(content, searchScope(project)),
  ];
}

const m = memories;
const e = memoryEmbeddings;
/** What a query selects to make a Memory of each row, after whatever it selects first. */
export const memoryColumns = [
  m.rowId,
  m.id,
  m.sessionId,
  m.type,
  m.source,
  m.content,
  m.metadata,
  m.createdAt,
  m.updatedAt,
  m.deletedAt,
  e.vector,
  e.model,
  e.version,
] as const;

/** Memories with the vector stored last, where there is one. */
export const memoriesWithVector = sql`${m} left join ${e} on ${e.rowId} = ${m.embeddingRowId}`;

/** The record of a row of `memoryColumns` that starts at `offset`. */
export function toMemory(project: string, row: Row, offset = 0): Memory {
  const vector = row[offset + 10] as ArrayBuffer | null;
  const deletedAt = row[offset + 9];
  return {
    id: row[offset + 1] as string,
    project,
    sessionId: row[offset + 2] as string | null,
    type: row[offset + 3] as string,
    source: row[offset + 4] as string,
    content: readContent(row[offset + 5]),
    metadata: parseObject(row[offset + 6], "memories", row[offset + 1]),
    embedding: vector === null ? null : new Float32Array(vector),
    embeddingModel: row[offset + 11] as string | null,
    embeddingVersion: (row[offset + 12] as string | null) || null,
    createdAt: new Date(Number(row[offset + 7])),
    updatedAt: new Date(Number(row[offset + 8])),
    deletedAt: deletedAt === null ? null : new Date(Number(deletedAt)),
  };
}

/** The record of a draft that has just been stored. */
export function draftToMemory(project: string, draft: MemoryDraft): Memory {
  const { embedding } = draft;
  return {
    id: draft.id,
    project,
    sessionId: draft.sessionId,
    type: draft.type,
    source: draft.source,
    content: draft.content,
    metadata: JSON.parse(draft.metadata) as Record<string, unknown>,
    embedding: embedding?.vector ?? null,
    embeddingModel: embedding?.model ?? null,
    embeddingVersion: embedding?.version || null,
    createdAt: new Date(draft.createdAt),
    updatedAt: new Date(draft.updatedAt),
    deletedAt: null,
  };
}

import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { isLongText, searchScope, toGiven, toSearchText, toSearchTextInSlices } from "../../search/terms.js";
import { expectation, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectType, MAX_NAME_CHARS, toJsonText, toMillis, toStorableVector } from "../arguments.js";
import { checksumOf, hashText, shortened } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { parseObject } from "../json.js";
import type { Metadata, RequiredMetadata } from "../metadata.js";
import type { Repair } from "../repair.js";
import { rendered, selection } from "../statements.js";
import { readContent } from "./content.js";
import { DEFAULT_SOURCE } from "./filter.js";

/** The kind of an observation. Any other lower-case word of up to 32 characters is allowed too. */
export type ObservationType = "tool" | "file" | "error" | "decision" | "context" | (string & {});

/** Something that a project remembers. */
export interface Memory<M extends object = Metadata> {
  readonly id: string;
  readonly project: string;
  readonly sessionId: string | null;
  readonly type: ObservationType;
  readonly source: string;
  readonly content: string;
  readonly metadata: M;
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

interface MemoryFields<M extends object> {
  /** The id, unique in the project. @default a new UUIDv7 */
  readonly id?: string | undefined;
  /** The session it belongs to, which need not exist. */
  readonly sessionId?: string | null | undefined;
  /** The kind of memory. @default "context" */
  readonly type?: ObservationType | undefined;
  /** Where it comes from: a tool, a file, a person. @default "unknown" */
  readonly source?: string | undefined;
  /** 1 to `maxContentChars` characters. */
  readonly content: string;
  /** A JSON object of your own; required if its type has required keys. @default {} */
  readonly metadata?: M | undefined;
  /** Needs `embeddingModel`, and a direction: its length is from 1e-15 to 1e15. */
  readonly embedding?: Float32Array | readonly number[] | null | undefined;
  /** The model of `embedding`. */
  readonly embeddingModel?: string | null | undefined;
  /** The version of that model. */
  readonly embeddingVersion?: string | null | undefined;
  /** A Date or integer milliseconds. @default now */
  readonly createdAt?: Date | number | undefined;
}

/**
 * The input for a new memory. A record that was read is an input too: its `project` must be the same, its `updatedAt` is
 * ignored, and its `deletedAt` must be null.
 */
export type MemoryInput<M extends object = Metadata> = MemoryFields<M> & RequiredMetadata<M>;

/**
 * Fields to change; those left out, or undefined, stay. A record that was read is a patch too: its `id` and `project` must
 * be the same, its `updatedAt` is ignored, and its `deletedAt` must be null.
 */
export type MemoryPatch<M extends object = Metadata> = {
  readonly [K in Exclude<keyof MemoryFields<M>, "id">]?: MemoryFields<M>[K] | undefined;
};

/** A vector and its model. */
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
  /** Set for a record of an import; others are new. */
  readonly deletedAt: number | null;
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
export function toDraft(context: RepositoryContext, input: MemoryInput<object>, id = input?.id): MemoryDraft {
  expectKeys("a memory", input, MEMORY_KEYS);
  // Records are inputs too, but never a way into another project.
  const { project = context.project } = input as Partial<Memory>;
  if (project !== context.project)
    throw new TypeError(expectation("project", JSON.stringify(context.project), project));
  const { deletedAt = null } = input as Partial<Memory>;
  if (deletedAt !== null) {
    throw new TypeError(`${expectation("deletedAt", "null", deletedAt)}: store the memory, then call delete(id)`);
  }
  const { sessionId = null, type = "context", createdAt } = input;
  const { source = DEFAULT_SOURCE, content, metadata = {} } = repairFields(context.repair, input as MemoryInput);
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
    deletedAt: null,
    embedding: toEmbedding(input.embedding, input.embeddingModel, input.embeddingVersion),
  };
}

function repairFields(repair: Repair, { source, content, metadata }: MemoryInput) {
  return { source: repair(source), content: repair(content), metadata: repair(metadata) };
}

/** Throws TypeError on a vector without a model, or a model without a vector. */
function toEmbedding(vector: unknown, model: unknown, version: unknown): EmbeddingInput | undefined {
  if (vector === undefined || vector === null) {
    if (model === undefined || model === null) return undefined;
    throw new TypeError(expectation("embedding", "a vector, since `embeddingModel` is given", vector));
  }
  return {
    vector: toStorableVector("embedding", vector),
    ...toModel("embeddingModel", model, "embeddingVersion", version),
  };
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

/** The draft of a replacement, with the creation time of the memory that it replaces. */
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

/** The columns that follow from the others: content hash and checksum. */
export function deriveColumns(project: string, draft: Omit<MemoryDraft, "updatedAt" | "deletedAt" | "embedding">) {
  const { id, sessionId, type, source, content, metadata, createdAt } = draft;
  return {
    contentHash: shortened(hashText(content)),
    checksum: shortened(checksumOf([project, id, sessionId, type, source, content, metadata, createdAt])),
  };
}

/** The index terms of a draft as they are given to its row. A deleted memory has none. */
export function givenTerms(project: string, { content, deletedAt, searchText }: MemoryDraft): string {
  return deletedAt === null ? toGiven(searchText ?? toSearchText(content, searchScope(project))) : "";
}

const m = memories;
const e = memoryEmbeddings;
/** The columns of a row with the values of its input and its times. Readers know the project. */
export const givenColumns = {
  id: m.id,
  sessionId: m.sessionId,
  type: m.type,
  source: m.source,
  content: m.content,
  metadata: m.metadata,
  createdAt: m.createdAt,
  updatedAt: m.updatedAt,
  deletedAt: m.deletedAt,
};

/** The columns that `deriveColumns` makes. */
export const derivedColumns = { contentHash: m.contentHash, checksum: m.checksum };

/** The columns of a query whose rows `toMemory` reads; it may select others too. */
export const memoryColumns = {
  rowId: m.rowId,
  ...givenColumns,
  vector: e.vector,
  model: e.model,
  version: e.version,
};

export const { columns, at } = selection(memoryColumns);

/** Memories with their latest vector, if they have one. */
export const memoriesWithVector = rendered(() => sql`${m} left join ${e} on ${e.rowId} = ${m.embeddingRowId}`);

/** The record of a row of a selection that includes `memoryColumns`. */
export function toMemory<M extends object = Metadata>(project: string, row: Row): Memory<M> {
  const vector = row[at.vector] as ArrayBuffer | null;
  const deletedAt = row[at.deletedAt];
  return {
    id: row[at.id] as string,
    project,
    sessionId: row[at.sessionId] as string | null,
    type: row[at.type] as string,
    source: row[at.source] as string,
    content: readContent(row[at.content]),
    metadata: parseObject(row[at.metadata], "memories", row[at.id]) as M,
    embedding: vector === null ? null : new Float32Array(vector),
    embeddingModel: row[at.model] as string | null,
    embeddingVersion: (row[at.version] as string | null) || null,
    createdAt: new Date(Number(row[at.createdAt])),
    updatedAt: new Date(Number(row[at.updatedAt])),
    deletedAt: deletedAt === null ? null : new Date(Number(deletedAt)),
  };
}

/** The record of a draft that has just been stored. */
export function draftToMemory<M extends object = Metadata>(project: string, draft: MemoryDraft): Memory<M> {
  const { embedding } = draft;
  return {
    id: draft.id,
    project,
    sessionId: draft.sessionId,
    type: draft.type,
    source: draft.source,
    content: draft.content,
    metadata: JSON.parse(draft.metadata) as M,
    embedding: embedding?.vector ?? null,
    embeddingModel: embedding?.model ?? null,
    embeddingVersion: embedding?.version || null,
    createdAt: new Date(draft.createdAt),
    updatedAt: new Date(draft.updatedAt),
    deletedAt: null,
  };
}

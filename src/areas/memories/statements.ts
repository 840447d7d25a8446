import type { InValue } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { checksumOfVector } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { expectStill } from "../optimistic.js";
import { list, prepareInsert, prepareStatement, type Statement, set } from "../statements.js";
import {
  derivedColumns,
  type EmbeddingInput,
  type MemoryDraft,
  memoriesWithVector,
  memoryColumns,
  storedContent,
} from "./record.js";

const m = memories;
const e = memoryEmbeddings;
export const isId = sql`${m.project} = ${sql.placeholder("project")} and ${m.id} = ${sql.placeholder("id")}`;
export const columns = list([...memoryColumns]);
export const isLive = sql`${m.deletedAt} is null`;
export const newestFirst = sql`${m.createdAt} desc, ${m.rowId} desc`;
export const selectOne = prepareStatement(sql`select ${columns} from ${memoriesWithVector} where ${isId}`);
const replaceRow = prepareStatement(
  sql`update ${m} set ${list([
    set(m.sessionId, sql.placeholder("sessionId")),
    set(m.type, sql.placeholder("type")),
    set(m.source, sql.placeholder("source")),
    set(m.content, sql.placeholder("content")),
    set(m.metadata, sql.placeholder("metadata")),
    set(m.createdAt, sql.placeholder("createdAt")),
    set(m.updatedAt, sql.placeholder("updatedAt")),
    set(m.deletedAt, null),
    set(m.contentHash, sql.placeholder("contentHash")),
    set(m.checksum, sql.placeholder("checksum")),
    set(m.searchText, sql.placeholder("searchText")),
  ])} where ${isId}`,
);
/** All but those of one model and version, which a new vector is about to replace. */
export const deleteVectors = prepareStatement(
  sql`delete from ${e} where ${e.memoryRowId} = (select ${m.rowId} from ${m} where ${isId})
    and not (${e.model} is ${sql.placeholder("model")} and ${e.version} is ${sql.placeholder("version")})`,
);
export const forgetVector = prepareStatement(sql`update ${m} set ${set(m.embeddingRowId, null)} where ${isId}`);
export const deleteRow = prepareStatement(sql`delete from ${m} where ${isId}`);

const insertMemory = prepareInsert(memories, [
  memories.project,
  memories.id,
  memories.sessionId,
  memories.type,
  memories.source,
  memories.content,
  memories.metadata,
  memories.createdAt,
  memories.updatedAt,
  memories.contentHash,
  memories.checksum,
  memories.searchText,
]);

/** The statements that store a draft as a new memory. */
export function insertStatements(context: RepositoryContext, draft: MemoryDraft): Statement[] {
  const row = insertMemory([
    context.project,
    draft.id,
    draft.sessionId,
    draft.type,
    draft.source,
    storedContent(context, draft.content),
    draft.metadata,
    draft.createdAt,
    draft.updatedAt,
    ...derivedColumns(context.project, draft),
  ]);
  return draft.embedding === undefined ? [row] : [row, ...embeddingStatements(context, draft.id, draft.embedding)];
}

/** Fails a batch unless the memory is as it was read. */
export function assertStill({ project }: RepositoryContext, id: string, condition: SQL): Statement {
  return expectStill(
    sql`exists (select 1 from ${m} where ${m.project} = ${project} and ${m.id} = ${id} and ${condition})`,
  );
}

/** The statements that put a draft in the place of the memory of its id. */
export function replaceStatements(context: RepositoryContext, draft: MemoryDraft, dropsVectors: boolean): Statement[] {
  const { project } = context;
  const { id } = draft;
  const [contentHash, checksum, searchText] = derivedColumns(project, draft);
  const { embedding, ...row } = draft;
  const content = storedContent(context, draft.content);
  const statements = [replaceRow({ ...row, content, project, contentHash, checksum, searchText })];
  const { model = null, version = null } = embedding ?? {};
  if (dropsVectors) statements.push(forgetVector({ project, id }), deleteVectors({ project, id, model, version }));
  if (embedding !== undefined) statements.push(...embeddingStatements(context, id, embedding));
  return statements;
}

const isOwner = sql`${m.project} = ${sql.placeholder("project")} and ${m.id} = ${sql.placeholder("id")}
  and (${m.deletedAt} is null or ${sql.placeholder("includesDeleted")})`;

const deleteEmbedding = prepareStatement(sql`delete from ${e} where ${e.model} = ${sql.placeholder("model")}
  and ${e.version} = ${sql.placeholder("version")} and ${e.dimensions} = ${sql.placeholder("dimensions")}
  and ${e.memoryRowId} = (select ${m.rowId} from ${m} where ${isOwner})`);
const insertEmbedding =
  prepareStatement(sql`insert into ${e} (memory_row_id, project, model, version, dimensions, vector, created_at, checksum)
  select ${m.rowId}, ${m.project}, ${sql.placeholder("model")}, ${sql.placeholder("version")}, ${sql.placeholder("dimensions")},
    ${sql.placeholder("vector")}, ${sql.placeholder("now")}, ${sql.placeholder("checksum")}
  from ${m} where ${isOwner} and ${m.contentHash} = coalesce(${sql.placeholder("contentHash")}, ${m.contentHash})`);
const pointToLatest = prepareStatement(sql`update ${m} set embedding_row_id =
  (select max(${e.rowId}) from ${e} where ${e.memoryRowId} = ${m.rowId}) where ${isOwner}`);

/**
 * The statements that store a vector of a memory that is there and not deleted (an import brings deleted ones too), in
 * place of an older one of its model and version. The new row has the highest row id, so the vector stored last is known
 * by it. One of another length stays, so that the trigger on the table sees it and refuses the new one. With
 * `contentHash`, nothing is stored once the content has become another.
 */
export function embeddingStatements(
  context: RepositoryContext,
  id: string,
  embedding: EmbeddingInput,
  options: { readonly contentHash?: string; readonly includesDeleted?: boolean } = {},
): Statement[] {
  const { project } = context;
  const { vector, model, version } = embedding;
  const values: Record<string, InValue> = {
    project,
    id,
    model,
    version,
    dimensions: vector.length,
    vector: new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength),
    now: context.now(),
    contentHash: options.contentHash ?? null,
    includesDeleted: options.includesDeleted === true ? 1 : 0,
    checksum: checksumOfVector([project, id, model, version], vector),
  };
  return [deleteEmbedding(values), insertEmbedding(values), pointToLatest(values)];
}

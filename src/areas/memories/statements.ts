import type { InValue } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { AS_ROWS } from "../../client/sql/bound-statement.js";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { checksumOfVector } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { expectStill } from "../optimistic.js";
import {
  inParts,
  insertOf,
  jsonRows,
  list,
  names,
  prepareStatement,
  rendered,
  type Statement,
  selection,
  set,
  setEach,
  toStatement,
  touch,
} from "../statements.js";
import { packContent } from "./content.js";
import {
  columns,
  deriveColumns,
  derivedColumns,
  type EmbeddingInput,
  givenColumns,
  givenTerms,
  type MemoryDraft,
  memoriesWithVector,
  memoryColumns,
} from "./record.js";

const m = memories;
const e = memoryEmbeddings;
const isId = sql`${m.project} = ${sql.placeholder("project")} and ${m.id} = ${sql.placeholder("id")}`;
export const isLive = sql`${m.deletedAt} is null`;
export const newestFirst = rendered(() => sql`${m.createdAt} desc, ${m.rowId} desc`);
export const selectOne = prepareStatement(() => sql`select ${columns} from ${memoriesWithVector} where ${isId}`);
export const forUpdate = selection({ ...memoryColumns, checksum: m.checksum });
export const selectForUpdate = prepareStatement(
  () => sql`select ${forUpdate.columns} from ${memoriesWithVector} where ${isId}`,
);
export const selectMany = prepareStatement(
  () => sql`select ${columns} from ${memoriesWithVector}
  where ${m.project} = ${sql.placeholder("project")} and ${isLive}
  and ${m.id} in (select value from json_each(${sql.placeholder("ids")}))`,
);
export const softDelete = prepareStatement(
  () =>
    sql`update ${m} set ${list([
      touch(m.deletedAt, m.createdAt),
      touch(m.updatedAt, m.createdAt),
      set(m.searchText, ""),
    ])} where ${isId} and ${isLive}`,
);
export const undelete = prepareStatement(
  () =>
    sql`update ${m} set ${list([
      set(m.deletedAt, null),
      touch(m.updatedAt, m.createdAt),
      set(m.searchText, sql.placeholder("searchText")),
    ])} where ${isId} and ${m.deletedAt} is not null and ${m.content} = coalesce(${sql.placeholder("content")}, ${m.content})`,
);
const storedColumns = { ...givenColumns, ...derivedColumns, searchText: m.searchText };
const rowColumns = { project: m.project, ...storedColumns };
const insertRow = insertOf(m, rowColumns);
/** One statement for many memories costs less than one for each: the index is written once. */
const insertRows = toStatement(sql`insert into ${m} (${names(Object.values(rowColumns))})
  select ${list(Object.keys(rowColumns).map((_, place) => sql`value ->> ${sql.raw(String(place))}`))} from ${jsonRows("rows")}`);
const { id: _, ...replacedColumns } = storedColumns;
const replaceRow = prepareStatement(() => sql`update ${m} set ${setEach(replacedColumns)} where ${isId}`);
const { content: _content, searchText: _terms, ...aboutColumns } = replacedColumns;
/** Leaves the content and its index terms, which take longest to store. */
const replaceAbout = prepareStatement(() => sql`update ${m} set ${setEach(aboutColumns)} where ${isId}`);
/** All but those of one model and version, which a new vector is about to replace. */
const deleteVectors = prepareStatement(
  () => sql`delete from ${e} where ${e.memoryRowId} = (select ${m.rowId} from ${m} where ${isId})
    and not (${e.model} is ${sql.placeholder("model")} and ${e.version} is ${sql.placeholder("version")})`,
);
const forgetVector = prepareStatement(() => sql`update ${m} set ${set(m.embeddingRowId, null)} where ${isId}`);
const deleteRow = prepareStatement(() => sql`delete from ${m} where ${isId}`);

/** The statements that store a draft as a new memory. `isIndexedLater` leaves out its terms. */
export function insertStatements(context: RepositoryContext, draft: MemoryDraft, isIndexedLater = false): Statement[] {
  const one = insertRow(toRow(context, draft, isIndexedLater));
  const row = one.args.some(isBytes) ? one : { ...one, [AS_ROWS]: insertRows.sql };
  return draft.embedding === undefined ? [row] : [row, ...embeddingStatements(context, draft.id, draft.embedding)];
}

/** The statements that store the rows of drafts, without their vectors. */
export function insertRowStatements(context: RepositoryContext, drafts: readonly MemoryDraft[]): Statement[] {
  const rows = drafts.map((draft) => insertRow(toRow(context, draft)));
  if (rows.length === 1 || rows.some(({ args }) => args.some(isBytes))) return rows;
  return inParts(
    rows.map(({ args }) => args),
    (part) => ({ sql: insertRows.sql, args: [JSON.stringify(part)] }),
  );
}

/** A compressed content: JSON cannot hold it. */
function isBytes(value: InValue): boolean {
  return value instanceof Uint8Array;
}

/** Fails a batch unless the memory is as it was read. */
export function assertStill({ project }: RepositoryContext, id: string, condition: SQL): Statement {
  return expectStill(
    sql`exists (select 1 from ${m} where ${m.project} = ${project} and ${m.id} = ${id} and ${condition})`,
  );
}

/** The statements that put a draft in the place of the memory of its id. */
export function replaceStatements(
  context: RepositoryContext,
  draft: MemoryDraft,
  { dropsVectors, keepsContent = false }: { readonly dropsVectors: boolean; readonly keepsContent?: boolean },
): Statement[] {
  const { project } = context;
  const { id, embedding } = draft;
  const statements = [keepsContent ? replaceAbout(toAbout(context, draft)) : replaceRow(toRow(context, draft))];
  const { model = null, version = null } = embedding ?? {};
  if (dropsVectors) statements.push(forgetVector({ project, id }), deleteVectors({ project, id, model, version }));
  if (embedding !== undefined) statements.push(...embeddingStatements(context, id, embedding));
  return statements;
}

/** The row that a draft becomes. */
function toRow(context: RepositoryContext, draft: MemoryDraft, isIndexedLater = false) {
  const { project, compressContents } = context;
  const about = toAbout(context, draft);
  const content = compressContents ? packContent(draft.content) : draft.content;
  return { ...about, content, searchText: isIndexedLater ? "" : givenTerms(project, draft) };
}

/** The same without the content and its index terms. */
function toAbout({ project }: RepositoryContext, draft: MemoryDraft) {
  const { contentHash, checksum } = deriveColumns(project, draft);
  return {
    project,
    id: draft.id,
    sessionId: draft.sessionId,
    type: draft.type,
    source: draft.source,
    metadata: draft.metadata,
    createdAt: draft.createdAt,
    updatedAt: draft.updatedAt,
    deletedAt: draft.deletedAt,
    contentHash,
    checksum,
  };
}

/** The statements that remove a memory, deleted or not, and its vectors; the last one removes the memory. */
export function removeStatements(project: string, id: string): Statement[] {
  const every = { project, id, model: null, version: null };
  return [forgetVector(every), deleteVectors(every), deleteRow(every)];
}

const isOwner = sql`${isId} and (${m.deletedAt} is null or ${sql.placeholder("includesDeleted")})`;

const deleteEmbedding = prepareStatement(
  () => sql`delete from ${e} where ${e.model} = ${sql.placeholder("model")}
  and ${e.version} = ${sql.placeholder("version")} and ${e.dimensions} = ${sql.placeholder("dimensions")}
  and ${e.memoryRowId} = (select ${m.rowId} from ${m} where ${isOwner})`,
);
const insertEmbedding = prepareStatement(
  () => sql`insert into ${e} (memory_row_id, project, model, version, dimensions, vector, created_at, checksum)
  select ${m.rowId}, ${m.project}, ${sql.placeholder("model")}, ${sql.placeholder("version")}, ${sql.placeholder("dimensions")},
    ${sql.placeholder("vector")}, ${sql.placeholder("now")}, ${sql.placeholder("checksum")}
  from ${m} where ${isOwner} and ${m.contentHash} = coalesce(${sql.placeholder("contentHash")}, ${m.contentHash})`,
);
const pointToLatest = prepareStatement(
  () => sql`update ${m} set embedding_row_id =
  (select max(${e.rowId}) from ${e} where ${e.memoryRowId} = ${m.rowId}) where ${isOwner}`,
);

/**
 * The statements that store a vector of a memory, in place of an older one of its model and version. The memory must
 * exist and not be deleted, except in an import. The new row has the highest row id, which marks the latest vector. A
 * vector of another length stays, so that the trigger on the table refuses the new one. With `contentHash`, nothing is
 * stored if the content has changed.
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

import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings, vectorVersions } from "../../schema/memories.js";
import { expectation } from "../../shared/expectation.js";
import type { Area, DamagedRecord, IncomingRecord, Reader } from "../area.js";
import { toVector } from "../arguments.js";
import { checksumOfVector, shortened } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { readAll } from "../read-all.js";
import { inOrderOfRows, notBefore, pagesByRowId, toOptionalMillis, toTime, whereProject } from "../rows.js";
import { rederiveTerms } from "../search-backlog.js";
import { selection, toStatement } from "../statements.js";
import { contentBytes, readContent } from "./content.js";
import type { MemoryLine } from "./line.js";
import {
  deriveColumns,
  derivedColumns,
  givenColumns,
  type Memory,
  memoryColumns,
  toDraft,
  toMemory,
  toModel,
} from "./record.js";
import { MemoryRepository } from "./repository.js";
import { MEMORY_TARGET } from "./search.js";
import { embeddingStatements, insertStatements, removeStatements } from "./statements.js";

const m = memories;
const e = memoryEmbeddings;

/** The row of a memory without its vectors, which an export reads apart. */
const exported = selection({
  ...memoryColumns,
  vector: sql`null`,
  model: sql`null`,
  version: sql`null`,
  project: m.project,
});
const { columns: checkedColumns, at } = selection({
  rowId: m.rowId,
  project: m.project,
  ...givenColumns,
  ...derivedColumns,
});
const vectorColumns = { model: e.model, version: e.version, vector: e.vector };
const exportedVector = selection({ memoryRowId: e.memoryRowId, ...vectorColumns, createdAt: e.createdAt });
const checkedVector = selection({
  rowId: e.rowId,
  project: e.project,
  id: m.id,
  ...vectorColumns,
  checksum: e.checksum,
});

/** Memories with the vectors of all their models. */
export const memoryArea: Area<"memories", MemoryRepository> = {
  name: "memories",
  tables: [m, e, vectorVersions],
  purgeOrder: [e, m, vectorVersions],
  recordTables: [m],
  searchTargets: [MEMORY_TARGET],
  counted: sql`select ${m.project}, 1 as records from ${m} where ${m.deletedAt} is null`,
  isPrunedByDefault: true,
  table: sql`${m}`,

  open: (context) => new MemoryRepository(context),

  ids: (project) => sql`select ${m.id} from ${m} where ${m.project} = ${project}`,

  async *pages(reader, project) {
    const isOf = inOrderOfRows(m.project, project);
    for await (const rows of pagesByRowId(reader, sql`select ${exported.columns} from ${m}`, m.rowId, isOf)) {
      const vectors = await readVectors(
        reader,
        rows.map((row) => Number(row[exported.at.rowId])),
      );
      yield rows.map((row) => {
        const memory = toMemory(row[exported.at.project] as string, row);
        return { project: memory.project, record: toLine(memory, vectors.get(Number(row[exported.at.rowId])) ?? []) };
      });
    }
  },

  loadLine: () => import("./line.js"),

  parse(context, line: MemoryLine): IncomingRecord {
    const { embeddings, createdAt, updatedAt, deletedAt, ...given } = line;
    const draft = {
      ...toDraft(context, { ...given, createdAt: new Date(createdAt) }),
      updatedAt: notBefore(createdAt, updatedAt),
      deletedAt: toOptionalMillis(deletedAt),
    };
    const { id } = draft;
    const vectors = embeddings.flatMap((embedding) => vectorStatements(context, id, embedding));
    return { id, key: id, statements: [...insertStatements(context, draft), ...vectors] };
  },

  existing: { "": sql`${m}` },

  async remove({ project, executor }, id) {
    await executor.batch(removeStatements(project, id));
  },

  prunable(project) {
    return sql`select ${m.project} as project, ${m.rowId} as row_id, ${m.id} as key, ${m.id} as id, ${m.deletedAt} is not null as is_deleted,
      ${m.updatedAt} as updated_at, ${contentBytes(m.content)} as bytes from ${m}${whereProject(m.project, project)}`;
  },

  async *damaged(reader) {
    for await (const rows of pagesByRowId(reader, sql`select ${checkedColumns} from ${m}`, m.rowId)) {
      yield { read: rows.length, records: rows.flatMap((row) => findMismatch(row)) };
    }
    const vectors = sql`select ${checkedVector.columns} from ${e} join ${m} on ${m.rowId} = ${e.memoryRowId}`;
    for await (const rows of pagesByRowId(reader, vectors, e.rowId)) {
      yield { read: 0, records: rows.flatMap((row) => findVectorMismatch(row)) };
    }
  },

  rederive: (executor) => rederiveTerms(executor, MEMORY_TARGET),
};

/** The derived columns as findings name them. */
const DERIVED = [
  ["checksum", "checksum"],
  ["contentHash", "content hash"],
] as const;

function findMismatch(row: Row): DamagedRecord[] {
  const part = mismatchIn(row);
  if (part === undefined) return [];
  const [project, id] = [row[at.project] as string, row[at.id] as string];
  return [{ project, id, part, table: "memories", rowId: Number(row[at.rowId]) }];
}

function mismatchIn(row: Row): string | undefined {
  const content = readableContent(row);
  if (content === undefined) return "content";
  const stored = {
    id: row[at.id],
    sessionId: row[at.sessionId],
    type: row[at.type],
    source: row[at.source],
    content,
    metadata: row[at.metadata],
    createdAt: typeof row[at.createdAt] === "bigint" ? Number(row[at.createdAt]) : row[at.createdAt],
  };
  const expected = deriveColumns(row[at.project] as string, stored as Parameters<typeof deriveColumns>[1]);
  return DERIVED.find(([column]) => expected[column] !== shortened(String(row[at[column]])))?.[1];
}

function findVectorMismatch(row: Row): DamagedRecord[] {
  const { at } = checkedVector;
  const owner = [at.project, at.id, at.model, at.version].map((place) => String(row[place]));
  const [project, id, model] = owner as [string, string, string];
  const vector = row[at.vector];
  const isSound =
    vector instanceof ArrayBuffer &&
    vector.byteLength % 4 === 0 &&
    checksumOfVector(owner, new Float32Array(vector)) === row[at.checksum];
  return isSound
    ? []
    : [{ project, id, part: `vector of ${model}`, table: "memory_embeddings", rowId: Number(row[at.rowId]) }];
}

/** Undefined of a compressed content that is damaged. */
function readableContent(row: Row): string | undefined {
  try {
    return readContent(row[at.content]);
  } catch {
    return undefined;
  }
}

type Vector = MemoryLine["embeddings"][number];

async function readVectors(reader: Reader, rowIds: readonly number[]): Promise<Map<number, Vector[]>> {
  const rows = await readAll(
    reader,
    toStatement(sql`select ${exportedVector.columns} from ${e}
      where ${e.memoryRowId} in (select value from json_each(${JSON.stringify(rowIds)})) order by ${e.rowId}`),
  );
  const vectors = new Map<number, Vector[]>();
  const { at } = exportedVector;
  for (const row of rows) {
    const owner = Number(row[at.memoryRowId]);
    const vector = {
      model: row[at.model] as string,
      version: (row[at.version] as string) || null,
      vector: Buffer.from(row[at.vector] as ArrayBuffer).toString("base64"),
      createdAt: toTime(row[at.createdAt]),
    };
    vectors.set(owner, [...(vectors.get(owner) ?? []), vector]);
  }
  return vectors;
}

function toLine(memory: Memory, embeddings: Vector[]): MemoryLine {
  const { id, sessionId, type, source, content, metadata, createdAt, updatedAt, deletedAt } = memory;
  return {
    id,
    sessionId,
    type,
    source,
    content,
    metadata,
    embeddings,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    deletedAt: deletedAt?.toISOString() ?? null,
  };
}

function vectorStatements(context: RepositoryContext, id: string, { model, version, vector, createdAt }: Vector) {
  const bytes = Buffer.from(vector, "base64");
  if (bytes.byteLength % 4 !== 0) {
    throw new RangeError(expectation("vector", "whole numbers of 4 bytes each", bytes.byteLength));
  }
  // A copy, since Buffers of Node start anywhere in their pool.
  const numbers = new Float32Array(new Uint8Array(bytes).buffer);
  // A vector that an earlier version stored comes back as it was, with a direction or without.
  const embedding = { vector: toVector("vector", numbers), ...toModel("model", model, "version", version) };
  return embeddingStatements({ ...context, now: () => Date.parse(createdAt) }, id, embedding, {
    includesDeleted: true,
  });
}

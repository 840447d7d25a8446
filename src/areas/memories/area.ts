import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { searchScope, toSearchText } from "../../search/terms.js";
import { expectation } from "../../shared/expectation.js";
import type { Area, DamagedRecord, IncomingRecord, Reader } from "../area.js";
import { checksumOf, checksumOfVector, hashText } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { parseObject } from "../json.js";
import { readAll } from "../read-all.js";
import {
  inOrderOfRows,
  notBefore,
  pagesByRowId,
  toOptionalMillis,
  toOptionalTime,
  toTime,
  whereProject,
} from "../rows.js";
import { list, prepareInsert, prepareStatement, set, toStatement } from "../statements.js";
import { contentBytes, readContent } from "./content.js";
import type { MemoryLine } from "./line.js";
import { derivedColumns, storedContent, toDraft, toEmbedding } from "./record.js";
import { MemoryRepository } from "./repository.js";
import { MEMORY_TARGET } from "./search.js";
import { embeddingStatements } from "./statements.js";

const m = memories;
const e = memoryEmbeddings;

const insertRow = prepareInsert(m, [
  m.project,
  m.id,
  m.sessionId,
  m.type,
  m.source,
  m.content,
  m.metadata,
  m.createdAt,
  m.updatedAt,
  m.deletedAt,
  m.contentHash,
  m.checksum,
  m.searchText,
]);
const isId = sql`${m.project} = ${sql.placeholder("project")} and ${m.id} = ${sql.placeholder("id")}`;
const deleteVectors = prepareStatement(
  sql`delete from ${e} where ${e.memoryRowId} = (select ${m.rowId} from ${m} where ${isId})`,
);
const deleteRow = prepareStatement(sql`delete from ${m} where ${isId}`);
const storeSearchText = prepareStatement(
  sql`update ${m} set ${set(m.searchText, sql.placeholder("searchText"))} where ${m.rowId} = ${sql.placeholder("rowId")}
    and ${m.contentHash} = ${sql.placeholder("contentHash")}
    and (${m.deletedAt} is not null) = ${sql.placeholder("isDeleted")}`,
);

/** Memories with the vectors of all their models. */
export const memoryArea: Area<"memories", MemoryRepository> = {
  name: "memories",
  tables: [m, e],
  purgeOrder: [e, m],
  recordTables: [m],
  searchTargets: [MEMORY_TARGET],
  counted: sql`select ${m.project}, 1 as records from ${m} where ${m.deletedAt} is null`,
  isPrunedByDefault: true,
  table: sql`${m}`,

  open: (context) => new MemoryRepository(context),

  ids: (project) => sql`select ${m.id} from ${m} where ${m.project} = ${project}`,

  async *pages(reader, project) {
    const columns = [
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
      m.project,
    ];
    const query = (after: number, limit: number) =>
      sql`select ${list(columns)} from ${m} where ${m.rowId} > ${after}${inOrderOfRows(m.project, project)}
        order by ${m.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, query)) {
      const vectors = await readVectors(
        reader,
        rows.map((row) => Number(row[0])),
      );
      yield rows.map((row) => ({
        project: row[10] as string,
        record: toLine(row, vectors.get(Number(row[0])) ?? []),
      }));
    }
  },

  loadLine: () => import("./line.js"),

  parse(context, line: MemoryLine): IncomingRecord {
    const { id, sessionId, type, source, content, metadata } = line;
    const createdAt = Date.parse(line.createdAt);
    const deletedAt = toOptionalMillis(line.deletedAt);
    const draft = toDraft(context, { id, sessionId, type, source, content, metadata, createdAt: new Date(createdAt) });
    const [hash, checksum, searchText] = derivedColumns(context.project, draft);
    const row = insertRow([
      context.project,
      draft.id,
      draft.sessionId,
      draft.type,
      draft.source,
      storedContent(context, draft.content),
      draft.metadata,
      draft.createdAt,
      notBefore(line.createdAt, line.updatedAt),
      deletedAt,
      hash,
      checksum,
      deletedAt === null ? searchText : "",
    ]);
    return {
      id,
      key: id,
      statements: [row, ...line.embeddings.flatMap((embedding) => vectorStatements(context, id, embedding))],
    };
  },

  async existing(reader, project, keys) {
    const { rows } = await reader.execute(
      toStatement(sql`select ${m.id} from ${m} where ${m.project} = ${project}
        and ${m.id} in (select value from json_each(${JSON.stringify(keys)}))`),
    );
    return new Set(rows.map((row) => row[0] as string));
  },

  async remove({ project, executor }, id) {
    await executor.batch([deleteVectors({ project, id }), deleteRow({ project, id })]);
  },

  prunable(project) {
    return sql`select ${m.project} as project, ${m.rowId} as row_id, ${m.id} as key, ${m.id} as id, ${m.deletedAt} is not null as is_deleted,
      ${m.updatedAt} as updated_at, ${contentBytes(m.content)} as bytes from ${m}${whereProject(m.project, project)}`;
  },

  async *damaged(reader) {
    for await (const rows of pagesByRowId(reader, rowsToCheck)) {
      yield { read: rows.length, records: rows.flatMap((row) => partsThatDoNotFit(row)) };
    }
    for await (const rows of pagesByRowId(reader, vectorsToCheck)) {
      yield { read: 0, records: rows.flatMap((row) => vectorThatDoesNotFit(row)) };
    }
  },

  async *rederive(executor) {
    let seen = 0;
    for await (const rows of pagesByRowId(executor, rowsToCheck)) {
      const statements = rows.flatMap((row) => {
        const content = readableContent(row);
        if (content === undefined) return [];
        const searchText = searchTextOf(row, content);
        if (searchText === row[11]) return [];
        const isDeleted = row[12] === null ? 0 : 1;
        return [storeSearchText({ rowId: Number(row[0]), contentHash: row[9] as string, isDeleted, searchText })];
      });
      if (statements.length > 0) await executor.batch(statements);
      seen += rows.length;
      yield seen;
    }
  },
};

function rowsToCheck(after: number, limit: number) {
  const columns = [
    m.rowId,
    m.project,
    m.id,
    m.sessionId,
    m.type,
    m.source,
    m.content,
    m.metadata,
    m.createdAt,
    m.contentHash,
    m.checksum,
    m.searchText,
    m.deletedAt,
  ];
  return sql`select ${list(columns)} from ${m} where ${m.rowId} > ${after} order by ${m.rowId} limit ${limit}`;
}

function vectorsToCheck(after: number, limit: number) {
  const columns = [e.rowId, e.project, m.id, e.model, e.version, e.vector, e.checksum];
  return sql`select ${list(columns)} from ${e} join ${m} on ${m.rowId} = ${e.memoryRowId}
    where ${e.rowId} > ${after} order by ${e.rowId} limit ${limit}`;
}

function partsThatDoNotFit(row: Row): DamagedRecord[] {
  const [project, id] = [row[1], row[2]] as [string, string];
  const content = readableContent(row);
  if (content === undefined) return [{ project, id, part: "content", table: "memories", rowId: Number(row[0]) }];
  const createdAt = typeof row[8] === "bigint" ? Number(row[8]) : row[8];
  const values = [project, id, row[3], row[4], row[5], content, row[7], createdAt] as (string | number | null)[];
  // Of a damaged content the index terms follow, whatever they are, so one part is named.
  const part =
    checksumOf(values) !== row[10]
      ? "checksum"
      : hashText(content) !== row[9]
        ? "content hash"
        : searchTextOf(row, content) !== row[11]
          ? "search text"
          : undefined;
  return part === undefined ? [] : [{ project, id, part, table: "memories", rowId: Number(row[0]) }];
}

function vectorThatDoesNotFit(row: Row): DamagedRecord[] {
  const [project, id, model, version] = [1, 2, 3, 4].map((at) => String(row[at])) as [string, string, string, string];
  const vector = row[5];
  const isSound =
    vector instanceof ArrayBuffer &&
    vector.byteLength % 4 === 0 &&
    checksumOfVector([project, id, model, version], new Float32Array(vector)) === row[6];
  return isSound
    ? []
    : [{ project, id, part: `vector of ${model}`, table: "memory_embeddings", rowId: Number(row[0]) }];
}

/** Undefined of a compressed content that is damaged. */
function readableContent(row: Row): string | undefined {
  try {
    return readContent(row[6]);
  } catch {
    return undefined;
  }
}

function searchTextOf(row: Row, content: string): string {
  return row[12] === null ? toSearchText(content, searchScope(row[1] as string)) : "";
}

type Vector = MemoryLine["embeddings"][number];

async function readVectors(reader: Reader, rowIds: readonly number[]): Promise<Map<number, Vector[]>> {
  const rows = await readAll(
    reader,
    toStatement(sql`select ${list([e.memoryRowId, e.model, e.version, e.vector, e.createdAt])} from ${e}
      where ${e.memoryRowId} in (select value from json_each(${JSON.stringify(rowIds)})) order by ${e.rowId}`),
  );
  const vectors = new Map<number, Vector[]>();
  for (const row of rows) {
    const owner = Number(row[0]);
    const vector = {
      model: row[1] as string,
      version: (row[2] as string) || null,
      vector: Buffer.from(row[3] as ArrayBuffer).toString("base64"),
      createdAt: toTime(row[4]),
    };
    vectors.set(owner, [...(vectors.get(owner) ?? []), vector]);
  }
  return vectors;
}

function toLine(row: Row, embeddings: Vector[]): MemoryLine {
  return {
    id: row[1] as string,
    sessionId: row[2] as string | null,
    type: row[3] as string,
    source: row[4] as string,
    content: readContent(row[5]),
    metadata: parseObject(row[6], "memories", row[1]),
    embeddings,
    createdAt: toTime(row[7]),
    updatedAt: toTime(row[8]),
    deletedAt: toOptionalTime(row[9]),
  };
}

function vectorStatements(context: RepositoryContext, id: string, { model, version, vector, createdAt }: Vector) {
  const bytes = Buffer.from(vector, "base64");
  if (bytes.byteLength % 4 !== 0) {
    throw new RangeError(expectation("vector", "whole numbers of 4 bytes each", bytes.byteLength));
  }
  // A copy, since Buffers of Node start anywhere in their pool.
  const numbers = new Float32Array(new Uint8Array(bytes).buffer);
  const embedding = toEmbedding(numbers, model, version)!;
  return embeddingStatements({ ...context, now: () => Date.parse(createdAt) }, id, embedding, {
    includesDeleted: true,
  });
}

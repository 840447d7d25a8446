import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit, toSqlLimit } from "../arguments.js";
import { shortenedColumn } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { selection, toStatement } from "../statements.js";
import { contentBytes } from "./content.js";
import { type Memory, columns as memoryColumnList, toMemory } from "./record.js";
import { isLive } from "./statements.js";

/** Figures of the memories of a project, without deleted ones. */
export interface MemoryStats {
  readonly count: number;
  /** UTF-8 bytes of all contents. */
  readonly bytes: number;
  readonly oldest: Date | null;
  readonly newest: Date | null;
  readonly byType: readonly { readonly type: string; readonly count: number }[];
  readonly embeddings: readonly {
    readonly model: string;
    readonly version: string | null;
    readonly dimensions: number;
    readonly count: number;
  }[];
}

const m = memories;
const e = memoryEmbeddings;
const count = sql`count(*)`;
const bytes = sql`coalesce(sum(${contentBytes(m.content)}), 0)`;
const total = selection({ count, bytes, oldest: sql`min(${m.createdAt})`, newest: sql`max(${m.createdAt})` });
const ofType = selection({ type: m.type, count });
const ofModel = selection({ model: e.model, version: e.version, dimensions: e.dimensions, count });

export async function readStats({ project, executor }: RepositoryContext): Promise<MemoryStats> {
  const own = sql`${m.project} = ${project} and ${isLive}`;
  const [totals, types, models] = await executor.batch([
    toStatement(sql`select ${total.columns} from ${m} where ${own}`),
    toStatement(sql`select ${ofType.columns} from ${m} where ${own} group by 1 order by 2 desc, 1`),
    toStatement(sql`select ${ofModel.columns} from ${e} join ${m} on ${m.rowId} = ${e.memoryRowId}
        where ${e.project} = ${project} and ${isLive} group by 1, 2, 3 order by 4 desc, 1, 2`),
  ]);
  const all = totals!.rows[0]!;
  const toDate = (millis: unknown) => (millis === null ? null : new Date(Number(millis)));
  return {
    count: Number(all[total.at.count]),
    bytes: Number(all[total.at.bytes]),
    oldest: toDate(all[total.at.oldest]),
    newest: toDate(all[total.at.newest]),
    byType: types!.rows.map((row) => ({ type: row[ofType.at.type] as string, count: Number(row[ofType.at.count]) })),
    embeddings: models!.rows.map((row) => ({
      model: row[ofModel.at.model] as string,
      version: (row[ofModel.at.version] as string) || null,
      dimensions: Number(row[ofModel.at.dimensions]),
      count: Number(row[ofModel.at.count]),
    })),
  };
}

export async function findDuplicates(
  { project, executor }: RepositoryContext,
  options: { readonly limit?: number | undefined },
): Promise<Memory[][]> {
  expectKeys("findDuplicates", options, ["limit"]);
  const { limit = 50 } = options;
  expectLimit(limit);
  const own = sql`${m.project} = ${project} and ${isLive}`;
  // The hashes have no index, since only this call would read it.
  const { rows } = await executor.scan(
    toStatement(sql`with own as materialized (
        select ${m.rowId} as row_id, ${shortenedColumn(m.contentHash)} as hash from ${m} where ${own}
      ), repeated as (
        select hash, count(*) as size from own group by 1 having size > 1 order by size desc, hash limit ${toSqlLimit(limit)}
      ) select ${memoryColumnList}, repeated.hash as hash from repeated join own on own.hash = repeated.hash
        join ${m} on ${m.rowId} = own.row_id left join ${e} on ${e.rowId} = ${m.embeddingRowId}
      order by repeated.size desc, repeated.hash, ${m.createdAt}, ${m.rowId}`),
  );
  const groups = new Map<string, Memory[]>();
  for (const row of rows) {
    const hash = row.hash as string;
    const group = groups.get(hash);
    if (group === undefined) groups.set(hash, [toMemory(project, row)]);
    else group.push(toMemory(project, row));
  }
  return [...groups.values()];
}

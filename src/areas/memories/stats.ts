import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit, toSqlLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { toStatement } from "../statements.js";
import { contentBytes } from "./content.js";
import { type Memory, memoriesWithVector, toMemory } from "./record.js";
import { columns, isLive } from "./statements.js";

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

export async function readStats({ project, executor }: RepositoryContext): Promise<MemoryStats> {
  const own = sql`${m.project} = ${project} and ${isLive}`;
  const [totals, types, models] = await executor.batch([
    toStatement(sql`select count(*), coalesce(sum(${contentBytes(m.content)}), 0), min(${m.createdAt}),
        max(${m.createdAt}) from ${m} where ${own}`),
    toStatement(sql`select ${m.type}, count(*) from ${m} where ${own} group by 1 order by 2 desc, 1`),
    toStatement(sql`select ${e.model}, ${e.version}, ${e.dimensions}, count(*) from ${e} join ${m} on ${m.rowId} = ${e.memoryRowId}
        where ${e.project} = ${project} and ${isLive} group by 1, 2, 3 order by 4 desc, 1, 2`),
  ]);
  const [count, bytes, oldest, newest] = Array.from(totals!.rows[0] as ArrayLike<unknown>);
  return {
    count: Number(count),
    bytes: Number(bytes),
    oldest: oldest === null ? null : new Date(Number(oldest)),
    newest: newest === null ? null : new Date(Number(newest)),
    byType: types!.rows.map((row) => ({ type: row[0] as string, count: Number(row[1]) })),
    embeddings: models!.rows.map((row) => ({
      model: row[0] as string,
      version: (row[1] as string) || null,
      dimensions: Number(row[2]),
      count: Number(row[3]),
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
  const { rows } = await executor.execute(
    toStatement(sql`select ${m.contentHash}, ${columns} from ${memoriesWithVector} join (
        select ${m.contentHash} as hash, count(*) as size from ${m} where ${own} group by 1 having size > 1
        order by size desc, hash limit ${toSqlLimit(limit)}
      ) as repeated on repeated.hash = ${m.contentHash} where ${own}
      order by repeated.size desc, repeated.hash, ${m.createdAt}, ${m.rowId}`),
  );
  const groups = new Map<string, Memory[]>();
  for (const row of rows) {
    const hash = row[0] as string;
    groups.set(hash, [...(groups.get(hash) ?? []), toMemory(project, row, 1)]);
  }
  return [...groups.values()];
}

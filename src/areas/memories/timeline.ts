import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { memories } from "../../schema/memories.js";
import { expectInteger } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { toMillis } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { notFound } from "../repository.js";
import { toStatement } from "../statements.js";
import { columns, type Memory, memoriesWithVector, toMemory } from "./record.js";
import { isLive, newestFirst, selectOne } from "./statements.js";

/** The memory or the moment, and how many neighbors in time. */
export interface TimelineOptions {
  /** A memory, which is part of the answer, or a moment. */
  readonly around: string | Date | number;
  /** How many older ones. @default 5 */
  readonly before?: number | undefined;
  /** How many newer ones. @default 5 */
  readonly after?: number | undefined;
}

const m = memories;

export async function readTimeline(context: RepositoryContext, options: TimelineOptions): Promise<Memory[]> {
  expectKeys("timeline", options, ["around", "before", "after"]);
  const { around, before = 5, after = 5 } = options;
  expectInteger("before", before, 0);
  expectInteger("after", after, 0);
  const { project } = context;
  // A moment stands after all memories of that millisecond.
  const isId = typeof around === "string";
  let position: SQL = sql`(${isId ? 0 : toMillis("around", around)}, ${Number.MAX_SAFE_INTEGER})`;
  if (isId) {
    position = sql`(select ${m.createdAt}, ${m.rowId} from ${m} where ${m.project} = ${project} and ${m.id} = ${around})`;
  }
  const oneSide = (comparison: SQL, order: SQL, limit: number) =>
    toStatement(sql`select ${columns} from ${memoriesWithVector} where ${m.project} = ${project} and ${isLive}
      and (${m.createdAt}, ${m.rowId}) ${comparison} ${position} order by ${order} limit ${limit}`);
  const [older, newer, center] = await context.executor.batch([
    oneSide(sql`<`, newestFirst, before),
    oneSide(sql`>`, sql`${m.createdAt}, ${m.rowId}`, after),
    ...(isId ? [selectOne({ project, id: around })] : []),
  ]);
  const record = (row: Row) => toMemory(project, row);
  const own = (center?.rows ?? []).map(record).filter(({ deletedAt }) => deletedAt === null);
  if (isId && own.length === 0) throw notFound(context, "memory", around);
  return [...older!.rows.map(record).reverse(), ...own, ...newer!.rows.map(record)];
}

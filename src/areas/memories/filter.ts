import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { memories } from "../../schema/memories.js";
import { expectText } from "../../shared/expectation.js";
import { expectType, MAX_NAME_CHARS, toMillis } from "../arguments.js";
import type { Metadata, MetadataFilter } from "../metadata.js";
import { metadataConditions } from "../metadata-filter.js";

/** Which memories; all conditions must hold. Bounds are inclusive and compare `createdAt`. */
export interface MemoryFilter<M extends object = Metadata> {
  /** The type of the memory. */
  readonly type?: string | undefined;
  /** The source of the memory. */
  readonly source?: string | undefined;
  /** The session that the memory names. */
  readonly sessionId?: string | undefined;
  /** The earliest `createdAt`. */
  readonly since?: Date | number | undefined;
  /** The latest `createdAt`. */
  readonly until?: Date | number | undefined;
  /** Top-level keys of the metadata and the values they must have. */
  readonly metadata?: MetadataFilter<M> | undefined;
}

type MemoryColumns = Readonly<
  Record<"project" | "deletedAt" | "type" | "source" | "sessionId" | "createdAt" | "metadata", AnyColumn>
>;

/** The source of a memory that is given none. */
export const DEFAULT_SOURCE = "unknown";

export const FILTER_KEYS = ["type", "source", "sessionId", "since", "until", "metadata"] as const;

/**
 * The conditions of a filter on the live memories of a project; throws TypeError or RangeError on wrong values.
 *
 * `m` is the table, or an alias of it, that the query reads.
 */
export function filterConditions(project: string, filter: MemoryFilter, m: MemoryColumns = memories): SQL[] {
  const { type, source, sessionId, since, until, metadata } = filter;
  const conditions = [sql`${m.project} = ${project}`, sql`${m.deletedAt} is null`];
  if (type !== undefined) {
    expectType(type);
    conditions.push(sql`${m.type} = ${type}`);
  }
  if (source !== undefined) {
    expectText("source", source, 1000, 0);
    conditions.push(sql`${m.source} = ${source}`);
    // The index leaves the default out, and SQLite does not look into an argument.
    if (source !== DEFAULT_SOURCE) conditions.push(sql`${m.source} <> ${sql.raw(`'${DEFAULT_SOURCE}'`)}`);
  }
  if (sessionId !== undefined) {
    expectText("sessionId", sessionId, MAX_NAME_CHARS);
    conditions.push(sql`${m.sessionId} = ${sessionId}`);
  }
  if (since !== undefined) conditions.push(sql`${m.createdAt} >= ${toMillis("since", since)}`);
  if (until !== undefined) conditions.push(sql`${m.createdAt} <= ${toMillis("until", until)}`);
  if (metadata !== undefined) conditions.push(...metadataConditions(m.metadata, metadata));
  return conditions;
}

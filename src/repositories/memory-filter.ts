import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { memories } from "../schema/memories.js";
import { expectFinite, expectObject, expectText, expectType, MAX_NAME_CHARS, toMillis } from "./arguments.js";

/** Which memories; all conditions must hold. Bounds are inclusive and compare `createdAt`. */
export interface MemoryFilter {
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly since?: Date | number | undefined;
  readonly until?: Date | number | undefined;
  /** Top-level keys of the metadata and the values they must have. */
  readonly metadata?: Record<string, unknown> | undefined;
}

type MemoryColumns = Readonly<
  Record<"project" | "deletedAt" | "type" | "source" | "sessionId" | "createdAt" | "metadata", AnyColumn>
>;

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
  }
  if (sessionId !== undefined) {
    expectText("sessionId", sessionId, MAX_NAME_CHARS);
    conditions.push(sql`${m.sessionId} = ${sessionId}`);
  }
  if (since !== undefined) conditions.push(sql`${m.createdAt} >= ${toMillis("since", since)}`);
  if (until !== undefined) conditions.push(sql`${m.createdAt} <= ${toMillis("until", until)}`);
  if (metadata !== undefined) {
    expectObject("metadata", metadata);
    for (const [key, value] of Object.entries(metadata)) conditions.push(metadataCondition(m, key, value));
  }
  return conditions;
}

/**
 * Compares through json_each, since a path could not name every key. Types must agree: 1 is not "1". Objects and lists
 * are equal when their JSON texts are, the order of keys included.
 */
function metadataCondition(m: MemoryColumns, key: string, given: unknown): SQL {
  const entry = (test: SQL) =>
    sql`exists (select 1 from json_each(${m.metadata}) as entry where entry.key = ${key} and ${test})`;
  expectText("metadata", key, Number.POSITIVE_INFINITY, 0);
  // A Date, say, was stored as its JSON, and is compared as that.
  const value = typeof given === "object" && given !== null ? (JSON.parse(JSON.stringify(given)) as unknown) : given;
  switch (typeof value) {
    case "string":
      expectText(`metadata.${key}`, value, Number.POSITIVE_INFINITY, 0);
      return entry(sql`entry.type = 'text' and entry.value = ${value}`);
    case "number":
      // As JSON text, so that both sides are read alike: 2 ** 60 is an integer to SQLite.
      expectFinite(`metadata.${key}`, value);
      return entry(
        sql`entry.type in ('integer', 'real') and entry.value = json_extract(${JSON.stringify(value)}, '$')`,
      );
    case "boolean":
      return entry(sql`entry.type = ${String(value)}`);
    case "object":
      if (value === null) return entry(sql`entry.type = 'null'`);
      return entry(sql`entry.type in ('object', 'array') and entry.value = ${JSON.stringify(value)}`);
    default:
      throw new TypeError(`Expected \`metadata.${key}\` to be a JSON value, got ${typeof value}`);
  }
}

import type { Row } from "@libsql/client";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import type { Reader } from "./area.js";
import { readAll } from "./read-all.js";
import { toStatement } from "./statements.js";

/** Rows of a page: enough that a page costs more than its call, few enough that long contents fit in memory. */
const PAGE_ROWS = 200;

/**
 * The rows of a SELECT, which comes without WHERE, in the order of their row ids, page by page. `rowId` is its first
 * column; `and` is the beginning of more conditions.
 */
export async function* pagesByRowId(
  reader: Reader,
  select: SQL,
  rowId: AnyColumn | SQL,
  and = sql``,
): AsyncGenerator<readonly Row[]> {
  // Other programs may store rows with negative ids.
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const query = sql`${select} where ${rowId} > ${after}${and} order by ${rowId} limit ${PAGE_ROWS}`;
    const rows = await readAll(reader, toStatement(query));
    if (rows.length > 0) yield rows;
    if (rows.length < PAGE_ROWS) return;
    after = Number(rows.at(-1)![0]);
  }
}

/**
 * The condition that a row is of a project, where one is named. The `+` keeps the planner off the indexes that start
 * with the project: they would sort the whole project for each page, where the rows stand in order of their ids.
 */
export function inOrderOfRows(column: AnyColumn, project: string | undefined): SQL {
  return project === undefined ? sql`` : sql` and +${column} = ${project}`;
}

/** The condition that a row is of a project, where one is named. */
export function whereProject(column: AnyColumn, project: string | undefined): SQL {
  return project === undefined ? sql`` : sql` where ${column} = ${project}`;
}

/**
 * Those of `keys` that a project has. A key is a prefix and an id: `tables` has the table or query of each prefix, with the
 * columns `project` and `id`.
 */
export async function existingKeys(
  reader: Reader,
  tables: Readonly<Record<string, SQL>>,
  project: string,
  keys: readonly string[],
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const [prefix, table] of Object.entries(tables)) {
    const ids = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
    if (ids.length === 0) continue;
    const { rows } = await reader.execute(
      toStatement(sql`select id from ${table} where project = ${project}
        and id in (select value from json_each(${JSON.stringify(ids)}))`),
    );
    for (const row of rows) found.add(prefix + (row[0] as string));
  }
  return found;
}

export function toTime(millis: unknown): string {
  return new Date(Number(millis)).toISOString();
}

export function toOptionalTime(millis: unknown): string | null {
  return millis === null ? null : toTime(millis);
}

/** When a record of an import was changed or ended: not before it was created or started, whatever the clock said. */
export function notBefore(start: string, end: string): number;
export function notBefore(start: string, end: string | null): number | null;
export function notBefore(start: string, end: string | null): number | null {
  return end === null ? null : Math.max(Date.parse(start), Date.parse(end));
}

export function toOptionalMillis(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}

/** A record as an export holds it: times are ISO 8601 text. */
export type Exported<T> = { readonly [K in keyof T]: T[K] extends Date ? string : T[K] };

/** Throws RangeError where the record has an invalid time. */
export function toExported<T extends object>(record: T): Exported<T> {
  const entries = Object.entries(record).map(([key, value]) => [
    key,
    value instanceof Date ? value.toISOString() : (value as unknown),
  ]);
  return Object.fromEntries(entries) as Exported<T>;
}

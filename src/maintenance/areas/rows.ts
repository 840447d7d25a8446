import type { Row } from "@libsql/client";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { z } from "zod";
import { readAll } from "../../repositories/read-all.js";
import { toStatement } from "../../repositories/statements.js";
import type { Reader } from "./area.js";

/** Rows of a page: enough that a page costs more than its call, few enough that long contents fit in memory. */
export const PAGE_ROWS = 200;

/** Follows a query by the row id in its first column, page by page. */
export async function* pagesByRowId(
  reader: Reader,
  query: (after: number, limit: number) => SQL,
): AsyncGenerator<readonly Row[]> {
  for (let after = 0; ; ) {
    const rows = await readAll(reader, toStatement(query(after, PAGE_ROWS)));
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

/** A time of an export: ISO 8601 with milliseconds, as `Date.toJSON` writes it. */
export const time = z.iso
  .datetime({ offset: true })
  .or(z.string().regex(/^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/));

export function toTime(millis: unknown): string {
  return new Date(Number(millis)).toISOString();
}

export function toOptionalTime(millis: unknown): string | null {
  return millis === null ? null : toTime(millis);
}

export function toOptionalMillis(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}

/** A JSON object as it is: `z.record` would drop a key named `__proto__`. */
export const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "expected an object",
);

import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { expectObject, expectText } from "./arguments.js";
import { jsonEquals } from "./json-condition.js";

/** The conditions under which the JSON object in `column` has these top-level keys with these values. */
export function metadataConditions(column: AnyColumn, metadata: unknown): SQL[] {
  expectObject("metadata", metadata);
  return Object.entries(metadata).map(([key, value]) => {
    expectText("metadata", key, Number.POSITIVE_INFINITY, 0);
    return jsonEquals(sql`${column}`, [key], `metadata.${key}`, value);
  });
}

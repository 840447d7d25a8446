import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { expectObject, expectText } from "../shared/expectation.js";
import { jsonEquals, operatorsIn } from "./json-condition.js";

/** The conditions under which the JSON object in `column` has these top-level keys with these values. */
export function metadataConditions(column: AnyColumn, metadata: unknown): SQL[] {
  expectObject("metadata", metadata);
  return Object.entries(metadata).map(([key, value]) => {
    expectText("metadata", key, Number.POSITIVE_INFINITY, 0);
    expectNoOperators(`metadata.${key}`, value);
    return jsonEquals(sql`${column}`, [key], `metadata.${key}`, value);
  });
}

/** Operators of another filter would be compared as the object that they are, and match nothing. */
function expectNoOperators(name: string, value: unknown): void {
  const operators = operatorsIn(value);
  if (operators.length === 0) return;
  throw new TypeError(
    `Expected \`${name}\` to be the value to equal, got the operators ${operators.join(", ")}: metadata is compared for equality only. Graph nodes can be found by ranges, with \`where\``,
  );
}

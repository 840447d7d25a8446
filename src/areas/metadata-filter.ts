import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import { expectObject, expectText } from "../shared/expectation.js";
import { jsonEquals } from "./json-condition.js";

/** The conditions under which the JSON object in `column` has these top-level keys with these values. */
export function metadataConditions(column: AnyColumn, metadata: unknown): SQL[] {
  expectObject("metadata", metadata);
  return Object.entries(metadata).map(([key, value]) => {
    expectText("metadata", key, Number.POSITIVE_INFINITY, 0);
    expectNoOperators(`metadata.${key}`, value);
    return jsonEquals(sql`${column}`, [key], `metadata.${key}`, value);
  });
}

const OPERATOR = /^(?:gte?|lte?|eq|neq?|\$[a-z]+)$/i;
const LIST_OPERATOR = /^(?:in|nin|notIn|between)$/i;

/** Operators of another filter would be compared as the object that they are, and match nothing. */
function expectNoOperators(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  const entries = Object.entries(value);
  const areOperators = entries.every(
    ([key, operand]) => OPERATOR.test(key) || (LIST_OPERATOR.test(key) && Array.isArray(operand)),
  );
  if (entries.length === 0 || !areOperators) return;
  const given = entries.map(([key]) => key).join(", ");
  throw new TypeError(
    `Expected \`${name}\` to be the value to equal, got the operators ${given}: metadata is compared for equality only. Graph nodes can be found by ranges, with \`where\``,
  );
}

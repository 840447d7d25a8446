import { isObject } from "../../shared/expectation.js";
import type { Column } from "./schema.js";
import { BAD_TEXT, type Value } from "./trees.js";

/** Columns made from the content, which are rebuilt. */
const DERIVED_COLUMNS = new Set(["search_text"]);
/** The values that replace damaged ones, if the rest of the record is worth keeping. */
const REPLACED: Readonly<Record<string, Value>> = {
  "conversations.title": null,
  "conversations.tags": "[]",
  "conversations.metadata": "{}",
  "conversations.forked_from_id": null,
  "stories.tags": "[]",
};
const LISTS = new Set(["conversations.tags", "messages.tags", "stories.tags"]);
const OBJECTS = new Set([
  "sessions.metadata",
  "memories.metadata",
  "conversations.metadata",
  "messages.metadata",
  "graph_nodes.data",
  "graph_edges.data",
]);
const JSON_VALUES = new Set(["story_preferences.value", "story_sync_queue.data"]);
/** The last time of a Date, in ms from 1970. */
const LAST_TIME = 8_640_000_000_000_000n;
const LAST_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);
/** No file has given so many row ids. A higher one is damage, and would leave none for new rows. */
const LAST_ROW_ID = 2n ** 48n;

export function isRowId(rowId: bigint): boolean {
  return rowId > 0n && rowId <= LAST_ROW_ID;
}

/** Whether a row may be one of a table with these columns; `rowIdAt` is the column that stands for the row id, or -1. */
export function fits(table: string, values: readonly Value[], columns: readonly Column[], rowIdAt: number): boolean {
  if (values.length !== columns.length) return false;
  return values.every((value, at) => {
    const { name, type, isRequired } = columns[at]!;
    if (value === null) return at === rowIdAt || !isRequired;
    if (at === rowIdAt) return false;
    if (type.includes("INT")) return typeof value === "bigint";
    // The content of a memory may be stored compressed.
    if (type.includes("TEXT") && value instanceof Uint8Array) return table === "memories" && name === "content";
    if (type.includes("TEXT")) return typeof value === "string" || typeof value === "symbol";
    if (type === "BLOB") return value instanceof Uint8Array;
    if (type === "REAL") return typeof value === "number" || typeof value === "bigint";
    return true;
  });
}

/** The value of a column of Holdfast in a form that can be read again; undefined if the row is lost with it. */
export function ownValue(table: string, { name }: Column, value: Value): Value | undefined {
  if (isReadable(`${table}.${name}`, name, value)) return value;
  return DERIVED_COLUMNS.has(name) ? "" : REPLACED[`${table}.${name}`];
}

function isReadable(place: string, column: string, value: Value): boolean {
  if (value === BAD_TEXT) return false;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "bigint") {
    const limit = column.endsWith("_at") ? LAST_TIME : LAST_INTEGER;
    return value >= -limit && value <= limit;
  }
  if (typeof value !== "string") return true;
  if (LISTS.has(place)) return isTagList(value);
  if (OBJECTS.has(place)) return isObject(parsed(value));
  return !JSON_VALUES.has(place) || parsed(value) !== undefined;
}

/** Whether a text is a JSON array of texts that SQLite can hand out again. */
export function isTagList(text: unknown): boolean {
  const tags = parsed(String(text));
  return (
    Array.isArray(tags) && tags.every((tag) => typeof tag === "string" && tag.isWellFormed() && !tag.includes("\0"))
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

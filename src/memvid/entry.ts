import { expectId, isType, toMillis, toStorableVector } from "../areas/arguments.js";
import type { Memory, MemoryEntry, MemoryInput } from "../areas/memories/record.js";
import { repairText } from "../areas/repair.js";
import { expectation, expectObject } from "../shared/expectation.js";
import { MARKS_KEY, type Marks, NO_TEXT, splitMetadata } from "./marks.js";
import { cutText, repairJson } from "./repair.js";

/** An entry as callers pass it: vectors may be typed arrays. */
export type MemoryEntryInput = Omit<MemoryEntry, "vector" | "metadata"> & {
  readonly metadata: object;
  /** The values are stored as float32. */
  readonly vector?: readonly number[] | Float32Array | undefined;
};

/** An accepted entry: a copy that the database can store. */
export interface EntryDraft {
  readonly id: string;
  readonly input: MemoryInput;
  readonly vector: Float32Array | undefined;
  readonly chars: number;
}

/**
 * Copies an entry and repairs values that the database cannot store: text, a content that is too long, an unknown type,
 * metadata that is not JSON. Throws TypeError or RangeError on a wrong id, text, date or vector.
 */
export function toEntryDraft(id: string, entry: MemoryEntryInput, maxContentChars: number): EntryDraft {
  const ownId = toEntryId(id);
  expectObject("entry", entry);
  if (entry.id !== undefined && entry.id !== id) {
    throw new TypeError(expectation("entry.id", `the id it is written under, ${JSON.stringify(id)}`, entry.id));
  }
  const { content: given, type: givenType = "context", createdAt } = entry;
  if (typeof given !== "string") throw new TypeError(expectation("content", "a string", given));
  if (typeof givenType !== "string") throw new TypeError(expectation("type", "a string", givenType));
  const metadata = toMetadata(entry.metadata);
  const cut = cutText(given, maxContentChars);
  if (cut.length < given.length) metadata.truncated = true;
  const content = repairText(cut);
  const type = toType(givenType);
  const marks: { -readonly [K in keyof Marks]: Marks[K] } = { textChars: content.length };
  const hasOwnKey = Object.hasOwn(metadata, MARKS_KEY);
  if (hasOwnKey) marks.given = metadata[MARKS_KEY];
  if (type !== givenType) {
    marks.type = repairText(givenType);
    metadata.type ??= marks.type;
  }
  if (hasOwnKey || type !== givenType || content === "") metadata[MARKS_KEY] = marks;
  const hasVector = entry.vector !== undefined && entry.vector !== null;
  const vector = hasVector ? toStorableVector("vector", entry.vector) : undefined;
  return {
    id: ownId,
    input: { type, content: content || NO_TEXT, metadata, createdAt: toDate(createdAt), ...toSource(metadata.uri) },
    vector,
    chars: content.length + JSON.stringify(metadata).length + 4 * (vector?.length ?? 0),
  };
}

/** A memory as an entry. A memory that was put as a frame has its title and tags in the metadata. */
export function toEntry({ id, type, source, content, metadata, embedding, createdAt }: Memory): MemoryEntry {
  const vector = embedding === null ? {} : { vector: Array.from(embedding) };
  const [own, marks] = splitMetadata(metadata);
  const text = content.slice(0, marks?.textChars);
  const frame = marks?.title === undefined ? {} : frameMetadata(marks, source);
  return { id, type: marks?.type ?? type, content: text, metadata: { ...frame, ...own }, createdAt, ...vector };
}

function frameMetadata(marks: Marks, uri: string): Record<string, unknown> {
  const { title, label, labels = [], tags = [], kind, track } = marks;
  const lists = { ...(labels.length > 0 && { labels }), ...(tags.length > 0 && { tags }) };
  return { title, uri, ...(label && { label }), ...lists, ...(kind && { kind }), ...(track && { track }) };
}

/** The stored form of an id. */
export function toEntryId(id: unknown): string {
  const text = typeof id === "string" ? repairText(id) : id;
  expectId(text);
  return text;
}

function toMetadata(value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  expectObject("metadata", value);
  const copy = repairJson(value);
  expectObject("metadata", copy);
  return copy;
}

/** Searches find an entry by its URI, as they find a frame. */
function toSource(uri: unknown): { source?: string } {
  return typeof uri === "string" && uri.length > 0 && uri.length <= 1000 ? { source: uri } : {};
}

/** The valid type of memories that is most similar to the given one. */
function toType(given: string): string {
  if (isType(given)) return given;
  const word = given.toLowerCase().replace(/[^a-z0-9_-]+/g, "-");
  const type = word
    .replace(/^[^a-z]+/, "")
    .slice(0, 32)
    .replace(/-+$/, "");
  return type === "" ? "context" : type;
}

/** Dates that went through JSON are strings. */
function toDate(value: unknown): Date | undefined {
  if (value === undefined || value === null) return undefined;
  return new Date(toMillis("createdAt", typeof value === "string" ? new Date(value) : value));
}

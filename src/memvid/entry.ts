import { expectation } from "../options.js";
import { expectId, expectObject, isType, toMillis, toVector } from "../repositories/arguments.js";
import type { Memory, MemoryEntry, MemoryInput } from "../repositories/memory-record.js";
import { cutText, repairJson, repairText } from "./repair.js";

/** The key of a memory's metadata that holds what a memory has no column for. */
export const MARKS_KEY = "memvid";
/** What a memory without any text holds: its content cannot be empty. */
const NO_TEXT = " ";

/** An entry as callers give it: vectors may be typed arrays as well. */
export type MemoryEntryInput = Omit<MemoryEntry, "vector" | "metadata"> & {
  readonly metadata: object;
  readonly vector?: readonly number[] | Float32Array | undefined;
};

/** An entry that was accepted: a copy that the database can hold. */
export interface EntryDraft {
  readonly id: string;
  readonly input: MemoryInput;
  readonly vector: Float32Array | undefined;
  readonly chars: number;
}

/** What a memory's metadata says about the entry beneath. */
interface EntryMarks {
  /** How much of the content is the entry's own text. */
  readonly textChars: number;
  /** The type as it was given, where types of memories cannot look like it. */
  readonly type?: string;
  /** What the caller keeps under this key. */
  readonly given?: unknown;
}

/**
 * Copies an entry and repairs what the database cannot hold: text, too long a content, an unknown type, metadata that is
 * no JSON. Throws TypeError or RangeError on what is none: another id, no text, no valid date or vector.
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
  const marks: { -readonly [K in keyof EntryMarks]: EntryMarks[K] } = { textChars: content.length };
  const hasOwnKey = Object.hasOwn(metadata, MARKS_KEY);
  if (hasOwnKey) marks.given = metadata[MARKS_KEY];
  if (type !== givenType) {
    marks.type = repairText(givenType);
    metadata.type ??= marks.type;
  }
  if (hasOwnKey || type !== givenType || content === "") metadata[MARKS_KEY] = marks;
  const vector = entry.vector === undefined || entry.vector === null ? undefined : toVector("vector", entry.vector);
  return {
    id: ownId,
    input: { type, content: content || NO_TEXT, metadata, createdAt: toDate(createdAt) },
    vector,
    chars: content.length + JSON.stringify(metadata).length + 4 * (vector?.length ?? 0),
  };
}

/** The entry that a memory is. */
export function toEntry({ id, type, content, metadata, embedding, createdAt }: Memory): MemoryEntry {
  const vector = embedding === null ? {} : { vector: Array.from(embedding) };
  const { [MARKS_KEY]: marks, ...own } = metadata;
  if (!isMarks(marks)) return { id, type, content, metadata, createdAt, ...vector };
  const text = content.slice(0, marks.textChars);
  const given = "given" in marks ? { [MARKS_KEY]: marks.given } : {};
  return { id, type: marks.type ?? type, content: text, metadata: { ...own, ...given }, createdAt, ...vector };
}

/** An id as it is stored. */
export function toEntryId(id: unknown): string {
  const text = typeof id === "string" ? repairText(id) : id;
  expectId(text);
  return text;
}

function isMarks(value: unknown): value is EntryMarks {
  return typeof value === "object" && value !== null && Number.isSafeInteger((value as Partial<EntryMarks>).textChars);
}

function toMetadata(value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  expectObject("metadata", value);
  const copy = repairJson(value);
  expectObject("metadata", copy);
  return copy;
}

/** A type that memories can have; as much like the one given as they allow. */
function toType(given: string): string {
  if (isType(given)) return given;
  const word = given.toLowerCase().replace(/[^a-z0-9_-]+/g, "-");
  const type = word
    .replace(/^[^a-z]+/, "")
    .slice(0, 32)
    .replace(/-+$/, "");
  return type === "" ? "context" : type;
}

/** Dates that went through JSON are text. */
function toDate(value: unknown): Date | undefined {
  if (value === undefined || value === null) return undefined;
  return new Date(toMillis("createdAt", typeof value === "string" ? new Date(value) : value));
}

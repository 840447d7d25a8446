import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import type { Memory, MemoryInput } from "../areas/memories/record.js";
import { isOpenHere } from "../client/local/open-files.js";
import { expectation, expectObject, expectText } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText } from "../shared/locations.js";
import { type FrameMarks, MARKS_KEY, type Marks, NO_TEXT, splitMetadata } from "./marks.js";
import { NotSupportedError } from "./memvid-error.js";
import type { CorrectManyInput, FrameInfo, PutInput } from "./memvid-types.js";
import { cutText } from "./repair.js";
import { DEFAULT_MODEL } from "./sqlite-storage.js";
import { toSeconds, toTimestampMs } from "./timestamp.js";

/** The source of memories without their own. */
export const NO_SOURCE = "unknown";
/** The URI of a frame without its own. */
const DEFAULT_URI = /^mv2:\/\/frames\/(\d{1,15})$/;
const PUT_KEYS = [
  "title",
  "label",
  "metadata",
  "text",
  "file",
  "uri",
  "tags",
  "labels",
  "kind",
  "track",
  "searchText",
  "timestamp",
  "embedding",
  "embeddingIdentity",
  "enableEmbedding",
  "embeddingModel",
  "autoTag",
  "extractDates",
  "vectorCompression",
];
/** The label and type of corrections. */
export const CORRECTION = "correction";
const CORRECTION_TITLE_CHARS = 100;
/** The form of memory types. A label of this form is also the type. */
const TYPE = /^[a-z][a-z0-9_-]{0,31}$/;

/** A checked input, which has no frame id yet. */
export interface FrameDraft {
  readonly text: string;
  readonly hasEmbedding: boolean;
  toMemory(frameId: number, embedding?: { readonly vector: readonly number[]; readonly model: string }): MemoryInput;
}

/** A frame id as a number; throws TypeError on anything else. */
export function toFrameId(value: unknown): number {
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
  throw new TypeError(expectation("frameId", "a frame id", value));
}

/** Frame numbers start at 0, row ids at 1. */
export function toRowId(frameId: number): number {
  return frameId + 1;
}

export function fromRowId(rowId: number): number {
  return rowId - 1;
}

/** Checks the input of a put, and reads the file that it names; throws TypeError, RangeError or NotSupportedError. */
export async function toDraft(input: PutInput, boost?: number): Promise<FrameDraft> {
  expectKeys("put", input, PUT_KEYS);
  const { uri, tags = [], labels = [], metadata = {}, timestamp, embedding } = input;
  const file = pathText("file", input.file) as string | undefined;
  if (input.enableEmbedding === true && embedding === undefined) {
    throw new NotSupportedError("enableEmbedding without an embedding: models are not downloaded, so this");
  }
  const text = input.text ?? (await readText(file));
  expectText("text", text, Number.POSITIVE_INFINITY, 0);
  const named = file === undefined ? undefined : basename(file, extname(file));
  const title = input.title ?? named ?? "Untitled";
  const label = input.label ?? (file === undefined ? undefined : extname(file).slice(1) || undefined);
  const { kind, track, searchText } = input;
  for (const [name, value] of Object.entries({ title, uri, label, kind, track, searchText })) {
    if (value !== undefined) expectText(name, value, name === "uri" ? 1000 : Number.POSITIVE_INFINITY, 0);
  }
  expectStrings("tags", tags);
  expectStrings("labels", labels);
  expectObject("metadata", metadata);
  if (MARKS_KEY in metadata) throw new TypeError(`Expected \`metadata\` to have no key "${MARKS_KEY}": it is taken`);
  const createdAt = timestamp === undefined ? undefined : new Date(toTimestampMs(timestamp));
  const own = input.title === undefined && named === undefined ? [] : [title];
  const found = [...own, label, ...labels, ...tags, searchText, uri].filter((one) => one !== undefined && one !== "");
  const content = (found.length === 0 ? text : `${text}\n\n${found.join("\n")}`) || NO_TEXT;
  const marks: Marks = {
    title,
    label: label ?? null,
    labels,
    tags,
    kind: kind ?? null,
    track: track ?? null,
    textChars: text.length,
    ...(boost === undefined ? {} : { boost }),
  };
  return {
    text,
    hasEmbedding: embedding !== undefined,
    toMemory(frameId, made) {
      const model = input.embeddingIdentity?.model ?? DEFAULT_MODEL;
      const vector = embedding === undefined ? made : { vector: embedding, model };
      return {
        type: label !== undefined && TYPE.test(label) ? label : "context",
        // The source is indexed, so that the URI finds a frame at once.
        source: uri || defaultUri(frameId),
        content,
        metadata: { ...metadata, [MARKS_KEY]: marks },
        createdAt,
        ...(vector === undefined ? {} : { embedding: vector.vector, embeddingModel: vector.model }),
      };
    },
  };
}

/** Checks a correction: a frame of type "correction" that counts `boost` times in a search. */
export function toCorrection(input: CorrectManyInput): Promise<FrameDraft> {
  expectKeys("correct", input, ["statement", "topics", "source", "boost"]);
  const { statement, topics = [], source, boost = 2 } = input;
  expectText("statement", statement, Number.POSITIVE_INFINITY);
  if (typeof boost !== "number") throw new TypeError(expectation("boost", "a number of at least 0", boost));
  if (!(boost >= 0 && boost < Number.POSITIVE_INFINITY)) {
    throw new RangeError(expectation("boost", "a number of at least 0", boost));
  }
  const title = `Correction: ${cutText(statement, CORRECTION_TITLE_CHARS)}`;
  const metadata = source === undefined ? {} : { source };
  const uri = `mv2://correction/${randomUUID()}`;
  return toDraft({ title, label: CORRECTION, text: statement, tags: topics, uri, metadata }, boost);
}

/** The details of a frame. A memory that was not put as a frame has as many of them as possible. */
export function toFrameInfo(frameId: number, { type, source, metadata, createdAt }: Memory): FrameInfo {
  const [own, marks] = splitMetadata(metadata);
  const isFrame = marks?.title !== undefined;
  const { title = "Untitled", label, labels = [], tags = [], kind, track } = isFrame ? marks : fieldsOf(own);
  const first = isFrame ? label : (marks?.type ?? type);
  return {
    id: frameId,
    uri: toUri(frameId, source),
    title,
    timestamp: toSeconds(createdAt),
    kind: kind ?? null,
    track: track ?? null,
    tags: [...tags],
    labels: first ? [first, ...labels] : [...labels],
    parent_id: null,
    chunk_index: null,
    chunk_count: null,
    role: "Document",
    metadata: own,
  };
}

/** The URI of a frame whose memory has this source. */
export function toUri(frameId: number, source: string): string {
  return source === NO_SOURCE ? defaultUri(frameId) : source;
}

/** The text that was put in a frame. */
export function toText({ content, metadata }: Memory): string {
  return content.slice(0, splitMetadata(metadata)[1]?.textChars);
}

/** The number in a generated URI. */
export function frameIdOfUri(uri: string): number | undefined {
  const digits = DEFAULT_URI.exec(uri)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The fields of an entry's metadata that a frame has too. */
function fieldsOf(metadata: Record<string, unknown>): Partial<FrameMarks> {
  const { title, labels, tags, kind, track } = metadata;
  return {
    ...(isText(title) ? { title } : {}),
    ...(isText(kind) ? { kind } : {}),
    ...(isText(track) ? { track } : {}),
    ...(Array.isArray(labels) ? { labels: labels.filter(isText) } : {}),
    ...(Array.isArray(tags) ? { tags: tags.filter(isText) } : {}),
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function defaultUri(frameId: number): string {
  return `mv2://frames/${frameId}`;
}

async function readText(file: unknown): Promise<string> {
  if (typeof file !== "string" || file === "") {
    throw new TypeError("Expected `put` to get `text` or `file`");
  }
  // Closing the file after reading it would take the locks of this process on its own database.
  if (isOpenHere(file)) throw notText(file);
  const bytes = await readFile(file);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw notText(file, cause);
  }
  if (text.includes("\0")) throw notText(file);
  return text;
}

/** The error for PDFs, office documents and pictures, each of which would need a parser. */
function notText(file: string, cause?: unknown): NotSupportedError {
  const error = new NotSupportedError(`${file} is not a text file: reading documents and pictures`);
  if (cause !== undefined) error.cause = cause;
  return error;
}

function expectStrings(name: string, value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError(expectation(name, "an array of strings", value));
  for (const one of value) expectText(name, one, Number.POSITIVE_INFINITY, 0);
}

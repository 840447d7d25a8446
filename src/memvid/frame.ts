import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { expectation } from "../options.js";
import { expectKeys, expectObject, expectText } from "../repositories/arguments.js";
import type { Memory, MemoryInput } from "../repositories/memory-record.js";
import { NotSupportedError } from "./memvid-error.js";
import type { FrameInfo, PutInput } from "./memvid-types.js";
import { DEFAULT_MODEL } from "./sqlite-storage.js";
import { toSeconds, toTimestampMs } from "./timestamp.js";

/** The project that frames are kept in, as memories. */
export const FRAME_PROJECT = "memvid";
/** Digits of a frame's memory id: ids then sort as numbers do. */
const ID_DIGITS = 12;
/** The key of the memory's metadata that holds what makes it a frame. */
const FRAME_KEY = "memvid";
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
/** What the types of memories look like; labels that do are types too. */
const TYPE = /^[a-z][a-z0-9_-]{0,31}$/;

/** What a memory's metadata says about its frame. */
interface FrameFields {
  readonly title: string;
  readonly label: string | null;
  readonly labels: readonly string[];
  readonly tags: readonly string[];
  readonly kind: string | null;
  readonly track: string | null;
  /** How much of the content is the text itself; what follows is there to be found. */
  readonly textChars: number;
}

/** A checked input, but for the frame id that it will get. */
export interface FrameDraft {
  readonly text: string;
  readonly hasEmbedding: boolean;
  toMemory(frameId: number, embedding?: { readonly vector: readonly number[]; readonly model: string }): MemoryInput;
}

/** The id of the memory that holds a frame. */
export function toMemoryId(frameId: number): string {
  return String(frameId).padStart(ID_DIGITS, "0");
}

/** A frame id as a number; throws TypeError on what is none. */
export function toFrameId(value: unknown): number {
  const number = typeof value === "string" && /^\d{1,12}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0 && number < 10 ** ID_DIGITS)
    return number;
  throw new TypeError(expectation("frameId", "a frame id", value));
}

/** Checks what is put, reading its file where it names one; throws TypeError, RangeError or NotSupportedError. */
export async function toDraft(input: PutInput): Promise<FrameDraft> {
  expectKeys("put", input, PUT_KEYS);
  const { file, uri, tags = [], labels = [], metadata = {}, timestamp, embedding } = input;
  if (input.enableEmbedding === true && embedding === undefined) {
    throw new NotSupportedError("enableEmbedding without an embedding: models are not downloaded, so this");
  }
  const text = input.text ?? (await readText(file));
  expectText("text", text, Number.POSITIVE_INFINITY);
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
  if (FRAME_KEY in metadata) throw new TypeError(`Expected \`metadata\` to have no key "${FRAME_KEY}": it is taken`);
  const createdAt = timestamp === undefined ? undefined : toTimestampMs(timestamp);
  const own = input.title === undefined && named === undefined ? [] : [title];
  const found = [...own, label, ...labels, ...tags, searchText, uri].filter((one) => one !== undefined && one !== "");
  const content = found.length === 0 ? text : `${text}\n\n${found.join("\n")}`;
  const fields: FrameFields = {
    title,
    label: label ?? null,
    labels,
    tags,
    kind: kind ?? null,
    track: track ?? null,
    textChars: text.length,
  };
  return {
    text,
    hasEmbedding: embedding !== undefined,
    toMemory(frameId, made) {
      const model = input.embeddingIdentity?.model ?? DEFAULT_MODEL;
      const vector = embedding === undefined ? made : { vector: embedding, model };
      return {
        id: toMemoryId(frameId),
        type: label !== undefined && TYPE.test(label) ? label : "context",
        // The source is indexed, so that a frame is found by its URI at once.
        source: uri || defaultUri(frameId),
        content,
        metadata: { ...metadata, [FRAME_KEY]: fields },
        createdAt,
        ...(vector === undefined ? {} : { embedding: vector.vector, embeddingModel: vector.model }),
      };
    },
  };
}

/** What a frame says about itself. */
export function toFrameInfo({ id, source, metadata, createdAt }: Memory): FrameInfo {
  const { [FRAME_KEY]: fields, ...own } = metadata;
  const { title, label, labels, tags, kind, track } = fieldsOf(fields);
  return {
    id: Number(id),
    uri: source,
    title,
    timestamp: toSeconds(createdAt),
    kind,
    track,
    tags: [...tags],
    labels: label === null ? [...labels] : [label, ...labels],
    metadata: own,
  };
}

/** The text of a frame, as it was put. */
export function toText({ content, metadata }: Memory): string {
  return content.slice(0, fieldsOf(metadata[FRAME_KEY]).textChars);
}

/** Memories that somebody else stored in this project are frames as well as they can be. */
function fieldsOf(value: unknown): FrameFields {
  const nothing = { title: "Untitled", label: null, labels: [], tags: [], kind: null, track: null };
  return { ...nothing, textChars: Number.POSITIVE_INFINITY, ...(value as Partial<FrameFields> | undefined) };
}

function defaultUri(frameId: number): string {
  return `mv2://frames/${frameId}`;
}

async function readText(file: unknown): Promise<string> {
  if (typeof file !== "string" || file === "") {
    throw new TypeError("Expected `text` or `file` to be given to put");
  }
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

/** PDFs, office documents and pictures would need a parser each. */
function notText(file: string, cause?: unknown): NotSupportedError {
  const error = new NotSupportedError(`${file} is not a text file: reading documents and pictures`);
  if (cause !== undefined) error.cause = cause;
  return error;
}

function expectStrings(name: string, value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError(expectation(name, "an array of strings", value));
  for (const one of value) expectText(name, one, Number.POSITIVE_INFINITY, 0);
}

import { StorageError } from "../../shared/errors.js";
import {
  expectArray,
  expectation,
  expectInteger,
  expectObject,
  expectPlainObject,
  expectText,
  isObject,
} from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import {
  circular,
  expectId,
  expectLimit,
  isCircular,
  isExpectation,
  MAX_NAME_CHARS,
  refuseLost,
  toMillis,
} from "../arguments.js";
import { newId } from "../ids.js";

/** A story: any JSON object. Only the title and the id have a meaning here. */
export type StoryData = Record<string, unknown>;

/** What is known about a story without loading it. */
export interface StoryMetadata {
  readonly id: string;
  /** `data.metadata.title`, else `data.title`, else "Untitled", unless `metadata` or `updateMetadata` set another. */
  readonly title: string;
  readonly tags: readonly string[];
  /** UTF-8 bytes of the story's JSON. */
  readonly size: number;
  /** Grows with every change of story or metadata, and continues after a delete. */
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** The metadata that a caller can set; omitted fields stay. */
export interface StoryMetadataInput {
  /** Overrides the title that the story has in its data. */
  readonly title?: string | undefined;
  /** Replaces all tags. */
  readonly tags?: readonly string[] | undefined;
}

/** Which stories. */
export interface StoryFilter {
  /** Only stories with any of these tags; an empty list filters nothing. */
  readonly tags?: readonly string[] | undefined;
  /** The most stories. @default Infinity */
  readonly limit?: number | undefined;
  /** The number of stories to skip. @default 0 */
  readonly offset?: number | undefined;
}

/** One version in the history of a story. */
export interface StoryRevision {
  readonly revision: number;
  readonly size: number;
  readonly createdAt: Date;
  /** `"outside"`: another program made it by changing the file of the story. */
  readonly source?: "outside" | undefined;
}

/** A stored preference. */
export interface Preference {
  /** Any JSON value. */
  readonly value: unknown;
  /** Whom it applies to, in words of your own. @default "user" */
  readonly scope: string;
}

/** An entry of the queue of changes to send to another store. */
export interface SyncEntry {
  readonly id: string;
  readonly storyId: string;
  readonly action: string;
  /** Any JSON value. */
  readonly data: unknown;
  readonly timestamp: Date;
}

/** The input for an entry of the queue. */
export interface SyncEntryInput {
  /** The id of the entry. @default a new UUIDv7 */
  readonly id?: string | undefined;
  readonly storyId: string;
  readonly action: string;
  /** Any JSON value. */
  readonly data?: unknown;
  /** A Date or integer milliseconds. @default now */
  readonly timestamp?: Date | number | undefined;
}

/** A story as JSON. */
export interface LoadedStory {
  readonly text: string;
  readonly revision: number;
  readonly version: string;
}

/** A checked story to be saved, as JSON. */
export interface StoryDraft {
  readonly key: string;
  readonly text: string;
  readonly size: number;
  /** The title in the story itself. */
  readonly dataTitle: string | undefined;
  /** The title in the metadata of the call. */
  readonly ownTitle: string | undefined;
  readonly tags: readonly string[] | undefined;
  /** 0: it must not exist. */
  readonly expectedRevision: number | undefined;
}

/** A longer text could not be read back: the native binding aborts at 512 MB. */
const MAX_STORY_CHARS = 2 ** 28;
const MAX_TAG_CHARS = 200;
const MAX_TITLE_CHARS = 10_000;
/** The title of a story without one. */
export const UNTITLED = "Untitled";
const METADATA_KEYS = ["title", "tags", "id", "size", "revision", "createdAt", "updatedAt"];

/** Checks a story before a save; throws TypeError or RangeError. `metadata` may be a result of `getMetadata`. */
export function toDraft(
  key: string,
  data: unknown,
  metadata: StoryMetadataInput = {},
  expectedRevision?: number,
): StoryDraft {
  expectId(key);
  if (expectedRevision !== undefined) expectInteger("expectedRevision", expectedRevision, 0);
  const { title, tags } = toMetadataPatch(metadata);
  const text = toStoryJson(data);
  return {
    key,
    text,
    size: Buffer.byteLength(text),
    dataTitle: titleIn(data as StoryData),
    ownTitle: title,
    tags,
    expectedRevision,
  };
}

export function toMetadataPatch(metadata: unknown): { title: string | undefined; tags: string[] | undefined } {
  expectKeys("`metadata`", metadata, METADATA_KEYS);
  const { title, tags } = metadata as StoryMetadataInput;
  if (title !== undefined) expectText("title", title, MAX_TITLE_CHARS, 0);
  return { title, tags: tags === undefined ? undefined : toTags(tags) };
}

/** The title of a story after a save; `known` is the story that it replaces. */
export function titleAfter(
  { ownTitle, dataTitle }: Pick<StoryDraft, "ownTitle" | "dataTitle">,
  known: { readonly title: string; readonly titleIsOwn: boolean } | undefined,
): { title: string; titleIsOwn: boolean } {
  if (ownTitle !== undefined) return { title: ownTitle, titleIsOwn: true };
  if (dataTitle !== undefined) return { title: dataTitle, titleIsOwn: false };
  return known?.titleIsOwn === true ? { title: known.title, titleIsOwn: true } : { title: UNTITLED, titleIsOwn: false };
}

/** The title in a story, in a form that every store returns unchanged. */
export function titleIn(data: StoryData): string | undefined {
  const { metadata, title } = data;
  const inner = asObject(metadata)?.title;
  const found = typeof inner === "string" ? inner : typeof title === "string" ? title : undefined;
  return found?.toWellFormed().replaceAll("\0", "\u{FFFD}").slice(0, MAX_TITLE_CHARS).toWellFormed();
}

export function asObject(value: unknown): StoryData | undefined {
  return isObject(value) ? value : undefined;
}

/** The id and the story of an import: JSON text or an object. Throws `INVALID` for anything else. */
export function toImport(source: unknown): { id: string; data: StoryData } {
  let data = source;
  if (typeof source === "string") {
    try {
      data = JSON.parse(source);
    } catch (cause) {
      throw new StorageError("INVALID", `The story to import is not JSON: ${(cause as Error).message}`, { cause });
    }
    if (!isObject(data)) {
      throw new StorageError("INVALID", "The story to import is JSON, but not an object");
    }
  }
  expectObject("story", data);
  const { id = newId() } = data;
  if (typeof id !== "string") throw new StorageError("INVALID", "The story to import has an `id` that is not text");
  expectId(id, "story.id");
  return { id, data };
}

export function toFilter(filter: StoryFilter = {}): { tags: string[]; limit: number; offset: number } {
  expectKeys("list", filter, ["tags", "limit", "offset"]);
  const { tags = [], limit = Number.POSITIVE_INFINITY, offset = 0 } = filter;
  expectLimit(limit);
  expectInteger("offset", offset, 0);
  return { tags: toTags(tags), limit, offset };
}

export function expectRevision(revision: unknown): asserts revision is number {
  expectInteger("revision", revision, 1);
}

/** The JSON text of any JSON value; throws TypeError or RangeError for values that JSON would lose. */
export function toJson(name: string, value: unknown): string {
  const text = stringify(name, value);
  if (text === undefined) throw new TypeError(expectation(name, "a JSON value", value));
  // NaN, a Map and a typed array become one of these. Checking each value costs more than everything else here.
  if (["null", "{}", '{"0":'].some((sign) => text.includes(sign))) stringify(name, value, refuseLost(name, value));
  return text;
}

function toStoryJson(data: unknown): string {
  expectPlainObject("data", data);
  const text = toJson("data", data);
  if (!text.startsWith("{")) throw new TypeError(expectation("data", "a JSON object", data));
  if (text.length > MAX_STORY_CHARS) {
    throw new RangeError(`Expected \`data\` to have at most ${MAX_STORY_CHARS} characters of JSON, got ${text.length}`);
  }
  return text;
}

function stringify(
  name: string,
  value: unknown,
  replacer?: (this: unknown, key: string, inner: unknown) => unknown,
): string | undefined {
  try {
    return JSON.stringify(value, replacer) as string | undefined;
  } catch (cause) {
    if (isExpectation(cause)) throw cause;
    // A bigint, which the replacer names by its path, or a circular value.
    if (replacer === undefined) return stringify(name, value, refuseLost(name, value));
    if (isCircular(cause)) throw circular(name, value, cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`${expectation(name, "a JSON value", value)}: ${reason}`, { cause });
  }
}

export function toTags(tags: unknown): string[] {
  expectArray("tags", tags, "strings");
  for (const tag of tags) expectText("tags", tag, MAX_TAG_CHARS);
  return [...new Set(tags as string[])];
}

export function toPreference(key: unknown, preference: unknown): { json: string; scope: string } {
  expectId(key, "key");
  expectKeys("`preference`", preference, ["value", "scope"]);
  const { value, scope = "user" } = preference as Partial<Preference>;
  expectText("scope", scope, MAX_NAME_CHARS);
  return { json: toJson("value", value), scope };
}

export function toSyncEntry(input: unknown, now: () => number): { entry: SyncEntry; json: string } {
  expectKeys("a sync entry", input, ["id", "storyId", "action", "data", "timestamp"]);
  const { id = newId(), storyId, action, data = null, timestamp } = input as SyncEntryInput;
  expectId(id);
  expectId(storyId, "storyId");
  expectText("action", action, MAX_NAME_CHARS);
  const json = toJson("data", data);
  const time = timestamp === undefined ? now() : toMillis("timestamp", timestamp);
  const entry = { id, storyId, action, data: JSON.parse(json), timestamp: new Date(time) };
  return { entry, json };
}

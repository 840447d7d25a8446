import { guardProgress } from "../../shared/callbacks.js";
import { StorageError } from "../../shared/errors.js";
import { expectArray, expectFunction } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId } from "../arguments.js";
import { storeOf } from "./adapted-store.js";
import { type DefinedBackend, defineBackend, type StoryBackend } from "./backend.js";
import { noStory } from "./errors.js";
import { StoryService } from "./service.js";
import type { StoryCopy } from "./store.js";
import { type StoryMetadata, toJson } from "./story.js";

/** The options of `copyStories`. */
export interface CopyStoriesOptions {
  /** The ids of the stories to copy. @default all stories and the preferences */
  readonly ids?: readonly string[] | undefined;
  /** Called after each story. */
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number; readonly id: string }) => void)
    | undefined;
}

/** How much `copyStories` copied. */
export interface CopyStoriesResult {
  /** Stories copied. */
  readonly copied: number;
  /** Preferences copied. */
  readonly preferences: number;
}

/**
 * Copies stories from one service or backend to another: data and metadata, times and history if both support them, and
 * the preferences unless you name `ids`. Each copy is read back and compared.
 *
 * An existing story gets the copy as a new revision. Tokens and the sync queue are not copied. Rejects with `NOT_FOUND`
 * before anything is copied if a named story is missing, and with `CORRUPT` if a copy differs.
 */
export async function copyStories(
  from: StoryService | StoryBackend,
  to: StoryService | StoryBackend,
  options: CopyStoriesOptions = {},
): Promise<CopyStoriesResult> {
  expectKeys("copyStories", options, ["ids", "onProgress"]);
  const { ids, onProgress } = guardProgress(options);
  if (onProgress !== undefined) expectFunction("onProgress", onProgress);
  const source = backendOf(from);
  const target = backendOf(to);
  const chosen = ids === undefined ? (await source.list({})).map(({ id }) => id).reverse() : await named(source, ids);
  for (const [index, id] of chosen.entries()) {
    await copyOne(source, target, id);
    onProgress?.({ done: index + 1, total: chosen.length, id });
  }
  const preferences = ids === undefined ? await copyPreferences(source, target) : 0;
  return { copied: chosen.length, preferences };
}

function backendOf(stories: StoryService | StoryBackend): DefinedBackend {
  return stories instanceof StoryService ? stories.backend : defineBackend(stories);
}

async function named(source: DefinedBackend, ids: readonly string[]): Promise<string[]> {
  expectArray("ids", ids, "ids");
  const unique = [...new Set(ids as readonly string[])];
  for (const id of unique) {
    expectId(id, "ids");
    if (!(await source.exists(id))) throw noStory(id);
  }
  return unique;
}

async function copyOne(source: DefinedBackend, target: DefinedBackend, id: string): Promise<void> {
  const copy = await read(source, id);
  const store = storeOf(target);
  await store.saveCopy(copy);
  await verify(store.current, copy);
}

/** Attempts to read a story that keeps changing. */
const MAX_READS = 50;

/** Reads a story at one moment: again if it changed in between. */
async function read(source: DefinedBackend, id: string): Promise<StoryCopy> {
  for (let attempt = 1; attempt <= MAX_READS; attempt++) {
    const metadata = await source.getMetadata(id);
    const data = await source.load(id);
    if (metadata === undefined || data === undefined) throw noStory(id);
    const history = source.has("revisions") && source.has("loadRevision") ? await readHistory(source, metadata) : [];
    const after = await source.getMetadata(id);
    if (after?.revision === metadata.revision) return { metadata, text: toJson("data", data), history };
  }
  throw new StorageError(
    "BUSY",
    `Story ${JSON.stringify(id)} was changed each of ${MAX_READS} times that it was read to be copied: copy it when it is at rest`,
    { retryable: true },
  );
}

async function readHistory(source: DefinedBackend, { id, revision: present }: StoryMetadata) {
  const history: { revision: number; createdAt: Date; text: string }[] = [];
  for (const { revision, createdAt } of (await source.revisions(id)).reverse()) {
    const data = revision === present ? undefined : await source.loadRevision(id, revision);
    if (data !== undefined) history.push({ revision, createdAt, text: toJson("data", data) });
  }
  return history;
}

async function verify(target: DefinedBackend, { metadata, text }: StoryCopy): Promise<void> {
  const { id, title, tags } = metadata;
  const data = await target.load(id);
  const found = await target.getMetadata(id);
  const isEqual =
    data !== undefined &&
    toJson("data", data) === text &&
    found?.title === title &&
    [...found.tags].sort().join("\0") === [...tags].sort().join("\0");
  if (isEqual) return;
  throw new StorageError(
    "CORRUPT",
    `The copy of story ${JSON.stringify(id)} is not what was copied; the original is as it was`,
  );
}

async function copyPreferences(source: DefinedBackend, target: DefinedBackend): Promise<number> {
  if (!source.has("listPreferences") || !source.has("loadPreference") || !target.has("savePreference")) return 0;
  const keys = await source.listPreferences("");
  for (const key of keys) {
    const preference = await source.loadPreference(key);
    if (preference !== undefined) await target.savePreference(key, preference);
  }
  return keys.length;
}

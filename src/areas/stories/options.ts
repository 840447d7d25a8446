import { expectInteger, toBoolean } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import type { StoryMetadataInput } from "./story.js";

/** The options of a story service. */
export interface StoryServiceOptions {
  /** The most stories in memory. @default 100 */
  readonly cacheSize?: number | undefined;
  /** The most memory for cached stories, in bytes. @default 33554432 */
  readonly cacheBytes?: number | undefined;
  /** Whether listeners receive events. @default true */
  readonly events?: boolean | undefined;
}

/** The options of stories in a database. */
export interface StoryOptions extends StoryServiceOptions {
  /** The number of revisions kept for each story, the current one included. @default 20 */
  readonly historyLimit?: number | undefined;
}

/** The options of `saveStory`. */
export interface SaveStoryOptions {
  /** The title and the tags; omitted fields stay. */
  readonly metadata?: StoryMetadataInput | undefined;
  /** Saves only if the story is at this revision (0: does not exist); otherwise rejects with `CONFLICT`. */
  readonly expectedRevision?: number | undefined;
  /** Does not cache the story. @default false */
  readonly skipCache?: boolean | undefined;
}

/** The options of `loadStory`. */
export interface LoadStoryOptions {
  /** Reads from the backend and does not change the cache; counts as a miss. @default false */
  readonly skipCache?: boolean | undefined;
}

/** The options of `importStory`. */
export interface ImportStoryOptions {
  /** Refuses a story without passages, and passages without an id or with equal ids. @default true */
  readonly validate?: boolean | undefined;
}

export interface ResolvedStoryOptions {
  readonly cacheSize: number;
  readonly cacheBytes: number;
  readonly events: boolean;
  readonly historyLimit: number;
}

const CACHE_BYTES = 32 * 1024 * 1024;

/** Fills in the defaults; throws TypeError or RangeError. */
export function resolveStoryOptions(options: StoryOptions): ResolvedStoryOptions {
  expectKeys("`stories`", options, ["cacheSize", "cacheBytes", "events", "historyLimit"]);
  const { cacheSize = 100, cacheBytes = CACHE_BYTES, events = true, historyLimit = 20 } = options;
  expectCount("cacheSize", cacheSize, 0);
  expectCount("cacheBytes", cacheBytes, 0);
  expectCount("historyLimit", historyLimit, 1);
  toBoolean("events", events);
  return { cacheSize, cacheBytes, events, historyLimit };
}

function expectCount(name: string, value: unknown, atLeast: number): void {
  if (value !== Number.POSITIVE_INFINITY) expectInteger(name, value, atLeast);
}

import { expectation, expectInteger } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import type { StoryMetadataInput } from "./story.js";

export interface StoryServiceOptions {
  /** Stories kept in memory at most. @default 100 */
  readonly cacheSize?: number | undefined;
  /** Memory that the stories kept may take, in bytes. @default 33554432 */
  readonly cacheBytes?: number | undefined;
  /** Whether listeners are told anything. @default true */
  readonly events?: boolean | undefined;
}

export interface StoryOptions extends StoryServiceOptions {
  /** Revisions kept of each story, the present one included. @default 20 */
  readonly historyLimit?: number | undefined;
}

export interface SaveStoryOptions {
  readonly metadata?: StoryMetadataInput | undefined;
  /** Saves only if the story is at this revision (0: does not exist); else rejects with `CONFLICT`. */
  readonly expectedRevision?: number | undefined;
  /** Leaves the story out of the cache. @default false */
  readonly skipCache?: boolean | undefined;
}

export interface LoadStoryOptions {
  /** Asks the backend whatever the cache holds, and leaves the cache as it is; counts as a miss. @default false */
  readonly skipCache?: boolean | undefined;
}

export interface ImportStoryOptions {
  /** Refuses a story without passages, or whose passages lack ids or share them. @default true */
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
  expectKeys("stories", options, ["cacheSize", "cacheBytes", "events", "historyLimit"]);
  const { cacheSize = 100, cacheBytes = CACHE_BYTES, events = true, historyLimit = 20 } = options;
  expectCount("cacheSize", cacheSize, 0);
  expectCount("cacheBytes", cacheBytes, 0);
  expectCount("historyLimit", historyLimit, 1);
  if (typeof events !== "boolean") throw new TypeError(expectation("events", "true or false", events));
  return { cacheSize, cacheBytes, events, historyLimit };
}

function expectCount(name: string, value: unknown, atLeast: number): void {
  if (value !== Number.POSITIVE_INFINITY) expectInteger(name, value, atLeast);
}

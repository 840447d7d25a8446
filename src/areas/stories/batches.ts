import { StorageError } from "../../shared/errors.js";
import { atRecord, isOfRecord } from "../batch.js";
import type { Repair } from "../repair.js";
import { type StoryData, type StoryDraft, toDraft } from "./story.js";

/** Errors of the whole call, which no story could avoid. */
const OF_THE_CALL: readonly unknown[] = ["WRONG_HANDLE", "TRANSACTION_CLOSED", "CLOSED"];

/** Throws the error of a batch that is not about one of its stories. */
export function throwIfOfTheCall(error: unknown): void {
  if (error instanceof StorageError && OF_THE_CALL.includes(error.code)) throw error;
}

/** Drafts in one transaction of a batch that need not be atomic. */
const BATCH_CHUNK = 250;

/** What `batchSave` stored. */
export interface BatchSaveResult {
  /** How many were stored. */
  readonly saved: number;
  /** The errors of the stories that were not stored, by id. */
  readonly errors: Record<string, unknown>;
}

/** What `batchLoad` found. */
export interface BatchLoadResult {
  /** The stories that exist, by id. */
  readonly stories: Record<string, StoryData>;
  /** A story that does not exist is a `NOT_FOUND` here. */
  readonly errors: Record<string, unknown>;
}

/** Checks the stories of a batch. A wrong story is in `errors`; if `isAtomic`, the first wrong story throws. */
export function toDrafts(
  stories: Readonly<Record<string, StoryData>>,
  repair: Repair,
  isAtomic: boolean,
): { drafts: StoryDraft[]; errors: Map<string, unknown> } {
  const drafts: StoryDraft[] = [];
  const errors = new Map<string, unknown>();
  for (const [index, id] of Object.keys(stories).entries()) {
    try {
      drafts.push(toDraft(id, repair(stories[id])));
    } catch (cause) {
      const error = atRecord(cause, { index, id });
      if (isAtomic) throw error;
      errors.set(id, error);
    }
  }
  return { drafts, errors };
}

/**
 * Saves the drafts and returns how many were stored; `errors` has the others. `save` stores several together, or none.
 *
 * A transaction of several is faster. If one fails, or there are no transactions, each draft is saved separately.
 */
export async function saveEach(
  drafts: readonly StoryDraft[],
  errors: Map<string, unknown>,
  save: (drafts: readonly StoryDraft[], id?: string) => Promise<number>,
  hasTransactions: boolean,
): Promise<number> {
  const size = hasTransactions ? BATCH_CHUNK : 1;
  let saved = 0;
  for (let at = 0; at < drafts.length; at += size) {
    const chunk = drafts.slice(at, at + size);
    try {
      saved += await save(chunk, hasTransactions ? undefined : chunk[0]!.key);
    } catch (error) {
      throwIfOfTheCall(error);
      // On a full disk, fewer may fit. Any other failure would make each of them wait just as long.
      const mayFit = hasTransactions && error instanceof StorageError && error.code === "FULL";
      if (mayFit) saved += await saveEach(chunk, errors, save, false);
      else for (const { key } of chunk) errors.set(key, error);
    }
  }
  return saved;
}

/** The errors of a batch by id; an error of one record gets its index in `ids`. */
export function errorsById(ids: readonly string[], errors: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const placed = [...errors].map(([id, error]) => {
    return [id, isOfRecord(error) ? atRecord(error, { index: ids.indexOf(id), id }) : error];
  });
  return Object.fromEntries(placed);
}

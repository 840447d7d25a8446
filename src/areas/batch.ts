import { LibsqlBatchError } from "@libsql/client/sqlite3";
import { StorageError, type StorageErrorCode } from "../shared/errors.js";
import { expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { definedOnly } from "./arguments.js";

/** How a batch treats a record whose id is taken, including by an earlier record of the same batch. */
export type OnConflict = "fail" | "skip" | "replace";

/** The options of a call that stores several records. */
export interface BatchOptions {
  /**
   * If the id of a record is taken, by a deleted record or another: `fail` refuses the whole batch with `CONFLICT`,
   * `skip` keeps the stored record, and `replace` replaces it, keeps its `createdAt` and restores it if it was deleted.
   * @default "fail"
   */
  readonly onConflict?: OnConflict | undefined;
}

/** Which record of a batch an error is about. */
export interface BatchPlace {
  /** From 0. */
  readonly index: number;
  readonly id?: string | undefined;
}

const MAX_SHOWN_CHARS = 80;

/** Throws TypeError on anything but a known `onConflict`. */
export function toOnConflict(call: string, options: BatchOptions): OnConflict {
  expectKeys(call, options, ["onConflict"]);
  const { onConflict = "fail" } = options;
  expectOneOf("onConflict", onConflict, ["fail", "skip", "replace"]);
  return onConflict;
}

/** Checks each record; an error of `check` names the record. Holes of an array are checked too. */
export function checkEach<T, R>(inputs: readonly T[], check: (input: T, index: number) => R): R[] {
  const checked: R[] = [];
  for (let index = 0; index < inputs.length; index++) {
    try {
      checked.push(check(inputs[index] as T, index));
    } catch (error) {
      throw atRecord(error, { index, id: idOf(inputs[index]) });
    }
  }
  return checked;
}

/** Runs `work` for the record at `index` of a batch; its errors name the index. */
export async function atIndex<T>(index: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw atRecord(error, { index });
  }
}

/** An error about a message of a conversation, with its place there; `atRecord` adds that of the conversation. */
export function inMessage(error: unknown, messageIndex: number): unknown {
  return error instanceof Error ? withPlace(error, `message at index ${messageIndex}`, { messageIndex }) : error;
}

/** An error with the place of its record, in its properties and its message. One that has a place keeps it. */
export function atRecord(error: unknown, place: BatchPlace): unknown {
  if (!(error instanceof Error)) return error;
  if ((error as Partial<BatchPlace>).index !== undefined) return error;
  return withPlace(error, describe(place), place);
}

function withPlace(
  error: Error,
  where: string,
  place: Partial<BatchPlace> & { readonly messageIndex?: number },
): unknown {
  const message = `${error.message} (${where})`;
  if (error instanceof StorageError) {
    const { code, cause, retryable, outcome, table, columns, line, messageIndex } = error;
    return new StorageError(code, message, { cause, retryable, outcome, table, columns, line, messageIndex, ...place });
  }
  // The same object: its stack names the caller.
  if (error.stack !== undefined) error.stack = error.stack.replace(error.message, () => message);
  error.message = message;
  return Object.assign(error, definedOnly(place));
}

function describe({ index, id }: BatchPlace): string {
  const name = id === undefined ? "" : `, id ${JSON.stringify(id.slice(0, MAX_SHOWN_CHARS))}`;
  return `at index ${index}${name}`;
}

function idOf(input: unknown): string | undefined {
  const { id } = Object(input) as { id?: unknown };
  return typeof id === "string" ? id : undefined;
}

/** Errors that one row of a batch can cause. All others are about the whole batch. */
const OF_RECORDS: readonly StorageErrorCode[] = ["CONFLICT", "FOREIGN_KEY", "INVALID", "DIMENSION_MISMATCH"];

/** Whether one record is to blame for a failure. */
export function isOfRecord(error: unknown): error is StorageError {
  return error instanceof StorageError && OF_RECORDS.includes(error.code);
}

/** The error of a failed batch, which has the number of the statement, in the chain of causes. */
export function batchErrorIn(error: unknown): LibsqlBatchError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof LibsqlBatchError) return at;
  }
  return undefined;
}

/** The index of the first key that is known or repeated; undefined if there is none. */
export function firstTaken(keys: readonly string[], known: ReadonlySet<string>): number | undefined {
  const seen = new Set<string>();
  for (const [index, key] of keys.entries()) {
    if (known.has(key) || seen.has(key)) return index;
    seen.add(key);
  }
  return undefined;
}

/**
 * The drafts of a batch to store, by id, if the records `known` exist. `skip` stores the first draft of each unknown id,
 * `replace` the last draft of each id; `keep` copies values of the earlier record to it.
 */
export function settleConflicts<D extends { readonly id: string }, K>(
  drafts: readonly D[],
  onConflict: "skip" | "replace",
  known: ReadonlyMap<string, K>,
  keep: (draft: D, earlier: D | K) => D,
): Map<string, D> {
  const settled = new Map<string, D>();
  for (const draft of drafts) {
    const earlier = settled.get(draft.id) ?? known.get(draft.id);
    if (earlier === undefined) settled.set(draft.id, draft);
    else if (onConflict === "replace") settled.set(draft.id, keep(draft, earlier));
  }
  return settled;
}

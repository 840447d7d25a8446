import { LibsqlBatchError } from "@libsql/client/sqlite3";
import { StorageError, type StorageErrorCode } from "../shared/errors.js";
import { expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";

/** What becomes of a record of a batch whose id is taken, also by an earlier one of the same batch. */
export type OnConflict = "fail" | "skip" | "replace";

export interface BatchOptions {
  /**
   * For a record whose id is taken, deleted or not: all of the batch is refused with `CONFLICT` (`fail`), what is stored
   * stays as it is (`skip`), or the record replaces it, keeping its `createdAt` and reviving it (`replace`).
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

/** Checks each record; what `check` throws then says which one it is about. Holes of an array are checked too. */
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

/** Runs `work` for the record at `index` of a batch; what it throws says so. */
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
  return Object.assign(error, definedOf(place));
}

function describe({ index, id }: BatchPlace): string {
  const name = id === undefined ? "" : `, id ${JSON.stringify(id.slice(0, MAX_SHOWN_CHARS))}`;
  return `at index ${index}${name}`;
}

function definedOf(place: object): object {
  return Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined));
}

function idOf(input: unknown): string | undefined {
  const { id } = Object(input) as { id?: unknown };
  return typeof id === "string" ? id : undefined;
}

/** What the rows of a batch can cause: everything else is about the batch as a whole. */
const OF_RECORDS: readonly StorageErrorCode[] = ["CONFLICT", "FOREIGN_KEY", "INVALID", "DIMENSION_MISMATCH"];

/** Whether one record is to blame for a failure. */
export function isOfRecord(error: unknown): error is StorageError {
  return error instanceof StorageError && OF_RECORDS.includes(error.code);
}

/** The number of the statement that failed a batch; undefined where it is not known. */
export function failedStatement(error: unknown): number | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof LibsqlBatchError) return at.statementIndex;
  }
  return undefined;
}

/** The first key that is known, or that has come before; undefined where there is none. */
export function firstTaken(keys: readonly string[], known: ReadonlySet<string>): number | undefined {
  const seen = new Set<string>();
  for (const [index, key] of keys.entries()) {
    if (known.has(key) || seen.has(key)) return index;
    seen.add(key);
  }
  return undefined;
}

/**
 * What is to be stored of a batch, by id, where `known` is stored already: with `skip` the first of each id that is not
 * known, with `replace` the last one, to which `keep` gives what it keeps of the record before it.
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

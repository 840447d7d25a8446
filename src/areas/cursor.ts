import { expectation } from "../shared/expectation.js";

/** One page of a list; pass `nextCursor` as `cursor` to get the next. */
export interface Page<T> {
  readonly items: T[];
  /** Undefined after the last page. */
  readonly nextCursor: string | undefined;
}

/** Where a page ended: the sort key and the row that settles equal keys. */
export interface Position {
  readonly key: number;
  readonly rowId: number;
}

// Each cursor names its list and order. In another one its position would be anywhere, and rows would be left out
// without a word.

export function encodeCursor(list: string, { key, rowId }: Position): string {
  return encode(list, [key, rowId]);
}

/** Throws TypeError on anything that `list` has not handed out. */
export function decodeCursor(list: string, cursor: unknown): Position {
  const [key, rowId] = decode(list, cursor, 2, Number.isSafeInteger) as number[];
  return { key: key!, rowId: rowId! };
}

/** The cursor of a list that is sorted by texts. */
export function encodeTexts(list: string, parts: readonly string[]): string {
  return encode(list, parts);
}

/** The texts of a cursor of `encodeTexts`; throws TypeError on anything that `list` has not handed out. */
export function decodeTexts(list: string, cursor: unknown, count: number): string[] {
  return decode(list, cursor, count, (part) => typeof part === "string") as string[];
}

function encode(list: string, parts: readonly (number | string)[]): string {
  return Buffer.from(JSON.stringify([list, ...parts])).toString("base64url");
}

function decode(list: string, cursor: unknown, count: number, isPart: (part: unknown) => boolean): unknown[] {
  try {
    const [of, ...parts] = JSON.parse(Buffer.from(cursor as string, "base64url").toString()) as unknown[];
    if (of === list && parts.length === count && parts.every(isPart)) return parts;
  } catch {
    // Whatever is wrong with it, the message below is the same.
  }
  throw new TypeError(expectation("cursor", "the `nextCursor` of an earlier page in the same order", cursor));
}

/** Makes a page of rows that were read with a limit of one more, the sign of another page; `cursor` is that of the last. */
export function toPage<R, T>(
  rows: readonly R[],
  limit: number,
  record: (row: R) => T,
  cursor: (row: R, item: T) => string,
): Page<T> {
  const items = rows.slice(0, limit).map((row) => record(row));
  const last = items.length - 1;
  const hasMore = rows.length > limit && last >= 0;
  return { items, nextCursor: hasMore ? cursor(rows[last]!, items[last]!) : undefined };
}

import { expectation } from "../options.js";

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

export function encodeCursor({ key, rowId }: Position): string {
  return Buffer.from(JSON.stringify([key, rowId])).toString("base64url");
}

/** Throws TypeError on anything that no list has handed out. */
export function decodeCursor(cursor: unknown): Position {
  try {
    const parts = JSON.parse(Buffer.from(cursor as string, "base64url").toString()) as unknown;
    if (Array.isArray(parts) && parts.length === 2 && parts.every(Number.isSafeInteger)) {
      return { key: parts[0] as number, rowId: parts[1] as number };
    }
  } catch {
    // Whatever is wrong with it, the message below is the same.
  }
  throw new TypeError(expectation("cursor", "the `nextCursor` of an earlier page", cursor));
}

/** The cursor of a list that is sorted by texts. */
export function encodeTexts(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** The texts of a cursor of `encodeTexts`; throws TypeError on anything that no such list has handed out. */
export function decodeTexts(cursor: unknown, count: number): string[] {
  try {
    const parts = JSON.parse(Buffer.from(cursor as string, "base64url").toString()) as unknown;
    if (Array.isArray(parts) && parts.length === count && parts.every((part) => typeof part === "string")) return parts;
  } catch {
    // Whatever is wrong with it, the message below is the same.
  }
  throw new TypeError(expectation("cursor", "the `nextCursor` of an earlier page", cursor));
}

/** Splits off the surplus row that was read to know whether there is another page. */
export function toPage<R, T>(
  rows: readonly R[],
  limit: number,
  record: (row: R) => T,
  position: (row: R) => Position,
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const hasMore = rows.length > limit && last !== undefined;
  return { items: shown.map(record), nextCursor: hasMore ? encodeCursor(position(last)) : undefined };
}

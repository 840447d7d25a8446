import type { KeywordSearchRequest, SearchReader, SearchTarget } from "./request.js";

/** Rows of a page: their texts are in memory at once. */
export const PAGE_ROWS = 1000;

/**
 * How many of the needles each row with a packed content has, by row; rows without any are left out.
 *
 * SQL cannot look into packed contents, so each is unpacked here, a page at a time so that others get their turn.
 */
export async function scanPacked(
  reader: SearchReader,
  { target, where }: KeywordSearchRequest,
  needles: readonly (readonly string[])[],
): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  const { unpack } = target;
  if (unpack === undefined) return found;
  const folded = foldNeedles(needles);
  for (let after = 0; ; ) {
    const rows = await reader.scan(
      `SELECT m.${target.rowId}, m.${target.content} FROM ${target.table} m WHERE m.${target.rowId} > ? AND` +
        ` typeof(m.${target.content}) = 'blob' AND (${where.sql}) ORDER BY m.${target.rowId} LIMIT ${PAGE_ROWS}`,
      [after, ...where.args],
    );
    for (const row of rows) {
      const count = countNeedles(unpack(row[1]), folded);
      if (count > 0) found.set(Number(row[0]), count);
    }
    if (rows.length < PAGE_ROWS) return found;
    after = Number(rows.at(-1)![0]);
  }
}

/** The text of a stored content; empty if it cannot be read. */
export function textOf(stored: unknown, { unpack }: SearchTarget): string {
  if (typeof stored === "string") return stored;
  try {
    return unpack?.(stored) ?? String(stored);
  } catch {
    return "";
  }
}

type Needles = readonly (readonly string[])[];

/** The needles as `countNeedles` takes them. */
export function foldNeedles(needles: Needles): Needles {
  return needles.map((spellings) => spellings.map(lower));
}

/** How many of the needles `text` has, in any of their spellings, as LIKE finds them. */
export function countNeedles(text: string, folded: Needles): number {
  const searched = lower(text);
  return folded.filter((spellings) => spellings.some((needle) => searched.includes(needle))).length;
}

/** As LIKE compares: letters of ASCII alone have no case. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

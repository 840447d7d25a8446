import stringWidth from "string-width";
import { type Part, paint } from "./style.js";
import { toLine } from "./text.js";

/** What a table shows in one place. */
export type Cell = string | readonly Part[];

export interface TableShape {
  readonly columns: number;
  readonly isColored: boolean;
}

const GAP = "  ";

/** Rows as a table for a terminal that is `columns` wide; the last column is cut to fit. */
export function toTable(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { columns, isColored }: TableShape,
): string {
  const titles = head.map((name): Cell => [{ text: name.toUpperCase(), style: "dim" }]);
  const cells = [titles, ...rows].map((row) => row.map(toParts));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? []))));
  const lines = cells.map((row) =>
    row.flatMap((parts, column) => {
      if (column === row.length - 1) return parts;
      return [...parts, { text: " ".repeat(widths[column]! - widthOf(parts)) + GAP }];
    }),
  );
  return lines.map((line) => toText(cut(line, columns), isColored)).join("\n");
}

/** The parts of a cell, on one line. */
function toParts(cell: Cell): readonly Part[] {
  const parts = typeof cell === "string" ? [{ text: cell }] : cell;
  return parts.map(({ text, style }) => ({ text: toLine(text), style }));
}

function toText(parts: readonly Part[], isColored: boolean): string {
  return parts
    .map((part) => paint(part, isColored))
    .join("")
    .trimEnd();
}

function widthOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { text }) => sum + stringWidth(text), 0);
}

function cut(parts: readonly Part[], columns: number): readonly Part[] {
  if (widthOf(parts) <= columns) return parts;
  const shown: Part[] = [];
  // One column is for the ellipsis.
  let room = columns - 1;
  for (const { text, style } of parts) {
    let kept = "";
    for (const { segment } of new Intl.Segmenter().segment(text)) {
      const width = stringWidth(segment);
      if (width > room) return [...shown, { text: kept, style }, { text: "…" }];
      room -= width;
      kept += segment;
    }
    shown.push({ text, style });
  }
  return shown;
}

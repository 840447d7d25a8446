import stringWidth from "string-width";

/**
 * Control characters and those that change the direction of text: a terminal obeys them instead of showing them. Stored
 * text may come from anywhere, so it must not move the cursor or rewrite the screen.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** A text on one line, without commands to the terminal. */
export function toLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n|[\r\n\t\u2028\u2029]/g, " ")
    .replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const GAP = "  ";
/** The width of a terminal that does not report its own. */
const DEFAULT_COLUMNS = 80;

/** Rows as a table for a terminal that is `columns` wide; the last column is cut to fit. */
export function toTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns = DEFAULT_COLUMNS,
): string {
  const cells = [head.map((name) => name.toUpperCase()), ...rows.map((row) => row.map(toLine))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => stringWidth(row[column] ?? ""))));
  const lines = cells.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell + padding(cell, widths[column]!))).join(GAP),
  );
  return lines.map((line) => cut(line.trimEnd(), columns)).join("\n");
}

/** Bytes for people: `1.5 MB`. */
export function toSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

function padding(cell: string, width: number): string {
  return " ".repeat(width - stringWidth(cell));
}

function cut(line: string, columns: number): string {
  if (stringWidth(line) <= columns) return line;
  let shown = "";
  let width = 1;
  for (const { segment } of new Intl.Segmenter().segment(line)) {
    width += stringWidth(segment);
    if (width > columns) break;
    shown += segment;
  }
  return `${shown}…`;
}

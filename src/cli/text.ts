/**
 * Control characters and those that change the direction of text: a terminal obeys them instead of showing them. Stored
 * text may come from anywhere, so it must not move the cursor or rewrite the screen.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** A text on one line, without commands to the terminal. */
export function toLine(text: string): string {
  return escapeUnsafe(text.toWellFormed().replace(/\r\n|[\r\n\t\u2028\u2029]/g, " "));
}

/** The lines of a text, without commands to the terminal. */
export function toLines(text: string): string[] {
  return text
    .toWellFormed()
    .split(/\r\n|[\r\n\u2028\u2029]/)
    .map((line) => escapeUnsafe(line.replaceAll("\t", "  ")));
}

/** Bytes for people: `1.5 MB`. */
export function toSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

/** A number with its noun: `1 record`, `2 records`. */
export function toCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A time in UTC to the minute, with its zone: `2026-01-31T12:30Z`. */
export function toMinute(time: Date): string {
  return `${time.toISOString().slice(0, 16)}Z`;
}

function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

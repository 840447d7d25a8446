import { expectation } from "../shared/expectation.js";

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** Milliseconds from whole seconds since 1970, or from a written date in UTC; throws RangeError. */
export function toTimestampMs(value: unknown): number {
  const millis = typeof value === "number" ? (Number.isSafeInteger(value) ? value * 1000 : Number.NaN) : parse(value);
  // The range of Date.
  if (Math.abs(millis) <= 8.64e15) return millis;
  throw new RangeError(
    `Expected \`timestamp\` to be whole seconds since 1970, or a date like "2023-01-15", "Jan 15, 2023" or "01/15/2023", got ${JSON.stringify(value)}`,
  );
}

export function toSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** The time as ISO text with whole seconds, as in the hits of the SDK. */
export function toIsoSeconds(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}

/** Milliseconds from a time in seconds; throws TypeError or RangeError. */
export function startOfSecond(name: string, seconds: unknown): number {
  if (typeof seconds !== "number") throw new TypeError(expectation(name, "seconds since 1970", seconds));
  if (!Number.isFinite(seconds)) throw new RangeError(expectation(name, "seconds since 1970", seconds));
  return Math.floor(seconds * 1000);
}

/** The last millisecond of a second, which "up to" includes. */
export function endOfSecond(name: string, seconds: unknown): number {
  return startOfSecond(name, seconds) + 999;
}

function parse(value: unknown): number {
  if (typeof value !== "string") return Number.NaN;
  const text = value.trim();
  const american = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(text);
  if (american !== null) return utc(Number(american[3]), Number(american[1]) - 1, Number(american[2]));
  const named = /^([a-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})$/i.exec(text);
  if (named !== null) return utc(Number(named[3]), MONTHS.indexOf(named[1]!.toLowerCase()), Number(named[2]));
  // A date without a zone is UTC, whatever the zone of the machine is.
  const iso = /^\d{4}-\d{2}-\d{2}(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?)?$/i.exec(text);
  if (iso === null) return Number.NaN;
  return Date.parse(iso[1] === undefined ? text : `${text.slice(0, 10)}T${iso[1]}${iso[2] ?? "Z"}`);
}

/** NaN if the month does not have the day. */
function utc(year: number, month: number, day: number): number {
  const date = new Date(Date.UTC(year, month, day));
  return month >= 0 && date.getUTCMonth() === month && date.getUTCDate() === day ? date.getTime() : Number.NaN;
}

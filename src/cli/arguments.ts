import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
const UNIT_BYTES: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Parses a whole number. */
export function parseCount(text: string): number {
  return parseWhole(text, 0);
}

/** Parses a whole number that is not 0. */
export function parsePositive(text: string): number {
  return parseWhole(text, 1);
}

function parseWhole(text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new InvalidArgumentError(`Expected a whole number of at least ${least}, as in 1000.`);
  }
  return value;
}

/** Parses a TCP port. */
export function parsePort(text: string): number {
  const port = parseCount(text);
  if (port < 1 || port > 65_535) throw new InvalidArgumentError("Expected a port, 1 to 65535.");
  return port;
}

/** Parses `500`, `10k` or `1.5GB` as bytes, with powers of a thousand. */
export function parseBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError("Expected bytes, as in 500000, 20MB or 1.5GB.");
  return Math.round(Number(number) * UNIT_BYTES[unit!.toLowerCase()]!);
}

/** Parses an age (`90d`, `12h`) as the time that long ago, or a date. */
export function parseAge(text: string): Date {
  const [, number, unit] = /^(\d+)([smhdw])$/i.exec(text) ?? [];
  if (number !== undefined) return new Date(Date.now() - Number(number) * UNIT_MS[unit!.toLowerCase()]!);
  const date = new Date(/^\d{4}-\d\d-\d\d/.test(text) ? text : Number.NaN);
  if (Number.isNaN(date.getTime())) {
    throw new InvalidArgumentError("Expected an age, as in 90d, 12h or 4w, or a date, as in 2026-01-31.");
  }
  return date;
}

/** Makes a parser that accepts one of the words. */
export function parseOneOf(words: readonly string[]): (text: string) => string {
  return (text) => {
    if (!words.includes(text)) throw new InvalidArgumentError(`Expected one of ${words.join(", ")}.`);
    return text;
  };
}

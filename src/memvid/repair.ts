import { repairText } from "../areas/repair.js";

/** The deepest nesting of metadata to keep. SQLite does not read JSON that is much deeper. */
const MAX_DEPTH = 500;

/** At most `maxChars` characters of `text`, without splitting a surrogate pair. */
export function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const splitsPair = /[\uD800-\uDBFF]/.test(text[maxChars - 1]!) && /[\uDC00-\uDFFF]/.test(text[maxChars]!);
  return text.slice(0, splitsPair ? maxChars - 1 : maxChars);
}

function copyProperties(entries: Iterable<[unknown, unknown]>, parents: readonly object[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    const repaired = repairJson(value, parents);
    if (repaired === undefined) continue;
    // A plain assignment to `__proto__` would be lost.
    Object.defineProperty(copy, repairText(String(key)), {
      value: repaired,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy;
}

/**
 * A copy of a value as JSON, which keeps as much of the original as possible.
 *
 * Text is repaired. Numbers that JSON lacks become null, BigInts strings, Maps objects, Sets and typed arrays arrays, and
 * Errors objects with their name and message. Functions and undefined are left out, as in JSON.
 */
export function repairJson(given: unknown, parents: readonly object[] = []): unknown {
  const value = toJsonValue(given);
  if (typeof value === "string") return repairText(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "boolean" || value === null) return value;
  if (typeof value !== "object") return undefined;
  if (parents.includes(value)) return "[circular]";
  if (parents.length >= MAX_DEPTH) return "[nested too deeply]";
  const inner = [...parents, value];
  if (Array.isArray(value) || value instanceof Set || isTypedArray(value)) {
    return Array.from(value as Iterable<unknown>, (one) => repairJson(one, inner) ?? null);
  }
  if (value instanceof Map) return copyProperties(value, inner);
  if (value instanceof Error) {
    const { name, message } = value;
    return copyProperties(Object.entries({ ...value, name, message }), inner);
  }
  return copyProperties(Object.entries(value), inner);
}

function toJsonValue(value: unknown): unknown {
  const convert = (value as { toJSON?: unknown } | null | undefined)?.toJSON;
  if (typeof convert !== "function") return value;
  try {
    return convert.call(value);
  } catch {
    // An invalid date, for example, of which nothing can be kept.
    return null;
  }
}

function isTypedArray(value: object): boolean {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

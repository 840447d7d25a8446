import { expectation, expectInteger, expectPlainObject, expectText } from "../shared/expectation.js";
import { keepText, type Repair, refusesInJson } from "./repair.js";

/** The project of a call that names none. */
export const DEFAULT_PROJECT = "default";

/** Longest project or session name, in UTF-16 units. */
export const MAX_NAME_CHARS = 200;
const MAX_ID_CHARS = 1000;
const TYPE_EXPECTED = "a word of 1 to 32 lower-case letters, digits, _ and -, with a letter first";
const TYPE = /^[a-z][a-z0-9_-]{0,31}$/;

export function expectProject(value: unknown): asserts value is string {
  expectText("project", value, MAX_NAME_CHARS);
}

export function expectId(value: unknown, name = "id"): asserts value is string {
  expectText(name, value, MAX_ID_CHARS);
}

/** Whether the types of records may look like this. */
export function isType(value: string): boolean {
  return TYPE.test(value);
}

export function expectType(value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError(expectation("type", "a string", value));
  if (!isType(value)) throw new RangeError(expectation("type", TYPE_EXPECTED, value));
}

/** SQLite reads no JSON that is nested deeper than 1,000; one such value would fail every filter of its project. */
const MAX_JSON_DEPTH = 900;
/** Most characters of metadata and node data, as JSON: every filter of the project reads all of it. */
const MAX_JSON_CHARS = 16_000_000;

/**
 * The JSON text of a plain object; throws TypeError or RangeError on what JSON cannot hold, and on text with NUL or lone
 * surrogates unless `repair` is that of stored records.
 */
export function toJsonText(name: string, value: unknown, repair: Repair = keepText): string {
  expectPlainObject(name, value);
  // The usual default: asking JSON would take most of the time of checking a record.
  if (Object.keys(value).length === 0 && !("toJSON" in value)) return "{}";
  const text = stringify(name, value, "a JSON object");
  if (text === undefined || !text.startsWith("{")) throw new TypeError(expectation(name, "a JSON object", value));
  // A backslash before such an escape makes it plain text: only a closer look tells.
  if (refusesInJson(repair) && MAYBE_INVALID.test(text)) expectValidTexts(name, JSON.parse(text));
  return text;
}

/** How JSON.stringify writes NUL and lone surrogates. */
const MAYBE_INVALID = /\\u(?:0000|d[89a-f][0-9a-f]{2})/;

function expectValidTexts(path: string, value: unknown): void {
  if (typeof value === "string") expectText(path, value, Number.POSITIVE_INFINITY, 0);
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (Array.isArray(value)) expectValidTexts(`${path}[${key}]`, inner);
    else {
      expectText(`a key of ${path}`, key, Number.POSITIVE_INFINITY, 0);
      expectValidTexts(`${path}.${key}`, inner);
    }
  }
}

/**
 * The JSON text of a value, undefined where JSON has none; throws TypeError or RangeError on what JSON cannot hold, and
 * on what is too long or nested too deep to be asked for.
 */
export function stringify(name: string, value: unknown, expected = "a JSON value"): string | undefined {
  const tooLong = () => new RangeError(expectation(name, `at most ${MAX_JSON_CHARS} characters of JSON`, value));
  const refuse = refuseLost(name, value);
  let chars = 0;
  let text: string | undefined;
  try {
    text = JSON.stringify(value, function (this: unknown, key: string, inner: unknown) {
      // Counting during the call stops values that are far too long early.
      chars += key.length + (typeof inner === "string" ? inner.length : 1);
      if (chars > MAX_JSON_CHARS) throw tooLong();
      return refuse.call(this, key, inner);
    });
  } catch (cause) {
    if (isExpectation(cause)) throw cause;
    if (isStackOverflow(cause)) throw tooDeep(name, value);
    throw isCircular(cause)
      ? circular(name, value, cause)
      : new TypeError(expectation(name, expected, value), { cause });
  }
  if (text === undefined) return undefined;
  if (text.length > MAX_JSON_CHARS) throw tooLong();
  // Each level takes two brackets.
  if (text.length > 2 * MAX_JSON_DEPTH && depthOf(text) > MAX_JSON_DEPTH) throw tooDeep(name, value);
  return text;
}

function tooDeep(name: string, value: unknown): RangeError {
  return new RangeError(expectation(name, `nested no deeper than ${MAX_JSON_DEPTH}`, value));
}

function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/i.test(error.message);
}

/**
 * A replacer for JSON.stringify of `root` that throws on a bigint and on what JSON would quietly store as something else:
 * NaN as null, a Map, a Set or an Error as `{}`, a typed array as an object of its positions. Undefined values, functions
 * and symbols are left out, as in JSON.
 */
export function refuseLost(name: string, root: unknown): (this: unknown, key: string, inner: unknown) => unknown {
  return function (this: unknown, key: string, inner: unknown): unknown {
    const path = () =>
      key === "" && (this as Record<string, unknown>)[""] === root ? name : pathOf(name, root, this, key);
    if (typeof inner === "number" && !Number.isFinite(inner)) {
      throw new RangeError(expectation(path(), "a finite number", inner));
    }
    if (typeof inner === "bigint") throw new TypeError(expectation(path(), "a JSON value", inner));
    if (typeof inner === "object" && inner !== null && !Array.isArray(inner)) {
      if (ArrayBuffer.isView(inner) || Object.keys(inner).length === 0) expectPlainObject(path(), inner);
    }
    return inner;
  };
}

/** The path of `key` of the object `holder` within `root`; only the key where `toJSON` has made the object. */
function pathOf(name: string, root: unknown, holder: unknown, key: string): string {
  const seen = new Set<unknown>();
  const due: (readonly [unknown, string])[] = [[root, name]];
  for (let next = due.pop(); next !== undefined; next = due.pop()) {
    const [value, path] = next;
    if (value === holder) return `${path}.${key}`;
    if (typeof value !== "object" || value === null || seen.has(value)) continue;
    seen.add(value);
    for (const [inner, one] of Object.entries(value)) due.push([one, `${path}.${inner}`]);
  }
  return `${name}.${key}`;
}

/** JavaScript engines differ in their words, and agree in this one. */
export function isCircular(error: unknown): boolean {
  return error instanceof TypeError && /circular|cyclic/i.test(error.message);
}

/** The error for a value that contains itself, with the place where it does. */
export function circular(name: string, root: unknown, cause: unknown): TypeError {
  const ancestors = new Map<unknown, string>();
  const find = (value: unknown, path: string): string | undefined => {
    if (typeof value !== "object" || value === null) return undefined;
    const above = ancestors.get(value);
    if (above !== undefined) return `Expected \`${path}\` to be a JSON value, got \`${above}\`, which contains it`;
    ancestors.set(value, path);
    for (const [key, inner] of Object.entries(value)) {
      const found = find(inner, `${path}.${key}`);
      if (found !== undefined) return found;
    }
    ancestors.delete(value);
    return undefined;
  };
  return new TypeError(find(root, name) ?? `Expected \`${name}\` to be JSON, got an object that contains itself`, {
    cause,
  });
}

/** Whether `refuseLost` threw it; a `toJSON` of the caller's may throw anything. */
export function isExpectation(error: unknown): boolean {
  return (error instanceof TypeError || error instanceof RangeError) && error.message.startsWith("Expected");
}

/** How deep a JSON text is nested, brackets inside of strings aside. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at);
    else if (code === OPEN_BRACKET || code === OPEN_BRACE) deepest = Math.max(deepest, ++depth);
    else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) depth--;
  }
  return deepest;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The place of the quote that ends the string which the one at `start` begins: the first that is not escaped. */
function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); ; end = json.indexOf('"', end + 1)) {
    let slashes = 0;
    while (json.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return end;
  }
}

/** Before March 1973 in milliseconds; in seconds, times are below it until the year 5138. */
const LEAST_MILLIS = 1e11;

/** A Date or integer milliseconds, as milliseconds. An earlier time than `LEAST_MILLIS` has to be a Date. */
export function toMillis(name: string, value: unknown): number {
  const millis = value instanceof Date ? value.getTime() : value;
  if (typeof millis !== "number") throw new TypeError(expectation(name, "a Date or integer milliseconds", value));
  // The range of Date, so that every stored time can be returned as a Date.
  if (!Number.isSafeInteger(millis) || Math.abs(millis) > 8.64e15) {
    throw new RangeError(expectation(name, "a valid Date or integer milliseconds", value));
  }
  if (typeof value === "number" && value < LEAST_MILLIS) {
    throw new RangeError(
      `${expectation(name, "a time in milliseconds", value)}, as seconds are: multiply by 1000, or give a Date for a time before March 1973`,
    );
  }
  return millis;
}

export function expectLimit(value: unknown): asserts value is number {
  if (value === Number.POSITIVE_INFINITY) return;
  expectInteger("limit", value, 0);
}

/** SQLite's way to say "no limit". */
export function toSqlLimit(limit: number): number {
  return limit === Number.POSITIVE_INFINITY ? -1 : limit;
}

/** A copy of a vector as float32; throws on anything but finite numbers, and on an empty one. */
export function toVector(name: string, value: unknown): Float32Array {
  if (!(value instanceof Float32Array) && !Array.isArray(value)) {
    throw new TypeError(expectation(name, "a Float32Array or an array of numbers", value));
  }
  if (value.length === 0) throw new RangeError(expectation(name, "a vector of at least one dimension", value));
  for (let index = 0; index < value.length; index++) {
    if (typeof value[index] !== "number") throw new TypeError(expectation(name, "numbers only", value[index]));
  }
  const vector = new Float32Array(value as ArrayLike<number>);
  for (let index = 0; index < vector.length; index++) {
    if (!Number.isFinite(vector[index])) throw new RangeError(expectation(name, "finite numbers only", value[index]));
  }
  return vector;
}

/**
 * A vector for a comparison, with the length between 1 and 2, so that no product overflows; throws RangeError on one of
 * zeros. It is multiplied by a power of two, which does not round.
 */
export function toDirection(name: string, value: unknown): Float32Array {
  const vector = toVector(name, value);
  const length = lengthOf(vector);
  if (length === 0) throw new RangeError(expectation(name, "a vector with a direction, not one of zeros", vector));
  const exponent = Math.floor(Math.log2(length));
  // In two steps, because one power of two may be too large.
  const half = 2 ** -Math.trunc(exponent / 2);
  const rest = 2 ** -(exponent - Math.trunc(exponent / 2));
  return vector.map((component) => component * half * rest);
}

/** Whether a vector has a component that is not 0. */
export function hasDirection(name: string, value: unknown): boolean {
  return lengthOf(toVector(name, value)) > 0;
}

const LEAST_LENGTH = 1e-15;
const MOST_LENGTH = 1e15;

/**
 * A vector that can be stored. SQLite compares in float32, and the product of squared lengths must be one. Zeros, which
 * some models give for a text without a word that they know, are as far from everything as unrelated texts.
 */
export function toStorableVector(name: string, value: unknown): Float32Array {
  const vector = toVector(name, value);
  const length = lengthOf(vector);
  if (length === 0 || (length >= LEAST_LENGTH && length <= MOST_LENGTH)) return vector;
  throw new RangeError(
    `${expectation(name, `a vector of a length from ${LEAST_LENGTH} to ${MOST_LENGTH}`, length)}: scale it, which does not change its direction`,
  );
}

function lengthOf(vector: Float32Array): number {
  let square = 0;
  for (const component of vector) square += component * component;
  return Math.sqrt(square);
}

/** The fields of a patch that change something: undefined means "as it is", as everywhere. */
export function definedOnly(patch: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}

/** The message of a wrong argument: its name, the expected value, and the actual value. */
export function expectation(name: string, expected: string, value: unknown): string {
  return `Expected \`${name}\` to be ${expected}, got ${describeValue(value)}`;
}

/** Describes a value for a message: in short form, and without the contents of an object. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || typeof value !== "object") return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
  return Array.isArray(value) ? `an array of length ${value.length}` : (value.constructor?.name ?? "an object");
}

export function expectInteger(name: string, value: unknown, atLeast: number): void {
  if (typeof value !== "number") throw new TypeError(expectation(name, `an integer of at least ${atLeast}`, value));
  if (!Number.isSafeInteger(value) || value < atLeast) {
    throw new RangeError(expectation(name, `an integer of at least ${atLeast}`, value));
  }
}

export function expectDuration(name: string, value: unknown): void {
  if (typeof value !== "number") throw new TypeError(expectation(name, "a number of milliseconds", value));
  if (Number.isNaN(value) || value < 0) throw new RangeError(expectation(name, "at least 0 ms", value));
}

/** An option that is true or false; left out, it is `byDefault`. "false", 0 and null are refused: they are truthy or unclear. */
export function toBoolean(name: string, value: unknown, byDefault = false): boolean {
  if (value === undefined) return byDefault;
  if (typeof value !== "boolean") throw new TypeError(expectation(name, "true or false", value));
  return value;
}

export function expectOneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value === "string" && allowed.includes(value)) return;
  const list = allowed.map((one) => JSON.stringify(one)).join(" or ");
  throw new TypeError(expectation(name, list, value));
}

/** Throws unless `value` is text of 1 to `max` characters that the database can store and return unchanged. */
export function expectText(name: string, value: unknown, max: number, min = 1): asserts value is string {
  if (typeof value !== "string") throw new TypeError(expectation(name, "a string", value));
  if (value.length < min || value.length > max) {
    throw new RangeError(
      `Expected \`${name}\` to have ${rangeOf(min, max)}, got ${value.length === 0 ? '""' : value.length}`,
    );
  }
  if (value.includes("\0") || !value.isWellFormed()) {
    throw new RangeError(
      `Expected \`${name}\` to be text without NUL characters and lone surrogates, got ${describeInvalid(value)}`,
    );
  }
}

function rangeOf(min: number, max: number): string {
  if (max >= Number.MAX_SAFE_INTEGER) return `at least ${min} ${min === 1 ? "character" : "characters"}`;
  return min === 0 ? `at most ${max} characters` : `${min} to ${max} characters`;
}

/** Describes the first character that the database cannot store, and its position. */
function describeInvalid(text: string): string {
  const nul = text.indexOf("\0");
  // The first position at which the text and the repaired text differ.
  const wellFormed = text.toWellFormed();
  let lone = wellFormed === text ? -1 : 0;
  while (lone >= 0 && wellFormed[lone] === text[lone]) lone++;
  const isNul = lone < 0 || (nul >= 0 && nul < lone);
  return isNul ? `NUL at position ${nul}` : `a lone surrogate at position ${lone}`;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function expectObject(name: string, value: unknown): asserts value is Record<string, unknown> {
  if (!isObject(value)) throw new TypeError(expectation(name, "an object", value));
}

export function expectFinite(name: string, value: number): void {
  if (!Number.isFinite(value)) throw new RangeError(expectation(name, "a finite number", value));
}

export function expectFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw new TypeError(expectation(name, "a function", value));
}

/** Throws TypeError unless `value` is an array of `what` without holes. Loops would silently skip holes. */
export function expectArray(name: string, value: unknown, what: string): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(expectation(name, `an array of ${what}`, value));
  for (let index = 0; index < value.length; index++) {
    if (index in value) continue;
    const message = `Expected \`${name}\` to be an array of ${what} without holes, and there is one at index ${index}`;
    throw Object.assign(new TypeError(message), { index });
  }
}

/** Throws TypeError for a Map, a Date and the like too: they have no keys, so their contents would be lost. */
export function expectPlainObject(name: string, value: unknown): asserts value is Record<string, unknown> {
  expectObject(name, value);
  if (!isPlainObject(value)) throw new TypeError(expectation(name, "a plain object", value));
}

/** Whether an object is one of keys and values, of this realm or another. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

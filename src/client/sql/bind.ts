import { Buffer, constants } from "node:buffer";
import { types } from "node:util";
import type { InArgs, InValue } from "@libsql/client";
import type { NativeValue } from "../local/native.js";
import type { ParsedStatement } from "./parse.js";

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
/** SQLite's own limit: the binding ignores its refusal, and NULL is stored. */
const MAX_BYTES = 1_000_000_000;
/** The binding aborts the process when it reads a text with more bytes than a JavaScript string can have. */
const MAX_TEXT_BYTES = constants.MAX_STRING_LENGTH;
const NONE: readonly NativeValue[] = [];

/**
 * The arguments of a call as a list that the binding can take, one value a parameter.
 *
 * The binding aborts the process on a boolean, keeps the previous call's values where some are missing, and binds
 * every number as REAL: so each value is checked and converted here. Throws TypeError or RangeError on a value
 * that would not come back as it was given, and on missing or surplus values.
 */
export function bindArguments(statement: ParsedStatement, args: InArgs | undefined): readonly NativeValue[] {
  if (args === undefined || args === null) return bindList(statement, []);
  if (Array.isArray(args)) return bindList(statement, args);
  if (typeof args !== "object" || !isPlainRecord(args)) {
    throw new TypeError(`Expected the arguments to be an array or a plain object of names, got ${describe(args)}`);
  }
  return bindNames(statement, args);
}

function bindList(statement: ParsedStatement, args: readonly InValue[]): readonly NativeValue[] {
  const count = statement.parameterCount;
  if (args.length !== count) {
    throw new RangeError(`Expected ${count} argument${count === 1 ? "" : "s"} for the statement, got ${args.length}`);
  }
  if (count === 0) return NONE;
  const values = new Array<NativeValue>(count);
  for (let i = 0; i < count; i++) values[i] = toNative(args[i], i + 1);
  return values;
}

function bindNames(statement: ParsedStatement, args: Record<string, InValue>): readonly NativeValue[] {
  const { namedParameters, parameterCount } = statement;
  // A `?1` among names is allowed if it has the number of one of them.
  if (parameterCount > namedParameters.length) {
    throw new TypeError(
      "Expected an array of arguments for the `?` parameters of the statement, got an object of names",
    );
  }
  if (parameterCount === 0) return NONE;
  const bare = new Map<string, InValue>();
  for (const key of Object.keys(args)) bare.set(/^[:@$]/.test(key) ? key.slice(1) : key, args[key] as InValue);
  const values = new Array<NativeValue>(parameterCount);
  for (const { name, number } of namedParameters) {
    const isExact = Object.hasOwn(args, name);
    if (!isExact && !bare.has(name.slice(1))) {
      throw new RangeError(`Expected an argument named \`${name.slice(1)}\`, got none`);
    }
    values[number - 1] = toNative(isExact ? args[name] : bare.get(name.slice(1)), name.slice(1));
  }
  return values;
}

function toNative(value: unknown, parameter: number | string): NativeValue {
  switch (typeof value) {
    case "string":
      return checkedText(value, parameter);
    case "number":
      // Whole numbers bind as INTEGER: as REAL, 'x' || 5 would be 'x5.0' and a TEXT column would store '5.0'.
      if (Number.isSafeInteger(value)) return BigInt(value);
      if (!Number.isFinite(value)) {
        throw new RangeError(`Only finite numbers can be passed as arguments; parameter ${parameter} is ${value}`);
      }
      return value;
    case "bigint":
      if (value < MIN_INT64 || value > MAX_INT64) {
        throw new RangeError(`Expected parameter ${parameter} to fit a 64-bit integer, got ${value}`);
      }
      return value;
    case "boolean":
      return value ? 1n : 0n;
    case "object":
      if (value === null) return null;
      return objectToNative(value, parameter);
    default:
      throw refusal(value, parameter);
  }
}

// The checks ask what a value is, not what it claims to be: `instanceof` also holds for a Proxy or for an object made
// from the prototype, and reading either through the binding stores something else or ends the process.
function objectToNative(value: object, parameter: number | string): NativeValue {
  if (types.isUint8Array(value)) return checkedBytes(value, parameter);
  // The binding would take the whole buffer beneath any other view.
  if (ArrayBuffer.isView(value)) {
    return checkedBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), parameter);
  }
  if (types.isArrayBuffer(value)) return checkedBytes(new Uint8Array(value), parameter);
  if (types.isDate(value)) {
    const time = Date.prototype.getTime.call(value);
    if (Number.isNaN(time))
      throw new RangeError(`Expected parameter ${parameter} to be a valid Date, got Invalid Date`);
    return BigInt(time);
  }
  throw refusal(value, parameter);
}

function checkedBytes(value: Uint8Array, parameter: number | string): Uint8Array {
  if (value.byteLength > MAX_BYTES) {
    throw new RangeError(
      `Expected parameter ${parameter} to have at most ${MAX_BYTES} bytes, got ${value.byteLength}: it would be stored as NULL`,
    );
  }
  // A view of a transferred buffer reads as empty. Making another of it throws the TypeError that says so.
  if (value.byteLength === 0) new Uint8Array(value.buffer);
  // A copy: the statement may have to wait, and the caller may reuse the buffer in the meantime.
  return new Uint8Array(value);
}

function checkedText(value: string, parameter: number | string): string {
  if (value.includes("\0")) {
    throw new RangeError(
      `Expected parameter ${parameter} without NUL characters: text is cut there. Bind bytes instead`,
    );
  }
  if (!value.isWellFormed()) {
    throw new RangeError(`Expected parameter ${parameter} without lone surrogates: they have no UTF-8 form`);
  }
  if (value.length > MAX_TEXT_BYTES / 3 && Buffer.byteLength(value) > MAX_TEXT_BYTES) {
    throw new RangeError(
      `Expected parameter ${parameter} to have at most ${MAX_TEXT_BYTES} bytes as UTF-8: longer text cannot be read back`,
    );
  }
  return value;
}

function refusal(value: unknown, parameter: number | string): TypeError {
  return new TypeError(
    `Expected parameter ${parameter} to be null, string, number, bigint, boolean, Date, ArrayBuffer or a typed array, got ${describe(value)}`,
  );
}

function isPlainRecord(value: object): boolean {
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || types.isDate(value)) return false;
  return !types.isMap(value) && !types.isSet(value);
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null)
    return `${typeof value}${value === undefined ? "" : ` ${String(value)}`}`;
  return value.constructor?.name ?? "an object";
}

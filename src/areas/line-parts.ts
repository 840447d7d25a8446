import { z } from "zod";
import { isObject } from "../shared/expectation.js";

// Parts of the schemas of export lines. Only an import loads them, since zod loads slowly (bench: startUp).

/** A time of an export: ISO 8601 with milliseconds, as `Date.toJSON` writes it. */
export const time = z.iso
  .datetime({ offset: true })
  .or(z.string().regex(/^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/));

/** A JSON object as it is: `z.record` would drop a key named `__proto__`. */
export const jsonObject = z.custom<Record<string, unknown>>(isObject, "expected an object");

export const count = z.number().int().nonnegative();

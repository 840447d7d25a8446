/** The `code` of the TypeError or RangeError that a wrong argument is refused with. */
export const INVALID_ARGUMENT = "INVALID_ARGUMENT";

/** The error for an argument of a wrong kind, or with a name that is not known. */
export function wrongType(message: string, options?: ErrorOptions): TypeError {
  return asArgumentError(new TypeError(message, options), wrongType);
}

/** The error for an argument of the right kind whose value is not allowed. */
export function outOfRange(message: string): RangeError {
  return asArgumentError(new RangeError(message), outOfRange);
}

function asArgumentError<E extends Error>(error: E, maker: (message: string) => E): E {
  Error.captureStackTrace(error, maker);
  // Not enumerable, as the message: what compares an error with `new TypeError(message)` finds them equal.
  return Object.defineProperty(error, "code", { value: INVALID_ARGUMENT, configurable: true, writable: true });
}

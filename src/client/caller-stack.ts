import { LibsqlError } from "@libsql/client/sqlite3";
import { withoutCode } from "../shared/errors.js";

type Call = (...args: never[]) => unknown;

const named = new WeakSet<Error>();

/**
 * The error of `call` with a stack that names the caller. An error that the writer's queue or a timer makes has a stack
 * that ends there.
 *
 * Use it in the `catch` of `call` itself, around an `await`: there the engine knows who waits for `call`. If several
 * calls fail with one error, each gets its own.
 */
export function atCaller(error: unknown, call: Call): unknown {
  if (!(error instanceof Error)) return error;
  const callers = framesAbove(call);
  if (callers === "") return error;
  const own = named.has(error) && error instanceof LibsqlError ? copyOf(error) : error;
  named.add(own);
  // What SQLite reports has its own stack, as the cause. Any other error shows where it was made.
  if (own instanceof LibsqlError) own.stack = `${own.name}: ${own.message}${callers}`;
  else if (!own.stack?.includes(callers.split("\n", 2)[1]!)) own.stack += callers;
  return own;
}

/** The stack above `call`, which runs now. Its text is made only if it is read. */
export interface Trace {
  readonly stack?: unknown;
}

/** Where `call` was called. Use it in `call` itself, before the first `await`. */
export function traceAbove(call: Call): Trace {
  const trace: Trace = {};
  Error.captureStackTrace(trace, call);
  return trace;
}

/** The lines of the stack above `call`, or nothing if no caller is known. */
function framesAbove(call: Call): string {
  const { stack } = traceAbove(call);
  const start = typeof stack === "string" ? stack.indexOf("\n    at ") : -1;
  return start === -1 ? "" : (stack as string).slice(start);
}

function copyOf(error: LibsqlError): LibsqlError {
  const { code, extendedCode, rawCode, cause } = error;
  const copy = new LibsqlError(withoutCode(error), code, extendedCode, rawCode, cause as Error);
  return Object.assign(copy, error);
}

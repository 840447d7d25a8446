import { expectation } from "./expectation.js";

/** A logger as callers pass it. Every level except `info` may be missing. */
export interface GivenLogger {
  debug?(message: string): unknown;
  info(message: string): unknown;
  warn?(message: string): unknown;
  error?(message: string): unknown;
}

/** A logger that never throws. */
export type GuardedLogger = Readonly<Record<"debug" | "info" | "warn" | "error", (message: string) => void>>;

/** If `answer` is a promise, calls `fail` when it rejects, because no other code awaits it. */
function watchAnswer(answer: unknown, fail: (error: unknown) => void): void {
  // Checks the tag, so that promises of another realm count, and lazy queries that only have a `then` do not run.
  if (Object.prototype.toString.call(answer) === "[object Promise]") (answer as Promise<unknown>).then(undefined, fail);
}

/** Calls a callback whose answer is not awaited. If it throws or rejects, calls `fail`. */
export function callSafely(callback: () => unknown, fail: (error: unknown) => void): void {
  try {
    watchAnswer(callback(), fail);
  } catch (error) {
    fail(error);
  }
}

/**
 * Wraps the caller's logger, so that a failing logger never fails a migration or a commit. Its failures go to `fail`.
 */
export function guardLogger(logger: GivenLogger, fail: (error: unknown) => void): GuardedLogger {
  const log = (level: keyof GivenLogger) => (message: string) =>
    callSafely(() => (logger[level] ?? logger.info).call(logger, message), fail);
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

/**
 * Wraps the caller's clock, so that it returns whole milliseconds, which can be stored. If the clock throws, so does
 * the call.
 */
export function guardClock(now: () => number): () => number {
  if (now === Date.now) return now;
  return () => {
    const time: unknown = now();
    if (typeof time !== "number" || !(Math.abs(time) <= 8.64e15)) {
      watchAnswer(time, () => undefined);
      throw new TypeError(expectation("now", "a function that gives milliseconds", time));
    }
    return Math.trunc(time);
  };
}

/**
 * Wraps an `onProgress` that may be asynchronous. If its promise rejects, calls `fail`, and the call ends at its next
 * step, as it does if `onProgress` throws.
 */
export function guardProgress<T extends object>(options: T, fail: (error: unknown) => void = () => undefined): T {
  const onProgress = (options as { onProgress?: unknown } | null)?.onProgress;
  // The call itself refuses any other value.
  if (typeof onProgress !== "function") return options;
  let failure: { readonly error: unknown } | undefined;
  const note = (error: unknown) => {
    failure ??= { error };
    fail(error);
  };
  const guarded = (progress: unknown) => {
    if (failure !== undefined) throw failure.error;
    watchAnswer(onProgress(progress), note);
  };
  return { ...options, onProgress: guarded };
}

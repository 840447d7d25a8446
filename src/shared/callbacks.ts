import { expectation } from "./expectation.js";

/** A logger as callers give it; the levels but `info` may be missing. */
export interface GivenLogger {
  debug?(message: string): unknown;
  info(message: string): unknown;
  warn?(message: string): unknown;
  error?(message: string): unknown;
}

/** A logger that never throws. */
export type GuardedLogger = Readonly<Record<"debug" | "info" | "warn" | "error", (message: string) => void>>;

/** Tells `fail` what a callback's answer rejects with, if the answer is a promise: no one else awaits it. */
export function watchAnswer(answer: unknown, fail: (error: unknown) => void): void {
  // By its tag, so that promises of another realm count, and lazy queries that only have a `then` are not run.
  if (Object.prototype.toString.call(answer) === "[object Promise]") (answer as Promise<unknown>).then(undefined, fail);
}

/** Calls a callback for whose answer no one waits: what it throws or rejects with goes to `fail`. */
export function callSafely(callback: () => unknown, fail: (error: unknown) => void): void {
  try {
    watchAnswer(callback(), fail);
  } catch (error) {
    fail(error);
  }
}

/** No migration and no commit depends on a log: what the caller's logger throws or rejects with goes to `fail`. */
export function guardLogger(logger: GivenLogger, fail: (error: unknown) => void): GuardedLogger {
  const log = (level: keyof GivenLogger) => (message: string) =>
    callSafely(() => (logger[level] ?? logger.info).call(logger, message), fail);
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

/** A clock of the caller's, whose answers can be stored: whole milliseconds. The call that asks it throws what it throws. */
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
 * Options with an `onProgress` that may be asynchronous: what its promise rejects with goes to `fail`, and ends the call
 * at its next step, as what it throws does.
 */
export function guardProgress<T extends object>(options: T, fail: (error: unknown) => void = () => undefined): T {
  const onProgress = (options as { onProgress?: unknown } | null)?.onProgress;
  // What is neither is refused by the call.
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

import { setTimeout as sleep } from "node:timers/promises";
import { expectation } from "./expectation.js";

/** How far a long call has come. */
export interface Progress {
  /** What it does now, as in `"copy"` or `"verify"`. */
  readonly phase: string;
  /** Bytes or records done in this phase, and in all; `total` may be an estimate. */
  readonly done: number;
  readonly total: number;
}

/** What every long call takes. */
export interface LongCallOptions {
  /** Called now and then, and at the end of each phase; what it throws ends the call as an abort does. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the call early: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const PROGRESS_EVERY_MS = 100;

/** Throws TypeError for what is no callback or no signal, and the reason of a signal that is aborted already. */
export function checkLongCall({ onProgress, signal }: LongCallOptions): void {
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new TypeError(expectation("onProgress", "a function", onProgress));
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(expectation("signal", "an AbortSignal", signal));
  }
  signal?.throwIfAborted();
}

/**
 * Waits for `work`, which cannot be stopped, and reports meanwhile. Rejects at once when the signal is aborted or
 * `onProgress` throws; `work` then goes on by itself.
 */
export async function follow<T>(work: Promise<T>, options: LongCallOptions, read: () => Progress): Promise<T> {
  const { onProgress, signal } = options;
  if (onProgress === undefined && signal === undefined) return work;
  const outcome = work.then(
    () => "settled" as const,
    () => "settled" as const,
  );
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<"aborted">((resolve) => {
    onAbort = () => resolve("aborted");
  });
  signal?.addEventListener("abort", onAbort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const tick = sleep(PROGRESS_EVERY_MS, "tick" as const, { ref: false });
      if ((await Promise.race([outcome, aborted, tick])) === "settled") return await work;
      onProgress?.(read());
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

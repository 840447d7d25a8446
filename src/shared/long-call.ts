import { setTimeout as sleep } from "node:timers/promises";
import { expectation, expectFunction } from "./expectation.js";

/** The progress of a long call. */
export interface Progress {
  /** The current phase, as in `"copy"` or `"verify"`. */
  readonly phase: string;
  /** Bytes or records done in this phase, and in total. `total` may be an estimate. */
  readonly done: number;
  readonly total: number;
}

/** The options of every long call. */
export interface LongCallOptions {
  /** Called from time to time, and at the end of each phase. If it throws, the call ends as after an abort. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the call early: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const PROGRESS_EVERY_MS = 100;

/** Throws TypeError for a wrong callback or signal, and the reason of a signal that is already aborted. */
export function checkLongCall({ onProgress, signal }: LongCallOptions): void {
  if (onProgress !== undefined) expectFunction("onProgress", onProgress);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(expectation("signal", "an AbortSignal", signal));
  }
  signal?.throwIfAborted();
}

/**
 * Waits for `work`, which cannot be stopped, and reports its progress. Rejects at once if the signal is aborted or
 * `onProgress` throws; `work` then continues in the background.
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

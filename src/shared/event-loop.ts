import { setImmediate as nextTurn } from "node:timers/promises";
import { afterTurn } from "./timers.js";

/** Longest time for which calls that follow one another keep timers and sockets waiting. */
const SLICE_MS = 10;

let sliceStart: number | undefined;

/**
 * What to wait for when the event loop is due a turn; undefined when it had one lately.
 *
 * Calls that are answered without input or output resolve in microtasks, so a loop that awaits one after the other
 * would let no timer fire for as long as it runs.
 */
export function turnWhenDue(): Promise<void> | undefined {
  if (sliceStart === undefined) {
    sliceStart = performance.now();
    afterTurn(endSlice);
    return undefined;
  }
  return performance.now() - sliceStart < SLICE_MS ? undefined : nextTurn();
}

function endSlice(): void {
  sliceStart = undefined;
}

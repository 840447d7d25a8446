import { setImmediate as nextTurn } from "node:timers/promises";
import { afterTurn } from "./timers.js";

/** Longest time for which successive calls may keep timers and sockets waiting. */
const SLICE_MS = 10;

let sliceStart: number | undefined;

/**
 * Returns a promise to await if the event loop is due a turn, and undefined if it had one recently.
 *
 * Calls that resolve without input or output resolve in microtasks. A loop that awaits one after the other would let no
 * timer fire while it runs.
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

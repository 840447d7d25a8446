import { setImmediate as setNodeImmediate } from "node:timers";

/** The longest delay of a timer in Node. A longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The result of `setTimeout` and `setInterval`: an object in Node and Bun, a number in an Electron renderer or jsdom.
 */
export type Timer = ReturnType<typeof setTimeout>;

/** Lets the process end before the timer fires, if timers can keep the process alive. Returns the timer. */
export function unrefTimer<T extends Timer>(timer: T): T {
  (timer as { unref?(): unknown }).unref?.();
  return timer;
}

/**
 * Runs `task` after a turn of the event loop. Imports Node's function, because test environments of browsers remove the
 * global one.
 */
export function afterTurn(task: () => void): void {
  setNodeImmediate(task);
}

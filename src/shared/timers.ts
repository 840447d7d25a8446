import { setImmediate as setNodeImmediate } from "node:timers";

/** The longest time that a timer of Node takes; a longer one would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** What `setTimeout` and `setInterval` give: an object in Node and Bun, a number in an Electron renderer or jsdom. */
export type Timer = ReturnType<typeof setTimeout>;

/** Lets the process end before the timer fires, where timers can hold it at all; gives the timer back. */
export function unrefTimer<T extends Timer>(timer: T): T {
  (timer as { unref?(): unknown }).unref?.();
  return timer;
}

/** Runs `task` once the event loop has had its turn. Node's own: test environments of browsers remove the global one. */
export function afterTurn(task: () => void): void {
  setNodeImmediate(task);
}

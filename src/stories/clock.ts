import { type Timer, unrefTimer } from "../timers.js";

/** Timers, for tests that turn the clock themselves. */
export interface Clock {
  setTimeout(task: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The global timers, looked up at each call, and none that keeps the process alive. */
export const systemClock: Clock = {
  setTimeout: (task, delayMs) => unrefTimer(setTimeout(task, delayMs)),
  clearTimeout: (timer) => clearTimeout(timer as Timer),
};

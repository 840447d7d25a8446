/** Timers, for tests that turn the clock themselves. */
export interface Clock {
  setTimeout(task: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The global timers, looked up at each call. They keep the process alive until they go off. */
export const systemClock: Clock = {
  setTimeout: (task, delayMs) => setTimeout(task, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

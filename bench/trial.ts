/** What a contender is given. */
export interface TrialContext {
  /** An empty folder of its own. */
  readonly folder: string;
  /** A folder for what several contenders need; it goes when the run ends. */
  readonly shared: string;
}

/** One thing to measure, done by each contender in its own way. */
export interface Trial {
  /** What is measured, sizes included. */
  readonly title: string;
  readonly unit: string;
  /** A file that it needs from the folder that --data names; left out where there is none. */
  readonly data?: string;
  /** By name; the first is the one that the others are compared with. Each resolves to one figure in `unit`. */
  readonly contenders: Readonly<Record<string, (context: TrialContext) => Promise<number>>>;
}

/** Runs `once` `warmup` times, then `count` times, with a number that counts on; gives the mean in microseconds. */
export async function meanMicros(
  once: (index: number) => unknown,
  { count, warmup = Math.ceil(count / 10) }: { count: number; warmup?: number },
): Promise<number> {
  for (let index = 0; index < warmup; index++) await once(index);
  const start = performance.now();
  for (let index = 0; index < count; index++) await once(warmup + index);
  return ((performance.now() - start) * 1000) / count;
}

/** How long `work` takes, in milliseconds. */
export async function millis(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The input of a contender. */
export interface TrialContext {
  /** An empty folder for this contender. */
  readonly folder: string;
  /** A folder for files that several contenders share. It is removed when the run ends. */
  readonly shared: string;
}

/** A measurement that each contender makes in its own way. */
export interface Trial {
  /** What is measured, including sizes. */
  readonly title: string;
  readonly unit: string;
  /** A larger figure is better. @default false */
  readonly isMoreBetter?: boolean;
  /** The contenders are cases of the same work of Holdfast, so they have no ratios and no chart. @default false */
  readonly isCases?: boolean;
  /** The name of a file in the folder of `--data`. Without the file, the trial is skipped. */
  readonly data?: string;
  /** The contenders by name. The others are compared with the first. Each resolves to one figure in `unit`. */
  readonly contenders: Readonly<Record<string, (context: TrialContext) => Promise<number>>>;
}

/** Runs `once` `warmup` times, then `count` times, with a running number. Returns the mean in microseconds. */
export async function meanMicros(
  once: (index: number) => unknown,
  { count, warmup = Math.ceil(count / 10) }: { count: number; warmup?: number },
): Promise<number> {
  for (let index = 0; index < warmup; index++) await once(index);
  const start = performance.now();
  for (let index = 0; index < count; index++) await once(warmup + index);
  return ((performance.now() - start) * 1000) / count;
}

/** Returns how long `work` takes, in milliseconds. */
export async function millis(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

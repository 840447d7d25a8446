/**
 * How long each test of `npm run test:soak` runs, in minutes: HOLDFAST_SOAK_MINUTES. Undefined in `npm test`, which
 * runs shorter versions of the same tests.
 */
export const soakMinutes =
  process.env.HOLDFAST_SOAK_MINUTES === undefined ? undefined : Number(process.env.HOLDFAST_SOAK_MINUTES);

/** The number of repetitions in a test, or its cases: `short` in `npm test`, and `long` in a soak. */
export const times = <T = number>(short: T, long: T): T => (soakMinutes === undefined ? short : long);

/** The longest time of a test on a slow machine. For a soak, its duration and that of a last round. */
export const SOAK_TIMEOUT_MS = soakMinutes === undefined ? 600_000 : (soakMinutes + 15) * 60_000;

/** Counts the rounds of a test: `short` of them, and in a soak as many as its time allows. */
export function* rounds(short: number): Generator<number> {
  const end = performance.now() + (soakMinutes ?? 0) * 60_000;
  for (let round = 0; round < short || performance.now() < end; round++) yield round;
}

/**
 * How long each long test of `npm run test:soak` runs, in minutes: HOLDFAST_SOAK_MINUTES. Undefined in `npm test`, where
 * the same tests run their short form.
 */
export const soakMinutes =
  process.env.HOLDFAST_SOAK_MINUTES === undefined ? undefined : Number(process.env.HOLDFAST_SOAK_MINUTES);

/** How often a test does something: `short` times in `npm test`, and `long` in a soak. */
export const times = (short: number, long: number): number => (soakMinutes === undefined ? short : long);

/** What a test needs at most on a slow machine; a soak, its time and that of a last round. */
export const SOAK_TIMEOUT_MS = soakMinutes === undefined ? 600_000 : (soakMinutes + 15) * 60_000;

/** Counts the rounds of a test: `short` of them, and in a soak as many more as there is time for. */
export function* rounds(short: number): Generator<number> {
  const end = performance.now() + (soakMinutes ?? 0) * 60_000;
  for (let round = 0; round < short || performance.now() < end; round++) yield round;
}

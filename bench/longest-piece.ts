import { readFileSync } from "node:fs";

/** CPU time of the main thread in ms, which other processes do not affect, to about 4 ms. Only on Linux. */
const mainThreadMillis = () =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;

/** The longest CPU time in ms of the main thread between two turns of its event loop, during `work`. */
export async function longestPiece(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = mainThreadMillis();
  let isDone = false;
  const turn = () => {
    const now = mainThreadMillis();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  await new Promise((resolve) => setImmediate(resolve));
  isDone = true;
  return longest;
}

/**
 * The longest time in ms by which a timer of 1 ms was late during `work`. Unlike CPU time, it has what the main thread
 * waits for: locks of other threads, but also other processes.
 */
export async function longestPause(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 1);
    last = now;
  }, 1);
  await work();
  clearInterval(timer);
  return longest;
}

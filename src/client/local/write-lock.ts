import { setTimeout as sleep } from "node:timers/promises";
import { isBusy } from "../sql/sqlite-error.js";
import type { Connection } from "./connection.js";

/**
 * Runs `attempt` again while another connection holds a lock, without blocking the event loop.
 *
 * Rejects with the last SQLITE_BUSY once `timeoutMs` have passed. The pause is random, so that processes that
 * collided do not wake together, and shortens with age, so that a process that has waited long tries more often
 * (SQLite's own busy handler does the opposite, and lets one process starve).
 */
export async function retryWhileBusy<T>(
  attempt: () => T | Promise<T>,
  timeoutMs: number,
  onRetry: () => void,
): Promise<T> {
  const start = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const age = performance.now() - start;
      if (!isBusy(error) || age >= timeoutMs) throw error;
      onRetry();
      const longest = age < 20 ? 4 : age < 100 ? 2 : 1;
      await sleep(Math.min(Math.random() * longest, timeoutMs - age));
    }
  }
}

/** Takes the write lock at once, or says that another connection has it. Other errors are thrown. */
export function tryBeginImmediate(connection: Connection): boolean {
  try {
    connection.exec("BEGIN IMMEDIATE");
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

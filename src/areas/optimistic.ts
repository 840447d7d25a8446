import { type SQL, sql } from "drizzle-orm";
import { batchErrorIn } from "./batch.js";
import { type Executor, finishing } from "./executor.js";
import { type Statement, toStatement } from "./statements.js";

/**
 * The first statement of a batch that depends on an earlier read. It fails unless `condition` still holds.
 *
 * Read and batch are two round trips to a server and hold no lock between them; a transaction would be three, and
 * keep the lock for two.
 */
export function expectStill(condition: SQL): Statement {
  return toStatement(sql`select case when ${condition} then 1 else json('has moved') end`);
}

/** Whether a batch failed by its `expectStill`. */
export function hasMoved(error: unknown): boolean {
  const failure = batchErrorIn(error);
  return failure?.statementIndex === 0 && failure.message.includes("malformed JSON");
}

/**
 * Runs `attempt`, which reads and then writes. If another client has written in between, it runs again with the write
 * lock, which prevents this. It also runs again if it found nothing and its reads may have been stale.
 */
export async function withoutLock<T>(
  executor: Executor,
  attempt: (executor: Executor) => Promise<T>,
  isLost: (error: unknown) => boolean,
): Promise<T> {
  executor.assertOutside?.();
  return finishing(executor, async () => {
    try {
      const result = await attempt(executor);
      if (result !== undefined || executor.mayLag !== true) return result;
    } catch (error) {
      if (!isLost(error)) throw error;
    }
    return executor.atomically(attempt);
  });
}

/**
 * The same executor with reads that see all stored rows, including those that this call has just written. If reads may
 * lag, they run on the primary. Use it for reads that decide about a write, complete it or explain its failure.
 */
export function currentExecutor(executor: Executor): Executor {
  if (executor.mayLag !== true) return executor;
  return {
    execute: (statement) => executor.atomically((locked) => locked.execute(statement)),
    scan: (statement) => executor.atomically((locked) => locked.scan(statement)),
    batch: (statements) => executor.atomically((locked) => locked.batch(statements)),
    atomically: (work) => executor.atomically(work),
    snapshot: () => executor.snapshot(),
  };
}

import type { Executor } from "../../areas/executor.js";
import type { Statement } from "../../areas/statements.js";

const BATCH_STATEMENTS = 500;

/** Runs statements in batches, each of them a transaction. */
export async function runAll(executor: Executor, statements: readonly Statement[]): Promise<void> {
  for (let at = 0; at < statements.length; at += BATCH_STATEMENTS) {
    await executor.batch(statements.slice(at, at + BATCH_STATEMENTS));
  }
}

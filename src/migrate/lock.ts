import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../client/connection.js";
import type { ConnectionPool } from "../client/connection-pool.js";
import { tryBeginImmediate } from "../client/write-lock.js";
import { StorageError } from "../errors.js";
import type { MigrationLogger } from "./options.js";

export interface LockWait {
  readonly timeoutMs: number;
  readonly logger: MigrationLogger | undefined;
  /** What the lock is wanted for, for the log: tags. */
  readonly purpose: string;
}

const TELL_AFTER_MS = 1000;

/**
 * Takes the write lock in a turn of the writer, waiting for another process that may migrate for minutes.
 *
 * Asks less often than a write does, since many processes may wait for long. Rejects with BUSY in the end.
 */
export async function waitForLock(pool: ConnectionPool, connection: Connection, wait: LockWait): Promise<void> {
  pool.writer.assertSound();
  const { timeoutMs, logger, purpose } = wait;
  const { path } = pool.options;
  const start = performance.now();
  let isTold = false;
  while (!tryBeginImmediate(connection)) {
    const age = performance.now() - start;
    if (age >= timeoutMs) {
      throw new StorageError(
        "BUSY",
        `Waited ${timeoutMs} ms for the write lock of ${path} to apply ${purpose}: another process holds it. Nothing was changed. See what that process does, then try again`,
        { retryable: true },
      );
    }
    if (!isTold && age >= TELL_AFTER_MS) {
      isTold = true;
      logger?.info(
        `Waiting for another process that holds the write lock of ${path}, perhaps to migrate it; ${purpose} is to be applied`,
      );
    }
    pool.writer.countBusyRetry();
    const longest = age < TELL_AFTER_MS ? 2 : 10;
    await sleep(Math.min(Math.random() * longest, timeoutMs - age));
  }
}

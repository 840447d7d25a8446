import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, rollBackAfter } from "../client/local/connection.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { tryBeginImmediate } from "../client/local/write-lock.js";
import { StorageError } from "../shared/errors.js";
import type { MigrationLogger } from "./options.js";
import type { Script } from "./script.js";

export interface LockWait {
  readonly lockTimeoutMs: number;
  readonly logger: MigrationLogger | undefined;
  /** What the lock is wanted for, for the log: "apply 0003_name". */
  readonly purpose: string;
}

const TELL_AFTER_MS = 1000;

/**
 * Runs `work` as a turn of the writer, in a transaction that has the write lock and enforces no foreign key; what it
 * leaves open is rolled back, and the settings that `scripts` change are put back.
 */
export function lockedTurn<T>(
  pool: ConnectionPool,
  scripts: readonly Script[],
  wait: LockWait,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  return pool.writer.turn(async (connection) => {
    const restoreSettings = keepSettings(connection, ["foreign_keys", ...scripts.flatMap(({ settings }) => settings)]);
    // Within a transaction this does nothing, and with it on, the DROP of a rebuild deletes all cascade children.
    connection.exec("PRAGMA foreign_keys = OFF");
    try {
      await waitForLock(pool, connection, wait);
      return await work(connection);
    } finally {
      rollBackAfter(connection);
      restoreSettings();
    }
  });
}

/**
 * Takes the write lock in a turn of the writer, waiting for another process that may migrate for minutes.
 *
 * Asks less often than a write does, since many processes may wait for long. Rejects with BUSY in the end.
 */
async function waitForLock(pool: ConnectionPool, connection: Connection, wait: LockWait): Promise<void> {
  pool.writer.assertSound();
  const { lockTimeoutMs: timeoutMs, logger, purpose } = wait;
  const { path } = pool.options;
  const start = performance.now();
  let isTold = false;
  while (!tryBeginImmediate(connection)) {
    const age = performance.now() - start;
    if (age >= timeoutMs) {
      throw new StorageError(
        "BUSY",
        `Waited ${timeoutMs} ms for the write lock of ${path} to ${purpose}: another process holds it. Nothing was changed. See what that process does, then try again`,
        { retryable: true },
      );
    }
    if (!isTold && age >= TELL_AFTER_MS) {
      isTold = true;
      logger?.info(
        `Waiting for another process that holds the write lock of ${path}, perhaps to migrate it, in order to ${purpose}`,
      );
    }
    pool.writer.countBusyRetry();
    const longest = age < TELL_AFTER_MS ? 2 : 10;
    await sleep(Math.min(Math.random() * longest, timeoutMs - age));
  }
}

/** Remembers settings of the connection; the returned function puts them back, outside of a transaction. */
function keepSettings(connection: Connection, names: readonly string[]): () => void {
  const values = [...new Set(names)].map((name) => [name, connection.query(`PRAGMA ${name}`)[0]?.[0]] as const);
  return () => {
    // One that could not even roll back is replaced at the end of the turn.
    if (connection.isClosed || connection.inTransaction) return;
    for (const [name, value] of values) connection.exec(`PRAGMA ${name} = ${value}`);
  };
}

import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, rollBackAfter } from "../client/local/connection.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { StorageError } from "../shared/errors.js";
import type { MigrationLogger } from "./options.js";
import { RESTORED_PRAGMAS } from "./script.js";

export interface LockWait {
  readonly lockTimeoutMs: number;
  readonly logger: MigrationLogger | undefined;
  /** Why the caller needs the lock, for the log: "apply 0003_name". */
  readonly purpose: string;
}

/** A shorter wait is no news. */
const TELL_AFTER_MS = 200;
const SLOW_DOWN_AFTER_MS = 1000;

/**
 * Runs `work` on the writer, in a transaction that has the write lock and does not enforce foreign keys. Afterwards it
 * rolls back a transaction that is still open, and restores the settings that a migration may change.
 */
export function lockedTurn<T>(
  pool: ConnectionPool,
  wait: LockWait,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  return pool.turn(async (connection) => {
    const restoreSettings = keepSettings(connection, ["foreign_keys", ...RESTORED_PRAGMAS]);
    // Inside a transaction this has no effect. If it were on, the DROP of a rebuild would delete all cascade children.
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
 * Takes the write lock on the writer. Another process may migrate for minutes, so this waits up to the timeout.
 *
 * It retries less often than a write does, because many processes may wait for a long time. Rejects with BUSY at the
 * timeout.
 */
async function waitForLock(pool: ConnectionPool, connection: Connection, wait: LockWait): Promise<void> {
  const { lockTimeoutMs: timeoutMs, logger, purpose } = wait;
  const { path } = pool.options;
  const start = performance.now();
  let isTold = false;
  while (!pool.tryLock(connection)) {
    const age = performance.now() - start;
    if (age >= timeoutMs) {
      throw new StorageError(
        "BUSY",
        `Waited ${timeoutMs} ms for the write lock of ${path} to ${purpose}: another process holds it. Nothing was changed. Find out what that process does, then try again`,
        { retryable: true },
      );
    }
    if (!isTold && age >= TELL_AFTER_MS) {
      isTold = true;
      logger?.info(`Waiting to ${purpose}: another process holds the write lock of ${path}, perhaps to migrate it`);
    }
    const longest = age < SLOW_DOWN_AFTER_MS ? 2 : 10;
    await sleep(Math.min(Math.random() * longest, timeoutMs - age));
  }
}

/** Remembers settings of the connection. The returned function restores them, outside of a transaction. */
function keepSettings(connection: Connection, names: readonly string[]): () => void {
  const values = names.map((name) => [name, connection.query(`PRAGMA ${name}`)[0]?.[0]] as const);
  return () => {
    // The writer replaces a connection that cannot roll back at the end of the turn.
    if (connection.isClosed || connection.inTransaction) return;
    for (const [name, value] of values) connection.exec(`PRAGMA ${name} = ${value}`);
  };
}

import type { ResultSet, Row } from "@libsql/client";
import { toStorageError } from "../client/storage-error.js";
import type { Statement } from "./statements.js";

/** What repositories run on: the client of a storage, or one transaction of it. Rejects with StorageError. */
export interface Executor {
  /**
   * Whether a read may miss what is stored: an embedded replica is as old as its last fetch, and a server may be a read
   * replica. Not within a transaction.
   */
  readonly mayLag?: boolean;
  execute(statement: Statement): Promise<ResultSet>;
  /** Runs one SELECT that may read very much; where it can, without keeping the event loop. */
  scan(statement: Statement): Promise<ResultSet>;
  /** Runs all in one transaction, or in the present one. */
  batch(statements: readonly Statement[]): Promise<ResultSet[]>;
  /** Runs `work` in one transaction, which is the present one where there is one. */
  atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T>;
  /** Something to read from for longer, without seeing what others commit in the meantime. */
  snapshot(): Promise<Snapshot>;
}

/** An executor that reads one state of the database; its owner closes it. */
export interface Snapshot {
  readonly executor: Executor;
  /** False where only the statements of one batch see one state, as in memory, where there is a single connection. */
  readonly isStable: boolean;
  close(): void;
}

/** Runs `work`, turning what the client throws into a StorageError. */
export async function asStorageErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}

/** The only value of a single-row answer. */
export function scalar(result: ResultSet): unknown {
  return (result.rows[0] as Row)[0];
}

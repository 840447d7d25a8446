import type { ResultSet, Row } from "@libsql/client";
import type { Statement } from "./statements.js";

/** Runs the statements of repositories: on the client of a storage, or in one of its transactions. Rejects with StorageError. */
export interface Executor {
  /**
   * Whether a read may miss stored rows: an embedded replica is as old as its last fetch, and a server may be a read
   * replica. Reads within a transaction never miss rows.
   */
  readonly mayLag?: boolean;
  /** Whether every write is refused, so that none is worth an attempt. */
  readonly refusesWrites?: boolean;
  /** Throws `WRONG_HANDLE` where a write would. For calls that read first, and write only if they find something. */
  assertOutside?(): void;
  /**
   * The open local database whose latest commits each read sees, and nothing else; another object after a reconnect.
   * Undefined in a transaction, and where the database is elsewhere.
   */
  readonly database?: object | undefined;
  /**
   * Runs a write of several steps, which `close` of the storage lets finish. Undefined in a transaction, which it rolls
   * back.
   */
  finishing?<T>(work: () => Promise<T>): Promise<T>;
  execute(statement: Statement): Promise<ResultSet>;
  /** Runs one SELECT that may read many rows, off the main thread if possible. */
  scan(statement: Statement): Promise<ResultSet>;
  /** Runs all statements in one transaction, or in the current one. */
  batch(statements: readonly Statement[]): Promise<ResultSet[]>;
  /** Runs `work` in one transaction, or in the current one. */
  atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T>;
  /** A source for several reads that does not see later commits. */
  snapshot(): Promise<Snapshot>;
}

/** An executor that reads one state of the database; its owner closes it. */
export interface Snapshot {
  readonly executor: Executor;
  /** False if only the statements of one batch see one state, as in memory, where there is a single connection. */
  readonly isStable: boolean;
  close(): void;
}

/** Runs a write that takes several steps, such as making the terms of a long text before it is stored. */
export function finishing<T>(executor: Executor, work: () => Promise<T>): Promise<T> {
  return executor.finishing === undefined ? work() : executor.finishing(work);
}

/** The only value of a single-row answer. */
export function scalar(result: ResultSet): unknown {
  return (result.rows[0] as Row)[0];
}

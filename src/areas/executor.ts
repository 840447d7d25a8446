import type { ResultSet, Row } from "@libsql/client";
import { toStorageError } from "../shared/errors.js";
import type { GraphCache } from "./graph/cache.js";
import type { Repair } from "./repair.js";
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

/** The record types that change events speak of. */
export type ChangeArea = "memories" | "sessions" | "conversations" | "graph" | "stories";
export type ChangeAction = "insert" | "update" | "delete" | "restore" | "purge";

/** What was changed by this process, told after COMMIT. */
export interface Change {
  readonly project: string;
  readonly area: ChangeArea;
  readonly action: ChangeAction;
  readonly ids: readonly string[];
}

/** Where a repository lives: what it runs on, whom it belongs to, whom it tells. */
export interface RepositoryContext {
  readonly executor: Executor;
  readonly project: string;
  readonly announce: (change: Change) => void;
  /** Runs a removal for good, which must be possible on a full disk where it can be. */
  readonly removing?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Resolves once the file holds nothing of what has been purged, as far as that is possible now. */
  readonly erase?: () => Promise<void>;
  readonly now: () => number;
  readonly maxContentChars: number;
  /** Applied to the contents, names, tags and JSON that a caller gives, ids aside, before they are checked. */
  readonly repair: Repair;
  /** Whether contents of memories are stored compressed. */
  readonly compressContents: boolean;
  readonly maxMessageChars: number;
  readonly graphs: GraphCache;
}

/** Runs a removal for good in this context. */
export function removing<T>({ removing }: RepositoryContext, work: () => Promise<T>): Promise<T> {
  return removing === undefined ? work() : removing(work);
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

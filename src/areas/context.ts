import type { Executor } from "./executor.js";
import type { GraphCache } from "./graph/cache.js";
import type { Repair } from "./repair.js";

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

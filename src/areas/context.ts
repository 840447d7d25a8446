import type { SearchTarget } from "../search/request.js";
import type { Executor } from "./executor.js";
import type { GraphCache } from "./graph/cache.js";
import type { VectorCache } from "./memories/vector-cache.js";
import type { Repair } from "./repair.js";
import type { Statement } from "./statements.js";
import type { StoryHubs } from "./stories/hub.js";
import type { SecretBox } from "./stories/secret.js";

/** What happened to the records of a change event. `update` includes replacements. */
export type ChangeAction = "insert" | "update" | "delete" | "restore" | "purge";

/** A change that a repository announces. */
export interface AreaChange {
  readonly project: string;
  /** The name of its area; `Change` is the same with the names that there are. */
  readonly area: string;
  readonly action: ChangeAction;
  readonly ids: readonly string[];
}

/** Indexes rows that were stored without their terms. */
export interface RowIndexer {
  /**
   * The statements to run before one that stores a new row without its terms; undefined if the row has to be given them.
   */
  defer(target: SearchTarget): readonly Statement[] | undefined;
  /** To be called for each row that was stored without them. */
  stored(target: SearchTarget): void;
  /** To be called by a search that finds rows waiting. */
  noticed(target: SearchTarget, rowCount: number): void;
}

/** The environment of a repository: its executor, its project, and the listener for its changes. */
export interface RepositoryContext {
  readonly executor: Executor;
  readonly project: string;
  readonly announce: (change: AreaChange) => void;
  /** Runs a removal for good, which must be possible on a full disk where it can be. */
  readonly removing?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Resolves once purged records are erased from the file, as far as possible now. */
  readonly erase?: () => Promise<void>;
  readonly now: () => number;
  readonly maxContentChars: number;
  /** Applied to the contents, names, tags and JSON that a caller gives, ids aside, before they are checked. */
  readonly repair: Repair;
  /** Whether contents of memories are stored compressed. */
  readonly compressContents: boolean;
  readonly maxMessageChars: number;
  readonly graphs: GraphCache;
  readonly vectors: VectorCache;
  readonly stories: { readonly hubs: StoryHubs; readonly box: SecretBox; readonly historyLimit: number };
  /** Only on a local file that may be written. Elsewhere, each new row is given its terms. */
  readonly indexer?: RowIndexer | undefined;
  /** Within a transaction: runs a task once it has committed. */
  readonly afterCommit?: (task: () => void) => void;
}

/** Runs a removal for good in this context. */
export function removing<T>({ removing }: RepositoryContext, work: () => Promise<T>): Promise<T> {
  return removing === undefined ? work() : removing(work);
}

import type { AreaChange, RepositoryContext } from "../areas/context.js";
import type { Executor } from "../areas/executor.js";
import type { EngineClient } from "../client/storage-client.js";
import type { JournalOptions } from "../migrate/index.js";

/** The parts of an open storage that maintenance works on. */
export interface MaintenanceContext {
  readonly client: EngineClient;
  /** The path of the file; `:memory:` for a database in memory, undefined for a remote one. */
  readonly path: string | undefined;
  readonly executor: Executor;
  /** The migrations of Holdfast and those of the caller, in the order in which they are applied. */
  readonly migrations: readonly JournalOptions[];
  readonly encryptionKey: string | undefined;
  readonly announce: (change: AreaChange) => void;
  /** Erases purged records from the file. */
  readonly erase: () => Promise<void>;
  /** The context of a project's repositories, on another executor. */
  readonly forProject: (project: string, executor: Executor) => RepositoryContext;
}

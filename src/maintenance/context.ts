import type { Client } from "@libsql/client";
import type { AreaChange, RepositoryContext } from "../areas/context.js";
import type { Executor } from "../areas/executor.js";
import type { JournalOptions } from "../migrate/index.js";

/** What maintenance works on: an open storage. */
export interface MaintenanceContext {
  readonly client: Client;
  /** The file; `:memory:` for a database in memory, undefined for a remote one. */
  readonly path: string | undefined;
  readonly executor: Executor;
  /** Ours and those of the caller, in the order of their application. */
  readonly migrations: readonly JournalOptions[];
  readonly encryptionKey: string | undefined;
  readonly announce: (change: AreaChange) => void;
  /** Leaves nothing of purged records in the file. */
  readonly erase: () => Promise<void>;
  /** What the repositories of a project would work with, on another executor. */
  readonly forProject: (project: string, executor: Executor) => RepositoryContext;
}

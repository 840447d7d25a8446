export type { StorageDatabase } from "./drizzle-scope.js";
export { StorageError, type StorageErrorCode } from "./errors.js";
export type { FileStats, Health } from "./health.js";
export type { LongCallOptions, Progress } from "./long-call.js";
export type { BackupResult, BackupsOptions, BackupsResult } from "./maintenance/backup.js";
export { type RestoreOptions, type RestoreResult, restore } from "./maintenance/restore.js";
export type { Page } from "./repositories/cursor.js";
export type { Change, ChangeAction, ChangeArea } from "./repositories/executor.js";
export {
  type ListMemoriesOptions,
  MemoryRepository,
  type MemoryStats,
  type TimelineOptions,
} from "./repositories/memories.js";
export type {
  EmbeddingSelector,
  ReembedFunction,
  ReembedOptions,
  ReembedResult,
} from "./repositories/memory-embeddings.js";
export type { MemoryFilter } from "./repositories/memory-filter.js";
export type {
  Memory,
  MemoryEntry,
  MemoryInput,
  MemoryPatch,
  Observation,
  ObservationType,
} from "./repositories/memory-record.js";
export type {
  NearestOptions,
  NearMemory,
  SearchMatch,
  SearchMode,
  SearchOptions,
  SearchResult,
} from "./repositories/memory-search.js";
export type { ProjectCount } from "./repositories/projects.js";
export {
  type ListSessionsOptions,
  type Session,
  type SessionInput,
  SessionRepository,
  type StartSessionOptions,
} from "./repositories/sessions.js";
export {
  openStorage,
  type Project,
  type ProjectTransaction,
  type Repositories,
  Storage,
  type StorageStats,
  type StorageTransaction,
  type TransactionOptions,
} from "./storage.js";
export type { Logger, OwnMigrations, StorageOptions } from "./storage-options.js";

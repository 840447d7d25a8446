export type { MemoryEntry, Observation, ObservationType } from "../areas/memories/record.js";
export { acquireLock, FileLock, type FileLockOptions, type LockHolder, releaseLock } from "../files/lock/file-lock.js";
export type { MemoryEntryInput } from "./entry.js";
export { Memvid } from "./memvid.js";
export { type MemvidErrorCode, type MemvidErrorDetails, NotSupportedError } from "./memvid-error.js";
export type {
  AddMemoryCardsResult,
  AskInput,
  AskResult,
  CorrectManyInput,
  CorrectOptions,
  DoctorOptions,
  DoctorResult,
  EmbeddingIdentity,
  EmbeddingProvider,
  EntityState,
  FindHit,
  FindInput,
  FindResult,
  FrameInfo,
  LockWhoResult,
  MemoriesResult,
  MemoriesStats,
  MemoryCard,
  MemoryCardInput,
  PutInput,
  PutManyInput,
  PutManyOptions,
  SessionSummary,
  StatsResult,
  TimelineEntry,
  TimelineInput,
  UseOptions,
  VecSearchInput,
  VecSearchResult,
  VerifyOptions,
  VerifyResult,
} from "./memvid-types.js";
export type { ApiKey } from "./open-memvid.js";
export * from "./sdk.js";
export { memvid as default } from "./sdk-default.js";
export { createStorage, SQLiteStorage } from "./sqlite-storage.js";
export type { StorageInterface, StorageOptions, StorageStats } from "./storage-interface.js";

export type { MemoryEntry, Observation, ObservationType } from "../repositories/memory-record.js";
export type { MemoryEntryInput } from "./entry.js";
export { acquireLock, FileLock, type FileLockOptions, type LockHolder, releaseLock } from "./file-lock.js";
export { lockNudge, lockWho } from "./lock-who.js";
export { Memvid } from "./memvid.js";
export {
  ApiKeyRequiredError,
  CapacityExceededError,
  CorruptFileError,
  EmbeddingFailedError,
  EncryptionError,
  FileNotFoundError,
  FrameNotFoundError,
  getErrorSuggestion,
  LexIndexDisabledError,
  LockedError,
  MemoryAlreadyBoundError,
  MemvidError,
  type MemvidErrorCode,
  type MemvidErrorDetails,
  NotSupportedError,
  QuotaExceededError,
  TicketInvalidError,
  TicketReplayError,
  TimeIndexMissingError,
  VecDimensionMismatchError,
  VecIndexDisabledError,
  VerificationFailedError,
} from "./memvid-error.js";
export type {
  DoctorOptions,
  DoctorResult,
  EmbeddingIdentity,
  EmbeddingProvider,
  FindHit,
  FindInput,
  FindResult,
  FrameInfo,
  LockWhoResult,
  PutInput,
  PutManyInput,
  PutManyOptions,
  StatsResult,
  TimelineEntry,
  TimelineInput,
  UseOptions,
  VecSearchInput,
  VecSearchResult,
  VerifyOptions,
  VerifyResult,
} from "./memvid-types.js";
export { type ApiKey, create, doctorMemvid, open, use, verifyMemvid } from "./open-memvid.js";
export { createStorage, SQLiteStorage } from "./sqlite-storage.js";
export type { StorageInterface, StorageOptions, StorageStats } from "./storage-interface.js";
export {
  configure,
  createMemory,
  createProject,
  getClipProvider,
  getEmbedder,
  getEntityExtractor,
  getOCRProvider,
  ingestDirectory,
  ingestImages,
  listMemories,
  listProjects,
  lock,
  unlock,
  validateConfig,
} from "./unsupported.js";

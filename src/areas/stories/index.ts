export { type OpenStoriesOptions, openStories } from "../../storage/open-stories.js";
export { Autosave, type AutosaveOptions } from "./autosave.js";
export type {
  AutosaveEvents,
  AutosaveState,
  AutosaveStats,
  ConflictResolution,
  StoryConflict,
} from "./autosave-events.js";
export { type BackendMethod, type DefinedBackend, defineBackend, type StoryBackend } from "./backend.js";
export type { BatchLoadResult, BatchSaveResult } from "./batches.js";
export type { Clock } from "./clock.js";
export { type CopyStoriesOptions, type CopyStoriesResult, copyStories } from "./copy.js";
export { InvalidStoryError, RevisionConflictError } from "./errors.js";
export { StoryEvents } from "./events.js";
export type { ConflictSource, StoryConflictFile } from "./filesystem/conflict-files.js";
export type { StoryStatistics } from "./hub.js";
export {
  type MigrateAllOptions,
  type MigrateAllResult,
  type MigrateStoryOptions,
  type StoryMigrationRecord,
  type StoryMigrationResult,
  StoryMigrations,
  type StoryMigrationsOptions,
} from "./migrations.js";
export type {
  ImportStoryOptions,
  LoadStoryOptions,
  SaveStoryOptions,
  StoryOptions,
  StoryServiceOptions,
} from "./options.js";
export type { SearchStoriesOptions, StorySearchResult } from "./search.js";
export { StoryService } from "./service.js";
export type {
  Preference,
  StoryData,
  StoryFilter,
  StoryMetadata,
  StoryMetadataInput,
  StoryRevision,
  SyncEntry,
  SyncEntryInput,
} from "./story.js";
export type { StoryMigration, StoryValidation } from "./story-versions.js";

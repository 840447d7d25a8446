export type { BatchOptions, OnConflict } from "./areas/batch.js";
export type { ChangeAction } from "./areas/context.js";
export type { ForkOptions } from "./areas/conversations/fork.js";
export type { ListConversationsOptions } from "./areas/conversations/list.js";
export type {
  AppendedMessage,
  Conversation,
  ConversationInput,
  ConversationPatch,
  Message,
  MessageInput,
  MessagePatch,
  MessageRole,
  NewConversation,
} from "./areas/conversations/record.js";
export type { MessageRef, MessageRefInput } from "./areas/conversations/refs.js";
export {
  ConversationRepository,
  type ListMessagesOptions,
  type UpdateMessageOptions,
} from "./areas/conversations/repository.js";
export type { MessageSearchResult, SearchMessagesOptions } from "./areas/conversations/search.js";
export type { ConversationSummary, SummaryFilter, SummaryInput } from "./areas/conversations/summaries.js";
export type { TagCount } from "./areas/conversations/tags.js";
export type { ConversationDocument } from "./areas/conversations/transfer.js";
export { type WindowLimit, type WindowOptions, WindowTooSmallError } from "./areas/conversations/window.js";
export type { Page } from "./areas/cursor.js";
export type { Direction } from "./areas/graph/algorithms/adjacency.js";
export type { GraphEdge, GraphEdgeInput, GraphEdgePatch } from "./areas/graph/edge.js";
export type { GraphNodeFilter, GraphWhere } from "./areas/graph/filter.js";
export type { GraphMatch, GraphPattern, MatchOptions, PatternEdge, PatternNode } from "./areas/graph/match.js";
export type { GraphNode, GraphNodeInput, GraphNodePatch } from "./areas/graph/node.js";
export type { GraphPath, ShortestPathOptions } from "./areas/graph/path.js";
export type { FindNodesOptions, ListEdgesOptions } from "./areas/graph/records.js";
export { GraphRepository, type PageRankOptions, type RankedNode } from "./areas/graph/repository.js";
export type { GraphImport } from "./areas/graph/transfer.js";
export type { BfsOptions, FollowOptions, GraphChainStep, NeighborsOptions } from "./areas/graph/traversal.js";
export type { GraphologyConstructor, GraphologyLike, Subgraph, SubgraphOptions } from "./areas/graph/view.js";
export type { Bounds } from "./areas/json-condition.js";
export type {
  EmbeddingSelector,
  ReembedFunction,
  ReembedOptions,
  ReembedResult,
} from "./areas/memories/embeddings.js";
export type { MemoryFilter } from "./areas/memories/filter.js";
export type {
  Memory,
  MemoryEntry,
  MemoryInput,
  MemoryPatch,
  Observation,
  ObservationType,
} from "./areas/memories/record.js";
export { type ListMemoriesOptions, MemoryRepository } from "./areas/memories/repository.js";
export type {
  NearestOptions,
  NearMemory,
  SearchMatch,
  SearchMode,
  SearchOptions,
  SearchResult,
} from "./areas/memories/search.js";
export type { MemoryStats } from "./areas/memories/stats.js";
export type { TimelineOptions } from "./areas/memories/timeline.js";
export type { Metadata, MetadataFilter } from "./areas/metadata.js";
export type { ChangeArea, Repositories } from "./areas/registry.js";
export type { Session, SessionInput, StartSessionOptions } from "./areas/sessions/record.js";
export { type ListSessionsOptions, SessionRepository } from "./areas/sessions/repository.js";
export type { StoryOptions } from "./areas/stories/options.js";
export { StoryService } from "./areas/stories/service.js";
export type { CheckpointResult } from "./client/local/checkpointer.js";
export type { ConnectionPool, PoolStats } from "./client/local/connection-pool.js";
export type { StatementCacheStats } from "./client/local/statement-cache.js";
export type { WriteStats } from "./client/local/writer-queue.js";
export type { ClientTransaction, Savepoint, TransactionState } from "./client/savepoints.js";
export type { ClientStats, RemoteStats, StorageClient } from "./client/storage-client.js";
export type { BackupResult, BackupsOptions, BackupsResult } from "./maintenance/backup.js";
export { type CheckFileOptions, type CheckOptions, checkFile } from "./maintenance/check.js";
export type { ExportHeader, ExportOptions } from "./maintenance/export.js";
export type { CheckResult, Finding, FindingCode, Repair } from "./maintenance/findings.js";
export type { ImportOptions, ImportResult } from "./maintenance/import.js";
export { ImportError, type InvalidLine } from "./maintenance/import-error.js";
export { PruneError, type PrunePolicy, type PruneResult } from "./maintenance/prune.js";
export type { ReindexResult, RepairResult } from "./maintenance/reindex.js";
export { type RestoreOptions, type RestoreResult, restore } from "./maintenance/restore.js";
export { type SalvagedArea, type SalvageOptions, type SalvageResult, salvage } from "./maintenance/salvage.js";
export type { SalvagedTable } from "./maintenance/salvage-child.js";
export type { CompactResult } from "./maintenance/space.js";
export { StorageError, type StorageErrorCode } from "./shared/errors.js";
export type { LongCallOptions, Progress } from "./shared/long-call.js";
export type { LineSource, TextSource } from "./shared/text-lines.js";
export type { TransactionOptions } from "./storage/core.js";
export type { StorageDatabase, StorageSchema } from "./storage/drizzle-scope.js";
export type { Change, StorageEvents } from "./storage/events.js";
export type { FileStats, Health } from "./storage/health.js";
export type { Logger, OwnMigrations, StorageOptions } from "./storage/options.js";
export type { ProjectCount } from "./storage/projects.js";
export {
  openStorage,
  type Project,
  Storage,
  type StorageStats,
} from "./storage/storage.js";
export type { ProjectTransaction, StorageTransaction } from "./storage/transaction.js";

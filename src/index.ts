export type { RemoteStats } from "./client/remote/remote-client.js";
export type { StorageDatabase } from "./drizzle-scope.js";
export { StorageError, type StorageErrorCode } from "./errors.js";
export type { Direction } from "./graph/adjacency.js";
export type { FileStats, Health } from "./health.js";
export type { LongCallOptions, Progress } from "./long-call.js";
export type { BackupResult, BackupsOptions, BackupsResult } from "./maintenance/backup.js";
export { type CheckFileOptions, type CheckOptions, checkFile } from "./maintenance/check.js";
export type { ExportHeader, ExportOptions } from "./maintenance/export.js";
export type { CheckResult, Finding, FindingCode, Repair } from "./maintenance/findings.js";
export type { ImportOptions, ImportResult } from "./maintenance/import.js";
export { ImportError, type InvalidLine } from "./maintenance/import-error.js";
export type { TextSource } from "./maintenance/lines.js";
export { PruneError, type PrunePolicy, type PruneResult } from "./maintenance/prune.js";
export type { ReindexResult, RepairResult } from "./maintenance/reindex.js";
export { type RestoreOptions, type RestoreResult, restore } from "./maintenance/restore.js";
export { type SalvagedArea, type SalvageOptions, type SalvageResult, salvage } from "./maintenance/salvage.js";
export type { SalvagedTable } from "./maintenance/salvage-child.js";
export type { ForkOptions } from "./repositories/conversation-fork.js";
export type { ListConversationsOptions } from "./repositories/conversation-list.js";
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
} from "./repositories/conversation-record.js";
export type { MessageRef, MessageRefInput } from "./repositories/conversation-refs.js";
export type { MessageSearchResult, SearchMessagesOptions } from "./repositories/conversation-search.js";
export type { ConversationSummary, SummaryFilter, SummaryInput } from "./repositories/conversation-summaries.js";
export type { TagCount } from "./repositories/conversation-tags.js";
export type { ConversationDocument } from "./repositories/conversation-transfer.js";
export { type WindowLimit, type WindowOptions, WindowTooSmallError } from "./repositories/conversation-window.js";
export { ConversationRepository, type ListMessagesOptions } from "./repositories/conversations.js";
export type { Page } from "./repositories/cursor.js";
export type { Change, ChangeAction, ChangeArea } from "./repositories/executor.js";
export { GraphRepository, type PageRankOptions, type RankedNode } from "./repositories/graph.js";
export type { GraphEdge, GraphEdgeInput, GraphEdgePatch } from "./repositories/graph-edge.js";
export type { GraphNodeFilter, GraphWhere } from "./repositories/graph-filter.js";
export type { GraphMatch, GraphPattern, MatchOptions, PatternEdge, PatternNode } from "./repositories/graph-match.js";
export type { GraphNode, GraphNodeInput, GraphNodePatch } from "./repositories/graph-node.js";
export type { GraphPath, ShortestPathOptions } from "./repositories/graph-path.js";
export type { FindNodesOptions, ListEdgesOptions } from "./repositories/graph-records.js";
export type { GraphImport } from "./repositories/graph-transfer.js";
export type { BfsOptions, FollowOptions, GraphChainStep, NeighborsOptions } from "./repositories/graph-traversal.js";
export type { GraphologyConstructor, GraphologyLike, Subgraph, SubgraphOptions } from "./repositories/graph-view.js";
export type { Bounds } from "./repositories/json-condition.js";
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
export type { LineSource } from "./repositories/text-lines.js";
export {
  openStorage,
  type Project,
  Storage,
  type StorageStats,
  type TransactionOptions,
} from "./storage.js";
export type { Logger, OwnMigrations, StorageOptions } from "./storage-options.js";
export type { ProjectTransaction, Repositories, StorageTransaction } from "./storage-transaction.js";
export type { StoryOptions } from "./stories/options.js";
export { StoryService } from "./stories/service.js";

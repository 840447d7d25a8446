// The run-time names of the module of @memvid/sdk, except its default export.
import {
  ClaudeEntities,
  DocTRSubprocess,
  EasyOCRSubprocess,
  EnsembleOCR,
  GeminiClip,
  GeminiEntities,
  getClipProvider,
  getEntityExtractor,
  getOCRProvider,
  ImageIngestor,
  ingestDirectory,
  ingestImages,
  LocalClip,
  LocalNER,
  OpenAIClip,
  OpenAIEntities,
  PaddleOCR,
  TesseractOCR,
} from "./unsupported.js";

export { lockNudge, lockWho } from "./lock-who.js";
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
  QuotaExceededError,
  TicketInvalidError,
  TicketReplayError,
  TimeIndexMissingError,
  VecDimensionMismatchError,
  VecIndexDisabledError,
  VerificationFailedError,
} from "./memvid-error.js";
export { create, doctorMemvid, open, use, verifyMemvid } from "./open-memvid.js";
export {
  flushAnalytics,
  getConfig,
  info,
  isTelemetryEnabled,
  LOCAL_EMBEDDING_MODELS,
  MODEL_DIMENSIONS,
  maskPii,
  resetConfig,
  resolveMemory,
  verifySingleFile,
} from "./standalone.js";
export {
  aclContextFromScope,
  aclMetadataFromScope,
  CohereEmbeddings,
  configure,
  createMemory,
  createProject,
  GeminiEmbeddings,
  getAclScopeFromApiKey,
  getEmbedder,
  listMemories,
  listProjects,
  lock,
  MistralEmbeddings,
  NvidiaEmbeddings,
  OllamaEmbeddings,
  OpenAIEmbeddings,
  unlock,
  VoyageEmbeddings,
  validateConfig,
} from "./unsupported.js";
export {
  ClaudeEntities,
  DocTRSubprocess,
  EasyOCRSubprocess,
  EnsembleOCR,
  GeminiClip,
  GeminiEntities,
  getClipProvider,
  getEntityExtractor,
  getOCRProvider,
  ImageIngestor,
  ingestDirectory,
  ingestImages,
  LocalClip,
  LocalNER,
  OpenAIClip,
  OpenAIEntities,
  PaddleOCR,
  TesseractOCR,
};

const CLIP_MODEL_DIMENSIONS: Readonly<Record<string, number>> = {
  "mobileclip-s2": 512,
  "mobileclip-s2-fp16": 512,
  "siglip-base": 768,
  "text-embedding-3-small": 1536,
  "text-embedding-3-large": 3072,
};
const DEFAULT_ENTITY_TYPES: readonly string[] = ["PERSON", "ORG", "LOCATION", "DATE", "PRODUCT", "EVENT", "OTHER"];

export const clip = {
  CLIP_MODEL_DIMENSIONS,
  LocalClip,
  OpenAIClip,
  GeminiClip,
  getClipProvider,
  default: { CLIP_MODEL_DIMENSIONS },
};
export const entities = {
  DEFAULT_ENTITY_TYPES,
  LocalNER,
  OpenAIEntities,
  ClaudeEntities,
  GeminiEntities,
  getEntityExtractor,
  default: { DEFAULT_ENTITY_TYPES },
};
export const ocr = {
  TesseractOCR,
  DocTRSubprocess,
  EasyOCRSubprocess,
  PaddleOCR,
  EnsembleOCR,
  getOCRProvider,
};
export const imageIngest = { ImageIngestor, ingestImages, ingestDirectory };

// The run-time names of the module of @memvid/sdk, except its default export.
import type { EmbeddingProvider } from "./memvid-types.js";
import { rejecting, throwing, unsupportedClass } from "./unsupported.js";

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
export * from "./standalone.js";

export const createMemory = rejecting("createMemory");
export const listMemories = rejecting("listMemories");
export const createProject = rejecting("createProject");
export const listProjects = rejecting("listProjects");
export const validateConfig = rejecting("validateConfig");
export const getAclScopeFromApiKey = rejecting("getAclScopeFromApiKey");
export const lock = rejecting("lock");
export const unlock = rejecting("unlock");
export const ingestImages = rejecting("ingestImages");
export const ingestDirectory = rejecting("ingestDirectory");

export const configure = throwing("configure");
export const aclContextFromScope = throwing("aclContextFromScope");
export const aclMetadataFromScope = throwing("aclMetadataFromScope");
export const getEmbedder = throwing("getEmbedder");
export const getOCRProvider = throwing("getOCRProvider");
export const getClipProvider = throwing("getClipProvider");
export const getEntityExtractor = throwing("getEntityExtractor");

export const OpenAIEmbeddings = unsupportedClass<EmbeddingProvider>("OpenAIEmbeddings");
export const CohereEmbeddings = unsupportedClass<EmbeddingProvider>("CohereEmbeddings");
export const VoyageEmbeddings = unsupportedClass<EmbeddingProvider>("VoyageEmbeddings");
export const NvidiaEmbeddings = unsupportedClass<EmbeddingProvider>("NvidiaEmbeddings");
export const GeminiEmbeddings = unsupportedClass<EmbeddingProvider>("GeminiEmbeddings");
export const MistralEmbeddings = unsupportedClass<EmbeddingProvider>("MistralEmbeddings");
export const OllamaEmbeddings = unsupportedClass<EmbeddingProvider>("OllamaEmbeddings");

export const LocalClip = unsupportedClass("LocalClip");
export const OpenAIClip = unsupportedClass("OpenAIClip");
export const GeminiClip = unsupportedClass("GeminiClip");
export const LocalNER = unsupportedClass("LocalNER");
export const OpenAIEntities = unsupportedClass("OpenAIEntities");
export const ClaudeEntities = unsupportedClass("ClaudeEntities");
export const GeminiEntities = unsupportedClass("GeminiEntities");
export const EnsembleOCR = unsupportedClass("EnsembleOCR");
export const PaddleOCR = unsupportedClass("PaddleOCR");
export const TesseractOCR = unsupportedClass("TesseractOCR");
export const DocTRSubprocess = unsupportedClass("DocTRSubprocess");
export const EasyOCRSubprocess = unsupportedClass("EasyOCRSubprocess");
export const ImageIngestor = unsupportedClass("ImageIngestor");

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

import { NotSupportedError } from "./memvid-error.js";
import type { EmbeddingProvider } from "./memvid-types.js";

/**
 * The unsupported names of @memvid/sdk: its cloud, language models, document parsers, models for pictures, entities and
 * embeddings, and encrypted capsules. They exist so that code for the SDK loads, and fail with `NOT_SUPPORTED` when they
 * are called.
 */
const UNSUPPORTED = {
  /** Methods of a memory, which reject. */
  methods: [
    "putFile",
    "putFiles",
    "putPdfTables",
    "listTables",
    "getTable",
    "extractAsset",
    "extractAssetByUri",
    "sessionReplay",
    "sessionDelete",
    "enrich",
    "applyTicket",
    "applySignedTicket",
    "currentTicket",
    "syncTickets",
    "unbindMemory",
  ],
  /** Functions that return promises, which reject. */
  async: [
    "createMemory",
    "listMemories",
    "createProject",
    "listProjects",
    "validateConfig",
    "getAclScopeFromApiKey",
    "lock",
    "unlock",
    "ingestImages",
    "ingestDirectory",
  ],
  /** Functions that throw. */
  sync: [
    "configure",
    "aclContextFromScope",
    "aclMetadataFromScope",
    "getEmbedder",
    "getOCRProvider",
    "getClipProvider",
    "getEntityExtractor",
  ],
  /** Classes whose constructors throw. */
  embedders: [
    "OpenAIEmbeddings",
    "CohereEmbeddings",
    "VoyageEmbeddings",
    "NvidiaEmbeddings",
    "GeminiEmbeddings",
    "MistralEmbeddings",
    "OllamaEmbeddings",
  ],
  models: [
    "LocalClip",
    "OpenAIClip",
    "GeminiClip",
    "LocalNER",
    "OpenAIEntities",
    "ClaudeEntities",
    "GeminiEntities",
    "EnsembleOCR",
    "PaddleOCR",
    "TesseractOCR",
    "DocTRSubprocess",
    "EasyOCRSubprocess",
    "ImageIngestor",
  ],
} as const;

type Names<Kind extends keyof typeof UNSUPPORTED> = (typeof UNSUPPORTED)[Kind][number];
type AsyncFunction = (...args: unknown[]) => Promise<never>;
// Any arguments are refused.
type Unsupported<Instance> = new (...args: unknown[]) => Instance;

/** The methods of a memory that are not supported. */
export const UnsupportedCalls = class {} as new () => { readonly [Name in Names<"methods">]: AsyncFunction };

for (const name of UNSUPPORTED.methods) {
  Object.defineProperty(UnsupportedCalls.prototype, name, { value: reject(name), writable: true, configurable: true });
}

export const {
  createMemory,
  listMemories,
  createProject,
  listProjects,
  validateConfig,
  getAclScopeFromApiKey,
  lock,
  unlock,
  ingestImages,
  ingestDirectory,
} = toRecord(UNSUPPORTED.async, reject);

export const {
  configure,
  aclContextFromScope,
  aclMetadataFromScope,
  getEmbedder,
  getOCRProvider,
  getClipProvider,
  getEntityExtractor,
} = toRecord(UNSUPPORTED.sync, (name) => (..._args: unknown[]): never => {
  throw new NotSupportedError(`${name}()`);
});

export const {
  OpenAIEmbeddings,
  CohereEmbeddings,
  VoyageEmbeddings,
  NvidiaEmbeddings,
  GeminiEmbeddings,
  MistralEmbeddings,
  OllamaEmbeddings,
} = toRecord(UNSUPPORTED.embedders, (name) => unsupportedClass<EmbeddingProvider>(name));

export const {
  LocalClip,
  OpenAIClip,
  GeminiClip,
  LocalNER,
  OpenAIEntities,
  ClaudeEntities,
  GeminiEntities,
  EnsembleOCR,
  PaddleOCR,
  TesseractOCR,
  DocTRSubprocess,
  EasyOCRSubprocess,
  ImageIngestor,
} = toRecord(UNSUPPORTED.models, (name) => unsupportedClass<Record<string, unknown>>(name));

function toRecord<Name extends string, Value>(
  names: readonly Name[],
  make: (name: Name) => Value,
): { readonly [Key in Name]: Value } {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as { [Key in Name]: Value };
}

function reject(name: string): AsyncFunction {
  return (..._args) => Promise.reject(new NotSupportedError(`${name}()`));
}

function unsupportedClass<Instance>(name: string): Unsupported<Instance> {
  const Class = class {
    constructor() {
      throw new NotSupportedError(`new ${name}()`);
    }
  };
  Object.defineProperty(Class, "name", { value: name });
  return Class as unknown as Unsupported<Instance>;
}

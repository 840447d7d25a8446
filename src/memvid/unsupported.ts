import { NotSupportedError } from "./memvid-error.js";

const CALLS = [
  "ask",
  "correct",
  "correctMany",
  "putFile",
  "putFiles",
  "putPdfTables",
  "listTables",
  "getTable",
  "extractAsset",
  "extractAssetByUri",
  "sessionStart",
  "sessionEnd",
  "sessionList",
  "sessionReplay",
  "sessionDelete",
  "sessionCheckpoint",
  "memories",
  "memoriesStats",
  "memoryEntities",
  "state",
  "enrich",
  "exportFacts",
  "addMemoryCards",
  "applyTicket",
  "applySignedTicket",
  "currentTicket",
  "syncTickets",
  "unbindMemory",
] as const;

type Calls = { readonly [Name in (typeof CALLS)[number]]: (...args: unknown[]) => Promise<never> };

/** The calls of @memvid/sdk that need a language model, parsers of documents or its cloud: all reject with `NOT_SUPPORTED`. */
export const UnsupportedCalls = class {} as new () => Calls;

for (const name of CALLS) {
  const call = () => Promise.reject(new NotSupportedError(`${name}()`));
  Object.defineProperty(UnsupportedCalls.prototype, name, { value: call, writable: true, configurable: true });
}

function rejecting(name: string) {
  return (..._args: unknown[]): Promise<never> => Promise.reject(new NotSupportedError(`${name}()`));
}

function throwing(name: string) {
  return (..._args: unknown[]): never => {
    throw new NotSupportedError(`${name}()`);
  };
}

// What @memvid/sdk exports beside: its cloud, encrypted capsules, and models for pictures, entities and embeddings.
export const configure = throwing("configure");
export const createMemory = rejecting("createMemory");
export const listMemories = rejecting("listMemories");
export const createProject = rejecting("createProject");
export const listProjects = rejecting("listProjects");
export const validateConfig = rejecting("validateConfig");
export const lock = rejecting("lock");
export const unlock = rejecting("unlock");
export const getEmbedder = throwing("getEmbedder");
export const getOCRProvider = throwing("getOCRProvider");
export const getClipProvider = throwing("getClipProvider");
export const getEntityExtractor = throwing("getEntityExtractor");
export const ingestImages = rejecting("ingestImages");
export const ingestDirectory = rejecting("ingestDirectory");

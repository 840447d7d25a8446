import { hasErrno } from "../files/file-error.js";
import { StorageError, type StorageErrorCode } from "../shared/errors.js";

/** The codes of @memvid/sdk, and `NOT_SUPPORTED`; the guide "Replacing @memvid/sdk" says which of them occur. */
export type MemvidErrorCode =
  | "MV001"
  | "MV002"
  | "MV003"
  | "MV004"
  | "MV005"
  | "MV006"
  | "MV007"
  | "MV008"
  | "MV009"
  | "MV010"
  | "MV011"
  | "MV012"
  | "MV013"
  | "MV014"
  | "MV015"
  | "MV016"
  | "MV020"
  | "MV021"
  | "MV022"
  | "MV023"
  | "MV999"
  | "NOT_SUPPORTED";

/** The fields that `toJSON` of an error returns. */
export interface MemvidErrorDetails {
  readonly code: MemvidErrorCode;
  readonly message: string;
  /** More about the failure, such as `index`. */
  readonly details?: Record<string, unknown>;
}

const SUGGESTIONS: Partial<Readonly<Record<MemvidErrorCode, string>>> = {
  MV001: "Make room on the disk, or remove frames; nothing was stored.",
  MV007: "Another process kept the file for too long: try again, or set a longer lockTimeoutMs.",
  MV010: "Look up the frame with timeline() or find(). Removed frames are not shown.",
  MV012: "The file was left as it is. Restore a backup, or store a .mv2 file's texts again with put.",
  MV013: "Check the path, or make the memory with create(path).",
  MV014: "Give all embeddings of one model the same length. Name another model in embeddingIdentity.",
  MV015: "Check the embedder, or pass the vector as embedding or queryEmbedding.",
  MV999: "The message says what is wrong, and the cause is the original error.",
  NOT_SUPPORTED: 'The guide "Replacing @memvid/sdk" at https://holdfast.example says what there is instead.',
};

/** What to do about an error of this code; null if there is no general advice. */
export function getErrorSuggestion(code: MemvidErrorCode): string | null {
  return SUGGESTIONS[code] ?? null;
}

/** The base of all errors of the calls of @memvid/sdk. Match on `code`; the original error is the `cause`. */
export class MemvidError extends Error implements MemvidErrorDetails {
  override readonly name: string = "MemvidError";
  /** The reason. */
  readonly code: MemvidErrorCode;
  /** More about the failure, such as `index`. */
  readonly details?: Record<string, unknown>;
  /** What to do, as `getErrorSuggestion` gives it; null if there is no general advice. */
  readonly suggestion: string | null;
  /** The index of the record in a batch that the error is about, from 0. */
  readonly index?: number;

  constructor(code: MemvidErrorCode, message: string, details?: Record<string, unknown>, options: ErrorOptions = {}) {
    super(message, options);
    this.code = code;
    if (details !== undefined) this.details = details;
    if (typeof details?.index === "number") this.index = details.index;
    this.suggestion = getErrorSuggestion(code);
  }

  /** Code, message and suggestion as text. */
  get formattedMessage(): string {
    const suggestion = this.suggestion === null ? "" : `\n\nSuggestion: ${this.suggestion}`;
    return `[${this.code}] ${this.message}${suggestion}`;
  }

  /** Whether a value is an error of this class. */
  static isMemvidError(error: unknown): error is MemvidError {
    return error instanceof MemvidError;
  }

  /** Code, message and details. */
  toJSON(): MemvidErrorDetails {
    const { code, message, details } = this;
    return details === undefined ? { code, message } : { code, message, details };
  }
}

/** The class of the errors of one code. */
interface MemvidErrorClass extends Pick<typeof MemvidError, "isMemvidError"> {
  new (message: string, details?: Record<string, unknown>, options?: ErrorOptions): MemvidError;
}

function errorClass(name: string, code: MemvidErrorCode): MemvidErrorClass {
  const Class = class extends MemvidError {
    override readonly name: string = name;
    constructor(message: string, details?: Record<string, unknown>, options?: ErrorOptions) {
      super(code, message, details, options);
    }
  };
  Object.defineProperty(Class, "name", { value: name });
  return Class;
}

/** MV001: the disk or the memory is full. */
export const CapacityExceededError = errorClass("CapacityExceededError", "MV001");
export type CapacityExceededError = InstanceType<typeof CapacityExceededError>;

/** MV006: `verifySingleFile` found damage. */
export const VerificationFailedError = errorClass("VerificationFailedError", "MV006");
export type VerificationFailedError = InstanceType<typeof VerificationFailedError>;

/** MV007: another process kept the write lock. */
export const LockedError = errorClass("LockedError", "MV007");
export type LockedError = InstanceType<typeof LockedError>;

/** MV010: the frame does not exist, or was removed. */
export const FrameNotFoundError = errorClass("FrameNotFoundError", "MV010");
export type FrameNotFoundError = InstanceType<typeof FrameNotFoundError>;

/** MV012: the file is damaged, or not a database. */
export const CorruptFileError = errorClass("CorruptFileError", "MV012");
export type CorruptFileError = InstanceType<typeof CorruptFileError>;

/** MV013: there is no such file. */
export const FileNotFoundError = errorClass("FileNotFoundError", "MV013");
export type FileNotFoundError = InstanceType<typeof FileNotFoundError>;

/** MV014: the vector has another length than the stored ones. */
export const VecDimensionMismatchError = errorClass("VecDimensionMismatchError", "MV014");
export type VecDimensionMismatchError = InstanceType<typeof VecDimensionMismatchError>;

/** MV015: the embedder failed, or there is none. */
export const EmbeddingFailedError = errorClass("EmbeddingFailedError", "MV015");
export type EmbeddingFailedError = InstanceType<typeof EmbeddingFailedError>;

// Errors of tickets, plans and optional indexes: never thrown here, but code that tests for them compiles.
/** MV002, never thrown here: a ticket is not valid. */
export const TicketInvalidError = errorClass("TicketInvalidError", "MV002");
export type TicketInvalidError = InstanceType<typeof TicketInvalidError>;
/** MV003, never thrown here: a ticket was used before. */
export const TicketReplayError = errorClass("TicketReplayError", "MV003");
export type TicketReplayError = InstanceType<typeof TicketReplayError>;
/** MV004, never thrown here: there is no word index. */
export const LexIndexDisabledError = errorClass("LexIndexDisabledError", "MV004");
export type LexIndexDisabledError = InstanceType<typeof LexIndexDisabledError>;
/** MV005, never thrown here: there is no time index. */
export const TimeIndexMissingError = errorClass("TimeIndexMissingError", "MV005");
export type TimeIndexMissingError = InstanceType<typeof TimeIndexMissingError>;
/** MV008, never thrown here: a call needs an API key. */
export const ApiKeyRequiredError = errorClass("ApiKeyRequiredError", "MV008");
export type ApiKeyRequiredError = InstanceType<typeof ApiKeyRequiredError>;
/** MV009, never thrown here: the memory belongs to a ticket already. */
export const MemoryAlreadyBoundError = errorClass("MemoryAlreadyBoundError", "MV009");
export type MemoryAlreadyBoundError = InstanceType<typeof MemoryAlreadyBoundError>;
/** MV011, never thrown here: there is no vector index. */
export const VecIndexDisabledError = errorClass("VecIndexDisabledError", "MV011");
export type VecIndexDisabledError = InstanceType<typeof VecIndexDisabledError>;
/** MV016, never thrown here: a capsule cannot be decrypted. */
export const EncryptionError = errorClass("EncryptionError", "MV016");
export type EncryptionError = InstanceType<typeof EncryptionError>;
/** MV023, never thrown here: the quota of a plan is used up. */
export const QuotaExceededError = errorClass("QuotaExceededError", "MV023");
export type QuotaExceededError = InstanceType<typeof QuotaExceededError>;

/** A feature of @memvid/sdk that is not supported. */
export class NotSupportedError extends MemvidError {
  override readonly name: string = "NotSupportedError";
  constructor(what: string) {
    super("NOT_SUPPORTED", `${what} is not supported`);
  }
}

const BY_STORAGE_CODE: Partial<Record<StorageErrorCode, MemvidErrorClass>> = {
  FULL: CapacityExceededError,
  BUSY: LockedError,
  ACQUIRE_TIMEOUT: LockedError,
  CORRUPT: CorruptFileError,
  NOT_A_DATABASE: CorruptFileError,
  DIMENSION_MISMATCH: VecDimensionMismatchError,
};

/** Runs `work`, and wraps its errors in a MemvidError. */
export async function asMemvidErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MemvidError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    const { index } = Object(error) as { readonly index?: number };
    const details = index === undefined ? undefined : { index };
    if (hasErrno(error, "ENOENT")) {
      throw new FileNotFoundError(message, undefined, { cause: error });
    }
    const Known = error instanceof StorageError ? BY_STORAGE_CODE[error.code] : undefined;
    if (Known !== undefined) throw new Known(message, details, { cause: error });
    throw new MemvidError("MV999", message, details, { cause: error });
  }
}

/**
 * Machine-readable reasons of {@link StorageError}; part of the public API.
 *
 * A failed SQL statement of `storage.client` is a `LibsqlError` with a `SQLITE_*` code. Repositories turn it into one of
 * these codes and keep it as `cause`. A failed query of `storage.db` or `tx.db` is a `DrizzleQueryError` without a code.
 * Its `cause` is the error of the client: that `LibsqlError`, or a StorageError such as `WRONG_HANDLE`.
 */
export type StorageErrorCode =
  | "NOT_FOUND"
  | "CONFLICT"
  | "FOREIGN_KEY"
  | "INVALID"
  | "DIMENSION_MISMATCH"
  | "BUSY"
  | "FULL"
  | "READONLY"
  | "CORRUPT"
  | "NOT_A_DATABASE"
  | "CANNOT_OPEN"
  | "IO"
  | "CLOSED"
  | "WRONG_HANDLE"
  | "TRANSACTION_CLOSED"
  | "ACQUIRE_TIMEOUT"
  | "UNAVAILABLE"
  | "UNAUTHORIZED"
  | "REPLICA_UNUSABLE"
  | "RESPONSE_TOO_LARGE"
  | "NOT_SUPPORTED"
  | "MIGRATION_FAILED"
  | "MIGRATION_INVALID"
  | "MIGRATION_PENDING"
  | "MIGRATION_CHANGED"
  | "MIGRATION_UNKNOWN"
  | "MIGRATION_OUT_OF_ORDER"
  | "IRREVERSIBLE"
  | "FOREIGN_LEDGER"
  | "EXISTS"
  | "IN_USE"
  | "FILE_REPLACED"
  | "CYCLE"
  | "INVALID_IMPORT"
  | "INVALID_STORY"
  | "INVALID_ANSWER"
  | "NO_SECRET"
  | "WRONG_SECRET"
  | "ABORTED"
  | "WINDOW_TOO_SMALL"
  | "SQL";

export interface StorageErrorOptions {
  readonly cause?: unknown;
  readonly retryable?: boolean;
  readonly outcome?: "unknown" | undefined;
  readonly table?: string | undefined;
  readonly columns?: readonly string[] | undefined;
  readonly line?: number | undefined;
  readonly index?: number | undefined;
  readonly id?: string | undefined;
  readonly messageIndex?: number | undefined;
}

/** Base of every error that the library throws on purpose. Match on `code`, never on `message`. */
export class StorageError extends Error {
  override readonly name: string = "StorageError";
  /** The reason. */
  readonly code: StorageErrorCode;
  /** Whether the same call, unchanged, may succeed later. */
  readonly retryable: boolean;
  /**
   * `"unknown"` if a write was sent to a server and not answered, so that it may be stored or not. Undefined otherwise.
   */
  readonly outcome: "unknown" | undefined;
  /** The table of a failed constraint, if SQLite names it. */
  readonly table: string | undefined;
  /** The columns of a failed constraint, if SQLite names them. */
  readonly columns: readonly string[] | undefined;
  /** The line of an import or a migration file that has the mistake. The first line is 1. */
  readonly line: number | undefined;
  /** The index of the failed record in a batch, from 0. A TypeError or RangeError about a record has it too. */
  readonly index: number | undefined;
  /** The id of that record, if it has one. */
  readonly id: string | undefined;
  /** The index of the failed message in that conversation, from 0. */
  readonly messageIndex: number | undefined;

  constructor(code: StorageErrorCode, message: string, options: StorageErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.outcome = options.outcome;
    this.table = options.table;
    this.columns = options.columns;
    this.line = options.line;
    this.index = options.index;
    this.id = options.id;
    this.messageIndex = options.messageIndex;
  }
}

/** The message of an error without the code that a LibsqlError puts before it. */
export function withoutCode({ code, message }: { readonly code: string; readonly message: string }): string {
  return message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message;
}

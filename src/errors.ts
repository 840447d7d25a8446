/**
 * Machine-readable reasons of {@link StorageError}; part of the public API.
 *
 * A failed SQL statement of `storage.client` or `storage.db` is a `LibsqlError` with its own `SQLITE_*` codes;
 * repositories turn it into one of these and keep it as `cause`.
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
  | "NOT_SUPPORTED"
  | "MIGRATION_FAILED"
  | "MIGRATION_PENDING"
  | "MIGRATION_CHANGED"
  | "MIGRATION_UNKNOWN"
  | "MIGRATION_OUT_OF_ORDER"
  | "IRREVERSIBLE"
  | "FOREIGN_LEDGER"
  | "EXISTS"
  | "SQL";

export interface StorageErrorOptions {
  readonly cause?: unknown;
  readonly retryable?: boolean;
  readonly table?: string | undefined;
  readonly columns?: readonly string[] | undefined;
}

/** Base of every error that the library throws on purpose. Match on `code`, never on `message`. */
export class StorageError extends Error {
  override readonly name: string = "StorageError";
  readonly code: StorageErrorCode;
  /** Whether the same call, unchanged, may succeed later. */
  readonly retryable: boolean;
  /** The table of a failed constraint, where SQLite names it. */
  readonly table: string | undefined;
  /** The columns of a failed constraint, where SQLite names them. */
  readonly columns: readonly string[] | undefined;

  constructor(code: StorageErrorCode, message: string, options: StorageErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.table = options.table;
    this.columns = options.columns;
  }
}

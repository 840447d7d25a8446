import type { SQL } from "drizzle-orm";
import type { KeywordSearchRequest, SearchReader, SqlValue } from "../search/request.js";
import { StorageError, type StorageErrorCode } from "../shared/errors.js";
import type { Executor } from "./executor.js";
import { readAll } from "./read-all.js";
import { all, toStatement } from "./statements.js";

const WRITE_REFUSED: ReadonlySet<StorageErrorCode> = new Set(["READONLY", "BUSY", "FULL", "UNAVAILABLE"]);

/** Reads the database for a keyword search, through the executor of a repository. */
export function searchReader(executor: Executor): SearchReader {
  return {
    all: (sql, args) => readAll(executor, { sql, args }),
    scan: (sql, args) => readAll(executor, { sql, args }, "scan"),
  };
}

/** Whether a write was refused that would have stored index terms; the search then makes them for itself. */
export function isWriteRefused(error: unknown): boolean {
  return error instanceof StorageError && WRITE_REFUSED.has(error.code);
}

/** Conditions on the alias `m` of the searched table, as a keyword search takes them. */
export function toWhere(conditions: readonly SQL[]): KeywordSearchRequest["where"] {
  return toSelect(all(conditions));
}

/** A SELECT, as a keyword search takes it to search its rows. */
export function toSelect(select: SQL): { readonly sql: string; readonly args: readonly SqlValue[] } {
  const { sql, args } = toStatement(select);
  return { sql, args: args as SqlValue[] };
}

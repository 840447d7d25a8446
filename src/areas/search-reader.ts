import type { SQL } from "drizzle-orm";
import type { KeywordSearchRequest, SearchReader, SqlValue } from "../search/request.js";
import type { Executor } from "./executor.js";
import { readAll } from "./read-all.js";
import { all, toStatement } from "./statements.js";

/** Reads the database for a keyword search, through the executor of a repository. */
export function searchReader(executor: Executor): SearchReader {
  return {
    all: (sql, args) => readAll(executor, { sql, args }),
    scan: (sql, args) => readAll(executor, { sql, args }, "scan"),
  };
}

/** Conditions on the alias `m` of the searched table, as a keyword search takes them. */
export function toWhere(conditions: readonly SQL[]): KeywordSearchRequest["where"] {
  const { sql, args } = toStatement(all(conditions));
  return { sql, args: args as SqlValue[] };
}

import { LibsqlError } from "@libsql/client/sqlite3";
import type { ParsedStatement, Pragma } from "../sql/parse.js";
import type { Connection } from "./connection.js";
import type { NativeValue } from "./native.js";

// PRAGMAs whose value is a question, or which change the file and not the connection.
const NOT_SETTINGS = new Set([
  "application_id",
  "auto_vacuum",
  "data_version",
  "defer_foreign_keys",
  "encoding",
  "foreign_key_check",
  "foreign_key_list",
  "function_list",
  "incremental_vacuum",
  "index_info",
  "index_list",
  "index_xinfo",
  "integrity_check",
  "journal_mode",
  "optimize",
  "page_size",
  "quick_check",
  "schema_version",
  "shrink_memory",
  "table_info",
  "table_list",
  "table_xinfo",
  "user_version",
  "wal_checkpoint",
]);

// PRAGMAs that write to the file, whatever they return: like any write, they need the lock first.
const FILE_WRITES = new Set(["application_id", "incremental_vacuum", "optimize", "schema_version", "user_version"]);

/** Whether it sets something that holds for a connection, so that all of them must have it. */
export function isSetting({ name, value }: Pragma): boolean {
  return value !== undefined && !NOT_SETTINGS.has(name);
}

export function writesFile({ name, value }: Pragma): boolean {
  return FILE_WRITES.has(name) && (value !== undefined || !name.endsWith("_version"));
}

/** Throws on a PRAGMA that would change a setting which keeps the file safe. */
export function assertAllowed({ pragma, isExplain }: ParsedStatement, isMemory: boolean): void {
  if (pragma === undefined) return;
  const { name, value } = pragma;
  const refuse = (why: string): never => {
    throw new LibsqlError(`PRAGMA ${name} is the engine's own: ${why}`, "NOT_SUPPORTED");
  };
  if (isExplain) refuse("it would take effect although it is only explained");
  if (value === undefined) return;
  if (name === "wal_autocheckpoint") refuse("checkpoints run with the write lock held; see the `checkpoint` option");
  if (name === "query_only") refuse('readers are query_only; use transaction("read") to refuse writes');
  if (name === "locking_mode") refuse("several connections share the file");
  if (name === "journal_mode" && !isMemory && value.toLowerCase() !== "wal") refuse("readers need WAL");
}

/** The same for a connection that is held for more than one statement: a checkpoint needs another connection. */
export function assertAllowedWithin(statement: ParsedStatement, isMemory: boolean): void {
  assertAllowed(statement, isMemory);
  if (statement.pragma?.name !== "wal_checkpoint" || isMemory) return;
  throw new LibsqlError("PRAGMA wal_checkpoint is the engine's own: use client.checkpoint()", "NOT_SUPPORTED");
}

/**
 * The settings made by PRAGMA and ATTACH through the client, in order: every connection gets them, later ones too.
 */
export class SessionSettings {
  readonly #statements: { key: string; statement: ParsedStatement; args: readonly NativeValue[] }[] = [];

  /** Remembers a setting that has been made; a later value takes the place of the earlier one. */
  add(key: string, statement: ParsedStatement, args: readonly NativeValue[]): void {
    this.remove(key);
    this.#statements.push({ key, statement, args });
  }

  remove(key: string): void {
    const index = this.#statements.findIndex((setting) => setting.key === key);
    if (index >= 0) this.#statements.splice(index, 1);
  }

  /** Makes all settings on a new connection. */
  applyTo(connection: Connection): void {
    for (const { statement, args } of this.#statements) {
      connection.execute(statement, args, "bigint");
    }
  }
}

import { type InArgs, LibsqlError } from "@libsql/client";
import { bindArguments } from "./bind.js";
import type { Connection } from "./connection.js";
import type { ParsedStatement } from "./sql.js";

/** What a PRAGMA asks for. */
export interface Pragma {
  readonly name: string;
  /** The value set, as written; undefined when the PRAGMA only asks. */
  readonly value: string | undefined;
  /** Whether it sets something that holds for a connection, so that all of them must have it. */
  readonly isSetting: boolean;
}

const PRAGMA =
  /^\s*(?:--[^\n]*\n\s*|\/\*[\s\S]*?\*\/\s*)*pragma\s+(?:[\w"`[\]]+\s*\.\s*)?["`[]?(\w+)["`\]]?\s*(?:(=)\s*(.*?)|\(\s*(.*?)\s*\))?\s*;?\s*$/is;

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

export function parsePragma(sql: string): Pragma {
  const match = PRAGMA.exec(sql);
  const name = match?.[1]?.toLowerCase() ?? "";
  const value = match?.[3] ?? match?.[4];
  return { name, value, isSetting: value !== undefined && !NOT_SETTINGS.has(name) };
}

/** Throws on a PRAGMA that would take from the engine what keeps the file safe. */
export function assertAllowed(pragma: Pragma, isMemory: boolean): void {
  const { name, value } = pragma;
  if (value === undefined) return;
  const refuse = (why: string): never => {
    throw new LibsqlError(`PRAGMA ${name} is the engine's own: ${why}`, "NOT_SUPPORTED");
  };
  if (name === "wal_autocheckpoint") refuse("checkpoints run with the write lock held; see the `checkpoint` option");
  if (name === "query_only") refuse('readers are query_only; use transaction("read") to refuse writes');
  if (name === "locking_mode") refuse("several connections share the file");
  if (name === "journal_mode" && !isMemory && !/^['"]?wal['"]?$/i.test(value)) refuse("readers need WAL");
}

/**
 * The settings made by PRAGMA and ATTACH through the client, in order: every connection gets them, later ones too.
 */
export class SessionSettings {
  readonly #statements: { key: string; statement: ParsedStatement; args: InArgs | undefined }[] = [];

  /** Remembers a setting that has been made; a later value takes the place of the earlier one. */
  add(key: string, statement: ParsedStatement, args?: InArgs): void {
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
      connection.execute(statement, bindArguments(statement, args), "bigint");
    }
  }
}

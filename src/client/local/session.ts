import type { ResultSet } from "@libsql/client";
import { type BoundStatement, bindInput, type StatementInput } from "../sql/bound-statement.js";
import type { ParsedStatement, Pragma } from "../sql/parse.js";
import { singleRow } from "../sql/rows.js";
import type { Connection } from "./connection.js";
import type { ConnectionPoolOptions } from "./connection-opener.js";
import { readOnlyError } from "./read-only.js";
import { assertAllowed, assertAllowedWithin, isSetting, SessionSettings } from "./session-settings.js";

/** What the connections of a pool share: the rules for statements, and the state that statements change. */
export class Session {
  readonly options: ConnectionPoolOptions;
  readonly settings = new SessionSettings();
  /** The longest wait for another process's lock; `PRAGMA busy_timeout` sets it. */
  busyTimeoutMs: number;
  /** Whether temporary tables may exist. They are the writer's, so reads must run there too. */
  hasTemporaryTables = false;
  readonly #onSetting: (bound: BoundStatement, connection: Connection) => void;
  /** The statements that turned out to write, by the parse result, which all clients of the process share. */
  #writes: WeakMap<ParsedStatement, ParsedStatement> | undefined;

  /** Calls `onSetting` when a statement has changed a setting of one connection, which the others must get too. */
  constructor(options: ConnectionPoolOptions, onSetting: (bound: BoundStatement, connection: Connection) => void) {
    this.options = options;
    this.busyTimeoutMs = options.busyTimeoutMs;
    this.#onSetting = onSetting;
  }

  /** Checks one statement and its arguments. */
  bind(input: StatementInput): BoundStatement {
    const bound = bindInput(input);
    if (bound.statement.pragma !== undefined) assertAllowed(bound.statement, this.options.isMemory);
    return this.#checked(bound);
  }

  /** The same for a connection that is held for more than this statement. */
  bindWithin(input: StatementInput): BoundStatement {
    const bound = bindInput(input);
    if (bound.statement.pragma !== undefined) assertAllowedWithin(bound.statement, this.options.isMemory);
    return this.#checked(bound);
  }

  /** The statement as one that writes, because SQLite has refused it on a reader; `bind` returns it from now on. */
  toWrite(statement: ParsedStatement): ParsedStatement {
    this.#writes ??= new WeakMap();
    const write: ParsedStatement = { ...statement, kind: "write" };
    this.#writes.set(statement, write);
    return write;
  }

  /** Runs one statement on a connection that is held for more than this one. */
  run(connection: Connection, bound: BoundStatement): ResultSet {
    const { statement, args, trace } = bound;
    const { pragma } = statement;
    trace?.start();
    if (pragma?.name === "busy_timeout") return this.busyTimeout(pragma);
    const result = connection.execute(statement, args, this.options.intMode);
    trace?.end(result);
    // SQLite ignores this one inside a transaction.
    if (pragma !== undefined && pragma.name !== "foreign_keys") this.noteSetting(bound, connection);
    return result;
  }

  /** Answers `PRAGMA busy_timeout` from the engine's own setting, because SQLite's busy handler would block. */
  busyTimeout({ value }: Pragma): ResultSet {
    if (value !== undefined) this.busyTimeoutMs = Math.max(0, Number(value) || 0);
    return singleRow(["timeout"], [this.busyTimeoutMs]);
  }

  /** Notes the PRAGMA, ATTACH or DETACH that `connection` has run, so that all other connections get it too. */
  noteSetting(bound: BoundStatement, connection: Connection): void {
    const { kind, pragma, databaseName } = bound.statement;
    if (pragma !== undefined) {
      if (!isSetting(pragma)) return;
      this.settings.add(pragma.name, bound.statement, bound.args);
      this.#onSetting(bound, connection);
      return;
    }
    if (kind !== "attach" && kind !== "detach") return;
    const name = typeof databaseName === "number" ? String(bound.args[databaseName - 1]).toLowerCase() : databaseName;
    const key = `attached ${name}`;
    if (kind === "attach") this.settings.add(key, bound.statement, bound.args);
    else this.settings.remove(key);
    this.#onSetting(bound, connection);
  }

  /** Looks for temporary tables after statements that may have created one. */
  noteTemporaryTables(connection: Connection, isLikely: boolean): void {
    if (!isLikely) return;
    connection.forgetStatements();
    if (this.hasTemporaryTables) return;
    this.hasTemporaryTables = connection.query("SELECT 1 FROM temp.sqlite_master LIMIT 1").length > 0;
  }

  #checked(bound: BoundStatement): BoundStatement {
    if (bound.statement.kind === "attach") this.#assertMayAttach();
    if (this.#writes === undefined) return bound;
    return { ...bound, statement: this.#writes.get(bound.statement) ?? bound.statement };
  }

  /** Throws if files are only read: SQLite opens the other file for writing, and creates it. */
  #assertMayAttach(): void {
    const { isMemory, path, readOnly } = this.options;
    if (readOnly === false || isMemory) return;
    const reason = "ATTACH opens the other file for writing, and makes it where there is none";
    throw readOnlyError(path, `${reason}. Open it with a client for that file`);
  }
}

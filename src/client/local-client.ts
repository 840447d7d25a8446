import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client";
import type { CheckpointResult } from "./checkpointer.js";
import type { Connection } from "./connection.js";
import { bindInput, ConnectionPool, type ConnectionPoolOptions, type StatementInput } from "./connection-pool.js";
import type { NativeValue } from "./native.js";
import type { ClientStats, PooledClient } from "./pooled-client.js";
import { StatementResult } from "./rows.js";
import { assertAllowed, parsePragma } from "./session-settings.js";
import { type ParsedStatement, parseStatement, splitScript } from "./sql.js";
import { primaryCode, READONLY } from "./sqlite-error.js";
import { Transaction } from "./transaction.js";
import { retryWhileBusy } from "./write-lock.js";

/** What a call is about to do, for a guard that may refuse it. */
export type Access = "read" | "write";

/** A client for a local file or `:memory:`, over a pool of its own. */
export class LocalClient implements PooledClient {
  readonly protocol = "file";
  readonly #options: ConnectionPoolOptions;
  #pool: ConnectionPool;
  #isClosed = false;
  readonly #transactions = new Set<Transaction>();
  /** Asked before each call; what it throws rejects the call. Storage refuses its outer handle through it. */
  guard: ((access: Access) => void) | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#pool = openPool(options);
  }

  get pool(): ConnectionPool {
    return this.#pool;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  stats(): ClientStats {
    return this.#pool.stats();
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    this.#assertOpen();
    const { statement, args: values } = bindInput(
      typeof input === "string" && args !== undefined ? { sql: input, args } : input,
    );
    this.guard?.(statement.kind === "read" ? "read" : "write");
    switch (statement.kind) {
      case "read":
        return this.#pool.read(statement, values);
      case "write":
        return this.#write(statement, values);
      case "pragma":
        return this.#pragma(statement, values);
      case "vacuum":
        return this.#pool.writer.turn((connection) => this.#vacuum(connection, statement, values));
      case "attach":
      case "detach":
        return this.#pool.writer.turn((connection) => this.#attach(connection, statement, values, input));
      case "empty":
        throw new LibsqlError("The SQL holds no statement", "SQL_NO_STATEMENT");
      default:
        throw new LibsqlError(
          `${statement.sql.trim().split(/\s/, 1)[0]?.toUpperCase()} through execute() could reach any connection of the pool. Use transaction()`,
          "NOT_SUPPORTED",
        );
    }
  }

  async batch(inputs: StatementInput[], mode: TransactionMode = "deferred"): Promise<ResultSet[]> {
    this.#assertOpen();
    assertMode(mode);
    const bound = inputs.map((input) => bindInput(input));
    const isRead = mode === "read" || bound.every(({ statement }) => statement.kind === "read");
    this.guard?.(isRead ? "read" : "write");
    const mayUseReader = isRead && this.#pool.readers !== undefined && !this.#pool.hasTemporaryTables;
    if (mayUseReader && !bound.some(({ statement }) => statement.readsWriterState)) {
      await this.#pool.ready();
      try {
        return this.#pool.readAll(bound);
      } catch (error) {
        // A statement that looked like a read and writes: the writer can run it.
        if (mode === "read" || primaryCode(error) !== READONLY) throw error;
      }
    }
    return this.#pool.writer.turn((connection) => this.#pool.writeAll(connection, inputs));
  }

  async migrate(inputs: InStatement[]): Promise<ResultSet[]> {
    this.#assertOpen();
    this.guard?.("write");
    return this.#pool.writer.turn(async (connection) => {
      const enforced = connection.query("PRAGMA foreign_keys")[0]?.[0];
      connection.exec("PRAGMA foreign_keys = OFF");
      try {
        return await this.#pool.writeAll(connection, inputs);
      } finally {
        connection.exec(`PRAGMA foreign_keys = ${enforced}`);
      }
    });
  }

  async transaction(mode: TransactionMode = "write"): Promise<Transaction> {
    this.#assertOpen();
    assertMode(mode);
    this.guard?.(mode === "read" ? "read" : "write");
    return mode === "read" && this.#pool.readers !== undefined ? this.#readTransaction() : this.#writeTransaction(mode);
  }

  async executeMultiple(sql: string): Promise<void> {
    this.#assertOpen();
    this.guard?.("write");
    if (typeof sql !== "string") throw new TypeError(`Expected the SQL to be a string, got ${typeof sql}`);
    const script = splitScript(sql).map((part) => parseStatement(part.sql));
    for (const { kind, sql: text } of script) {
      if (kind === "pragma") assertAllowed(parsePragma(text), this.#options.isMemory);
    }
    await this.#pool.writer.turn(async (connection) => {
      this.#pool.writer.assertSound();
      for (const statement of script) await this.#runPart(connection, statement);
      this.#pool.noteTemporaryTables(connection, /\btemp(orary)?\b/i.test(sql));
      this.#pool.checkpointer?.afterCommit();
    });
  }

  /** Moves the WAL into the database file now, waiting for the write lock up to `busyTimeoutMs`. */
  async checkpoint(): Promise<CheckpointResult> {
    this.#assertOpen();
    this.guard?.("write");
    const { checkpointer, writer } = this.#pool;
    if (checkpointer === undefined) return { logFrames: 0, checkpointedFrames: 0 };
    return writer.turn((connection) => checkpointer.run(connection));
  }

  async sync(): Promise<Replicated> {
    this.#assertOpen();
    throw new LibsqlError("sync() needs an embedded replica: open the client with `syncUrl`", "SYNC_NOT_SUPPORTED");
  }

  /** Closes, then opens again; an in-memory database starts empty. */
  async reconnect(): Promise<void> {
    await this.close();
    this.#pool = openPool(this.#options);
    this.#isClosed = false;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const transaction of [...this.#transactions]) transaction.close();
    await this.#pool.close();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
  }

  async #write(statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    const result = await this.#pool.writer.execute(statement, args);
    if (!this.#pool.hasTemporaryTables && /^\s*create\b[\s\S]*?\btemp(orary)?\b/i.test(statement.sql)) {
      await this.#pool.writer.turn((connection) => this.#pool.noteTemporaryTables(connection, true));
    }
    return result;
  }

  async #pragma(statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    const pragma = parsePragma(statement.sql);
    assertAllowed(pragma, this.#options.isMemory);
    const { writer } = this.#pool;
    if (pragma.name === "busy_timeout") {
      if (pragma.value !== undefined) this.#pool.busyTimeoutMs = Math.max(0, Number(pragma.value) || 0);
      return pragmaRow(["timeout"], [this.#pool.busyTimeoutMs]);
    }
    if (pragma.name === "wal_checkpoint" && !this.#options.isMemory) {
      const { logFrames, checkpointedFrames } = await this.checkpoint();
      return pragmaRow(["busy", "log", "checkpointed"], [0, logFrames, checkpointedFrames]);
    }
    return writer.turn(async (connection) => {
      const result = await retryWhileBusy(
        () => connection.execute(statement, args, this.#options.intMode),
        this.#pool.busyTimeoutMs,
        () => writer.countBusyRetry(),
      );
      if (pragma.isSetting) this.#keepSetting(pragma.name, statement, undefined);
      return result;
    });
  }

  /** Remembers a setting, and makes it on the readers that are open. */
  #keepSetting(key: string, statement: ParsedStatement, args: InArgs | undefined): void {
    this.#pool.settings.add(key, statement, args);
    const { args: values } = bindInput({ sql: statement.sql, args: args ?? [] });
    for (const reader of this.#pool.readers?.connections() ?? []) reader.execute(statement, values, "bigint");
  }

  async #attach(
    connection: Connection,
    statement: ParsedStatement,
    args: readonly NativeValue[],
    input: InStatement,
  ): Promise<ResultSet> {
    const result = connection.execute(statement, args, this.#options.intMode);
    const name = /\b(?:as|database|detach)\s+["'`[]?([\w$]+)["'`\]]?\s*;?\s*$/i.exec(statement.sql)?.[1]?.toLowerCase();
    const key = `attached ${name ?? statement.sql}`;
    if (statement.kind === "attach") {
      this.#keepSetting(key, statement, typeof input === "string" ? undefined : input.args);
    } else {
      this.#pool.settings.remove(key);
      for (const reader of this.#pool.readers?.connections() ?? []) reader.execute(statement, args, "bigint");
    }
    return result;
  }

  async #vacuum(connection: Connection, statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    this.#pool.writer.assertSound();
    if (args.length > 0) return connection.execute(statement, args, this.#options.intMode);
    await retryWhileBusy(
      () => connection.execOffThread(statement.sql),
      this.#pool.busyTimeoutMs,
      () => this.#pool.writer.countBusyRetry(),
    );
    return new StatementResult([], [], [], 0, undefined);
  }

  /** One statement of a script, with SQLite's own semantics, but waiting for other processes. */
  async #runPart(connection: Connection, statement: ParsedStatement): Promise<void> {
    const { writer, busyTimeoutMs } = this.#pool;
    if (statement.kind === "pragma" && parsePragma(statement.sql).name === "wal_checkpoint") {
      if (!connection.inTransaction) await this.#pool.checkpointer?.run(connection);
      return;
    }
    await retryWhileBusy(
      () => connection.exec(statement.sql),
      busyTimeoutMs,
      () => writer.countBusyRetry(),
    );
    if (statement.kind === "pragma") {
      const pragma = parsePragma(statement.sql);
      if (pragma.name === "busy_timeout" && pragma.value !== undefined) {
        this.#pool.busyTimeoutMs = Math.max(0, Number(pragma.value) || 0);
        connection.exec("PRAGMA busy_timeout = 0");
      } else if (pragma.isSetting) this.#keepSetting(pragma.name, statement, undefined);
    } else if (statement.kind === "attach") this.#keepSetting(`attached ${statement.sql}`, statement, undefined);
  }

  async #readTransaction(): Promise<Transaction> {
    const trace = new Error("taken");
    const pool = this.#pool;
    const readers = pool.readers!;
    await pool.ready();
    const connection = await readers.acquire();
    try {
      this.#assertOpen();
      // The first read chooses the snapshot: so make one now, and what is committed from here on stays unseen.
      await retryWhileBusy(
        () => {
          connection.rollback();
          connection.exec("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1");
        },
        pool.busyTimeoutMs,
        () => pool.writer.countBusyRetry(),
      );
    } catch (error) {
      readers.release(connection);
      throw error;
    }
    return this.#begin(pool, connection, "read", trace, () => readers.release(connection));
  }

  #writeTransaction(mode: TransactionMode): Promise<Transaction> {
    const trace = new Error("taken");
    const pool = this.#pool;
    return new Promise((resolve, reject) => {
      const use = async (connection: Connection) => {
        if (mode === "write") await pool.writer.lock(connection);
        else connection.exec("BEGIN");
        this.#assertOpen();
        await new Promise<void>((done) => resolve(this.#begin(pool, connection, mode, trace, done)));
      };
      pool.writer.turn(use).catch(reject);
    });
  }

  #begin(
    pool: ConnectionPool,
    connection: Connection,
    mode: TransactionMode,
    trace: Error,
    giveBack: () => void,
  ): Transaction {
    const holder = pool.holders.add(`a ${mode} transaction`, trace);
    const transaction = new Transaction(pool, connection, mode, () => {
      pool.holders.remove(holder);
      this.#transactions.delete(transaction);
      giveBack();
    });
    this.#transactions.add(transaction);
    return transaction;
  }
}

function openPool(options: ConnectionPoolOptions): ConnectionPool {
  const pool = new ConnectionPool(options);
  pool.openEagerly();
  return pool;
}

function assertMode(mode: TransactionMode): void {
  if (mode === "write" || mode === "read" || mode === "deferred") return;
  throw new RangeError('Unknown transaction mode, supported values are "write", "read" and "deferred"');
}

function pragmaRow(columns: string[], values: number[]): ResultSet {
  const row = Object.fromEntries(columns.map((column, index) => [column, values[index]!]));
  for (const [index, value] of values.entries()) Object.defineProperty(row, index, { value });
  Object.defineProperty(row, "length", { value: values.length });
  return new StatementResult(
    columns,
    columns.map(() => ""),
    [row as never],
    0,
    undefined,
  );
}

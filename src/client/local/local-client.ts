import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { turnWhenDue } from "../../shared/event-loop.js";
import {
  assertNoCommit,
  type BoundStatement,
  bindEach,
  bindInput,
  expectMode,
  expectSql,
  expectStatements,
  type StatementInput,
} from "../sql/bound-statement.js";
import { firstWord, type ParsedStatement, parseStatement, splitScript } from "../sql/parse.js";
import { StatementResult, singleRow } from "../sql/rows.js";
import { READONLY } from "../sql/sqlite-error.js";
import type { Access, ClientStats, LocalDatabase } from "../storage-client.js";
import type { CheckpointResult } from "./checkpointer.js";
import type { Connection } from "./connection.js";
import { BEGIN_SNAPSHOT, ConnectionPool, type ConnectionPoolOptions } from "./connection-pool.js";
import { assertAllowed, isSetting, writesFile } from "./session-settings.js";
import { Transaction } from "./transaction.js";
import { retryWhileBusy } from "./write-lock.js";

/** A client for a local file or `:memory:`, over a pool of its own. */
export class LocalClient implements LocalDatabase {
  readonly protocol = "file";
  #options: ConnectionPoolOptions;
  #pool: ConnectionPool;
  #isClosed = false;
  /** An erasure of the log that has not begun yet. */
  #erasing: Promise<void> | undefined;
  /** Counts calls of `close` and `reconnect`: the last one decides. */
  #lifeCycle = 0;
  readonly #transactions = new Set<Transaction>();
  /** Asked before each call; what it throws rejects the call. Storage refuses its outer handle through it. */
  guard: ((access: Access) => void) | undefined;
  /** Why this client refuses every write, where it does. */
  readOnlyBecause: string | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#pool = this.#openPool();
  }

  get pool(): ConnectionPool {
    return this.#pool;
  }

  get local(): this {
    return this;
  }

  get hasOneConnection(): boolean {
    return this.#options.isMemory;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  stats(): ClientStats {
    return this.#pool.stats();
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    this.#assertOpen();
    const bound = bindInput(typeof input === "string" && args !== undefined ? { sql: input, args } : input);
    const { statement } = bound;
    assertAllowed(statement, this.#options.isMemory);
    this.#pool.assertMayAttach(statement);
    this.#admit(statement.kind === "read" ? "read" : "write");
    switch (statement.kind) {
      case "read": {
        const due = turnWhenDue();
        return due === undefined ? this.#pool.read(bound) : this.#pool.readAfter(due, bound);
      }
      case "write":
        return this.#pool.writer.execute(statement, bound.args);
      case "pragma":
        return this.#pragma(bound);
      case "vacuum":
        return this.#pool.writer.turn((connection) => this.#vacuum(connection, bound));
      case "attach":
      case "detach":
        return this.#pool.writer.turn((connection) => this.#attach(connection, bound));
      case "empty":
        throw new LibsqlError("The SQL holds no statement", "SQL_NO_STATEMENT");
      default:
        throw new LibsqlError(
          `${firstWord(statement)} through execute() could reach any connection of the pool. Use transaction()`,
          "NOT_SUPPORTED",
        );
    }
  }

  /**
   * As `execute` for one SELECT that may take long: on another thread and a reader of its own, so that the event loop
   * and all other reads go on. On `:memory:`, whose one connection has no such place, it is `execute`.
   */
  async scan(input: StatementInput): Promise<ResultSet> {
    this.#assertOpen();
    const pool = this.#pool;
    const { statement, args } = pool.bind(input);
    if (pool.readers === undefined || pool.hasTemporaryTables || statement.kind !== "read") {
      return this.execute(input as InStatement);
    }
    this.#admit("read");
    const trace = new Error("taken");
    await pool.ready();
    const connection = await pool.readers.acquire();
    const holder = pool.holders.add("a long read", trace);
    try {
      return await connection.executeOffThread(statement, args, this.#options.intMode);
    } finally {
      pool.holders.remove(holder);
      pool.readers.release(connection);
    }
  }

  async batch(inputs: StatementInput[], mode: TransactionMode = "deferred"): Promise<ResultSet[]> {
    this.#assertOpen();
    expectMode(mode);
    expectStatements(inputs);
    const pool = this.#pool;
    const bound = bindEach(inputs, (input) => assertNoCommit(pool.bind(input)));
    const isRead = mode === "read" || bound.every(({ statement }) => statement.kind === "read");
    this.#admit(isRead ? "read" : "write");
    const mayUseReader = isRead && pool.readers !== undefined && !pool.hasTemporaryTables;
    if (mayUseReader && !bound.some(({ statement }) => statement.readsWriterState)) {
      try {
        return await pool.readAll(bound);
      } catch (error) {
        // A statement that looked like a read and writes: the writer can run it.
        if (mode === "read" || (error as LibsqlError).rawCode !== READONLY) throw error;
      }
    }
    return pool.writer.turn((connection) =>
      mode === "read" ? pool.readAllOnWriter(connection, bound) : pool.writeAll(connection, bound),
    );
  }

  async migrate(inputs: InStatement[]): Promise<ResultSet[]> {
    this.#assertOpen();
    this.#admit("write");
    expectStatements(inputs);
    const pool = this.#pool;
    const bound = bindEach(inputs, (input) => pool.bind(input));
    return pool.writer.turn(async (connection) => {
      const enforced = connection.query("PRAGMA foreign_keys")[0]?.[0];
      connection.exec("PRAGMA foreign_keys = OFF");
      try {
        return await pool.writeAll(connection, bound);
      } finally {
        connection.exec(`PRAGMA foreign_keys = ${enforced}`);
      }
    });
  }

  async transaction(mode: TransactionMode = "write"): Promise<Transaction> {
    this.#assertOpen();
    expectMode(mode);
    this.#admit(mode === "read" ? "read" : "write");
    return mode === "read" && this.#pool.readers !== undefined ? this.#readTransaction() : this.#writeTransaction(mode);
  }

  async executeMultiple(sql: string): Promise<void> {
    this.#assertOpen();
    this.#admit("write");
    expectSql(sql);
    const script = splitScript(sql).map((part) => parseStatement(part.sql));
    for (const statement of script) assertAllowed(statement, this.#options.isMemory);
    await this.#pool.writer.turn(async (connection) => {
      this.#pool.writer.assertSound();
      for (const statement of script) await this.#runPart(connection, statement);
      this.#pool.noteTemporaryTables(
        connection,
        script.some((statement) => statement.mayCreateTemporary),
      );
      this.#pool.checkpointer?.afterCommit();
    });
  }

  /** Moves the WAL into the database file now, waiting for the write lock up to `busyTimeoutMs`. */
  async checkpoint(): Promise<CheckpointResult> {
    this.#assertOpen();
    this.#admit("write");
    const { checkpointer, writer } = this.#pool;
    if (checkpointer === undefined) return { logFrames: 0, checkpointedFrames: 0 };
    return writer.turn((connection) => checkpointer.run(connection));
  }

  /**
   * Leaves nothing of what has been deleted in the log; calls that wait for their turn share it. Where that is not
   * possible now, it is done as soon as it is: the deletion itself is stored.
   */
  async eraseLog(): Promise<void> {
    const pool = this.#pool;
    const { checkpointer, writer } = pool;
    if (checkpointer === undefined || this.#isClosed) return;
    this.#erasing ??= writer
      .turn((connection) => {
        this.#erasing = undefined;
        return checkpointer.erase(connection);
      })
      .catch(() => checkpointer.eraseSoon())
      .finally(() => {
        this.#erasing = undefined;
      });
    await this.#erasing;
  }

  /** The same, without waiting for it. */
  eraseLogSoon(): void {
    this.#pool.checkpointer?.eraseSoon();
  }

  async sync(): Promise<Replicated> {
    this.#assertOpen();
    throw new LibsqlError("sync() needs an embedded replica: open the client with `syncUrl`", "SYNC_NOT_SUPPORTED");
  }

  /** Throws FILE_REPLACED if the file has been removed or replaced since it was opened. */
  assertInPlace(): void {
    if (!this.#isClosed) this.#pool.assertInPlace();
  }

  /** Puts a file that was opened with `keepsJournal` into WAL mode. */
  async enterWal(): Promise<void> {
    this.#options = { ...this.#options, keepsJournal: false };
    await this.#pool.enterWal();
  }

  /** Closes, then opens again; an in-memory database starts empty. A `close` meanwhile has the last word. */
  async reconnect(): Promise<void> {
    const attempt = ++this.#lifeCycle;
    await this.#close();
    if (attempt !== this.#lifeCycle) return;
    this.#pool = this.#openPool();
    this.#isClosed = false;
  }

  async close(): Promise<void> {
    this.#lifeCycle++;
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    for (const transaction of [...this.#transactions]) transaction.close();
    await this.#pool.close();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
  }

  async #pragma(bound: BoundStatement): Promise<ResultSet> {
    const { statement, args } = bound;
    const pragma = statement.pragma!;
    const pool = this.#pool;
    if (pragma.name === "busy_timeout") return pool.busyTimeout(pragma);
    if (pragma.name === "wal_checkpoint" && !this.#options.isMemory) {
      const { logFrames, checkpointedFrames } = await this.checkpoint();
      return singleRow(["busy", "log", "checkpointed"], [0, logFrames, checkpointedFrames]);
    }
    if (writesFile(pragma)) return pool.writer.execute(statement, args);
    return pool.writer.turn((connection) => {
      const result = connection.execute(statement, args, this.#options.intMode);
      if (isSetting(pragma)) pool.keepSetting(pragma.name, bound, connection);
      return result;
    });
  }

  #attach(connection: Connection, bound: BoundStatement): ResultSet {
    const { statement, args } = bound;
    const result = connection.execute(statement, args, this.#options.intMode);
    this.#noteAttached(connection, bound);
    return result;
  }

  /** Later connections get what is attached, and no more what is detached. */
  #noteAttached(connection: Connection, bound: BoundStatement): void {
    const { kind, databaseName } = bound.statement;
    const name = typeof databaseName === "number" ? String(bound.args[databaseName - 1]).toLowerCase() : databaseName;
    const key = `attached ${name}`;
    if (kind === "attach") {
      this.#pool.keepSetting(key, bound, connection);
    } else {
      this.#pool.settings.remove(key);
      this.#pool.retireReaders();
    }
  }

  async #vacuum(connection: Connection, { statement, args }: BoundStatement): Promise<ResultSet> {
    this.#pool.writer.assertSound();
    this.#pool.assertInPlace();
    if (args.length > 0) return connection.execute(statement, args, this.#options.intMode);
    await retryWhileBusy(
      () => connection.execOffThread(statement.sql),
      this.#pool.busyTimeoutMs,
      () => this.#pool.writer.countBusyRetry(),
    );
    this.#pool.checkpointer?.afterCommit();
    return new StatementResult([], [], [], 0, undefined);
  }

  /** One statement of a script, with SQLite's own semantics, but waiting for other processes. */
  async #runPart(connection: Connection, statement: ParsedStatement): Promise<void> {
    const pool = this.#pool;
    const { kind, pragma } = statement;
    if (pragma?.name === "busy_timeout") {
      pool.busyTimeout(pragma);
      return;
    }
    if (pragma?.name === "wal_checkpoint") {
      if (!connection.inTransaction) await pool.checkpointer?.run(connection);
      return;
    }
    // Outside of a transaction each statement commits itself.
    if (kind === "commit" || !connection.inTransaction) pool.assertInPlace();
    await retryWhileBusy(
      () => connection.exec(statement.sql),
      pool.busyTimeoutMs,
      () => pool.writer.countBusyRetry(),
    );
    if (pragma !== undefined && isSetting(pragma)) {
      pool.keepSetting(pragma.name, { statement, args: [] }, connection);
    } else if (kind === "attach" || kind === "detach") {
      this.#noteAttached(connection, { statement, args: [] });
    }
  }

  async #readTransaction(): Promise<Transaction> {
    const trace = new Error("taken");
    const pool = this.#pool;
    const readers = pool.readers!;
    await pool.ready();
    const connection = await readers.acquire();
    try {
      this.#assertOpen();
      await retryWhileBusy(
        () => {
          connection.rollback();
          connection.exec(BEGIN_SNAPSHOT);
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
        // `read` comes here on `:memory:` only, whose one connection is not query_only by itself.
        if (mode === "read") connection.exec("PRAGMA query_only = 1");
        await new Promise<void>((done) => resolve(this.#begin(pool, connection, mode, trace, done)));
        if (mode === "read") connection.exec("PRAGMA query_only = 0");
      };
      pool.writer.turn(use).catch(reject);
    });
  }

  /** Throws SQLITE_READONLY where every write is refused. */
  assertWritable(): void {
    if (this.readOnlyBecause === undefined) return;
    throw new LibsqlError(this.readOnlyBecause, "SQLITE_READONLY", "READONLY_REPLICA", 8);
  }

  #admit(access: Access): void {
    if (access === "write") this.assertWritable();
    this.guard?.(access);
  }

  #openPool(): ConnectionPool {
    const pool = new ConnectionPool(this.#options);
    pool.guard = (access) => this.#admit(access);
    pool.openEagerly();
    return pool;
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

import { statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type InArgs, type InStatement, LibsqlBatchError, LibsqlError, type ResultSet } from "@libsql/client";
import type { ClientOptions } from "../options.js";
import { bindArguments } from "./bind.js";
import { Checkpointer } from "./checkpointer.js";
import { Connection } from "./connection.js";
import { Holders } from "./holders.js";
import type { NativeValue } from "./native.js";
import { ReaderPool } from "./reader-pool.js";
import { SessionSettings } from "./session-settings.js";
import { type ParsedStatement, parseStatement } from "./sql.js";
import { isBusy, primaryCode, READONLY } from "./sqlite-error.js";
import { type StatementCacheStats, sumStatementStats } from "./statement-cache.js";
import { retryWhileBusy } from "./write-lock.js";
import { WriterQueue, type WriteStats } from "./writer-queue.js";

export type ConnectionRole = "reader" | "writer";

/** Something to run: SQL and its arguments, in any of the forms that `batch` takes. */
export type StatementInput = InStatement | [string, InArgs?];

export interface PoolStats {
  /** Connections checked out now, by transactions or by `acquire`. */
  readonly active: number;
  readonly idle: number;
  /** Calls waiting for a connection or for a turn as writer. */
  readonly waiting: number;
  /** Most connections that the pool opens for statements: the readers and the writer. */
  readonly max: number;
  /** Connections opened, and destroyed because they were broken, since the start. */
  readonly opened: number;
  readonly destroyed: number;
}

/** A connection of one's own until `release`. */
export interface Checkout {
  readonly role: ConnectionRole;
  /** Runs one statement; on the writer each write is a transaction, on a reader writes are SQLITE_READONLY. */
  execute(statement: InStatement, args?: InArgs): Promise<ResultSet>;
  /** Runs all statements in one transaction; rejects with LibsqlBatchError and stores nothing if one fails. */
  batch(statements: readonly StatementInput[]): Promise<ResultSet[]>;
  /** Gives the connection back. Throws when called twice. */
  release(): void;
}

export interface ConnectionPoolOptions extends ClientOptions {
  readonly path: string;
  readonly isMemory: boolean;
  readonly encryptionKey: string | undefined;
  /** Makes a file that is still empty give back its free pages step by step. */
  readonly incrementalVacuum?: boolean;
}

const CACHE_PAGES = "PRAGMA cache_size = -16000";
/** Longest stretch for which a batch keeps the event loop. */
const BATCH_SLICE_MS = 20;

/** One writer and several readers on one file, each with its statement cache; `:memory:` has the writer only. */
export class ConnectionPool {
  readonly options: ConnectionPoolOptions;
  readonly writer: WriterQueue;
  readonly readers: ReaderPool | undefined;
  readonly checkpointer: Checkpointer | undefined;
  readonly settings = new SessionSettings();
  readonly holders = new Holders();
  /** The time to wait for another process's lock; `PRAGMA busy_timeout` sets it. */
  busyTimeoutMs: number;
  /** Whether temporary tables may exist: they live on the writer, so reads must go there too. */
  hasTemporaryTables = false;
  #closing: Promise<void> | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.options = options;
    this.busyTimeoutMs = options.busyTimeoutMs;
    const { acquireTimeoutMs, idleTimeoutMs, readers: max, isMemory, path, intMode } = options;
    const describeHolders = () => this.holders.describe();
    this.writer = new WriterQueue({
      open: () => this.#openWriter(),
      isMemory,
      acquireTimeoutMs,
      busyTimeoutMs: () => this.busyTimeoutMs,
      intMode,
      onCommit: () => this.checkpointer?.afterCommit(),
      describeHolder: describeHolders,
    });
    if (isMemory) return;
    const openReader = () => this.#openReader();
    this.readers = new ReaderPool({ max, acquireTimeoutMs, idleTimeoutMs, open: openReader, describeHolders });
    const { walBytes } = options.checkpoint;
    this.checkpointer = new Checkpointer({ path, walBytes, writer: this.writer, open: () => this.#open([]) });
  }

  /** Opens the writer at once where no waiting is needed, so that a bad path fails here and now. */
  openEagerly(): void {
    const connection = this.#open(this.#writerSetup());
    try {
      this.#enableWal(connection);
      this.writer.adopt(connection);
    } catch {
      // Busy, or damaged: the first call opens again, waits where waiting helps, and reports the rest.
      connection.close();
    }
  }

  /** Runs a read on the shared reader; on `:memory:`, and where temporary tables may be meant, on the writer. */
  read(statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> | ResultSet {
    if (this.readers === undefined || statement.readsWriterState || this.hasTemporaryTables) {
      const { connection } = this.writer;
      if (this.writer.isIdle && connection !== undefined)
        return connection.execute(statement, args, this.options.intMode);
      return this.writer.turn((writer) => writer.execute(statement, args, this.options.intMode));
    }
    // Nobody reads before the file is in WAL mode: a reader could keep it from getting there.
    if (this.writer.connection === undefined) return this.#openThenRead(statement, args);
    try {
      return this.readers.shared().execute(statement, args, this.options.intMode);
    } catch (error) {
      if (isBusy(error)) return this.#readWhileBusy(statement, args);
      if (primaryCode(error) !== READONLY) {
        this.writer.noteError(error);
        throw error;
      }
      // SQLite knows better than the text: this one writes.
      statement.kind = "write";
      return this.writer.execute(statement, args);
    }
  }

  /** Runs all statements in one read transaction, within this call. */
  readAll(statements: readonly { statement: ParsedStatement; args: readonly NativeValue[] }[]): ResultSet[] {
    const reader = this.readers!.shared();
    reader.exec("BEGIN");
    try {
      const results = statements.map(({ statement, args }, index) =>
        asBatchError(index, () => reader.execute(statement, args, this.options.intMode)),
      );
      reader.exec("COMMIT");
      return results;
    } finally {
      if (reader.inTransaction) reader.rollback();
    }
  }

  /**
   * Runs all statements on the writer in one transaction, and commits. The event loop gets a turn now and then.
   *
   * Rejects with LibsqlBatchError, and stores nothing, when one of them fails.
   */
  async writeAll(connection: Connection, statements: readonly StatementInput[]): Promise<ResultSet[]> {
    const bound = statements.map((input) => bindInput(input));
    await this.writer.lock(connection);
    try {
      const results: ResultSet[] = [];
      let sliceStart = performance.now();
      for (const [index, { statement, args }] of bound.entries()) {
        if (!connection.inTransaction) {
          throw new LibsqlBatchError("The transaction has been rolled back", index, "TRANSACTION_CLOSED");
        }
        results.push(asBatchError(index, () => connection.execute(statement, args, this.options.intMode)));
        if (index % 64 === 63 && performance.now() - sliceStart > BATCH_SLICE_MS) {
          await nextTurn();
          sliceStart = performance.now();
        }
      }
      connection.exec("COMMIT");
      this.writer.countCommit();
      this.noteTemporaryTables(
        connection,
        bound.some(({ statement }) => mayCreateTemporary(statement.sql)),
      );
      return results;
    } catch (error) {
      rollBackAfter(connection);
      throw error;
    }
  }

  /** Once a statement may have made a temporary table, looks whether it did. */
  noteTemporaryTables(connection: Connection, isLikely: boolean): void {
    if (!isLikely || this.hasTemporaryTables) return;
    this.hasTemporaryTables = connection.query("SELECT 1 FROM temp.sqlite_master LIMIT 1").length > 0;
  }

  /**
   * Checks out a connection, waiting in line up to `acquireTimeoutMs` (`ACQUIRE_TIMEOUT`).
   *
   * Who does not release it keeps everybody behind it waiting; the time-out's message says where it was taken.
   */
  async acquire(options: { readonly role?: ConnectionRole } = {}): Promise<Checkout> {
    const { role = "reader" } = options;
    if (role !== "reader" && role !== "writer") {
      throw new TypeError(`Expected \`role\` to be "reader" or "writer", got ${JSON.stringify(role)}`);
    }
    const trace = new Error("acquired");
    if (role === "writer" || this.readers === undefined) {
      return new Promise((resolve, reject) => {
        this.writer
          .turn((connection) => new Promise<void>((done) => resolve(this.#checkout("writer", connection, trace, done))))
          .catch(reject);
      });
    }
    await this.ready();
    const { readers } = this;
    const connection = await readers.acquire();
    return this.#checkout("reader", connection, trace, () => readers.release(connection));
  }

  /** Resolves once the file is open and in WAL mode. */
  ready(): Promise<void> | undefined {
    return this.writer.connection === undefined ? this.writer.turn(() => undefined) : undefined;
  }

  /** Runs `apply` on every open connection; later ones get the settings when they open. */
  applyEverywhere(writer: Connection, apply: (connection: Connection) => void): void {
    apply(writer);
    for (const connection of this.readers?.connections() ?? []) apply(connection);
  }

  stats(): { pool: PoolStats; statements: StatementCacheStats; writes: WriteStats } {
    const { writer, readers } = this;
    const writerConnection = writer.connection;
    const open = [...(readers?.connections() ?? []), ...(writerConnection === undefined ? [] : [writerConnection])];
    const writerActive = writer.isInTurn ? 1 : 0;
    const writerIdle = writerConnection === undefined ? 0 : 1 - writerActive;
    return {
      pool: {
        active: (readers?.activeCount ?? 0) + writerActive,
        idle: (readers?.idleCount ?? 0) + writerIdle,
        waiting: (readers?.waitingCount ?? 0) + writer.waitingCount,
        max: readers === undefined ? 1 : this.options.readers + 1,
        opened: (readers?.opened ?? 0) + writer.opened,
        destroyed: (readers?.destroyed ?? 0) + writer.destroyed,
      },
      statements: sumStatementStats(open.map((connection) => connection.statementStats)),
      writes: writer.stats(),
    };
  }

  /** Finishes what was accepted, moves the log into the file, and closes all connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { checkpointer } = this;
    this.readers?.close();
    if (checkpointer !== undefined && this.writer.connection !== undefined) {
      // Best effort: the log is as durable as the file.
      await this.writer.turn((connection) => checkpointer.runLast(connection)).catch(() => undefined);
    }
    await this.writer.close();
    checkpointer?.close();
  }

  #checkout(role: ConnectionRole, connection: Connection, trace: Error, giveBack: () => void): Checkout {
    const holder = this.holders.add(`a ${role}`, trace);
    let isReleased = false;
    const assertHeld = () => {
      if (isReleased) throw new LibsqlError(`This ${role} has been released`, "CONNECTION_RELEASED");
    };
    const { intMode } = this.options;
    return {
      role,
      execute: async (input, args) => {
        assertHeld();
        const bound = bindInput(typeof input === "string" && args !== undefined ? { sql: input, args } : input);
        if (role === "reader" || bound.statement.kind === "read") {
          return connection.execute(bound.statement, bound.args, intMode);
        }
        const [result] = await this.writeAll(connection, [input]);
        return result!;
      },
      batch: async (statements) => {
        assertHeld();
        if (role === "writer") return this.writeAll(connection, statements);
        return statements.map((input, index) => {
          const { statement, args } = bindInput(input);
          return asBatchError(index, () => connection.execute(statement, args, intMode));
        });
      },
      release: () => {
        assertHeld();
        isReleased = true;
        this.holders.remove(holder);
        giveBack();
      },
    };
  }

  async #openThenRead(statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    await this.ready();
    return this.read(statement, args);
  }

  /** Rare in WAL mode (recovery after a crash, the last close of another process): wait on a fresh connection. */
  #readWhileBusy(statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    const attempt = () => {
      this.readers!.discardShared();
      return this.readers!.shared().execute(statement, args, this.options.intMode);
    };
    return retryWhileBusy(attempt, this.busyTimeoutMs, () => this.writer.countBusyRetry());
  }

  #open(setup: readonly string[]): Connection {
    const { path, statementCacheSize, encryptionKey } = this.options;
    const options = { statementCacheSize, ...(encryptionKey === undefined ? {} : { encryptionKey }) };
    return Connection.open(path, options, setup);
  }

  #writerSetup(): string[] {
    const { durability, incrementalVacuum, path, isMemory } = this.options;
    const synchronous = `PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`;
    // After a commit that follows a reset, what the log holds beyond that commit is cut off.
    const setup = [synchronous, "PRAGMA wal_autocheckpoint = 0", "PRAGMA journal_size_limit = 0", CACHE_PAGES];
    const isNew =
      !isMemory && incrementalVacuum === true && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
    return isNew ? ["PRAGMA auto_vacuum = INCREMENTAL", ...setup] : setup;
  }

  #enableWal(connection: Connection): void {
    if (this.options.isMemory || connection.query("PRAGMA journal_mode")[0]?.[0] === "wal") return;
    try {
      connection.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      // A file that cannot be written can still be read.
      if (primaryCode(error) !== READONLY) throw error;
    }
  }

  async #openWriter(): Promise<Connection> {
    const open = () => {
      const connection = this.#open(this.#writerSetup());
      try {
        this.#enableWal(connection);
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    };
    const connection = await retryWhileBusy(open, this.busyTimeoutMs, () => this.writer.countBusyRetry());
    this.settings.applyTo(connection);
    return connection;
  }

  #openReader(): Connection {
    const connection = this.#open(["PRAGMA query_only = 1", "PRAGMA wal_autocheckpoint = 0", CACHE_PAGES]);
    this.settings.applyTo(connection);
    return connection;
  }
}

/** Reads any form of statement and checks its arguments. */
export function bindInput(input: StatementInput): { statement: ParsedStatement; args: readonly NativeValue[] } {
  const [sql, args] = typeof input === "string" ? [input] : Array.isArray(input) ? input : [input?.sql, input?.args];
  if (typeof sql !== "string") throw new TypeError(`Expected the SQL to be a string, got ${typeof sql}`);
  const statement = parseStatement(sql);
  if (statement.hasTail) {
    throw new LibsqlError(
      "The SQL holds more than one statement, of which only the first would run. Use executeMultiple or batch",
      "SQL_MANY_STATEMENTS",
    );
  }
  return { statement, args: bindArguments(statement, args) };
}

export function asBatchError<T>(index: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof LibsqlError) || error instanceof LibsqlBatchError) throw error;
    const message = error.message.startsWith(`${error.code}: `)
      ? error.message.slice(error.code.length + 2)
      : error.message;
    const cause = error.cause instanceof Error ? error.cause : error;
    throw new LibsqlBatchError(message, index, error.code, error.extendedCode, error.rawCode, cause);
  }
}

export function mayCreateTemporary(sql: string): boolean {
  return /\btemp(orary)?\b/i.test(sql);
}

/** Rolls back after a failure without hiding it; the queue destroys a connection that cannot. */
export function rollBackAfter(connection: Connection): void {
  try {
    connection.rollback();
  } catch {
    connection.isSuspect = true;
  }
}

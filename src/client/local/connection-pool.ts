import type { LibsqlError, ResultSet, TransactionMode } from "@libsql/client/sqlite3";
import { turnWhenDue } from "../../shared/event-loop.js";
import { InFlight } from "../../shared/in-flight.js";
import { expectKeys } from "../../shared/known-keys.js";
import { atCaller, type Trace, traceAbove } from "../caller-stack.js";
import { areCallsObserved } from "../diagnostics.js";
import type { BoundStatement, StatementInput } from "../sql/bound-statement.js";
import type { ParsedStatement } from "../sql/parse.js";
import { CANTOPEN, isBusy, primaryCode, READONLY } from "../sql/sqlite-error.js";
import type { StatementTrace } from "../statement-trace.js";
import { tracedAcquire } from "../traced-calls.js";
import { readAll, readAllOnWriter, writeAll } from "./batch.js";
import type { Checkout, ConnectionRole } from "./checkout.js";
import { Checkpointer, type CheckpointResult } from "./checkpointer.js";
import type { Connection } from "./connection.js";
import { ConnectionOpener, type ConnectionPoolOptions } from "./connection-opener.js";
import { Holds } from "./holds.js";
import { noteLost } from "./open-files.js";
import { notePool } from "./open-pools.js";
import { readOnlyError } from "./read-only.js";
import { ReaderPool } from "./reader-pool.js";
import { Session } from "./session.js";
import { SpecialStatements } from "./special-statements.js";
import { type StatementCacheStats, sumStatementStats } from "./statement-cache.js";
import type { Transaction } from "./transaction.js";
import { WriterQueue, type WriteStats } from "./writer-queue.js";

/** Figures of the connections. */
export interface PoolStats {
  /** Connections checked out now, by transactions or by `acquire`. */
  readonly active: number;
  /** Open connections that nothing uses. */
  readonly idle: number;
  /** Calls waiting for a connection or for a turn as writer. */
  readonly waiting: number;
  /** Most connections that the pool opens for statements: the readers and the writer. */
  readonly max: number;
  /** Connections opened, and destroyed because they were broken, since the start. */
  readonly opened: number;
  /** Connections destroyed because they were broken, since the start. */
  readonly destroyed: number;
}

/** One writer and several readers on one file, each with its statement cache; `:memory:` has the writer only. */
export class ConnectionPool {
  /** @internal */
  readonly options: ConnectionPoolOptions;
  readonly #session: Session;
  readonly #opener: ConnectionOpener;
  readonly #writer: WriterQueue;
  readonly #readers: ReaderPool | undefined;
  readonly #checkpointer: Checkpointer | undefined;
  readonly #special: SpecialStatements;
  readonly #holds: Holds;
  readonly #waitingReads = new InFlight();
  /** An erasure of the log that has not begun yet. */
  #erasing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  readonly #forget = notePool(this);
  /** Called before a connection is checked out; an error that it throws rejects the call. */
  guard: ((access: "read" | "write") => void) | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.options = options;
    const { acquireTimeoutMs, idleTimeoutMs, readers: max, isMemory, path, intMode } = options;
    const describeHolders = () => this.#holds.describe();
    const session = new Session(options, (bound, connection) => this.#spreadSetting(bound, connection));
    this.#session = session;
    this.#opener = new ConnectionOpener(options, session.settings, {
      afterCommit: () => this.#writer.countCommit(),
      onError: (error) => this.#writer.noteError(error),
    });
    this.#writer = new WriterQueue({
      open: () => this.#writer.whileBusy(() => this.#opener.openWriter()),
      isMemory,
      assertWritable: () => {
        if (options.readOnly !== false && !isMemory) throw readOnlyError(path);
      },
      acquireTimeoutMs,
      busyTimeoutMs: () => session.busyTimeoutMs,
      intMode,
      onCommit: () => this.#checkpointer?.afterCommit(),
      onDestroy: () => this.#checkpointer?.forgetLog(),
      onTemporary: (connection) => session.noteTemporaryTables(connection, true),
      describeHolder: describeHolders,
    });
    if (!isMemory) {
      const open = () => this.#opener.openReader();
      this.#readers = new ReaderPool({ max, acquireTimeoutMs, idleTimeoutMs, open, describeHolders });
      if (options.readOnly === false) {
        const { walBytes } = options.checkpoint;
        const isDurable = options.durability === "full";
        const openPlain = (setup: readonly string[]) => this.#opener.open(setup);
        this.#checkpointer = new Checkpointer({
          path,
          walBytes,
          isDurable,
          writer: this.#writer,
          identity: this.#opener.log!,
          open: openPlain,
        });
      }
    }
    this.#holds = new Holds(session, this.#writer, this.#readers);
    const assertInPlace = () => this.#opener.assertInPlace();
    this.#special = new SpecialStatements({
      session,
      writer: this.#writer,
      checkpointer: this.#checkpointer,
      assertInPlace,
    });
  }

  /** @internal Whether there may be temporary tables, which only the writer sees. */
  get hasTemporaryTables(): boolean {
    return this.#session.hasTemporaryTables;
  }

  /** @internal Opens the writer at once if that needs no waiting, so that a bad path fails here and now. */
  openEagerly(): void {
    const noteMade = this.#opener.claimFile();
    try {
      this.#writer.adopt(this.#opener.openWriter());
    } catch (error) {
      // Busy, or damaged: the first call opens again, waits if waiting helps, and reports other failures.
      if (primaryCode(error) === CANTOPEN) {
        this.#opener.releaseFile();
        throw error;
      }
    }
    noteMade();
  }

  /** @internal Puts a file that was opened with `keepsJournal` into WAL mode, and keeps it so from now on. */
  async enterWal(): Promise<void> {
    await this.turn((connection) => this.#writer.whileBusy(() => this.#opener.enterWal(connection)));
  }

  /** @internal Checks one statement, for `execute` or for more than one with `isWithin`. */
  bind(input: StatementInput, isWithin = false): BoundStatement {
    return isWithin ? this.#session.bindWithin(input) : this.#session.bind(input);
  }

  /** @internal Runs one statement in the way that its kind needs. */
  execute(bound: BoundStatement): Promise<ResultSet> | ResultSet {
    switch (bound.statement.kind) {
      case "read": {
        const due = turnWhenDue();
        return due === undefined ? this.#read(bound) : this.#readAfter(due, bound);
      }
      case "write":
        return this.#writer.execute(bound);
      default:
        return this.#special.run(bound);
    }
  }

  /** @internal Whether `scan` can run it on another thread. */
  canScan({ statement }: BoundStatement): boolean {
    return this.#readers !== undefined && !this.hasTemporaryTables && statement.kind === "read";
  }

  /** @internal Runs one SELECT that may take long on a separate reader and on another thread. */
  scan(bound: BoundStatement): Promise<ResultSet> {
    return this.#holds.scan(bound);
  }

  /** @internal Runs all statements in one transaction: on a reader if they only read, else on the writer. */
  async batch(statements: readonly BoundStatement[], mode: TransactionMode): Promise<ResultSet[]> {
    const isRead = mode === "read" || statements.every(({ statement }) => statement.kind === "read");
    const mayUseReader = isRead && this.#readers !== undefined && !this.hasTemporaryTables;
    if (mayUseReader && !statements.some(({ statement }) => statement.readsWriterState)) {
      try {
        return await this.#waitingReads.track(this.#readBatch(statements));
      } catch (error) {
        // A statement that looked like a read and writes: the writer can run it.
        if (mode === "read" || (error as LibsqlError).rawCode !== READONLY) throw error;
      }
    }
    return this.turn((connection) =>
      mode === "read" ? readAllOnWriter(this.#session, connection, statements) : this.#writeAll(connection, statements),
    );
  }

  /** @internal Runs all statements in one transaction with foreign keys off. */
  migrate(statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    return this.turn(async (connection) => {
      const enforced = connection.query("PRAGMA foreign_keys")[0]?.[0];
      connection.exec("PRAGMA foreign_keys = OFF");
      try {
        return await this.#writeAll(connection, statements);
      } finally {
        connection.exec(`PRAGMA foreign_keys = ${enforced}`);
      }
    });
  }

  /** @internal Runs the statements of a script on the writer. */
  script(statements: readonly ParsedStatement[], trace?: StatementTrace): Promise<void> {
    return this.#special.script(statements, trace);
  }

  /** @internal Begins a transaction: of mode `read` on a reader, otherwise on the writer. */
  begin(mode: TransactionMode, trace: Trace): Promise<Transaction> {
    return this.#holds.begin(mode, trace);
  }

  /** @internal Hands the writer to `use` for a turn; whatever `use` leaves open is rolled back. */
  turn<T>(use: (connection: Connection) => Promise<T> | T): Promise<T> {
    return this.#writer.turn(use);
  }

  /** @internal Takes the write lock in a turn, waiting for other processes up to `busyTimeoutMs`. */
  lock(connection: Connection): Promise<void> {
    return this.#writer.lock(connection);
  }

  /** @internal Takes the write lock in a turn if it is free. */
  tryLock(connection: Connection): boolean {
    return this.#writer.tryLock(connection);
  }

  /** @internal Looks for temporary tables after statements that may have created one. */
  noteTemporaryTables(connection: Connection, isLikely: boolean): void {
    this.#session.noteTemporaryTables(connection, isLikely);
  }

  /** @internal Moves the WAL into the database file now, waiting for the write lock up to `busyTimeoutMs`. */
  checkpoint(): Promise<CheckpointResult> {
    return this.#special.checkpoint();
  }

  /** @internal Removes deleted data from the WAL, now or as soon as possible; calls that wait for their turn share it. */
  async eraseLog(): Promise<void> {
    const checkpointer = this.#checkpointer;
    if (checkpointer === undefined || this.#closing !== undefined) return;
    this.#erasing ??= this.turn((connection) => {
      this.#erasing = undefined;
      return checkpointer.erase(connection);
    })
      .catch(() => checkpointer.eraseSoon())
      .finally(() => {
        this.#erasing = undefined;
      });
    await this.#erasing;
  }

  /** @internal The same, without waiting for it. */
  eraseLogSoon(): void {
    this.#checkpointer?.eraseSoon();
  }

  /** @internal Throws FILE_REPLACED if the file or its log has been removed or replaced since it was opened. */
  assertInPlace(): void {
    this.#checkpointer?.checkLog();
    this.#opener.assertInPlace();
  }

  /**
   * Checks out a connection, waiting in line up to `acquireTimeoutMs` (`ACQUIRE_TIMEOUT`).
   *
   * A connection that is not released blocks the callers that wait for it; the message of their timeout says where it
   * was taken.
   */
  async acquire(options: { readonly role?: ConnectionRole } = {}): Promise<Checkout> {
    expectKeys("acquire", options, ["role"]);
    const { role = "reader" } = options;
    if (role !== "reader" && role !== "writer") {
      throw new TypeError(`Expected \`role\` to be "reader" or "writer", got ${JSON.stringify(role)}`);
    }
    this.guard?.(role === "writer" ? "write" : "read");
    const trace = traceAbove(this.acquire);
    const acquire = () => this.#holds.acquire(role, trace);
    try {
      return await (areCallsObserved() ? tracedAcquire(role, acquire) : acquire());
    } catch (error) {
      throw atCaller(error, this.acquire);
    }
  }

  /** Figures of the connections, the statement caches and the commits. */
  stats(): { pool: PoolStats; statements: StatementCacheStats; writes: WriteStats } {
    const writer = this.#writer;
    const readers = this.#readers;
    const writerConnection = writer.connection;
    const open = [...(readers?.connections() ?? []), ...(writerConnection === undefined ? [] : [writerConnection])];
    const writerActive = this.#holds.isWriterHeld ? 1 : 0;
    const writerIdle = writerConnection === undefined ? 0 : 1 - writerActive;
    return {
      pool: {
        active: (readers?.activeCount ?? 0) + writerActive,
        idle: (readers?.idleCount ?? 0) + writerIdle,
        waiting: (readers?.waitingCount ?? 0) + writer.waitingCount,
        max: 1 + (readers === undefined ? 0 : readers.checkoutMax + 1),
        opened: (readers?.opened ?? 0) + writer.opened,
        destroyed: (readers?.destroyed ?? 0) + writer.destroyed,
      },
      statements: sumStatementStats([
        { ...this.#opener.closedStatements, size: 0 },
        ...open.map((connection) => connection.statementStats),
      ]),
      writes: writer.stats(),
    };
  }

  /** Rolls back open transactions, finishes running calls, moves the log into the file, and closes all. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const checkpointer = this.#checkpointer;
    this.#holds.close();
    this.#readers?.close();
    await this.#waitingReads.settled();
    if (checkpointer !== undefined && this.#writer.connection !== undefined) {
      // Best effort: the log is as durable as the file.
      await this.turn((connection) => checkpointer.runLast(connection)).catch(() => undefined);
    }
    // The last connection to close moves a lost log into the file, and only the writer is sure to have the right one.
    if (this.#opener.log?.isLost === true) {
      checkpointer?.close();
      noteLost(this.options.path);
    }
    await this.#writer.close();
    checkpointer?.close();
    // Calls that were running may have opened the shared reader again.
    this.#readers?.close();
    this.#opener.releaseFile();
    this.#forget();
  }

  /** Runs a read on the shared reader; in memory, and if temporary tables may be meant, on the writer. */
  #read(bound: BoundStatement): Promise<ResultSet> | ResultSet {
    const { statement, args, trace } = bound;
    const { intMode } = this.options;
    if (this.#readers === undefined || statement.readsWriterState || this.#session.hasTemporaryTables) {
      const { connection } = this.#writer;
      if (this.#writer.isIdle && connection !== undefined) return connection.execute(statement, args, intMode);
      return this.turn((writer) => {
        trace?.start();
        return writer.execute(statement, args, intMode);
      });
    }
    // No read runs before the file is in WAL mode: a reader could keep it from getting there.
    if (this.#writer.connection === undefined) return this.#readAfter(this.#writer.ready(), bound);
    try {
      return this.#readers.shared().execute(statement, args, intMode);
    } catch (error) {
      if (isBusy(error)) return this.#waitingReads.track(this.#readWhileBusy(bound));
      // SQLite knows better than the text: this one writes. (Its extended codes are about the file instead.)
      if ((error as LibsqlError).rawCode !== READONLY) throw error;
      return this.#writer.execute({ statement: this.#session.toWrite(statement), args, trace });
    }
  }

  /** The same, once `first` has resolved; closing waits for it. */
  #readAfter(first: Promise<void> | undefined, bound: BoundStatement): Promise<ResultSet> {
    const read = async () => {
      await first;
      bound.trace?.start();
      return this.#read(bound);
    };
    return this.#waitingReads.track(read());
  }

  /** Rare in WAL mode (recovery after a crash, the last close of another process): waits on a fresh connection. */
  #readWhileBusy({ statement, args, trace }: BoundStatement): Promise<ResultSet> {
    const readers = this.#readers!;
    return this.#writer.whileBusy(() => {
      readers.discardShared();
      trace?.start();
      return readers.shared().execute(statement, args, this.options.intMode);
    });
  }

  async #readBatch(statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    await this.#writer.ready();
    // All within one call, because the reader is shared; so only taking the snapshot may have to wait.
    return this.#writer.whileBusy(() => readAll(this.#session, this.#readers!.shared(), statements));
  }

  #writeAll(connection: Connection, statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    return writeAll(this.#session, this.#writer, connection, statements);
  }

  /** All other connections get a setting that `connection` has, or make way for new ones that have it. */
  #spreadSetting({ statement, args }: BoundStatement, connection: Connection): void {
    this.#readers?.retire(connection);
    if (connection === this.#writer.connection) return;
    const apply = (writer: Connection) => void writer.execute(statement, args, "bigint");
    // A writer that cannot take it now fails again, for its user to see, when it is opened the next time.
    this.#writer.turn(apply, { first: true }).catch(() => undefined);
  }
}

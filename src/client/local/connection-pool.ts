import { statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LibsqlBatchError, LibsqlError, type ResultSet } from "@libsql/client/sqlite3";
import { FileIdentity } from "../../files/file-identity.js";
import { createPrivately } from "../../files/new-file.js";
import { InFlight } from "../../shared/in-flight.js";
import { expectKeys } from "../../shared/known-keys.js";
import { Holders } from "../holders.js";
import type { ClientOptions } from "../options.js";
import {
  type BoundStatement,
  bindInput,
  isLongWrite,
  type StatementInput,
  toBatchError,
} from "../sql/bound-statement.js";
import type { ParsedStatement, Pragma } from "../sql/parse.js";
import { singleRow } from "../sql/rows.js";
import { CANTOPEN, isBusy, primaryCode, READONLY } from "../sql/sqlite-error.js";
import { type Checkout, type ConnectionRole, HeldConnection } from "./checkout.js";
import { Checkpointer } from "./checkpointer.js";
import { Connection, rollBackAfter } from "./connection.js";
import type { NativeValue } from "./native.js";
import { noteOpen } from "./open-files.js";
import { assertFile, explainReadOnly, type ReadOnly, readOnlyError, readOnlyOpening } from "./read-only.js";
import { ReaderPool } from "./reader-pool.js";
import { assertAllowedWithin, isSetting, SessionSettings } from "./session-settings.js";
import { type StatementCacheStats, sumStatementStats } from "./statement-cache.js";
import { SEES_FILL } from "./wal-file.js";
import { retryWhileBusy } from "./write-lock.js";
import { WriterQueue, type WriteStats } from "./writer-queue.js";

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

export interface ConnectionPoolOptions extends Omit<ClientOptions, "readOnly"> {
  readonly readOnly: ReadOnly | false;
  readonly path: string;
  readonly isMemory: boolean;
  readonly encryptionKey: string | undefined;
  /** Makes a file that is still empty give back its free pages step by step. */
  readonly incrementalVacuum?: boolean;
  /** Overwrites what is deleted with zeros. */
  readonly erasesDeleted?: boolean;
  /** Leaves the journal of a file as it is until `enterWal`, for a look that must change nothing. */
  readonly keepsJournal?: boolean;
}

/** Pages kept in memory, in KiB, as they are read: readers need many to search a large file. */
const WRITER_CACHE = "PRAGMA cache_size = -16000";
const READER_CACHE = "PRAGMA cache_size = -64000";
/** The first read chooses the snapshot: this makes one, so that what is committed from here on stays unseen. */
export const BEGIN_SNAPSHOT = "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1";
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
  /** The figures of connections that are closed. */
  #closedStatements: StatementCacheStats = sumStatementStats([]);
  #keepsJournal: boolean;
  readonly #file: FileIdentity | undefined;
  readonly #checkouts = new Set<HeldConnection>();
  readonly #waitingReads = new InFlight();
  /** Asked before a connection is checked out; what it throws rejects the call. */
  guard: ((access: "read" | "write") => void) | undefined;
  #closing: Promise<void> | undefined;
  #noteClosed: () => void = () => undefined;

  constructor(options: ConnectionPoolOptions) {
    this.options = options;
    this.busyTimeoutMs = options.busyTimeoutMs;
    this.#keepsJournal = options.keepsJournal === true;
    this.#file = options.isMemory ? undefined : new FileIdentity(options.path);
    const { acquireTimeoutMs, idleTimeoutMs, readers: max, isMemory, path, intMode } = options;
    const describeHolders = () => this.holders.describe();
    this.writer = new WriterQueue({
      open: () => this.#openWriter(),
      isMemory,
      assertWritable: () => {
        if (options.readOnly !== false && !isMemory) throw readOnlyError(path);
      },
      acquireTimeoutMs,
      busyTimeoutMs: () => this.busyTimeoutMs,
      intMode,
      onCommit: () => this.checkpointer?.afterCommit(),
      onTemporary: (connection) => this.noteTemporaryTables(connection, true),
      describeHolder: describeHolders,
    });
    if (isMemory) return;
    const openReader = () => this.#openReader();
    this.readers = new ReaderPool({ max, acquireTimeoutMs, idleTimeoutMs, open: openReader, describeHolders });
    if (options.readOnly !== false) return;
    const { walBytes } = options.checkpoint;
    const isDurable = options.durability === "full";
    const open = (setup: readonly string[]) => this.#open(setup);
    this.checkpointer = new Checkpointer({ path, walBytes, isDurable, writer: this.writer, open });
  }

  /** Opens the writer at once where no waiting is needed, so that a bad path fails here and now. */
  openEagerly(): void {
    const { isMemory, path, readOnly } = this.options;
    if (readOnly !== false && !isMemory) assertFile(path);
    const noteMade = isMemory || readOnly !== false ? () => undefined : createPrivately(path);
    if (!isMemory) this.#noteClosed = noteOpen(path);
    try {
      this.writer.adopt(this.#openWriterOnce());
    } catch (error) {
      // Busy, or damaged: the first call opens again, waits where waiting helps, and reports the rest.
      if (primaryCode(error) === CANTOPEN) {
        this.#noteClosed();
        throw error;
      }
    }
    noteMade();
  }

  /** Puts a file that was opened with `keepsJournal` into WAL mode, and has it so from now on. */
  async enterWal(): Promise<void> {
    this.#keepsJournal = false;
    const enter = (connection: Connection) =>
      retryWhileBusy(
        () => this.#enableWal(connection),
        this.busyTimeoutMs,
        () => this.writer.countBusyRetry(),
      );
    await this.writer.turn(enter);
  }

  /** Runs a read on the shared reader; on `:memory:`, and where temporary tables may be meant, on the writer. */
  read(bound: BoundStatement): Promise<ResultSet> | ResultSet {
    const { statement, args } = bound;
    if (this.readers === undefined || statement.readsWriterState || this.hasTemporaryTables) {
      const { connection } = this.writer;
      if (this.writer.isIdle && connection !== undefined)
        return connection.execute(statement, args, this.options.intMode);
      return this.writer.turn((writer) => writer.execute(statement, args, this.options.intMode));
    }
    // Nobody reads before the file is in WAL mode: a reader could keep it from getting there.
    if (this.writer.connection === undefined) return this.readAfter(this.ready(), bound);
    try {
      return this.readers.shared().execute(statement, args, this.options.intMode);
    } catch (error) {
      if (isBusy(error)) return this.#waitingReads.track(this.#readWhileBusy(statement, args));
      // SQLite knows better than the text: this one writes. (Its extended codes speak of the file instead.)
      if ((error as LibsqlError).rawCode !== READONLY) throw error;
      statement.kind = "write";
      return this.writer.execute(statement, args);
    }
  }

  /** The same, once `first` has resolved; closing waits for it. */
  readAfter(first: Promise<void> | undefined, bound: BoundStatement): Promise<ResultSet> {
    const read = async () => {
      await first;
      return this.read(bound);
    };
    return this.#waitingReads.track(read());
  }

  /** Runs all statements in one read transaction on the shared reader. */
  readAll(statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    return this.#waitingReads.track(this.#readAll(statements));
  }

  /**
   * Runs all statements on the writer in one transaction, and commits. The event loop gets a turn now and then.
   *
   * Rejects with LibsqlBatchError, and stores nothing, when one of them fails.
   */
  async writeAll(connection: Connection, statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    await this.writer.lock(connection);
    try {
      const results: ResultSet[] = [];
      let hasLong = false;
      let sliceStart = performance.now();
      for (const [index, bound] of statements.entries()) {
        if (isLongWrite(bound)) {
          hasLong = true;
          results.push(await this.#runLongInBatch(connection, bound, index));
        } else {
          results.push(this.#runInBatch(connection, bound, index));
        }
        if (index % 64 === 63 && performance.now() - sliceStart > BATCH_SLICE_MS) {
          await nextTurn();
          sliceStart = performance.now();
        }
      }
      if (hasLong) await connection.commitOffThread();
      else connection.commit();
      this.writer.countCommit();
      this.noteTemporaryTables(
        connection,
        statements.some(({ statement }) => statement.mayCreateTemporary),
      );
      return results;
    } catch (error) {
      rollBackAfter(connection);
      throw error;
    }
  }

  /** Runs all statements on `reader` in one read transaction, or in the one that its holder has begun. */
  readAllOn(reader: Connection, statements: readonly BoundStatement[]): ResultSet[] {
    const runAll = () => statements.map((bound, index) => this.#runInBatch(reader, bound, index));
    if (reader.inTransaction) return runAll();
    try {
      reader.exec(BEGIN_SNAPSHOT);
      const results = runAll();
      reader.exec("COMMIT");
      return results;
    } finally {
      rollBackAfter(reader);
    }
  }

  /** Runs all statements on the writer in one transaction that takes no writes. */
  readAllOnWriter(connection: Connection, statements: readonly BoundStatement[]): ResultSet[] {
    connection.exec("PRAGMA query_only = 1");
    try {
      connection.exec("BEGIN");
      const results = statements.map((bound, index) => this.#runInBatch(connection, bound, index));
      connection.exec("COMMIT");
      return results;
    } finally {
      rollBackAfter(connection);
      connection.exec("PRAGMA query_only = 0");
    }
  }

  /** Checks one statement for a connection that is held for more than this one. */
  bind(input: StatementInput): BoundStatement {
    const bound = bindInput(input);
    assertAllowedWithin(bound.statement, this.options.isMemory);
    this.assertMayAttach(bound.statement);
    return bound;
  }

  /** Throws on an ATTACH where files are only read: SQLite opens the other file for writing, and makes it. */
  assertMayAttach({ kind }: ParsedStatement): void {
    const { isMemory, path, readOnly } = this.options;
    if (kind !== "attach" || readOnly === false || isMemory) return;
    const reason = "ATTACH opens the other file for writing, and makes it where there is none";
    throw readOnlyError(path, `${reason}. Open it with a client for that file`);
  }

  /** Runs one statement on a connection that is held for more than this one. */
  run(connection: Connection, { statement, args }: BoundStatement): ResultSet {
    const { pragma } = statement;
    if (pragma?.name === "busy_timeout") return this.busyTimeout(pragma);
    const result = connection.execute(statement, args, this.options.intMode);
    // Inside of a transaction SQLite ignores it.
    if (pragma !== undefined && isSetting(pragma) && pragma.name !== "foreign_keys") {
      this.keepSetting(pragma.name, { statement, args }, connection);
    }
    return result;
  }

  /** Answers `PRAGMA busy_timeout`, which sets and tells how long the engine waits: SQLite's own would block. */
  busyTimeout({ value }: Pragma): ResultSet {
    if (value !== undefined) this.busyTimeoutMs = Math.max(0, Number(value) || 0);
    return singleRow(["timeout"], [this.busyTimeoutMs]);
  }

  /** Remembers a setting that was made on `connection`; all others get it, or make way for new ones that have it. */
  keepSetting(key: string, bound: BoundStatement, connection: Connection): void {
    this.settings.add(key, bound.statement, bound.args);
    this.retireReaders(connection);
    if (connection === this.writer.connection) return;
    const apply = (writer: Connection) => void writer.execute(bound.statement, bound.args, "bigint");
    // A writer that cannot take it now fails again, for its user to see, when it is opened the next time.
    this.writer.turn(apply, { first: true }).catch(() => undefined);
  }

  /** Replaces the readers that are open by ones with the present settings, those in use when they are released. */
  retireReaders(except?: Connection): void {
    this.readers?.retire(except);
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
    expectKeys("acquire", options, ["role"]);
    const { role = "reader" } = options;
    if (role !== "reader" && role !== "writer") {
      throw new TypeError(`Expected \`role\` to be "reader" or "writer", got ${JSON.stringify(role)}`);
    }
    this.guard?.(role === "writer" ? "write" : "read");
    const trace = new Error("acquired");
    if (role === "writer" || this.readers === undefined) {
      return new Promise((resolve, reject) => {
        this.writer
          .turn((connection) => {
            if (this.#closing !== undefined) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
            return new Promise<void>((done) => resolve(this.#checkout("writer", connection, trace, done)));
          })
          .catch(reject);
      });
    }
    await this.ready();
    const { readers } = this;
    const connection = await readers.acquire();
    return this.#checkout("reader", connection, trace, () => readers.release(connection));
  }

  #checkout(role: ConnectionRole, connection: Connection, trace: Error, giveBack: () => void): Checkout {
    const holder = this.holders.add(`a ${role}`, trace);
    const held: HeldConnection = new HeldConnection(this, role, connection, () => {
      this.holders.remove(holder);
      this.#checkouts.delete(held);
      giveBack();
    });
    this.#checkouts.add(held);
    return held;
  }

  /** Throws FILE_REPLACED if the file has been removed or replaced since it was opened. */
  assertInPlace(): void {
    this.#file?.assertInPlace();
  }

  /** Resolves once the file is open and in WAL mode. */
  ready(): Promise<void> | undefined {
    return this.writer.connection === undefined ? this.writer.turn(() => undefined) : undefined;
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
        max: 1 + (readers === undefined ? 0 : readers.checkoutMax + 1),
        opened: (readers?.opened ?? 0) + writer.opened,
        destroyed: (readers?.destroyed ?? 0) + writer.destroyed,
      },
      statements: sumStatementStats([
        { ...this.#closedStatements, size: 0 },
        ...open.map((connection) => connection.statementStats),
      ]),
      writes: writer.stats(),
    };
  }

  /** Finishes what was accepted, moves the log into the file, and closes all connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { checkpointer, readers, writer } = this;
    readers?.close();
    for (const held of [...this.#checkouts]) held.revoke();
    await this.#waitingReads.settled();
    if (checkpointer !== undefined && writer.connection !== undefined) {
      // Best effort: the log is as durable as the file.
      await writer.turn((connection) => checkpointer.runLast(connection)).catch(() => undefined);
    }
    await writer.close();
    checkpointer?.close();
    // Calls that were running may have opened the shared reader again.
    readers?.close();
    this.#noteClosed();
  }

  /** One statement of a transaction that is to run as a whole. */
  #runInBatch(connection: Connection, bound: BoundStatement, index: number): ResultSet {
    assertInBatch(connection, index);
    try {
      return this.run(connection, bound);
    } catch (error) {
      throw toBatchError(error, index);
    }
  }

  /** The same on another thread. */
  async #runLongInBatch(
    connection: Connection,
    { statement, args }: BoundStatement,
    index: number,
  ): Promise<ResultSet> {
    assertInBatch(connection, index);
    try {
      return await connection.executeOffThread(statement, args, this.options.intMode);
    } catch (error) {
      throw toBatchError(error, index);
    }
  }

  async #readAll(statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    await this.ready();
    // The whole within one call, since the reader is shared; so only taking the snapshot may have to wait.
    const attempt = () => this.readAllOn(this.readers!.shared(), statements);
    return retryWhileBusy(attempt, this.busyTimeoutMs, () => this.writer.countBusyRetry());
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
    const { path, statementCacheSize, encryptionKey, readOnly, isMemory } = this.options;
    const options = {
      statementCacheSize,
      subject: path,
      ...(encryptionKey === undefined ? {} : { encryptionKey }),
      beforeCommit: () => this.assertInPlace(),
      onError: (error: unknown) => this.writer.noteError(error),
      onClose: (stats: StatementCacheStats) => {
        this.#closedStatements = sumStatementStats([this.#closedStatements, stats]);
      },
    };
    const opening = readOnly === false || isMemory ? { name: path, setup: [] } : readOnlyOpening(path, readOnly);
    const open = () => Connection.open(opening.name, options, [...opening.setup, ...setup]);
    return this.#file === undefined ? open() : this.#file.open(open);
  }

  #writerSetup(): string[] {
    const { durability, incrementalVacuum, erasesDeleted, path, isMemory, checkpoint, readOnly } = this.options;
    if (readOnly !== false && !isMemory) return ["PRAGMA wal_autocheckpoint = 0", WRITER_CACHE];
    const synchronous = `PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`;
    // The log keeps the size at which it is emptied: writing over it costs less than growing it.
    const setup = [
      synchronous,
      "PRAGMA wal_autocheckpoint = 0",
      `PRAGMA journal_size_limit = ${SEES_FILL ? checkpoint.walBytes : 0}`,
      WRITER_CACHE,
    ];
    if (erasesDeleted === true) setup.push("PRAGMA secure_delete = ON");
    const isNew =
      !isMemory && incrementalVacuum === true && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
    return isNew ? ["PRAGMA auto_vacuum = INCREMENTAL", ...setup] : setup;
  }

  #enableWal(connection: Connection): void {
    if (
      this.options.isMemory ||
      this.#keepsJournal ||
      this.options.readOnly !== false ||
      connection.query("PRAGMA journal_mode")[0]?.[0] === "wal"
    )
      return;
    try {
      connection.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      // A file that cannot be written can still be read.
      if (primaryCode(error) !== READONLY) throw error;
    }
  }

  #openWriter(): Promise<Connection> {
    return retryWhileBusy(
      () => this.#openWriterOnce(),
      this.busyTimeoutMs,
      () => this.writer.countBusyRetry(),
    );
  }

  #openWriterOnce(): Connection {
    const { path, readOnly, isMemory } = this.options;
    if (readOnly !== false && !isMemory) {
      try {
        // The first read shows what opening does not.
        return this.#prepareOrClose(this.#open(this.#writerSetup()), (connection) => {
          connection.query("SELECT 1 FROM sqlite_schema LIMIT 1");
        });
      } catch (error) {
        throw explainReadOnly(error, path, readOnly);
      }
    }
    return this.#prepareOrClose(this.#open(this.#writerSetup()), (connection) => this.#enableWal(connection));
  }

  #openReader(): Connection {
    return this.#prepareOrClose(this.#open(["PRAGMA query_only = 1", "PRAGMA wal_autocheckpoint = 0", READER_CACHE]));
  }

  /** Makes the session's settings on a new connection; closes it if that fails. */
  #prepareOrClose(connection: Connection, prepare?: (connection: Connection) => void): Connection {
    try {
      prepare?.(connection);
      this.settings.applyTo(connection);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }
}

function assertInBatch(connection: Connection, index: number): void {
  if (connection.inTransaction) return;
  throw new LibsqlBatchError("The transaction has been rolled back", index, "TRANSACTION_CLOSED");
}

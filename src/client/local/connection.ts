import { setImmediate as nextTurn } from "node:timers/promises";
import type { IntMode, ResultSet } from "@libsql/client";
import { LruCache } from "../../shared/lru-cache.js";
import { quotesNoValue } from "../quoted-values.js";
import type { ParsedStatement } from "../sql/parse.js";
import { decodeRow, plainRows, type RowMaker, StatementResult, sharedRows } from "../sql/rows.js";
import {
  BUSY,
  lostWriteError,
  makesSuspect,
  primaryCode,
  READONLY,
  toFileError,
  toOpenError,
} from "../sql/sqlite-error.js";
import {
  execOffThread,
  type NativeDatabase,
  type NativeStatement,
  type NativeValue,
  type OffThreadStatement,
  openNative,
  prepare,
  prepareOffThread,
} from "./native.js";
import { prepareSingleRow } from "./single-row.js";
import {
  type CachedStatement,
  StatementCache,
  type StatementCacheStats,
  type StatementMethod,
} from "./statement-cache.js";

/** The call of a query that looks for a cheaper form of it: looking costs many times what the form saves a call. */
export const SINGLE_ROW_FROM = 20;
/** Statements kept for use off the thread: each holds its last arguments, which are long ones. */
const OFF_THREAD_STATEMENTS = 8;
const ROLLBACK = /rollback/i;
/** Preparing a statement uses the schema that the connection has last seen. Stepping one looks whether it has changed. */
export const READ_SCHEMA = "SELECT 1 FROM sqlite_schema LIMIT 1";

interface ConnectionOptions {
  readonly encryptionKey?: string;
  readonly statementCacheSize: number;
  /** Whether each row is made as the stock client makes it. @default false */
  readonly plainRows?: boolean;
  /** The file that errors name, if it is not the name that is opened. */
  readonly subject?: string | undefined;
  /** Called before each commit; an error that it throws prevents the commit. */
  readonly beforeCommit?: () => void;
  /** Called after each commit of `commit` and `commitOffThread`. */
  readonly afterCommit?: () => void;
  /** Called with every error that SQLite reports on this connection. */
  readonly onError?: (error: unknown) => void;
  /** Called with the figures of the statement cache when the connection closes. */
  readonly onClose?: (stats: StatementCacheStats) => void;
}

/**
 * One connection to a local database with its prepared statements. Every call but those `OffThread` is synchronous.
 *
 * Its users follow two rules: writes run inside a transaction begun by `exec`, so that no prepared statement ever
 * meets SQLITE_BUSY (it would stay in progress and block every later COMMIT), and nothing is called after `close`.
 */
export class Connection {
  readonly #database: NativeDatabase;
  readonly #statements: StatementCache;
  readonly #offThread = new LruCache<OffThreadStatement>({ max: OFF_THREAD_STATEMENTS });
  /**
   * Dropped by `close`, as all statements are. Until they are collected, the binding does not close the connection, and
   * SQLite does not move the log into the file and remove it, as it does when the last connection of a file closes.
   */
  #schemaVersion: NativeStatement | undefined;
  #changes: NativeStatement | undefined;
  #schemaRow: NativeStatement | undefined;
  readonly #options: ConnectionOptions;
  readonly #subject: string;
  #isClosed = false;
  #isStuck = false;
  /** Whether another database was ever attached. The version of the schema is that of the main database only. */
  #hasAttached = false;
  /** Counts what may have rolled back, errors too: another schema may then get a version that was seen before. */
  #rollbacks = 0;
  /** Whether an error since the last check makes its health doubtful. */
  isSuspect = false;
  /** Whether the session's settings have changed since it opened: it is then closed when its owner releases it. */
  isOutdated = false;
  /** Set by every use and cleared by the idle sweep, which closes connections that it finds cleared. */
  wasUsed = true;

  private constructor(database: NativeDatabase, options: ConnectionOptions, subject: string) {
    this.#database = database;
    this.#subject = subject;
    this.#options = options;
    this.#statements = new StatementCache({ max: options.statementCacheSize });
    this.#schemaVersion = database.prepare("PRAGMA schema_version").raw(true);
    this.#changes = database.prepare("SELECT changes(), last_insert_rowid()").raw(true).safeIntegers(true);
  }

  /** Opens `path` and applies `setup`; throws SQLITE_CANTOPEN, or the error of the setup. */
  static open(path: string, options: ConnectionOptions, setup: readonly string[]): Connection {
    let database: NativeDatabase;
    const { subject = path } = options;
    try {
      const { encryptionKey } = options;
      database = openNative(path, encryptionKey === undefined ? {} : { encryptionKey });
    } catch (error) {
      throw toOpenError(error, subject);
    }
    try {
      if (setup.length > 0) database.exec(setup.join("; "));
      return new Connection(database, options, subject);
    } catch (error) {
      // First: a lack of descriptors shows only as long as this connection has those that it got.
      const failure = toFileError(error, subject);
      database.close();
      options.onError?.(error);
      throw failure;
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get inTransaction(): boolean {
    // Asking a closed database aborts the process.
    return !this.#isClosed && this.#database.inTransaction;
  }

  get statementStats() {
    return this.#statements.stats();
  }

  /** Runs one statement with its checked arguments. After a throw, its prepared form is not used again. */
  execute(statement: ParsedStatement, args: readonly NativeValue[], intMode: IntMode): ResultSet {
    this.wasUsed = true;
    const { sql } = statement;
    if (statement.kind === "attach") this.#hasAttached = true;
    if (statement.kind.startsWith("rollback")) this.#rollbacks++;
    try {
      const cached = this.#statements.getOrPrepare(sql, () => this.#prepare(statement));
      if (cached.method === "run") return this.#run(cached.native, args);
      if (cached.method === "exec") {
        this.#database.exec(sql);
        return new StatementResult([], [], [], 0, undefined);
      }
      return this.#all(cached, statement, args, intMode);
    } catch (error) {
      this.#statements.delete(sql);
      if (primaryCode(error) === BUSY) this.#isStuck = true;
      throw this.#note(error);
    }
  }

  /** Runs a script, or the BEGIN and COMMIT around everything: SQLITE_BUSY from here leaves nothing in progress. */
  exec(sql: string): void {
    this.wasUsed = true;
    if (ROLLBACK.test(sql)) this.#rollbacks++;
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw this.#note(quotesNoValue(error));
    }
  }

  /** The same on another thread; the connection must not be touched until the promise settles. */
  async execOffThread(sql: string): Promise<void> {
    this.wasUsed = true;
    if (ROLLBACK.test(sql)) this.#rollbacks++;
    try {
      await execOffThread(this.#database, sql);
    } catch (error) {
      throw this.#note(quotesNoValue(error));
    }
  }

  /**
   * As `execute` for a read or a write, on another thread: see `execOffThread`. Only the way to the first row is off the
   * main thread, the others are stepped to on it: a query that sorts, and a write, are off it wholly.
   */
  async executeOffThread(
    { sql, kind }: ParsedStatement,
    args: readonly NativeValue[],
    intMode: IntMode,
  ): Promise<ResultSet> {
    this.wasUsed = true;
    try {
      if (!this.#offThread.has(sql)) this.#readSchema();
      const statement = this.#offThread.get(sql) ?? (await prepareOffThread(this.#database, sql));
      this.#offThread.set(sql, statement);
      const rows = (await statement.all(args)) as unknown[][];
      // The binding resolves promises in one turn of the event loop for as long as threads have results. A loop of
      // short queries would let no timer and no socket in between.
      await nextTurn();
      const columns = statement.columns();
      const names = columns.map(({ name }) => name);
      const makeRow = this.#rowMaker(names);
      const made = rows.map((row) => makeRow(decodeRow(row, intMode, names)));
      const types = columns.map(({ type }) => type ?? "");
      const { changes = 0, lastInsertRowid } = kind === "write" ? this.#readChanges() : {};
      return new StatementResult(names, types, made, changes, lastInsertRowid);
    } catch (error) {
      this.#offThread.delete(sql);
      if (primaryCode(error) === BUSY) this.#isStuck = true;
      throw this.#note(error);
    }
  }

  /** The rows of a query of the engine's own, as arrays with bigint integers; prepared afresh, never cached. */
  query(sql: string): unknown[][] {
    try {
      return this.#database.prepare(sql).raw(true).safeIntegers(true).all([]) as unknown[][];
    } catch (error) {
      if (primaryCode(error) === BUSY) this.#isStuck = true;
      throw this.#note(error);
    }
  }

  /** Commits a transaction that has written. If its file has been replaced, throws and leaves it open. */
  commit(): void {
    this.assertMayCommit();
    this.exec("COMMIT");
    this.#options.afterCommit?.();
  }

  /** The same on another thread: see `execOffThread`. */
  async commitOffThread(): Promise<void> {
    this.assertMayCommit();
    await this.execOffThread("COMMIT");
    this.#options.afterCommit?.();
  }

  /** Throws if a commit would be refused. */
  assertMayCommit(): void {
    this.#options.beforeCommit?.();
  }

  /** Drops the prepared statements: after a temporary table has hidden another, which no version of the schema tells. */
  forgetStatements(): void {
    this.#statements.clear();
  }

  /** Rolls back an open transaction. Throws if that fails: the connection must then be closed. */
  rollback(): void {
    if (this.inTransaction) this.exec("ROLLBACK");
  }

  /**
   * Whether it can go on: it can still read its file, and no prepared statement met SQLITE_BUSY, which leaves it in
   * progress and makes every later COMMIT fail. Clears the suspicion if so.
   */
  checkHealth(): boolean {
    if (this.#isStuck) return false;
    try {
      this.query(READ_SCHEMA);
      this.isSuspect = false;
      return true;
    } catch {
      // Whatever the error, the connection must be replaced.
      return false;
    }
  }

  /** Rolls back, drops the statements and closes. The binding releases the file once they are garbage-collected. */
  close(): void {
    if (this.#isClosed) return;
    try {
      this.rollback();
    } catch {
      // Closing rolls back as well, and an unusable connection is why one may be here.
    }
    this.#isClosed = true;
    this.#options.onClose?.(this.#statements.stats());
    this.#statements.clear();
    this.#offThread.clear();
    this.#schemaVersion = undefined;
    this.#changes = undefined;
    this.#schemaRow = undefined;
    this.#database.close();
  }

  #note(error: unknown): unknown {
    this.#rollbacks++;
    if (makesSuspect(error)) this.isSuspect = true;
    this.#options.onError?.(error);
    if ((error as { rawCode?: unknown }).rawCode === READONLY && !this.#isQueryOnly()) {
      const lost = lostWriteError(error, this.#subject);
      // Only a new connection opens the file again.
      if (lost !== undefined) this.isSuspect = this.#isStuck = true;
      return lost ?? toFileError(error, this.#subject);
    }
    return toFileError(error, this.#subject);
  }

  #isQueryOnly(): boolean {
    const [value] = this.#database.prepare("PRAGMA query_only").raw(true).get([]) as [number];
    return value !== 0;
  }

  #prepare({ sql, pragma, hasStar }: ParsedStatement): CachedStatement {
    // Read before preparing: a schema that changes in between then shows as changed. Only a `*` asks for it again.
    const known = { schemaVersion: hasStar ? this.#readSchemaVersion() : 0, rollbacks: this.#rollbacks };
    if (hasStar) this.#readSchema();
    const native = this.#prepareNative(sql);
    // `PRAGMA incremental_vacuum` steps once a page without having columns: `run` stops after the first of them.
    const method: StatementMethod = native.reader ? "all" : pragma === undefined ? "run" : "exec";
    if (method === "all") native.raw(true).safeIntegers(true);
    return { native, method, ...this.#describeColumns(native), ...known, uses: 0, singleRow: undefined };
  }

  /** Tries again with the schema of now: an INSERT without a list of columns does not compile with an older one. */
  #prepareNative(sql: string): NativeStatement {
    try {
      return this.#database.prepare(sql);
    } catch {
      this.#readSchema();
    }
    return prepare(this.#database, sql);
  }

  /**
   * Keeps its statement: the garbage collector frees a dropped one on the main thread, which waits there for a query of
   * the same connection that runs off it.
   */
  #readSchema(): void {
    const statement = this.#schemaRow ?? this.#database.prepare(READ_SCHEMA).raw(true);
    this.#schemaRow = undefined;
    statement.get([]);
    // Only here, since the state of one that threw is unknown.
    this.#schemaRow = statement;
  }

  #run(native: NativeStatement, args: readonly NativeValue[]): ResultSet {
    const { changes, lastInsertRowid } = native.run(args);
    // The binding gives the row id as a double.
    const rowid = Number.isSafeInteger(lastInsertRowid) ? BigInt(lastInsertRowid) : this.#readChanges().lastInsertRowid;
    return new StatementResult([], [], [], changes, rowid);
  }

  #all(cached: CachedStatement, statement: ParsedStatement, args: readonly NativeValue[], intMode: IntMode): ResultSet {
    const rows = this.#rows(cached, statement, args);
    // An EXPLAIN counts as in progress even after its last row, and then every later read of the connection keeps its
    // snapshot for good. Of all calls only `get` resets at its end.
    if (statement.isExplain) cached.native.get(args);
    const { makeRow } = cached;
    const made = new Array(rows.length);
    for (let index = 0; index < rows.length; index++)
      made[index] = makeRow(decodeRow(rows[index]!, intMode, cached.columns));
    const columns = [...cached.columns];
    if (statement.kind !== "write") return new StatementResult(columns, [...cached.columnTypes], made, 0, undefined);
    const { changes, lastInsertRowid } = this.#readChanges();
    return new StatementResult(columns, [...cached.columnTypes], made, changes, lastInsertRowid);
  }

  #rows(cached: CachedStatement, statement: ParsedStatement, args: readonly NativeValue[]): unknown[][] {
    if (statement.hasStar && this.#hasAttached) {
      const rows = cached.native.all(args) as unknown[][];
      Object.assign(cached, this.#describeColumns(cached.native));
      return rows;
    }
    if (cached.uses < SINGLE_ROW_FROM && ++cached.uses === SINGLE_ROW_FROM && statement.kind === "read") {
      cached.singleRow = this.#prepareSingleRow(cached, statement);
    }
    if (cached.singleRow !== undefined) {
      const row = cached.singleRow.get(args) as unknown[] | undefined;
      if (row === undefined && (!statement.hasStar || this.#isUpToDate(cached))) return [];
      if (row?.pop() === null) return [row];
      // The key is not unique any more, or the table may have other columns.
      cached.singleRow = undefined;
      cached.uses = 0;
    }
    const rows = cached.native.all(args) as unknown[][];
    // The names behind a `*` follow the schema, and are up to date only after the statement has stepped. (Without a
    // `*` only declared types can change, when the table is rebuilt: not worth a third of the time of a small query.)
    return statement.hasStar ? this.#withColumns(cached, statement, args, rows) : rows;
  }

  /** For a `*`, only while the columns are known to be those of the table that the form compares with. */
  #prepareSingleRow(cached: CachedStatement, { sql, hasStar }: ParsedStatement): NativeStatement | undefined {
    const form = prepareSingleRow(this.#database, sql);
    return hasStar && !this.#isUpToDate(cached) ? undefined : form;
  }

  /** The rows of a `*`, with their columns in `cached`. Another process may change the schema between two calls of this. */
  #withColumns(
    cached: CachedStatement,
    { kind }: ParsedStatement,
    args: readonly NativeValue[],
    rows: unknown[][],
  ): unknown[][] {
    let current = rows;
    while (!this.#isUpToDate(cached)) {
      const known = { schemaVersion: this.#readSchemaVersion(), rollbacks: this.#rollbacks };
      const mayChange = kind === "read" && !this.inTransaction;
      if (mayChange) current = cached.native.all(args) as unknown[][];
      Object.assign(cached, this.#describeColumns(cached.native), known);
      if (!mayChange) break;
    }
    return current;
  }

  #isUpToDate({ schemaVersion, rollbacks }: CachedStatement): boolean {
    return rollbacks === this.#rollbacks && this.#readSchemaVersion() === schemaVersion;
  }

  #describeColumns(native: NativeStatement): Pick<CachedStatement, "columns" | "columnTypes" | "makeRow"> {
    const described = native.columns();
    const columns = described.map((column) => column.name);
    return { columns, columnTypes: described.map((column) => column.type ?? ""), makeRow: this.#rowMaker(columns) };
  }

  #rowMaker(columns: readonly string[]): RowMaker {
    return this.#options.plainRows === true ? plainRows(columns) : sharedRows(columns);
  }

  #readSchemaVersion(): number {
    return (this.#schemaVersion!.get([]) as [number])[0];
  }

  #readChanges(): { changes: number; lastInsertRowid: bigint } {
    const [changes, lastInsertRowid] = this.#changes!.get([]) as [bigint, bigint];
    return { changes: Number(changes), lastInsertRowid };
  }
}

/** Rolls back after a failure without hiding it; the queue destroys a connection that cannot. */
export function rollBackAfter(connection: Connection): void {
  try {
    connection.rollback();
  } catch {
    connection.isSuspect = true;
  }
}

import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { atCaller, traceAbove } from "../caller-stack.js";
import { areCallsObserved } from "../diagnostics.js";
import {
  assertNoCommit,
  type BoundStatement,
  bindEach,
  expectMode,
  expectSql,
  expectStatements,
  type StatementInput,
} from "../sql/bound-statement.js";
import { parseStatement, splitScript } from "../sql/parse.js";
import type { StatementTrace } from "../statement-trace.js";
import type { Access, ClientStats, LocalDatabase } from "../storage-client.js";
import { tracedBatch, tracedBegin, tracedStatement } from "../traced-calls.js";
import type { CheckpointResult } from "./checkpointer.js";
import type { ConnectionPoolOptions } from "./connection-opener.js";
import { ConnectionPool } from "./connection-pool.js";
import { assertAllowed } from "./session-settings.js";
import type { Transaction } from "./transaction.js";

/** A client for a local file or `:memory:`, with a pool of connections. */
export class LocalClient implements LocalDatabase {
  readonly protocol = "file";
  #options: ConnectionPoolOptions;
  #pool: ConnectionPool;
  #isClosed = false;
  /** Counts calls of `close` and `reconnect`: the last one decides. */
  #lifeCycle = 0;
  /** Called before each call; an error that it throws rejects the call. */
  guard: ((access: Access) => void) | undefined;
  /** Why this client refuses every write, if it does. */
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

  get refusesWrites(): boolean {
    const { readOnly, isMemory } = this.#options;
    return this.readOnlyBecause !== undefined || (readOnly !== false && !isMemory);
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  stats(): ClientStats {
    return this.#pool.stats();
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    this.#assertOpen();
    const bound = this.#pool.bind(typeof input === "string" && args !== undefined ? { sql: input, args } : input);
    const isRead = bound.statement.kind === "read";
    this.#admit(isRead ? "read" : "write");
    try {
      return await (areCallsObserved() ? this.#executeTraced(bound, isRead) : this.#pool.execute(bound));
    } catch (error) {
      throw atCaller(error, this.execute);
    }
  }

  /** Not a part of `execute`: a function that captures variables would slow down every call. */
  #executeTraced(bound: BoundStatement, isRead: boolean): Promise<ResultSet> {
    const traits = { role: isRead ? "reader" : "writer", isImmediate: isRead } as const;
    return tracedStatement(bound.statement.sql, traits, (trace) => this.#pool.execute({ ...bound, trace }));
  }

  /**
   * As `execute` for one SELECT that may take long: on another thread and a separate reader, so that the event loop
   * and all other reads continue. In memory, where there is only one connection, it is `execute`.
   */
  async scan(input: StatementInput): Promise<ResultSet> {
    this.#assertOpen();
    const bound = this.#pool.bind(input, true);
    if (!this.#pool.canScan(bound)) return this.execute(input as InStatement);
    this.#admit("read");
    const scan = (trace?: StatementTrace) => this.#pool.scan({ ...bound, trace });
    try {
      return await (areCallsObserved() ? tracedStatement(bound.statement.sql, { role: "reader" }, scan) : scan());
    } catch (error) {
      throw atCaller(error, this.scan);
    }
  }

  async batch(inputs: StatementInput[], mode: TransactionMode = "deferred"): Promise<ResultSet[]> {
    this.#assertOpen();
    expectMode(mode);
    expectStatements(inputs);
    const pool = this.#pool;
    const bound = bindEach(inputs, (input) => assertNoCommit(pool.bind(input, true)));
    const isRead = mode === "read" || bound.every(({ statement }) => statement.kind === "read");
    this.#admit(isRead ? "read" : "write");
    const run = (all: readonly BoundStatement[]) => pool.batch(all, mode);
    try {
      return await (areCallsObserved() ? tracedBatch(bound, { role: isRead ? "reader" : "writer" }, run) : run(bound));
    } catch (error) {
      throw atCaller(error, this.batch);
    }
  }

  async migrate(inputs: InStatement[]): Promise<ResultSet[]> {
    this.#assertOpen();
    this.#admit("write");
    expectStatements(inputs);
    const bound = bindEach(inputs, (input) => this.#pool.bind(input, true));
    const run = (all: readonly BoundStatement[]) => this.#pool.migrate(all);
    try {
      return await (areCallsObserved() ? tracedBatch(bound, { role: "writer" }, run) : run(bound));
    } catch (error) {
      throw atCaller(error, this.migrate);
    }
  }

  async transaction(mode: TransactionMode = "write"): Promise<Transaction> {
    this.#assertOpen();
    expectMode(mode);
    this.#admit(mode === "read" ? "read" : "write");
    const trace = traceAbove(this.transaction);
    const begin = () => this.#pool.begin(mode, trace);
    try {
      return await (areCallsObserved() ? tracedBegin(mode === "read" ? "reader" : "writer", begin) : begin());
    } catch (error) {
      throw atCaller(error, this.transaction);
    }
  }

  async executeMultiple(sql: string): Promise<void> {
    this.#assertOpen();
    this.#admit("write");
    expectSql(sql);
    const script = splitScript(sql).map((part) => parseStatement(part.sql));
    for (const statement of script) assertAllowed(statement, this.#options.isMemory);
    const run = (trace?: StatementTrace) => this.#pool.script(script, trace);
    try {
      await (areCallsObserved() ? tracedStatement(sql, { role: "writer" }, run) : run());
    } catch (error) {
      throw atCaller(error, this.executeMultiple);
    }
  }

  /** Moves the WAL into the database file now, waiting for the write lock up to `busyTimeoutMs`. */
  async checkpoint(): Promise<CheckpointResult> {
    this.#assertOpen();
    this.#admit("write");
    try {
      return await this.#pool.checkpoint();
    } catch (error) {
      throw atCaller(error, this.checkpoint);
    }
  }

  eraseLog(): Promise<void> {
    return this.#pool.eraseLog();
  }

  eraseLogSoon(): void {
    this.#pool.eraseLogSoon();
  }

  async sync(): Promise<Replicated> {
    this.#assertOpen();
    throw new LibsqlError("sync() needs an embedded replica: open the client with `syncUrl`", "SYNC_NOT_SUPPORTED");
  }

  assertInPlace(): void {
    if (!this.#isClosed) this.#pool.assertInPlace();
  }

  /** Puts a file that was opened with `keepsJournal` into WAL mode. */
  async enterWal(): Promise<void> {
    this.#options = { ...this.#options, keepsJournal: false };
    await this.#pool.enterWal();
  }

  /** Closes, then opens again; an in-memory database starts empty. If `close` is called in the meantime, it stays closed. */
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
    await this.#pool.close();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
  }

  /** Throws SQLITE_READONLY if every write is refused. */
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
}

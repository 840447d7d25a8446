import { type IntMode, LibsqlError, type ResultSet } from "@libsql/client/sqlite3";
import { FILE_REPLACED } from "../../files/file-identity.js";
import { turnWhenDue } from "../../shared/event-loop.js";
import { Fifo } from "../../shared/fifo.js";
import { MAX_TIMER_MS, type Timer } from "../../shared/timers.js";
import { isLongWrite } from "../sql/bound-statement.js";
import type { ParsedStatement } from "../sql/parse.js";
import { isBusy, showsDamage } from "../sql/sqlite-error.js";
import type { Connection } from "./connection.js";
import type { NativeValue } from "./native.js";
import { retryWhileBusy, tryBeginImmediate } from "./write-lock.js";

/** Longest time one group of writes keeps the event loop before it commits. */
const GROUP_BUDGET_MS = 10;
const BUDGET_CHECK_EVERY = 16;

interface WriterQueueOptions {
  /** Opens the writer connection, waiting for other processes where it must. */
  readonly open: () => Promise<Connection>;
  /** A connection that must survive, since the database lives in it. */
  readonly isMemory: boolean;
  /** Throws where the file was opened to be read only. */
  readonly assertWritable: () => void;
  readonly acquireTimeoutMs: number;
  readonly busyTimeoutMs: () => number;
  readonly intMode: IntMode;
  /** Told after each commit, with the writer still in its turn. */
  readonly onCommit: () => void;
  /** Told when a committed statement may have made a temporary table. */
  readonly onTemporary: (connection: Connection) => void;
  /** What to say of the present holder when a waiter gives up. */
  readonly describeHolder: () => string;
}

export interface WriteStats {
  /** Transactions committed by the engine. */
  readonly commits: number;
  /** Statements that shared their commit with others. */
  readonly grouped: number;
  /** Attempts to take the write lock that found another connection holding it. */
  readonly busyRetries: number;
}

interface StatementTask {
  readonly kind: "statement";
  readonly statement: ParsedStatement;
  readonly args: readonly NativeValue[];
  readonly resolve: (result: ResultSet) => void;
  readonly reject: (error: unknown) => void;
  readonly enqueuedAt: number;
  /** Set after it shared a transaction that was taken down: then it gets one of its own. */
  isAlone: boolean;
}

interface TurnTask {
  readonly kind: "turn";
  readonly run: (connection: Connection) => Promise<void>;
  readonly reject: (error: unknown) => void;
  readonly enqueuedAt: number;
}

type Task = StatementTask | TurnTask;

/**
 * The writer connection and the line in front of it, first come, first served.
 *
 * Single statements that wait together share one transaction (group commit): each keeps its own result or error,
 * and is answered only after COMMIT. Everything longer has the connection to itself for a turn.
 */
export class WriterQueue {
  readonly #options: WriterQueueOptions;
  readonly #tasks = new Fifo<Task>();
  #connection: Connection | undefined;
  #isRunning = false;
  #isInTurn = false;
  #isClosed = false;
  #damage: LibsqlError | undefined;
  #timer: Timer | undefined;
  #onDrained: (() => void) | undefined;
  #commits = 0;
  #grouped = 0;
  #busyRetries = 0;
  #opened = 0;
  #destroyed = 0;

  constructor(options: WriterQueueOptions) {
    this.#options = options;
  }

  /** Whether nothing runs or waits, so that a caller may use `connection` within this very call. */
  get isIdle(): boolean {
    return !this.#isRunning && this.#connection !== undefined && !this.#connection.isClosed;
  }

  /** The open connection, if there is one; to be used only while `isIdle`, or in a turn. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  get isInTurn(): boolean {
    return this.#isInTurn;
  }

  get waitingCount(): number {
    return this.#tasks.size;
  }

  get opened(): number {
    return this.#opened;
  }

  get destroyed(): number {
    return this.#destroyed;
  }

  stats(): WriteStats {
    return { commits: this.#commits, grouped: this.#grouped, busyRetries: this.#busyRetries };
  }

  countCommit(): void {
    this.#commits++;
    this.#options.onCommit();
  }

  /** Resolves once the connection is open; undefined if it is. */
  ready(): Promise<void> | undefined {
    return this.#connection === undefined ? this.turn(() => undefined) : undefined;
  }

  /** Gives the writer a connection that is open already. */
  adopt(connection: Connection): void {
    this.#connection = connection;
    this.#opened++;
  }

  /** Runs one statement in a transaction of the engine's; resolves once it is committed. */
  execute(statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    if (isLongWrite({ statement, args })) return this.turn((connection) => this.#runLong(connection, statement, args));
    return new Promise((resolve, reject) => {
      const enqueuedAt = performance.now();
      this.#enqueue({ kind: "statement", statement, args, resolve, reject, enqueuedAt, isAlone: false });
    });
  }

  /**
   * Hands the connection to `use` for a turn that lasts until its promise settles; what it leaves open is rolled
   * back. With `first`, the turn is the next one, before everybody who waits.
   */
  turn<T>(use: (connection: Connection) => Promise<T> | T, options: { readonly first?: boolean } = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = async (connection: Connection) => {
        try {
          resolve(await use(connection));
        } catch (error) {
          reject(error);
        }
      };
      this.#enqueue({ kind: "turn", run, reject, enqueuedAt: performance.now() }, options.first);
    });
  }

  /** Takes the write lock for a turn, waiting for other processes. */
  async lock(connection: Connection): Promise<void> {
    this.assertSound();
    await this.whileBusy(() => connection.exec("BEGIN IMMEDIATE"));
  }

  /** Takes the write lock for a turn if it is free. */
  tryLock(connection: Connection): boolean {
    this.assertSound();
    if (tryBeginImmediate(connection)) return true;
    this.#busyRetries++;
    return false;
  }

  /** Runs `attempt` again while another process holds a lock, up to the pool's `busyTimeoutMs`. */
  whileBusy<T>(attempt: () => T | Promise<T>): Promise<T> {
    return retryWhileBusy(attempt, this.#options.busyTimeoutMs(), () => this.#busyRetries++);
  }

  /** Throws once damage has been seen in the file: writing to it could destroy what can still be saved. */
  assertSound(): void {
    this.#options.assertWritable();
    if (this.#damage !== undefined) throw this.#damage;
  }

  noteError(error: unknown): void {
    if (!showsDamage(error) || this.#damage !== undefined) return;
    this.#damage = new LibsqlError(
      "The database file is damaged, so nothing more is written to it. Copy the file with its -wal, then restore a backup, or save what can be read with `holdfast salvage`",
      "SQLITE_CORRUPT",
      "SQLITE_CORRUPT",
      11,
      error as Error,
    );
  }

  /** Refuses new work, finishes what was accepted, and closes the connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isRunning)
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
    this.#connection?.close();
    this.#connection = undefined;
  }

  #enqueue(task: Task, first = false): void {
    if (this.#isClosed) {
      task.reject(new LibsqlError("The client is closed", "CLIENT_CLOSED"));
      return;
    }
    if (first) this.#tasks.unshift(task);
    else this.#tasks.push(task);
    if (this.#isRunning) {
      this.#armTimer();
      return;
    }
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    // One microtask later, all that is asked for in this turn of the event loop has come and can share a commit.
    await undefined;
    for (let task = this.#tasks.peek(); task !== undefined; task = this.#tasks.peek()) {
      const due = turnWhenDue();
      if (due !== undefined) {
        // Whoever waits longest may have given up meanwhile.
        await due;
        continue;
      }
      const connection = this.#connection ?? (await this.#open(task));
      if (connection === undefined) continue;
      if (task.kind === "turn") await this.#runTurn(connection);
      else await this.#runGroup(connection, task);
    }
    this.#isRunning = false;
    this.#disarmTimer();
    this.#onDrained?.();
  }

  async #open(first: Task): Promise<Connection | undefined> {
    try {
      this.#connection = await this.#options.open();
      this.#opened++;
      return this.#connection;
    } catch (error) {
      this.#tasks.remove(first);
      first.reject(error);
      return undefined;
    }
  }

  async #runTurn(connection: Connection): Promise<void> {
    const task = this.#tasks.shift() as TurnTask;
    this.#isInTurn = true;
    // Left armed for nobody, it would keep the process alive behind a turn that is never given back.
    if (this.#tasks.size === 0) this.#disarmTimer();
    this.#armTimer();
    await task.run(connection);
    this.#isInTurn = false;
    this.#settle(connection);
  }

  /** After a turn or a failure: nothing may stay open, and a connection that is not well is replaced. */
  #settle(connection: Connection): void {
    if (this.#options.isMemory) {
      try {
        connection.rollback();
      } catch {
        // Nothing else can be done for a database that lives in its only connection.
      }
      return;
    }
    try {
      connection.rollback();
      if (!connection.isClosed && (!connection.isSuspect || connection.checkHealth())) return;
    } catch {
      // A connection that cannot roll back is destroyed below, which rolls back.
    }
    this.#destroyed++;
    connection.close();
    this.#connection = undefined;
  }

  async #runGroup(connection: Connection, head: StatementTask): Promise<void> {
    try {
      if (!this.tryLock(connection)) {
        this.#armTimer();
        await this.lock(connection);
      }
    } catch (error) {
      // Only the one whose turn it was gives up; those behind it get their own time to wait.
      this.#tasks.remove(head);
      head.reject(error);
      if (!isBusy(error)) this.#settle(connection);
      return;
    }
    this.#commitGroup(connection);
  }

  /** One statement in its own transaction, on another thread. */
  async #runLong(connection: Connection, statement: ParsedStatement, args: readonly NativeValue[]): Promise<ResultSet> {
    await this.lock(connection);
    const result = await connection.executeOffThread(statement, args, this.#options.intMode);
    await connection.commitOffThread();
    if (statement.mayCreateTemporary) this.#options.onTemporary(connection);
    return result;
  }

  /** Runs the statements at the head of the line, for as long as the event loop can wait, and commits. */
  #commitGroup(connection: Connection): void {
    const start = performance.now();
    const stored: { task: StatementTask; result: ResultSet }[] = [];
    const failed: { task: StatementTask; error: unknown }[] = [];
    for (let task = this.#tasks.peek(); task?.kind === "statement"; task = this.#tasks.peek()) {
      if (task.isAlone && stored.length > 0) break;
      this.#tasks.shift();
      try {
        stored.push({ task, result: connection.execute(task.statement, task.args, this.#options.intMode) });
      } catch (error) {
        failed.push({ task, error });
        // A result that cannot be decoded comes after the write: only a rollback makes the rejection true.
        if (!connection.inTransaction || error instanceof RangeError) {
          this.#takeDown(connection, stored, failed);
          return;
        }
      }
      if (task.isAlone) break;
      if (stored.length % BUDGET_CHECK_EVERY === 0 && performance.now() - start > GROUP_BUDGET_MS) break;
    }
    try {
      connection.commit();
    } catch (error) {
      // None of them can be stored any more, in whatever company.
      if ((error as LibsqlError).code === FILE_REPLACED) {
        failed.push(...stored.splice(0).map(({ task }) => ({ task, error })));
      }
      if (stored.length === 1) failed.push({ task: stored.pop()!.task, error });
      this.#takeDown(connection, stored, failed);
      return;
    }
    if (stored.length > 1) this.#grouped += stored.length;
    if (stored.some(({ task }) => task.statement.mayCreateTemporary)) this.#options.onTemporary(connection);
    for (const { task, error } of failed) task.reject(error);
    for (const { task, result } of stored) task.resolve(result);
    // What SQLite opened for reading only, or what has met a fault of the disk, makes way for a new one.
    if (connection.isSuspect) this.#settle(connection);
  }

  /** The shared transaction is gone: whoever caused it is rejected, the others run again, each by itself. */
  #takeDown(
    connection: Connection,
    stored: readonly { task: StatementTask }[],
    failed: readonly { task: StatementTask; error: unknown }[],
  ): void {
    this.#settle(connection);
    for (const { task, error } of failed) task.reject(error);
    for (const { task } of stored.toReversed()) {
      task.isAlone = true;
      this.#tasks.unshift(task);
    }
  }

  /** One timer, for the one who has waited longest; it is moved on only when it fires. */
  #armTimer(): void {
    const { acquireTimeoutMs } = this.#options;
    const oldest = this.#tasks.peek(this.#firstWaiting);
    if (this.#timer !== undefined || oldest === undefined || acquireTimeoutMs === Number.POSITIVE_INFINITY) return;
    const left = oldest.enqueuedAt + acquireTimeoutMs - performance.now();
    this.#timer = setTimeout(() => this.#rejectExpired(), Math.min(Math.max(left, 1), MAX_TIMER_MS));
  }

  #disarmTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Outside of a turn, the head of the line has its own already: it waits for another process, with a time of its own. */
  get #firstWaiting(): number {
    return this.#isInTurn ? 0 : 1;
  }

  #rejectExpired(): void {
    this.#timer = undefined;
    const { acquireTimeoutMs } = this.#options;
    const now = performance.now();
    const from = this.#firstWaiting;
    const expired = this.#tasks.takeWhere((task, index) => index >= from && now - task.enqueuedAt >= acquireTimeoutMs);
    for (const task of expired) {
      task.reject(
        new LibsqlError(
          `Waited ${acquireTimeoutMs} ms for a turn as writer${this.#options.describeHolder()}`,
          "ACQUIRE_TIMEOUT",
        ),
      );
    }
    this.#armTimer();
  }
}

import { type IntMode, LibsqlError, type ResultSet } from "@libsql/client/sqlite3";
import { FILE_REPLACED } from "../../files/file-identity.js";
import { turnWhenDue } from "../../shared/event-loop.js";
import { Fifo } from "../../shared/fifo.js";
import { MAX_TIMER_MS, type Timer } from "../../shared/timers.js";
import { type BoundStatement, isLongWrite } from "../sql/bound-statement.js";
import { isBusy, showsDamage } from "../sql/sqlite-error.js";
import type { Connection } from "./connection.js";
import { retryWhileBusy, tryBeginImmediate } from "./write-lock.js";
import { rowsAtHead, type StatementTask, storeRows, type Task, type TurnTask } from "./writer-tasks.js";

/** Longest time one group of writes keeps the event loop before it commits. */
const GROUP_BUDGET_MS = 10;
const BUDGET_CHECK_EVERY = 16;

interface WriterQueueOptions {
  /** Opens the writer connection, waiting for other processes where it must. */
  readonly open: () => Promise<Connection>;
  /** A connection that must survive, since the database lives in it. */
  readonly isMemory: boolean;
  /** Throws if the file was opened with `readOnly`. */
  readonly assertWritable: () => void;
  readonly acquireTimeoutMs: number;
  readonly busyTimeoutMs: () => number;
  readonly intMode: IntMode;
  /** Called after each commit, with the writer still in its turn. */
  readonly onCommit: () => void;
  /** Called before the connection is destroyed because it is broken. */
  readonly onDestroy: () => void;
  /** Called when a committed statement may have created a temporary table. */
  readonly onTemporary: (connection: Connection) => void;
  /** Describes the current holder, for the error of a waiter that times out. */
  readonly describeHolder: () => string;
}

/** Figures of the writer. */
export interface WriteStats {
  /** Transactions committed by the engine. */
  readonly commits: number;
  /** Statements that shared their commit with others. */
  readonly grouped: number;
  /** Attempts to take the write lock that found another connection holding it. */
  readonly busyRetries: number;
}

/**
 * The writer connection and its queue, first in, first out.
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

  /** Whether no task runs or waits, so that a caller may use `connection` synchronously. */
  get isIdle(): boolean {
    return !this.#isRunning && this.#connection !== undefined && !this.#connection.isClosed;
  }

  /** The open connection, if there is one. Use it only while `isIdle`, or in a turn. */
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

  /** Uses a connection that is already open as the writer. */
  adopt(connection: Connection): void {
    this.#connection = connection;
    this.#opened++;
  }

  /** Runs one statement in a transaction; resolves once it is committed. */
  execute(bound: BoundStatement): Promise<ResultSet> {
    if (isLongWrite(bound)) return this.turn((connection) => this.#runLong(connection, bound));
    return new Promise((resolve, reject) => {
      const enqueuedAt = performance.now();
      this.#enqueue({ kind: "statement", bound, resolve, reject, enqueuedAt, isAlone: false });
    });
  }

  /**
   * Gives the connection to `use` until its promise settles. A transaction that `use` leaves open is rolled
   * back. With `first`, the turn comes before all waiting tasks.
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

  /** Throws once the file is known to be damaged: writing to it could destroy data that can still be saved. */
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

  /** Refuses new tasks, finishes the accepted ones, and closes the connection. */
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
    // After one microtask, all writes of this turn of the event loop are queued and can share a commit.
    await undefined;
    for (let task = this.#tasks.peek(); task !== undefined; task = this.#tasks.peek()) {
      const due = turnWhenDue();
      if (due !== undefined) {
        // The oldest waiter may have timed out in the meantime.
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
    // Without a waiter, an armed timer would keep the process alive during a turn that never ends.
    if (this.#tasks.size === 0) this.#disarmTimer();
    this.#armTimer();
    await task.run(connection);
    this.#isInTurn = false;
    this.#settle(connection);
  }

  /** Rolls back after a turn or a failure, and destroys a connection that fails its health check. */
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
    this.#options.onDestroy();
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
      // Only the task at the head is rejected; the tasks behind it have the full time to wait.
      this.#tasks.remove(head);
      head.reject(error);
      if (!isBusy(error)) this.#settle(connection);
      return;
    }
    this.#commitGroup(connection);
  }

  /** Runs one statement in a separate transaction, on another thread. */
  async #runLong(connection: Connection, { statement, args, trace }: BoundStatement): Promise<ResultSet> {
    await this.lock(connection);
    trace?.start();
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
      const rows = rowsAtHead(this.#tasks);
      if (rows.length > 1) {
        const results = storeRows(connection, rows, this.#options.intMode);
        for (const [index, result] of results.entries()) {
          this.#tasks.shift();
          stored.push({ task: rows[index]!, result });
        }
        if (!connection.inTransaction) {
          this.#takeDown(connection, stored, failed);
          return;
        }
        if (performance.now() - start > GROUP_BUDGET_MS) break;
        continue;
      }
      this.#tasks.shift();
      try {
        const { statement, args, trace } = task.bound;
        trace?.start("writer");
        stored.push({ task, result: connection.execute(statement, args, this.#options.intMode) });
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
      // None of them can be stored any more, alone or together.
      if ((error as LibsqlError).code === FILE_REPLACED) {
        failed.push(...stored.splice(0).map(({ task }) => ({ task, error })));
      }
      if (stored.length === 1) failed.push({ task: stored.pop()!.task, error });
      this.#takeDown(connection, stored, failed);
      return;
    }
    if (stored.length > 1) this.#grouped += stored.length;
    if (stored.some(({ task }) => task.bound.statement.mayCreateTemporary)) this.#options.onTemporary(connection);
    for (const { task, error } of failed) task.reject(error);
    for (const { task, result } of stored) task.resolve(result);
    // SQLite may have opened the file for reading only, or the disk has failed: replace the connection.
    if (connection.isSuspect) this.#settle(connection);
  }

  /** Handles a failed group: rejects the statements that failed, and runs each of the others again alone. */
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

  /** Arms one timer for the oldest waiter; it is set again only when it fires. */
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

  /** Outside of a turn, the head of the queue is running: it waits for another process, which `busyTimeoutMs` limits. */
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

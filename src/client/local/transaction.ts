import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { MAX_TIMER_MS, type Timer } from "../../shared/timers.js";
import { Turn } from "../../shared/turn.js";
import { atCaller } from "../caller-stack.js";
import { areCallsObserved } from "../diagnostics.js";
import { type ClientTransaction, type Savepoint, Savepoints, type TransactionState } from "../savepoints.js";
import {
  type BoundStatement,
  expectSql,
  expectStatements,
  isLongWrite,
  type StatementInput,
  toBatchError,
} from "../sql/bound-statement.js";
import { type ParsedStatement, splitScript } from "../sql/parse.js";
import { quoteName } from "../sql/quote.js";
import type { StatementTrace } from "../statement-trace.js";
import { tracedStatement } from "../traced-calls.js";
import { type Connection, rollBackAfter } from "./connection.js";
import type { Session } from "./session.js";
import { writesFile } from "./session-settings.js";
import type { WriterQueue } from "./writer-queue.js";

/**
 * An interactive transaction: the stock client's, with savepoints.
 *
 * It owns its connection until commit, rollback or close. A savepoint whose name is open already is held back until
 * that one ends: siblings that were started together then each keep their own work.
 */
export class Transaction implements ClientTransaction {
  readonly mode: TransactionMode;
  /** @internal Called when it has ended, with the error of its commit. */
  onEnd?: (error?: unknown) => void;
  readonly #session: Session;
  readonly #writer: WriterQueue;
  readonly #connection: Connection;
  readonly #onEnd: () => void;
  readonly #savepoints = new Savepoints();
  readonly #heldBack = new Map<string, (() => void)[]>();
  /** Names whose next savepoint has been resumed and is about to open. */
  readonly #claimed = new Set<string>();
  readonly #timer: Timer | undefined;
  #state: TransactionState = "active";
  #whyClosed = "";
  /** Whether a deferred transaction has the write lock, and whether it has read and thereby chosen its snapshot. */
  #hasLock: boolean;
  #hasRead = false;
  #locking: Promise<void> | undefined;
  /** Held by each call while it runs, so that calls wait while another thread works on the connection. */
  readonly #turn = new Turn();
  /** The work of another thread on the connection. */
  #away: Promise<unknown> | undefined;
  #hasLongWrites = false;
  #isCommitting = false;
  #mayHaveTemporary = false;

  /** @internal The connection is inside the transaction that `mode` asks for. */
  constructor(session: Session, writer: WriterQueue, connection: Connection, mode: TransactionMode, onEnd: () => void) {
    this.#session = session;
    this.#writer = writer;
    this.#connection = connection;
    this.mode = mode;
    this.#onEnd = onEnd;
    this.#hasLock = mode !== "deferred";
    const { transactionTimeoutMs } = session.options;
    if (mode !== "read" && transactionTimeoutMs !== Number.POSITIVE_INFINITY) {
      const expire = () => {
        this.#whyClosed = `: it was held longer than ${transactionTimeoutMs} ms (transactionTimeoutMs) and was rolled back`;
        this.close();
      };
      this.#timer = setTimeout(expire, Math.min(transactionTimeoutMs, MAX_TIMER_MS));
    }
  }

  get state(): TransactionState {
    return this.#state;
  }

  get closed(): boolean {
    return this.#state !== "active";
  }

  /** How many savepoints are open. */
  get depth(): number {
    return this.#savepoints.depth;
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    const bound = this.#session.bindWithin(
      typeof input === "string" && args !== undefined ? { sql: input, args } : input,
    );
    try {
      if (areCallsObserved()) return await this.#runTraced(bound, (one) => this.#turn.run(() => this.#run(one)));
      const queued = this.#turn.take();
      if (queued !== undefined) await queued;
      try {
        // No async function in between: the error of a statement that runs at once has the whole stack of the call.
        const result = this.#run(bound);
        return result instanceof Promise ? await result : result;
      } finally {
        this.#turn.pass();
      }
    } catch (error) {
      throw atCaller(error, this.execute);
    }
  }

  /** Runs all in order; the first that fails rejects with LibsqlBatchError, and the transaction lives on. */
  async batch(inputs: readonly StatementInput[]): Promise<ResultSet[]> {
    expectStatements(inputs);
    const bound = inputs.map((input) => this.#bindNow(input));
    const results: ResultSet[] = [];
    const runAll = async () => {
      for (const get of bound) {
        const result = areCallsObserved() ? this.#runTraced(get()) : this.#run(get());
        // No pause unless one is needed: later calls run after the whole batch.
        results.push(result instanceof Promise ? await result : result);
      }
      return results;
    };
    try {
      return await this.#turn.run(runAll);
    } catch (error) {
      throw atCaller(toBatchError(error, results.length), this.batch);
    }
  }

  async executeMultiple(sql: string): Promise<void> {
    this.#assertActive();
    expectSql(sql);
    const runAll = async (trace?: StatementTrace) => {
      trace?.start();
      for (const part of splitScript(sql)) {
        const result = this.#run(this.#session.bindWithin(part.sql));
        if (result instanceof Promise) await result;
      }
    };
    const run = (trace?: StatementTrace) => this.#turn.run(() => runAll(trace));
    try {
      await (areCallsObserved() ? tracedStatement(sql, this.#traits, run) : run());
    } catch (error) {
      throw atCaller(error, this.executeMultiple);
    }
  }

  async commit(): Promise<void> {
    this.#assertActive();
    const run = async () => {
      this.#assertActive();
      try {
        if (this.mode === "read") this.#connection.exec("COMMIT");
        else if (this.#hasLongWrites) await this.#commitOffThread();
        else this.#connection.commit();
      } catch (error) {
        this.#end("rolledBack", error);
        throw error;
      }
      this.#end("committed");
    };
    try {
      await this.#turn.run(run);
    } catch (error) {
      throw atCaller(error, this.commit);
    }
  }

  /** Undoes everything; nothing happens if the transaction has ended. */
  async rollback(): Promise<void> {
    this.close();
    // The lock is free when the caller's `await` returns.
    await this.#away?.catch(() => undefined);
  }

  close(): void {
    // A commit on another thread cannot be cancelled.
    if (this.closed || this.#isCommitting) return;
    this.#end("rolledBack");
  }

  /** Marks a point to roll back to. Marks nest: rolling back to one, or releasing it, ends those made after it. */
  async savepoint(): Promise<Savepoint> {
    const mark = this.#savepoints.next();
    await this.execute(`SAVEPOINT ${mark.name}`);
    return mark;
  }

  /** Undoes the changes since `mark`, which stays open; rejects with `SAVEPOINT_CLOSED` if it has ended. */
  async rollbackTo(mark: Savepoint): Promise<void> {
    this.#assertActive();
    this.#savepoints.assertOpen(mark);
    await this.execute(`ROLLBACK TO ${mark.name}`);
  }

  /** Ends `mark` and keeps the changes since; rejects with `SAVEPOINT_CLOSED` if it has ended. */
  async release(mark: Savepoint): Promise<void> {
    this.#assertActive();
    this.#savepoints.assertOpen(mark);
    await this.execute(`RELEASE ${mark.name}`);
  }

  get #traits() {
    return { role: this.mode === "read" ? "reader" : "writer", isWithin: true } as const;
  }

  #assertActive(): void {
    if (this.#state === "active" && !this.#connection.isClosed) return;
    throw new LibsqlError(`The transaction is closed${this.#whyClosed}`, "TRANSACTION_CLOSED");
  }

  /** Resolves when `statement` can run: when its savepoint's name is free, or the write lock is taken. Undefined if it can now. */
  #wait(statement: ParsedStatement): Promise<void> | undefined {
    this.#assertActive();
    const { kind, savepoint, pragma } = statement;
    if (kind === "savepoint" && (this.#heldBack.has(savepoint!) || this.#isTaken(savepoint!)))
      return this.#waitForName(savepoint!);
    if (this.#hasLock) return undefined;
    if (kind === "write" || (pragma !== undefined && writesFile(pragma))) {
      this.#locking = this.#lock().finally(() => {
        this.#locking = undefined;
      });
      return this.#locking;
    }
    // Anything else may read, and thereby choose the snapshot.
    if (savepoint === undefined) this.#hasRead = true;
    return undefined;
  }

  /** Checks a statement now, before its arguments can change. The returned function throws the error of the check. */
  #bindNow(input: StatementInput): () => BoundStatement {
    try {
      const bound = this.#session.bindWithin(input);
      return () => bound;
    } catch (error) {
      return () => {
        throw error;
      };
    }
  }

  #runTraced(
    bound: BoundStatement,
    run: (traced: BoundStatement) => Promise<ResultSet> | ResultSet = (traced) => this.#run(traced),
  ): Promise<ResultSet> {
    return tracedStatement(bound.statement.sql, this.#traits, (trace) => run({ ...bound, trace }));
  }

  /** Runs one statement of the call whose turn it is. */
  #run(bound: BoundStatement): ResultSet | Promise<ResultSet> {
    const waiting = this.#wait(bound.statement);
    if (waiting !== undefined) return this.#runAfter(waiting, bound);
    return this.mode !== "read" && isLongWrite(bound) ? this.#runOffThread(bound) : this.#runHere(bound);
  }

  async #runAfter(waiting: Promise<void>, bound: BoundStatement): Promise<ResultSet> {
    const isForName = this.#locking !== waiting;
    // The savepoint that has the name ends by a call that comes later.
    if (isForName) this.#turn.pass();
    try {
      await waiting;
    } finally {
      if (isForName) await this.#turn.take();
    }
    return isLongWrite(bound) ? this.#runOffThread(bound) : this.#runHere(bound);
  }

  #runHere(bound: BoundStatement): ResultSet {
    this.#assertActive();
    const { statement } = bound;
    if (statement.kind === "commit" && this.mode !== "read") this.#assertMayCommit();
    try {
      const result = this.#session.run(this.#connection, bound);
      this.#note(statement);
      return result;
    } finally {
      this.#afterRun(statement);
    }
  }

  async #runOffThread({ statement, args, trace }: BoundStatement): Promise<ResultSet> {
    this.#assertActive();
    this.#hasLongWrites = true;
    trace?.start();
    try {
      const result = await this.#offThread(
        this.#connection.executeOffThread(statement, args, this.#session.options.intMode),
      );
      // It may have been closed during the statement, and is then rolled back.
      this.#assertActive();
      this.#note(statement);
      return result;
    } finally {
      this.#afterRun(statement);
    }
  }

  #note(statement: ParsedStatement): void {
    if (statement.mayCreateTemporary) this.#mayHaveTemporary = true;
    this.#savepoints.follow(statement);
  }

  #afterRun(statement: ParsedStatement): void {
    if (statement.kind === "savepoint") this.#claimed.delete(statement.savepoint!);
    // COMMIT, ROLLBACK and ON CONFLICT ROLLBACK end it from within.
    if (!this.closed && !this.#connection.inTransaction) {
      const isCommitted = statement.kind === "commit";
      if (isCommitted && this.mode !== "read") this.#writer.countCommit();
      this.#end(isCommitted ? "committed" : "rolledBack");
    }
    this.#wakeNext();
  }

  async #commitOffThread(): Promise<void> {
    this.#isCommitting = true;
    await this.#offThread(this.#connection.commitOffThread());
  }

  async #offThread<T>(work: Promise<T>): Promise<T> {
    this.#away = work;
    try {
      return await work;
    } finally {
      this.#away = undefined;
    }
  }

  /** A COMMIT among the statements is refused as `commit` is, and ends the transaction as well. */
  #assertMayCommit(): void {
    try {
      this.#connection.assertMayCommit();
    } catch (error) {
      this.#end("rolledBack", error);
      throw error;
    }
  }

  /** A deferred transaction takes the lock before its first write, by `exec`: a prepared write would get stuck. */
  async #lock(): Promise<void> {
    const connection = this.#connection;
    // Nothing has been seen yet, so a fresh snapshot is as good, and can wait for the lock as long as it takes.
    const mayStartAnew = !this.#hasRead && this.#savepoints.depth === 0;
    const attempt = () => {
      this.#assertActive();
      if (mayStartAnew) {
        connection.rollback();
        try {
          connection.exec("BEGIN IMMEDIATE");
        } catch (error) {
          connection.exec("BEGIN");
          throw error;
        }
      } else {
        // Writing what is there takes the lock and changes nothing; it fails for good if the snapshot is stale.
        const [version] = connection.query("PRAGMA user_version")[0] as [bigint];
        connection.exec(`PRAGMA user_version = ${version}`);
      }
    };
    this.#writer.assertSound();
    await this.#writer.whileBusy(attempt);
    this.#hasLock = true;
  }

  /** Whether a savepoint of this name has to wait. One that was only rolled back is released for the next. */
  #isTaken(name: string): boolean {
    if (this.#claimed.has(name)) return true;
    const open = this.#savepoints.find(name);
    if (open === undefined) return false;
    if (!open.isRolledBack) return true;
    this.#connection.exec(`RELEASE ${quoteName(name)}`);
    this.#savepoints.endFrom(open);
    return false;
  }

  #waitForName(name: string): Promise<void> {
    return new Promise<void>((resolve) => {
      const line = this.#heldBack.get(name);
      if (line === undefined) this.#heldBack.set(name, [resolve]);
      else line.push(resolve);
    });
  }

  /** Resumes the next savepoint whose name is free, and reserves the name until it has opened. */
  #wakeNext(): void {
    for (const [name, line] of this.#heldBack) {
      if (this.closed || this.#isTaken(name)) continue;
      this.#claimed.add(name);
      const next = line.shift();
      if (line.length === 0) this.#heldBack.delete(name);
      next?.();
      return;
    }
  }

  #end(state: "committed" | "rolledBack", error?: unknown): void {
    clearTimeout(this.#timer);
    this.#state = state;
    this.#savepoints.clear();
    if (state === "committed" && this.mode !== "read") {
      this.#session.noteTemporaryTables(this.#connection, this.#mayHaveTemporary);
    }
    for (const line of this.#heldBack.values()) for (const wake of line) wake();
    this.#heldBack.clear();
    // An attempt to take the lock notices that it is no longer wanted; until then the connection is in use.
    const using = this.#locking ?? this.#away;
    if (using === undefined) this.#giveBack();
    else using.then(this.#giveBack, this.#giveBack);
    this.onEnd?.(error);
  }

  readonly #giveBack = (): void => {
    // Synchronously, so that the lock is free when the caller's `await` returns.
    rollBackAfter(this.#connection);
    this.#onEnd();
  };
}

import type { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type InStatement, LibsqlBatchError, type ResultSet, type Transaction } from "@libsql/client/sqlite3";
import { transactionExecutor } from "../areas/client-executor.js";
import type { AreaChange } from "../areas/context.js";
import type { Executor, Snapshot } from "../areas/executor.js";
import type { Statement } from "../areas/statements.js";
import { toBatchError } from "../client/sql/bound-statement.js";
import { toStorageError } from "../client/storage-error.js";
import { StorageError, withoutCode } from "../shared/errors.js";

/** The innermost transaction or savepoint whose callback is running, in each asynchronous context. */
export type ScopeContext = AsyncLocalStorage<TransactionScope>;

let savepointCount = 0;

/**
 * A transaction, or a savepoint in one, as its callback sees it.
 *
 * Work on one scope is serialised: a savepoint that rolls back must not take along what was asked for beside it.
 */
export class TransactionScope implements Executor {
  readonly #transaction: Transaction;
  readonly #context: ScopeContext;
  readonly #parent: TransactionScope | undefined;
  readonly #marks: Marks;
  #changes: AreaChange[] = [];
  #tasks: (() => void)[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #pending = 0;
  #isEnded = false;

  constructor(transaction: Transaction, context: ScopeContext, parent?: TransactionScope) {
    this.#transaction = transaction;
    this.#context = context;
    this.#parent = parent;
    this.#marks = parent === undefined ? new Marks(transaction) : parent.#marks;
  }

  /** The innermost scope of this context that has not ended: work may outlive the callback that began it. */
  static open(context: ScopeContext): TransactionScope | undefined {
    for (let scope = context.getStore(); scope !== undefined; scope = scope.#parent) {
      if (!scope.#isEnded) return scope;
    }
    return undefined;
  }

  /** What is to be announced once the transaction has committed. */
  get changes(): readonly AreaChange[] {
    return this.#changes;
  }

  /** What is to be done then besides. */
  get tasks(): readonly (() => void)[] {
    return this.#tasks;
  }

  announce(change: AreaChange): void {
    this.#changes.push(change);
  }

  afterCommit(task: () => void): void {
    this.#tasks.push(task);
  }

  async execute(statement: Statement): Promise<ResultSet> {
    try {
      return (await this.send([statement]))[0] as ResultSet;
    } catch (error) {
      throw toStorageError(error);
    }
  }

  scan(statement: Statement): Promise<ResultSet> {
    return this.execute(statement);
  }

  async batch(statements: readonly Statement[]): Promise<ResultSet[]> {
    try {
      return await this.send(statements);
    } catch (error) {
      throw toStorageError(error);
    }
  }

  /** Runs all statements or none, as `batch` does, but rejects with the errors of the client, as Drizzle's calls do. */
  async send(statements: readonly InStatement[]): Promise<ResultSet[]> {
    const run = () => this.#marks.send(statements);
    return this.#alone(() => (statements.length > 1 ? this.#marks.within(run) : run()));
  }

  async atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    const inner = transactionExecutor({
      execute: async (statement: InStatement) => (await this.#marks.send([statement]))[0] as ResultSet,
      batch: (statements) => this.#marks.send(statements),
    });
    return this.#alone(() => this.#marks.within(() => work(inner)));
  }

  /** The transaction itself; what it writes meanwhile is seen. */
  async snapshot(): Promise<Snapshot> {
    this.#assertUsable();
    return { executor: this, isStable: true, close: () => undefined };
  }

  /** Runs `work` in a savepoint with a scope of its own; siblings that were started together take turns. */
  async savepoint<T>(work: (scope: TransactionScope) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      const scope = new TransactionScope(this.#transaction, this.#context, this);
      const result = await this.#marks.within(() => scope.run(() => work(scope)));
      this.#changes.push(...scope.#changes);
      this.#tasks.push(...scope.#tasks);
      return result;
    });
  }

  /** Runs a callback as the innermost one of its context; the scope ends with it, after the work it has begun. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      // Awaited inside: a query of Drizzle starts only when somebody awaits it.
      return await this.#context.run(this, async () => await work());
    } finally {
      this.#isEnded = true;
      if (this.#pending > 0) {
        await this.#tail;
        // Whoever did the work announces its change some microtasks later.
        await nextTurn();
      }
    }
  }

  /** Throws unless work may be done on this scope here and now. */
  #assertUsable(): void {
    if (this.#isEnded || this.#transaction.closed) {
      throw new StorageError("TRANSACTION_CLOSED", "The transaction of this handle has ended: use the storage instead");
    }
    const inner = TransactionScope.open(this.#context);
    if (inner !== undefined && inner !== this && inner.#isInside(this)) {
      throw new StorageError(
        "WRONG_HANDLE",
        "A savepoint is open in this callback: use the handle that the callback was given, not the outer one",
      );
    }
  }

  #isInside(other: TransactionScope): boolean {
    for (let scope = this.#parent; scope !== undefined; scope = scope.#parent) if (scope === other) return true;
    return false;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#assertUsable();
    this.#pending++;
    const turn = this.#tail.then(work).finally(() => {
      this.#pending--;
    });
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}

/**
 * The savepoints of one transaction. SAVEPOINT and RELEASE wait for the next statement and travel with it: to a
 * server each request is a round trip. COMMIT releases what was left to be released.
 */
class Marks {
  readonly #transaction: Transaction;
  #due: string[] = [];

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  /** Runs the statements, after the marks that are due; a failure is that of the statements, by their own numbers. */
  async send(statements: readonly InStatement[]): Promise<ResultSet[]> {
    const due = this.#due;
    this.#due = [];
    const transaction = this.#transaction;
    if (due.length === 0 && statements.length === 1) return [await transaction.execute(statements[0]!)];
    try {
      const results = await transaction.batch([...due, ...statements]);
      return results.slice(due.length);
    } catch (error) {
      const { statementIndex } = Object(error) as Partial<LibsqlBatchError>;
      if (due.length === 0 || statementIndex === undefined) throw error;
      const index = Math.max(0, statementIndex - due.length);
      if (!(error instanceof LibsqlBatchError)) throw toBatchError(error, index);
      const { code, extendedCode, rawCode, cause } = error;
      const text = withoutCode(error);
      throw new LibsqlBatchError(text, index, code, extendedCode, rawCode, cause instanceof Error ? cause : error);
    }
  }

  /** Runs `work` in a savepoint: what it wrote is undone when it fails. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const name = `holdfast_scope_${++savepointCount}`;
    const begin = `SAVEPOINT ${name}`;
    this.#due.push(begin);
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await this.#undo(begin, name);
      throw error;
    }
    // Nothing was sent since it was asked for: there is nothing to keep or to undo.
    if (!this.#forget(begin)) this.#due.push(`RELEASE ${name}`);
    return result;
  }

  async #undo(begin: string, name: string): Promise<void> {
    if (this.#forget(begin)) return;
    const transaction = this.#transaction;
    try {
      // What was to be released inside of it is undone with it.
      this.#due = [];
      if (!transaction.closed) await transaction.batch([`ROLLBACK TO ${name}`, `RELEASE ${name}`]);
    } catch {
      // What could not be undone must not be committed, and the first error is the one to tell.
      transaction.close();
    }
  }

  /** Takes back a mark that has not been sent, and all that came after it. */
  #forget(begin: string): boolean {
    const at = this.#due.indexOf(begin);
    if (at < 0) return false;
    this.#due.length = at;
    return true;
  }
}

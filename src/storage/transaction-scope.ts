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
import { Turn } from "../shared/turn.js";

/** The innermost transaction or savepoint whose callback is running, in each asynchronous context. */
export type ScopeContext = AsyncLocalStorage<TransactionScope>;

let savepointCount = 0;

/**
 * A transaction, or a savepoint in one, as its callback sees it.
 *
 * Serializes the work on one scope, so that a savepoint that rolls back does not undo statements that started at the
 * same time.
 */
export class TransactionScope implements Executor {
  readonly #transaction: Transaction;
  readonly #context: ScopeContext;
  readonly #parent: TransactionScope | undefined;
  readonly #marks: Marks;
  #changes: AreaChange[] = [];
  #tasks: (() => void)[] = [];
  readonly #turn = new Turn();
  #isEnded = false;

  constructor(transaction: Transaction, context: ScopeContext, parent?: TransactionScope) {
    this.#transaction = transaction;
    this.#context = context;
    this.#parent = parent;
    this.#marks = parent === undefined ? new Marks(transaction) : parent.#marks;
  }

  /** The innermost scope of this context that has not ended. Work may outlive the callback that started it. */
  static open(context: ScopeContext): TransactionScope | undefined {
    for (let scope = context.getStore(); scope !== undefined; scope = scope.#parent) {
      if (!scope.#isEnded) return scope;
    }
    return undefined;
  }

  /** The changes to announce once the transaction has committed. */
  get changes(): readonly AreaChange[] {
    return this.#changes;
  }

  /** Further tasks to run after the commit. */
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

  /** Returns the transaction itself, so the snapshot includes its later writes. */
  async snapshot(): Promise<Snapshot> {
    this.#assertUsable();
    return { executor: this, isStable: true, close: () => undefined };
  }

  /** Runs `work` in a savepoint with its own scope. Savepoints that start at the same time run one after the other. */
  async savepoint<T>(work: (scope: TransactionScope) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      const scope = new TransactionScope(this.#transaction, this.#context, this);
      const result = await this.#marks.within(() => scope.run(() => work(scope)));
      this.#changes.push(...scope.#changes);
      this.#tasks.push(...scope.#tasks);
      return result;
    });
  }

  /**
   * Runs a callback as the innermost scope of its context. The scope ends after the callback and the work that it
   * started.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      // Await inside: a query of Drizzle starts only when it is awaited.
      return await this.#context.run(this, async () => await work());
    } finally {
      this.#isEnded = true;
      if (this.#turn.activeCount > 0) {
        await this.#turn.run(() => undefined);
        // The work announces its change some microtasks later.
        await nextTurn();
      } else {
        // So does work that was not awaited and has run at once. A tick comes after all microtasks.
        await new Promise<void>((resolve) => process.nextTick(resolve));
      }
    }
  }

  /** Throws if the scope must not be used at this point. */
  #assertUsable(): void {
    // One that is closed while its callback runs was rolled back: its next statement rejects with the reason.
    if (this.#isEnded) {
      throw new StorageError("TRANSACTION_CLOSED", "The transaction of this handle has ended: use the storage instead");
    }
    const inner = TransactionScope.open(this.#context);
    if (inner !== undefined && inner !== this && inner.#isInside(this)) {
      throw new StorageError(
        "WRONG_HANDLE",
        "A savepoint is open in this callback: use the handle of the savepoint, not the outer one",
      );
    }
  }

  #isInside(other: TransactionScope): boolean {
    for (let scope = this.#parent; scope !== undefined; scope = scope.#parent) if (scope === other) return true;
    return false;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#assertUsable();
    return this.#turn.run(work);
  }
}

/**
 * The savepoints of one transaction. SAVEPOINT and RELEASE are sent together with the next statement, because each
 * request to a server is a round trip. COMMIT releases the savepoints that are still open.
 */
class Marks {
  readonly #transaction: Transaction;
  #due: string[] = [];

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  /**
   * Runs the statements, after the pending SAVEPOINT and RELEASE statements. Errors have the index within `statements`.
   */
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

  /** Runs `work` in a savepoint, and undoes its writes if it fails. */
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
    // Nothing was sent since the savepoint began, so there is nothing to release or to undo.
    if (!this.#forget(begin)) this.#due.push(`RELEASE ${name}`);
    return result;
  }

  async #undo(begin: string, name: string): Promise<void> {
    if (this.#forget(begin)) return;
    const transaction = this.#transaction;
    try {
      // Rolling back undoes the pending statements inside the savepoint too.
      this.#due = [];
      if (!transaction.closed) await transaction.batch([`ROLLBACK TO ${name}`, `RELEASE ${name}`]);
    } catch {
      // If the rollback fails, the transaction must not be committed. Throw the first error.
      transaction.close();
    }
  }

  /** Removes a savepoint that has not been sent, and everything after it. */
  #forget(begin: string): boolean {
    const at = this.#due.indexOf(begin);
    if (at < 0) return false;
    this.#due.length = at;
    return true;
  }
}

import {
  type InArgs,
  type InStatement,
  type LibsqlBatchError,
  LibsqlError,
  type ResultSet,
  type Transaction,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { type Timer, unrefTimer } from "../../shared/timers.js";
import { areCallsObserved } from "../diagnostics.js";
import { type ClientTransaction, type Savepoint, Savepoints, type TransactionState } from "../savepoints.js";
import {
  type BoundStatement,
  bindEach,
  expectSql,
  expectStatements,
  type StatementInput,
} from "../sql/bound-statement.js";
import { splitScript } from "../sql/parse.js";
import type { StatementTrace } from "../statement-trace.js";
import { tracedBatch, tracedStatement } from "../traced-calls.js";
import { endsTransaction } from "./remote-error.js";
import { isRead, toStock } from "./statements.js";

interface RemoteTransactionContext {
  readonly bind: (input: StatementInput) => BoundStatement;
  /** Sends one request; `isWrite` says whether something may have been stored when it is not answered. */
  readonly send: <T>(isWrite: boolean, work: () => Promise<T>) => Promise<T>;
  /** Runs what begins the transaction, again while others have the lock. */
  readonly begin: <T>(attempt: () => Promise<T>) => Promise<T>;
  /** Another transaction of the stock client: one that did not get the lock is closed. */
  readonly open: () => Promise<Transaction>;
  readonly onEnd: () => void;
}

/** How long a transaction may be idle before the server is told that it goes on; a server gives up after 10 s. */
const KEEP_ALIVE_MS = 4_000;

/**
 * An interactive transaction on a server; it begins with its first statement.
 *
 * Nothing is stored before COMMIT, so of all its requests that is the only one whose outcome can be unknown. Once one
 * fails for another reason than its own SQL the server may have rolled back, and the handle is closed: what follows
 * would be stored by itself.
 */
export class RemoteTransaction implements ClientTransaction {
  readonly mode: TransactionMode;
  /** @internal Called when it has ended, with the error of its commit. */
  onEnd?: (error?: unknown) => void;
  #stock: Transaction;
  readonly #context: RemoteTransactionContext;
  #state: TransactionState = "active";
  readonly #savepoints = new Savepoints();
  #hasBegun = false;
  #running = 0;
  /** The error that ended the transaction between two calls. */
  #failure: unknown;
  #idleTimer: Timer | undefined;

  constructor(stock: Transaction, mode: TransactionMode, context: RemoteTransactionContext) {
    this.#stock = stock;
    this.mode = mode;
    this.#context = context;
  }

  get state(): TransactionState {
    return this.#state;
  }

  get closed(): boolean {
    return this.#state !== "active";
  }

  get depth(): number {
    return this.#savepoints.depth;
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    const bound = this.#bind(typeof input === "string" && args !== undefined ? { sql: input, args } : input);
    const run = (trace?: StatementTrace) =>
      this.#within([bound], () => {
        trace?.start();
        return this.#stock.execute(toStock(bound));
      });
    return areCallsObserved() ? tracedStatement(bound.statement.sql, this.#traits, run) : run();
  }

  /** Runs all in order, in one request; the first that fails rejects, and those after it are not run. */
  async batch(inputs: readonly StatementInput[]): Promise<ResultSet[]> {
    expectStatements(inputs);
    const bound = bindEach(inputs, (input) => this.#bind(input));
    if (bound.length === 0) return [];
    const run = (all: readonly BoundStatement[]) =>
      this.#within(all, () => {
        for (const { trace } of all) trace?.start();
        return this.#stock.batch(all.map(toStock));
      });
    return areCallsObserved() ? tracedBatch(bound, this.#traits, run) : run(bound);
  }

  async executeMultiple(sql: string): Promise<void> {
    expectSql(sql);
    const bound = splitScript(sql).map((part) => this.#bind(part.sql));
    const run = (trace?: StatementTrace) =>
      this.#within(bound, () => {
        trace?.start();
        return this.#stock.executeMultiple(sql);
      });
    return areCallsObserved() ? tracedStatement(sql, this.#traits, run) : run();
  }

  async commit(): Promise<void> {
    this.#assertActive();
    try {
      // Without a statement there was no BEGIN, and nothing is sent.
      if (this.#hasBegun) await this.#context.send(this.mode !== "read", () => this.#stock.commit());
      this.#end("committed");
    } catch (error) {
      this.#end("rolledBack", error);
      throw error;
    }
  }

  async rollback(): Promise<void> {
    if (this.closed) return;
    try {
      if (this.#hasBegun) await this.#context.send(false, () => this.#stock.rollback());
    } finally {
      this.#end();
    }
  }

  /** Rolls back, without waiting for it; nothing happens if the transaction has ended. */
  close(): void {
    this.#end();
  }

  async savepoint(): Promise<Savepoint> {
    const mark = this.#savepoints.next();
    await this.execute(`SAVEPOINT ${mark.name}`);
    return mark;
  }

  async rollbackTo(mark: Savepoint): Promise<void> {
    this.#assertActive();
    this.#savepoints.assertOpen(mark);
    await this.execute(`ROLLBACK TO ${mark.name}`);
  }

  async release(mark: Savepoint): Promise<void> {
    this.#assertActive();
    this.#savepoints.assertOpen(mark);
    await this.execute(`RELEASE ${mark.name}`);
  }

  /** Refuses writes in a transaction of mode `read`, as a file does; the server would accept them. */
  #bind(input: StatementInput): BoundStatement {
    const bound = this.#context.bind(input);
    const { kind, pragma } = bound.statement;
    if (this.mode === "read" && (kind === "write" || pragma?.value !== undefined)) {
      throw new LibsqlError("attempt to write in a transaction of mode read", "SQLITE_READONLY", undefined, 8);
    }
    return bound;
  }

  async #within<T>(bound: readonly BoundStatement[], work: () => Promise<T>): Promise<T> {
    this.#assertActive();
    const { send, begin, open } = this.#context;
    const isFirst = !this.#hasBegun;
    this.#hasBegun = true;
    this.#running++;
    clearTimeout(this.#idleTimer);
    try {
      if (!isFirst) return this.#follow(bound, await send(false, work));
      const first = async () => {
        // Closed by a first request that failed: BEGIN was refused the lock, or the answer was too large.
        if (this.#stock.closed) this.#stock = await open();
        return send(false, work);
      };
      // Only BEGIN IMMEDIATE asks for the lock before anything else has been done.
      return this.#follow(bound, await (this.mode === "write" ? begin(first) : first()));
    } catch (error) {
      if (endsTransaction(error, bound.some(changesRows))) this.#end("rolledBack", error);
      else if (this.#stock.closed) this.#hasBegun = false;
      else this.#follow(bound.slice(0, (error as Partial<LibsqlBatchError>).statementIndex ?? 0), undefined);
      throw error;
    } finally {
      this.#running--;
      this.#keepAlive();
    }
  }

  /** Notes the savepoints of statements that have run, and returns their result. */
  #follow<T>(bound: readonly BoundStatement[], result: T): T {
    for (const { statement } of bound) this.#savepoints.follow(statement);
    return result;
  }

  /** Keeps the transaction alive on the server while the caller does something else. */
  #keepAlive(): void {
    if (this.closed || !this.#hasBegun || this.#running > 0) return;
    clearTimeout(this.#idleTimer);
    const touch = async () => {
      if (this.#running > 0) return;
      try {
        await this.#context.send(false, () => this.#stock.execute("SELECT 1"));
      } catch (error) {
        // The next call throws it.
        if (!this.closed) this.#failure = error;
        this.#end();
      }
      this.#keepAlive();
    };
    this.#idleTimer = unrefTimer(setTimeout(touch, KEEP_ALIVE_MS));
  }

  get #traits() {
    return { role: this.mode === "read" ? "reader" : "writer", isWithin: true } as const;
  }

  #assertActive(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.closed) throw new LibsqlError("The transaction is closed", "TRANSACTION_CLOSED");
  }

  #end(state: "committed" | "rolledBack" = "rolledBack", error?: unknown): void {
    if (this.closed) return;
    this.#state = state;
    this.#savepoints.clear();
    clearTimeout(this.#idleTimer);
    this.#stock.close();
    this.#context.onEnd();
    this.onEnd?.(error);
  }
}

function changesRows(bound: BoundStatement): boolean {
  return !isRead(bound) && !["savepoint", "release", "rollbackTo"].includes(bound.statement.kind);
}

import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type Transaction as LibsqlTransaction,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client";
import type { Connection } from "./connection.js";
import {
  asBatchError,
  bindInput,
  type ConnectionPool,
  mayCreateTemporary,
  type StatementInput,
} from "./connection-pool.js";
import { assertAllowed, parsePragma } from "./session-settings.js";
import { type ParsedStatement, splitScript } from "./sql.js";

export type TransactionState = "active" | "committed" | "rolledBack";

/** A point to roll back to, made by `Transaction.savepoint`. */
export interface Savepoint {
  readonly name: string;
}

interface OpenSavepoint {
  readonly name: string;
  /** Rolled back to but not released, as Drizzle leaves it: the next one of that name may take its place. */
  isRolledBack: boolean;
}

/**
 * An interactive transaction: the stock client's, with savepoints.
 *
 * It owns its connection until commit, rollback or close. A savepoint whose name is open already is held back until
 * that one ends: siblings that were started together then each keep their own work.
 */
export class Transaction implements LibsqlTransaction {
  readonly mode: TransactionMode;
  readonly #pool: ConnectionPool;
  readonly #connection: Connection;
  readonly #onEnd: () => void;
  readonly #savepoints: OpenSavepoint[] = [];
  readonly #heldBack = new Map<string, (() => void)[]>();
  readonly #timer: NodeJS.Timeout | undefined;
  #state: TransactionState = "active";
  #whyClosed = "";
  #savepointCount = 0;
  /** Of a deferred one: whether it has the write lock, and whether it has read and thereby chosen its snapshot. */
  #hasLock: boolean;
  #hasRead = false;
  #locking: Promise<void> | undefined;
  #mayHaveTemporary = false;

  /** @internal The connection is inside the transaction that `mode` asks for. */
  constructor(pool: ConnectionPool, connection: Connection, mode: TransactionMode, onEnd: () => void) {
    this.#pool = pool;
    this.#connection = connection;
    this.mode = mode;
    this.#onEnd = onEnd;
    this.#hasLock = mode !== "deferred";
    const { transactionTimeoutMs } = pool.options;
    if (mode !== "read" && transactionTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(() => {
        this.#whyClosed = `: it was held longer than ${transactionTimeoutMs} ms (transactionTimeoutMs) and was rolled back`;
        this.close();
      }, transactionTimeoutMs);
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
    return this.#savepoints.length;
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    const { statement, args: values } = bindInput(
      typeof input === "string" && args !== undefined ? { sql: input, args } : input,
    );
    this.#assertActive();
    if (statement.kind === "savepoint") await this.#waitForName(statement.savepoint!);
    if (!this.#hasLock || this.#locking !== undefined) await this.#prepareFor(statement);
    this.#assertActive();
    if (statement.kind === "pragma") assertAllowed(parsePragma(statement.sql), this.#pool.options.isMemory);
    return this.#run(statement, () => this.#connection.execute(statement, values, this.#pool.options.intMode));
  }

  /** Runs all in order; the first that fails rejects with LibsqlBatchError, and the transaction lives on. */
  async batch(inputs: readonly StatementInput[]): Promise<ResultSet[]> {
    const results: ResultSet[] = [];
    for (const [index, input] of inputs.entries()) {
      const normalized = Array.isArray(input) ? { sql: input[0], args: input[1] ?? [] } : (input as InStatement);
      try {
        results.push(await this.execute(normalized));
      } catch (error) {
        asBatchError(index, () => {
          throw error;
        });
      }
    }
    return results;
  }

  async executeMultiple(sql: string): Promise<void> {
    this.#assertActive();
    for (const part of splitScript(sql)) await this.execute(part.sql);
  }

  async commit(): Promise<void> {
    this.#assertActive();
    if (this.#locking !== undefined) await this.#locking;
    this.#assertActive();
    try {
      this.#connection.exec("COMMIT");
    } catch (error) {
      this.#pool.writer.noteError(error);
      this.#end("rolledBack");
      throw error;
    }
    this.#end("committed");
  }

  /** Undoes everything; nothing happens if the transaction has ended. */
  async rollback(): Promise<void> {
    this.close();
  }

  close(): void {
    if (this.closed) return;
    this.#end("rolledBack");
  }

  /** Marks a point to roll back to. Marks nest: rolling back to one, or releasing it, ends those made after it. */
  async savepoint(): Promise<Savepoint> {
    const mark = { name: `holdfast_${++this.#savepointCount}` };
    await this.execute(`SAVEPOINT ${mark.name}`);
    return mark;
  }

  /** Undoes what was done since `mark`, which stays; rejects with `SAVEPOINT_CLOSED` if it has ended. */
  async rollbackTo(mark: Savepoint): Promise<void> {
    this.#assertOpen(mark);
    await this.execute(`ROLLBACK TO ${mark.name}`);
  }

  /** Ends `mark` and keeps what was done since; rejects with `SAVEPOINT_CLOSED` if it has ended. */
  async release(mark: Savepoint): Promise<void> {
    this.#assertOpen(mark);
    await this.execute(`RELEASE ${mark.name}`);
  }

  #assertActive(): void {
    if (this.#state === "active" && !this.#connection.isClosed) return;
    throw new LibsqlError(`The transaction is closed${this.#whyClosed}`, "TRANSACTION_CLOSED");
  }

  #assertOpen(mark: Savepoint): void {
    this.#assertActive();
    if (this.#savepoints.some(({ name }) => name === mark.name)) return;
    throw new LibsqlError(`The savepoint ${mark.name} has ended`, "SAVEPOINT_CLOSED");
  }

  #run(statement: ParsedStatement, execute: () => ResultSet): ResultSet {
    try {
      const result = execute();
      this.#follow(statement);
      return result;
    } catch (error) {
      this.#pool.writer.noteError(error);
      throw error;
    } finally {
      // COMMIT, ROLLBACK and ON CONFLICT ROLLBACK end it from within.
      if (!this.closed && !this.#connection.inTransaction) {
        this.#end(statement.kind === "commit" ? "committed" : "rolledBack");
      }
    }
  }

  /** A deferred transaction takes the lock before its first write, by `exec`: a prepared write would get stuck. */
  async #prepareFor(statement: ParsedStatement): Promise<void> {
    // One that is already on its way is waited for, so that statements keep their order.
    if (this.#locking !== undefined) await this.#locking;
    if (this.#hasLock || statement.kind !== "write") {
      if (statement.kind === "read") this.#hasRead = true;
      return;
    }
    this.#locking = this.#lock();
    try {
      await this.#locking;
    } finally {
      this.#locking = undefined;
    }
  }

  async #lock(): Promise<void> {
    const connection = this.#connection;
    if (!this.#hasRead && this.#savepoints.length === 0) {
      // Nothing has been seen yet, so a fresh snapshot is as good, and can wait for the lock.
      connection.rollback();
      await this.#pool.writer.lock(connection);
    } else {
      this.#pool.writer.assertSound();
      const [version] = connection.query("PRAGMA user_version")[0] as [bigint];
      // Writing what is there takes the lock and changes nothing; it fails at once if the snapshot is stale.
      connection.exec(`PRAGMA user_version = ${version}`);
    }
    this.#hasLock = true;
  }

  /** Keeps the list of open savepoints in step with what SQLite has just done. */
  #follow({ kind, savepoint, sql }: ParsedStatement): void {
    if (kind === "write" && mayCreateTemporary(sql)) this.#mayHaveTemporary = true;
    if (savepoint === undefined) return;
    if (kind === "savepoint") {
      this.#savepoints.push({ name: savepoint, isRolledBack: false });
      return;
    }
    const index = this.#savepoints.findLastIndex(({ name }) => name === savepoint);
    if (index < 0) return;
    if (kind === "rollbackTo") {
      this.#savepoints[index]!.isRolledBack = true;
      this.#savepoints.splice(index + 1);
    } else if (kind === "release") {
      this.#savepoints.splice(index);
    }
    this.#wakeNext();
  }

  /** Resolves when no savepoint of this name is open; one that was only rolled back is released for the next. */
  async #waitForName(name: string): Promise<void> {
    const open = this.#savepoints.find((savepoint) => savepoint.name === name);
    const line = this.#heldBack.get(name);
    if (open === undefined && line === undefined) return;
    if (open?.isRolledBack === true && line === undefined) {
      this.#connection.exec(`RELEASE ${quoteName(name)}`);
      this.#savepoints.splice(this.#savepoints.indexOf(open));
      return;
    }
    await new Promise<void>((resolve) => {
      if (line === undefined) this.#heldBack.set(name, [resolve]);
      else line.push(resolve);
    });
    this.#assertActive();
  }

  #wakeNext(): void {
    for (const [name, line] of this.#heldBack) {
      const open = this.#savepoints.find((savepoint) => savepoint.name === name);
      if (open !== undefined && !open.isRolledBack) continue;
      if (open !== undefined) {
        this.#connection.exec(`RELEASE ${quoteName(name)}`);
        this.#savepoints.splice(this.#savepoints.indexOf(open));
      }
      const next = line.shift();
      if (line.length === 0) this.#heldBack.delete(name);
      next?.();
      return;
    }
  }

  #end(state: "committed" | "rolledBack"): void {
    clearTimeout(this.#timer);
    this.#state = state;
    this.#savepoints.length = 0;
    if (state === "committed" && this.mode !== "read") {
      this.#pool.writer.countCommit();
      this.#pool.noteTemporaryTables(this.#connection, this.#mayHaveTemporary);
    }
    for (const line of this.#heldBack.values()) for (const wake of line) wake();
    this.#heldBack.clear();
    // The turn's end rolls back what is open, and replaces a connection that cannot.
    this.#onEnd();
  }
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

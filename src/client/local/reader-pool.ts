import { LibsqlError } from "@libsql/client/sqlite3";
import { Fifo } from "../../shared/fifo.js";
import { MAX_TIMER_MS, type Timer, unrefTimer } from "../../shared/timers.js";
import type { Connection } from "./connection.js";

interface ReaderPoolOptions {
  /** Read connections in all; one of them serves single statements only. */
  readonly max: number;
  readonly acquireTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly open: () => Connection;
  readonly describeHolders: () => string;
}

interface Waiter {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer | undefined;
}

/**
 * The read connections of a file.
 *
 * One serves all single statements: they are synchronous, so they never overlap. The others are checked out for
 * read transactions, in the order of the calls.
 */
export class ReaderPool {
  readonly #options: ReaderPoolOptions;
  #shared: Connection | undefined;
  readonly #idle: Connection[] = [];
  readonly #checkedOut = new Set<Connection>();
  readonly #waiters = new Fifo<Waiter>();
  #sweep: Timer | undefined;
  #isClosed = false;
  #opened = 0;
  #destroyed = 0;

  constructor(options: ReaderPoolOptions) {
    this.#options = options;
  }

  get checkoutMax(): number {
    return Math.max(1, this.#options.max - 1);
  }

  get activeCount(): number {
    return this.#checkedOut.size;
  }

  get idleCount(): number {
    return this.#idle.length + (this.#shared === undefined ? 0 : 1);
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  get opened(): number {
    return this.#opened;
  }

  get destroyed(): number {
    return this.#destroyed;
  }

  /** All open connections, in use or not. */
  *connections(): Iterable<Connection> {
    if (this.#shared !== undefined) yield this.#shared;
    yield* this.#idle;
    yield* this.#checkedOut;
  }

  /** The connection for a single statement; use it within this very call. */
  shared(): Connection {
    const shared = this.#shared;
    if (shared !== undefined && (!shared.isSuspect || shared.checkHealth())) return shared;
    if (shared !== undefined) this.#destroy(shared);
    this.#shared = this.#open();
    this.#startSweep();
    return this.#shared;
  }

  /** Replaces the shared connection, whose statement may be stuck. */
  discardShared(): void {
    if (this.#shared !== undefined) this.#destroy(this.#shared);
    this.#shared = undefined;
  }

  /** Closes idle connections except `except`; connections in use are closed on their release. */
  retire(except?: Connection): void {
    for (const connection of this.#idle.splice(0)) connection.close();
    if (this.#shared !== except) {
      this.#shared?.close();
      this.#shared = undefined;
    }
    for (const connection of this.#checkedOut) if (connection !== except) connection.isOutdated = true;
  }

  acquire(): Promise<Connection> {
    if (this.#isClosed) return Promise.reject(new LibsqlError("The client is closed", "CLIENT_CLOSED"));
    try {
      const free = this.#takeIdle() ?? (this.#checkedOut.size < this.checkoutMax ? this.#open() : undefined);
      if (free !== undefined) {
        this.#checkedOut.add(free);
        return Promise.resolve(free);
      }
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const { acquireTimeoutMs } = this.#options;
      const expire = () => {
        this.#waiters.remove(waiter);
        const message = `Waited ${acquireTimeoutMs} ms for a read connection${this.#options.describeHolders()}`;
        reject(new LibsqlError(message, "ACQUIRE_TIMEOUT"));
      };
      const isBounded = acquireTimeoutMs !== Number.POSITIVE_INFINITY;
      const timer = isBounded ? setTimeout(expire, Math.min(acquireTimeoutMs, MAX_TIMER_MS)) : undefined;
      const waiter: Waiter = { resolve, reject, timer };
      this.#waiters.push(waiter);
    });
  }

  /** Takes a connection back and gives it to the oldest waiter; a broken one is replaced first. */
  release(connection: Connection): void {
    this.#checkedOut.delete(connection);
    const healthy = this.#settle(connection);
    const waiter = this.#isClosed ? undefined : this.#waiters.shift();
    if (waiter !== undefined) {
      clearTimeout(waiter.timer);
      try {
        const next = healthy ? connection : this.#open();
        this.#checkedOut.add(next);
        waiter.resolve(next);
      } catch (error) {
        waiter.reject(error);
      }
      return;
    }
    if (!healthy) return;
    if (this.#isClosed) connection.close();
    else {
      this.#idle.push(connection);
      this.#startSweep();
    }
  }

  /** Rejects waiters and closes idle connections; connections in use are closed on their release. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      clearTimeout(waiter.timer);
      waiter.reject(new LibsqlError("The client is closed", "CLIENT_CLOSED"));
    }
    for (const connection of this.#idle.splice(0)) connection.close();
    this.#shared?.close();
    this.#shared = undefined;
  }

  #open(): Connection {
    const connection = this.#options.open();
    this.#opened++;
    return connection;
  }

  #destroy(connection: Connection): void {
    this.#destroyed++;
    connection.close();
  }

  #takeIdle(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (!connection.isSuspect || connection.checkHealth()) return connection;
      this.#destroy(connection);
    }
    return undefined;
  }

  #settle(connection: Connection): boolean {
    if (connection.isOutdated) connection.close();
    if (connection.isClosed) return false;
    try {
      connection.rollback();
      if (!connection.isSuspect || connection.checkHealth()) return true;
    } catch {
      // A connection that cannot roll back is destroyed, which rolls back.
    }
    this.#destroy(connection);
    return false;
  }

  /** Checks once per `idleTimeoutMs`, and closes connections that were not used since the previous check. */
  #startSweep(): void {
    const { idleTimeoutMs } = this.#options;
    if (this.#sweep !== undefined || idleTimeoutMs === Number.POSITIVE_INFINITY) return;
    this.#sweep = unrefTimer(
      setInterval(() => this.#sweepQuietly(), Math.min(Math.max(idleTimeoutMs, 1), MAX_TIMER_MS)),
    );
  }

  #sweepQuietly(): void {
    try {
      this.#closeUnused();
    } catch {
      // The connection that could not be closed is out of the pool; an error of a timer would end the process.
    }
  }

  #closeUnused(): void {
    for (const connection of this.#idle.splice(0)) {
      if (connection.wasUsed) this.#idle.push(connection);
      else connection.close();
      connection.wasUsed = false;
    }
    if (this.#shared !== undefined) {
      if (this.#shared.wasUsed) this.#shared.wasUsed = false;
      else {
        this.#shared.close();
        this.#shared = undefined;
      }
    }
    if (this.idleCount === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }
  }
}

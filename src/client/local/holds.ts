import { LibsqlError, type ResultSet, type TransactionMode } from "@libsql/client/sqlite3";
import { Holders } from "../holders.js";
import type { BoundStatement } from "../sql/bound-statement.js";
import { BEGIN_SNAPSHOT } from "./batch.js";
import { type Checkout, type ConnectionRole, HeldConnection } from "./checkout.js";
import type { Connection } from "./connection.js";
import type { ReaderPool } from "./reader-pool.js";
import type { Session } from "./session.js";
import { Transaction } from "./transaction.js";
import type { WriterQueue } from "./writer-queue.js";

/** Hands out the connections of a pool for more than one call: to checkouts, transactions and long reads. */
export class Holds {
  readonly #session: Session;
  readonly #writer: WriterQueue;
  readonly #readers: ReaderPool | undefined;
  readonly #holders = new Holders();
  readonly #checkouts = new Set<HeldConnection>();
  readonly #transactions = new Set<Transaction>();
  #isClosed = false;

  constructor(session: Session, writer: WriterQueue, readers: ReaderPool | undefined) {
    this.#session = session;
    this.#writer = writer;
    this.#readers = readers;
  }

  /** Names the present holders, for the error of a call that waited in vain. */
  describe(): string {
    return this.#holders.describe();
  }

  async acquire(role: ConnectionRole): Promise<Checkout> {
    const trace = new Error("acquired");
    if (role === "writer" || this.#readers === undefined) {
      return this.#onWriter((connection, done) => this.#checkout("writer", connection, trace, done));
    }
    const connection = await this.#takeReader();
    return this.#checkout("reader", connection, trace, () => this.#readers!.release(connection));
  }

  /** Begins a transaction: of mode `read` on a reader, otherwise on the writer. */
  begin(mode: TransactionMode): Promise<Transaction> {
    const trace = new Error("taken");
    return mode === "read" && this.#readers !== undefined ? this.#beginRead(trace) : this.#beginWrite(mode, trace);
  }

  /** Runs one SELECT that may take long on a separate reader and on another thread. */
  async scan({ statement, args }: BoundStatement): Promise<ResultSet> {
    const trace = new Error("taken");
    const connection = await this.#takeReader();
    const holder = this.#holders.add("a long read", trace);
    try {
      return await connection.executeOffThread(statement, args, this.#session.options.intMode);
    } finally {
      this.#holders.remove(holder);
      this.#readers!.release(connection);
    }
  }

  /** Rolls back the transactions and takes the checkouts back; later calls reject with CLIENT_CLOSED. */
  close(): void {
    this.#isClosed = true;
    for (const transaction of [...this.#transactions]) transaction.close();
    for (const held of [...this.#checkouts]) held.revoke();
  }

  async #takeReader(): Promise<Connection> {
    await this.#writer.ready();
    return this.#readers!.acquire();
  }

  /** Resolves to what `hold` makes of the writer, which is held until `done` is called. */
  #onWriter<T>(hold: (connection: Connection, done: () => void) => T, before = noPreparation): Promise<T> {
    return new Promise((resolve, reject) => {
      const use = async (connection: Connection) => {
        const preparing = before(connection);
        if (preparing !== undefined) await preparing;
        this.#assertOpen();
        await new Promise<void>((done) => resolve(hold(connection, done)));
      };
      this.#writer.turn(use).catch(reject);
    });
  }

  #checkout(role: ConnectionRole, connection: Connection, trace: Error, giveBack: () => void): Checkout {
    const holder = this.#holders.add(`a ${role}`, trace);
    const held: HeldConnection = new HeldConnection(this.#session, this.#writer, role, connection, () => {
      this.#holders.remove(holder);
      this.#checkouts.delete(held);
      giveBack();
    });
    this.#checkouts.add(held);
    return held;
  }

  async #beginRead(trace: Error): Promise<Transaction> {
    const readers = this.#readers!;
    const connection = await this.#takeReader();
    try {
      this.#assertOpen();
      await this.#writer.whileBusy(() => {
        connection.rollback();
        connection.exec(BEGIN_SNAPSHOT);
      });
    } catch (error) {
      readers.release(connection);
      throw error;
    }
    return this.#transaction(connection, "read", trace, () => readers.release(connection));
  }

  #beginWrite(mode: TransactionMode, trace: Error): Promise<Transaction> {
    // `read` comes here in memory only, whose one connection is not query_only by itself.
    const isRead = mode === "read";
    const begin = (connection: Connection) => {
      if (mode === "write") return this.#writer.lock(connection);
      connection.exec("BEGIN");
      if (isRead) connection.exec("PRAGMA query_only = 1");
      return undefined;
    };
    return this.#onWriter((connection, done) => {
      const giveBack = () => {
        if (isRead) connection.exec("PRAGMA query_only = 0");
        done();
      };
      return this.#transaction(connection, mode, trace, giveBack);
    }, begin);
  }

  #transaction(connection: Connection, mode: TransactionMode, trace: Error, giveBack: () => void): Transaction {
    const holder = this.#holders.add(`a ${mode} transaction`, trace);
    const transaction: Transaction = new Transaction(this.#session, this.#writer, connection, mode, () => {
      this.#holders.remove(holder);
      this.#transactions.delete(transaction);
      giveBack();
    });
    this.#transactions.add(transaction);
    return transaction;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
  }
}

function noPreparation(_connection: Connection): Promise<void> | undefined {
  return undefined;
}

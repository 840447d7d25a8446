import { LibsqlError, type ResultSet, type TransactionMode } from "@libsql/client/sqlite3";
import { type Trace, traceAbove } from "../caller-stack.js";
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
  /** Whether the writer is checked out. Its turn in the queue ends a little later. */
  #isWriterHeld = false;
  #isClosed = false;

  constructor(session: Session, writer: WriterQueue, readers: ReaderPool | undefined) {
    this.#session = session;
    this.#writer = writer;
    this.#readers = readers;
  }

  get isWriterHeld(): boolean {
    return this.#isWriterHeld;
  }

  /** Names the present holders, for the error of a call that waited in vain. */
  describe(): string {
    return this.#holders.describe();
  }

  /** `trace` says where the connection was asked for. */
  async acquire(role: ConnectionRole, trace: Trace): Promise<Checkout> {
    if (role === "writer" || this.#readers === undefined) {
      return new Promise((resolve, reject) => {
        const use = (connection: Connection) => {
          this.#assertOpen();
          return new Promise<void>((done) =>
            resolve(this.#checkout("writer", connection, trace, this.#holdWriter(done))),
          );
        };
        this.#writer.turn(use).catch(reject);
      });
    }
    const connection = await this.#takeReader();
    return this.#checkout("reader", connection, trace, () => this.#readers!.release(connection));
  }

  /** Begins a transaction: of mode `read` on a reader, otherwise on the writer. */
  begin(mode: TransactionMode, trace: Trace): Promise<Transaction> {
    return mode === "read" && this.#readers !== undefined ? this.#beginRead(trace) : this.#beginWrite(mode, trace);
  }

  /** Runs one SELECT that may take long on a separate reader and on another thread. */
  async scan({ statement, args, trace: times }: BoundStatement): Promise<ResultSet> {
    const trace = traceAbove(this.scan);
    const connection = await this.#takeReader();
    const holder = this.#holders.add("a long read", trace);
    try {
      times?.start();
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

  #checkout(role: ConnectionRole, connection: Connection, trace: Trace, giveBack: () => void): Checkout {
    const holder = this.#holders.add(`a ${role}`, trace);
    const held: HeldConnection = new HeldConnection(this.#session, this.#writer, role, connection, () => {
      this.#holders.remove(holder);
      this.#checkouts.delete(held);
      giveBack();
    });
    this.#checkouts.add(held);
    return held;
  }

  async #beginRead(trace: Trace): Promise<Transaction> {
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

  #beginWrite(mode: TransactionMode, trace: Trace): Promise<Transaction> {
    return new Promise((resolve, reject) => {
      const use = async (connection: Connection) => {
        if (mode === "write") await this.#writer.lock(connection);
        else connection.exec("BEGIN");
        this.#assertOpen();
        // `read` comes here in memory only, where the one connection is not query_only otherwise.
        if (mode === "read") connection.exec("PRAGMA query_only = 1");
        await new Promise<void>((done) => resolve(this.#transaction(connection, mode, trace, this.#holdWriter(done))));
        if (mode === "read") connection.exec("PRAGMA query_only = 0");
      };
      this.#writer.turn(use).catch(reject);
    });
  }

  #transaction(connection: Connection, mode: TransactionMode, trace: Trace, giveBack: () => void): Transaction {
    const holder = this.#holders.add(`a ${mode} transaction`, trace);
    const transaction: Transaction = new Transaction(this.#session, this.#writer, connection, mode, () => {
      this.#holders.remove(holder);
      this.#transactions.delete(transaction);
      giveBack();
    });
    this.#transactions.add(transaction);
    return transaction;
  }

  /** Counts the writer as held until the function that it returns is called, which ends the turn by `done`. */
  #holdWriter(done: () => void): () => void {
    this.#isWriterHeld = true;
    return () => {
      this.#isWriterHeld = false;
      done();
    };
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
  }
}

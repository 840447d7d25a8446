import { type InArgs, type InStatement, LibsqlError, type ResultSet } from "@libsql/client/sqlite3";
import { Turn } from "../../shared/turn.js";
import { atCaller } from "../caller-stack.js";
import { areCallsObserved } from "../diagnostics.js";
import { type BoundStatement, bindEach, type StatementInput } from "../sql/bound-statement.js";
import { tracedBatch, tracedStatement } from "../traced-calls.js";
import { readAll, writeAll } from "./batch.js";
import type { Connection } from "./connection.js";
import type { Session } from "./session.js";
import type { WriterQueue } from "./writer-queue.js";

/** `reader` is one of several `query_only` connections; `writer` is the only one that may write. */
export type ConnectionRole = "reader" | "writer";

/** A connection that the caller owns until `release`. */
export interface Checkout {
  readonly role: ConnectionRole;
  /** Runs one statement; on the writer each write is a transaction, on a reader writes are SQLITE_READONLY. */
  execute(statement: InStatement, args?: InArgs): Promise<ResultSet>;
  /** Runs all statements in one transaction; rejects with LibsqlBatchError and stores nothing if one fails. */
  batch(statements: readonly StatementInput[]): Promise<ResultSet[]>;
  /** Gives the connection back. Throws when called twice. */
  release(): void;
}

/** A checkout; the pool revokes it when it closes. */
export class HeldConnection implements Checkout {
  readonly role: ConnectionRole;
  readonly #session: Session;
  readonly #writer: WriterQueue;
  readonly #connection: Connection;
  readonly #giveBack: () => void;
  #state: "held" | "released" | "revoked" = "held";
  /** A batch lets the event loop run, and must end before the next call or the next owner uses the connection. */
  readonly #turn = new Turn();

  constructor(
    session: Session,
    writer: WriterQueue,
    role: ConnectionRole,
    connection: Connection,
    giveBack: () => void,
  ) {
    this.#session = session;
    this.#writer = writer;
    this.role = role;
    this.#connection = connection;
    this.#giveBack = giveBack;
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    const bound = this.#session.bindWithin(
      typeof input === "string" && args !== undefined ? { sql: input, args } : input,
    );
    const isRead = this.role === "reader" || bound.statement.kind === "read";
    const run = (one: BoundStatement) =>
      this.#inOrder(async () => {
        if (isRead) return this.#session.run(this.#connection, one);
        const [result] = await writeAll(this.#session, this.#writer, this.#connection, [one]);
        return result!;
      });
    try {
      if (!areCallsObserved()) return await run(bound);
      const traits = { role: this.role, isWithin: isRead };
      return await tracedStatement(bound.statement.sql, traits, (trace) => run({ ...bound, trace }));
    } catch (error) {
      throw atCaller(error, this.execute);
    }
  }

  async batch(inputs: readonly StatementInput[]): Promise<ResultSet[]> {
    const bound = bindEach(inputs, (input) => this.#session.bindWithin(input));
    const run = (all: readonly BoundStatement[]) =>
      this.#inOrder(() => {
        if (this.role === "writer") return writeAll(this.#session, this.#writer, this.#connection, all);
        return readAll(this.#session, this.#connection, all);
      });
    try {
      return await (areCallsObserved() ? tracedBatch(bound, { role: this.role }, run) : run(bound));
    } catch (error) {
      throw atCaller(error, this.batch);
    }
  }

  release(): void {
    if (this.#state === "released") throw this.#released();
    if (this.#state === "held") this.#end("released");
  }

  /** Takes the connection back from its owner; a later `release` has no effect. */
  revoke(): void {
    if (this.#state === "held") this.#end("revoked");
  }

  #end(how: "released" | "revoked"): void {
    this.#state = how;
    void this.#turn.run(this.#giveBack);
  }

  #inOrder<T>(task: () => T | Promise<T>): Promise<T> {
    if (this.#state === "revoked") throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
    if (this.#state === "released") throw this.#released();
    return this.#turn.run(task);
  }

  #released(): LibsqlError {
    return new LibsqlError(`This ${this.role} has been released`, "CONNECTION_RELEASED");
  }
}

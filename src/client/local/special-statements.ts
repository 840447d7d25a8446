import { LibsqlError, type ResultSet } from "@libsql/client/sqlite3";
import type { BoundStatement } from "../sql/bound-statement.js";
import { firstWord, type ParsedStatement } from "../sql/parse.js";
import { StatementResult, singleRow } from "../sql/rows.js";
import type { StatementTrace } from "../statement-trace.js";
import type { Checkpointer, CheckpointResult } from "./checkpointer.js";
import { type Connection, READ_SCHEMA } from "./connection.js";
import type { Session } from "./session.js";
import { isSetting, writesFile } from "./session-settings.js";
import type { WriterQueue } from "./writer-queue.js";

interface SpecialContext {
  readonly session: Session;
  readonly writer: WriterQueue;
  readonly checkpointer: Checkpointer | undefined;
  readonly assertInPlace: () => void;
}

/** Runs what is neither a read nor a write of rows: PRAGMA, VACUUM, ATTACH, and scripts with SQLite's own semantics. */
export class SpecialStatements {
  readonly #context: SpecialContext;

  constructor(context: SpecialContext) {
    this.#context = context;
  }

  run(bound: BoundStatement): Promise<ResultSet> {
    const { session, writer } = this.#context;
    const { statement, args, trace } = bound;
    switch (statement.kind) {
      case "pragma":
        return this.#pragma(bound);
      case "vacuum":
        return writer.turn((connection) => this.#vacuum(connection, bound));
      case "attach":
      case "detach":
        return writer.turn((connection) => {
          trace?.start();
          const result = connection.execute(statement, args, session.options.intMode);
          session.noteSetting(bound, connection);
          return result;
        });
      case "empty":
        throw new LibsqlError("The SQL holds no statement", "SQL_NO_STATEMENT");
      default:
        throw new LibsqlError(
          `${firstWord(statement)} through execute() could reach any connection of the pool. Use transaction()`,
          "NOT_SUPPORTED",
        );
    }
  }

  async checkpoint(): Promise<CheckpointResult> {
    const { writer, checkpointer } = this.#context;
    if (checkpointer === undefined) return { logFrames: 0, checkpointedFrames: 0 };
    return writer.turn((connection) => checkpointer.run(connection));
  }

  /** Runs a script; a transaction that it leaves open is rolled back. */
  async script(statements: readonly ParsedStatement[], trace?: StatementTrace): Promise<void> {
    const { session, writer, checkpointer } = this.#context;
    await writer.turn(async (connection) => {
      writer.assertSound();
      trace?.start();
      // Otherwise an INSERT without a list of columns may be compiled with an older schema.
      await writer.whileBusy(() => connection.exec(READ_SCHEMA));
      try {
        for (const statement of statements) await this.#runPart(connection, statement);
      } finally {
        // The statements before one that failed may have been committed.
        checkpointer?.afterCommit();
      }
      session.noteTemporaryTables(
        connection,
        statements.some(({ mayCreateTemporary }) => mayCreateTemporary),
      );
    });
  }

  async #pragma(bound: BoundStatement): Promise<ResultSet> {
    const { session, writer } = this.#context;
    const { statement, args, trace } = bound;
    const pragma = statement.pragma!;
    if (pragma.name === "busy_timeout") return session.busyTimeout(pragma);
    if (pragma.name === "wal_checkpoint" && !session.options.isMemory) {
      const { logFrames, checkpointedFrames } = await this.checkpoint();
      return singleRow(["busy", "log", "checkpointed"], [0, logFrames, checkpointedFrames]);
    }
    if (writesFile(pragma)) return writer.execute(bound);
    return writer.turn((connection) => {
      trace?.start();
      const result = connection.execute(statement, args, session.options.intMode);
      if (isSetting(pragma)) session.noteSetting(bound, connection);
      return result;
    });
  }

  async #vacuum(connection: Connection, { statement, args, trace }: BoundStatement): Promise<ResultSet> {
    const { session, writer, checkpointer, assertInPlace } = this.#context;
    writer.assertSound();
    assertInPlace();
    trace?.start();
    if (args.length > 0) return connection.execute(statement, args, session.options.intMode);
    await writer.whileBusy(() => connection.execOffThread(statement.sql));
    checkpointer?.afterCommit();
    return new StatementResult([], [], [], 0, undefined);
  }

  /** One statement of a script, which waits for other processes. */
  async #runPart(connection: Connection, statement: ParsedStatement): Promise<void> {
    const { session, writer, checkpointer, assertInPlace } = this.#context;
    const { kind, pragma } = statement;
    if (pragma?.name === "busy_timeout") {
      session.busyTimeout(pragma);
      return;
    }
    if (pragma?.name === "wal_checkpoint") {
      if (!connection.inTransaction) await checkpointer?.run(connection);
      return;
    }
    // Outside of a transaction each statement commits itself.
    if (kind === "commit" || !connection.inTransaction) assertInPlace();
    await writer.whileBusy(() => connection.exec(statement.sql));
    session.noteSetting({ statement, args: [] }, connection);
  }
}

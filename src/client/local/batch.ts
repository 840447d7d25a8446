import { setImmediate as nextTurn } from "node:timers/promises";
import { LibsqlBatchError, type ResultSet } from "@libsql/client/sqlite3";
import { type BoundStatement, isLongWrite, toBatchError } from "../sql/bound-statement.js";
import { type Connection, rollBackAfter } from "./connection.js";
import type { Session } from "./session.js";
import type { WriterQueue } from "./writer-queue.js";

/** The first read chooses the snapshot: this makes one, so that later commits of others stay unseen. */
export const BEGIN_SNAPSHOT = "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1";
/** The longest time for which a batch blocks the event loop. */
const BATCH_SLICE_MS = 20;

/**
 * Runs all statements on the writer in one transaction, and commits. Long batches let the event loop run now and then.
 *
 * Rejects with LibsqlBatchError, and stores nothing, when one of them fails.
 */
export async function writeAll(
  session: Session,
  writer: WriterQueue,
  connection: Connection,
  statements: readonly BoundStatement[],
): Promise<ResultSet[]> {
  await writer.lock(connection);
  try {
    const results: ResultSet[] = [];
    let hasLong = false;
    let sliceStart = performance.now();
    for (const [index, bound] of statements.entries()) {
      if (isLongWrite(bound)) {
        hasLong = true;
        results.push(await runLong(session, connection, bound, index));
      } else {
        results.push(runOne(session, connection, bound, index));
      }
      if (index % 64 === 63 && performance.now() - sliceStart > BATCH_SLICE_MS) {
        await nextTurn();
        sliceStart = performance.now();
      }
    }
    if (hasLong) await connection.commitOffThread();
    else connection.commit();
    session.noteTemporaryTables(
      connection,
      statements.some(({ statement }) => statement.mayCreateTemporary),
    );
    return results;
  } catch (error) {
    rollBackAfter(connection);
    throw error;
  }
}

/** Runs all statements on a reader in one read transaction, or in the one that its holder has begun. */
export function readAll(session: Session, reader: Connection, statements: readonly BoundStatement[]): ResultSet[] {
  const runAll = () => statements.map((bound, index) => runOne(session, reader, bound, index));
  if (reader.inTransaction) return runAll();
  try {
    reader.exec(BEGIN_SNAPSHOT);
    const results = runAll();
    reader.exec("COMMIT");
    return results;
  } finally {
    rollBackAfter(reader);
  }
}

/** Runs all statements on the writer in one transaction that refuses writes. */
export function readAllOnWriter(
  session: Session,
  connection: Connection,
  statements: readonly BoundStatement[],
): ResultSet[] {
  connection.exec("PRAGMA query_only = 1");
  try {
    connection.exec("BEGIN");
    const results = statements.map((bound, index) => runOne(session, connection, bound, index));
    connection.exec("COMMIT");
    return results;
  } finally {
    rollBackAfter(connection);
    connection.exec("PRAGMA query_only = 0");
  }
}

function runOne(session: Session, connection: Connection, bound: BoundStatement, index: number): ResultSet {
  assertOpen(connection, index);
  try {
    return session.run(connection, bound);
  } catch (error) {
    throw toBatchError(error, index);
  }
}

async function runLong(
  session: Session,
  connection: Connection,
  { statement, args, trace }: BoundStatement,
  index: number,
): Promise<ResultSet> {
  assertOpen(connection, index);
  try {
    trace?.start();
    const result = await connection.executeOffThread(statement, args, session.options.intMode);
    trace?.end(result);
    return result;
  } catch (error) {
    throw toBatchError(error, index);
  }
}

function assertOpen(connection: Connection, index: number): void {
  if (connection.inTransaction) return;
  throw new LibsqlBatchError("The transaction has been rolled back", index, "TRANSACTION_CLOSED");
}

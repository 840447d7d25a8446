import type { Row } from "@libsql/client";
import { isAnswerTooLarge } from "../client/remote/remote-error.js";
import type { Executor } from "./executor.js";
import { inParts, type Statement } from "./statements.js";

/** Runs SELECTs. Without `snapshot`, all of its reads see one state of the database. */
export type RowReader = Pick<Executor, "execute"> & Partial<Pick<Executor, "scan" | "snapshot">>;

/** Rows of the first piece that is tried. */
const FIRST_ROWS = 512;

/**
 * All rows of a SELECT whose size the library chooses. A server limits an answer (10 MB); a larger one is read in pieces,
 * from one snapshot. If the caller chose the size of a call, do not use this function: the caller gets the error.
 *
 * Each piece runs the SELECT again and skips the rows that were read, so the order must be the same each time.
 */
export async function readAll(
  reader: RowReader,
  statement: Statement,
  how: "execute" | "scan" = "execute",
): Promise<readonly Row[]> {
  const run = (from: RowReader, one: Statement) => (how === "scan" && from.scan ? from.scan(one) : from.execute(one));
  try {
    return (await run(reader, statement)).rows;
  } catch (error) {
    if (!isAnswerTooLarge(error)) throw error;
  }
  const snapshot = await reader.snapshot?.();
  try {
    return await readPieces(statement, (piece) => run(snapshot?.executor ?? reader, piece));
  } finally {
    snapshot?.close();
  }
}

async function readPieces(
  { sql, args }: Statement,
  run: (piece: Statement) => Promise<{ readonly rows: readonly Row[] }>,
): Promise<Row[]> {
  const found: Row[] = [];
  for (let size = FIRST_ROWS; ; ) {
    const { rows, limit } = await halvedUntilItFits(size, async (count) => {
      const piece = `select * from (${sql}) limit ? offset ?`;
      return { ...(await run({ sql: piece, args: [...args, count, found.length] })), limit: count };
    });
    for (const row of rows) found.push(row);
    if (rows.length < limit) return found;
    // The large ones may be behind us.
    size = Math.min(FIRST_ROWS, limit * 2);
  }
}

/** All rows of a SELECT by ids, which runs for one part of them after the other; `toOne` gets a part as JSON. */
export async function readByIds(
  executor: Executor,
  ids: readonly string[],
  toOne: (ids: string) => Statement,
): Promise<Row[]> {
  const statements = inParts(
    ids.map((id) => [id]),
    (part) => toOne(JSON.stringify(part.flat())),
  );
  const found: Row[] = [];
  for (const statement of statements) found.push(...(await readAll(executor, statement)));
  return found;
}

/** The answers to several SELECTs about one state of the database. */
export async function readAllOf(executor: Executor, statements: readonly Statement[]): Promise<(readonly Row[])[]> {
  try {
    return (await executor.batch(statements)).map(({ rows }) => rows);
  } catch (error) {
    if (!isAnswerTooLarge(error)) throw error;
  }
  const snapshot = await executor.snapshot();
  try {
    const answers: (readonly Row[])[] = [];
    for (const statement of statements) answers.push(await readAll(snapshot.executor, statement));
    return answers;
  } finally {
    snapshot.close();
  }
}

/** Calls `read` with `size`, or with a half, a quarter, … of it if a server finds the answer, or a value in it, too large. */
export async function halvedUntilItFits<T>(size: number, read: (size: number) => Promise<T>): Promise<T> {
  for (let count = size; ; count = Math.ceil(count / 2)) {
    try {
      return await read(count);
    } catch (error) {
      if (count === 1 || !(isAnswerTooLarge(error) || isTooBig(error))) throw error;
    }
  }
}

/** Whether SQLite refused a value or a row for its size; the cause of a StorageError has SQLite's code. */
function isTooBig(error: unknown): boolean {
  const { cause } = error as { readonly cause?: unknown };
  return [error, cause].some((one) => (one as { readonly code?: unknown } | undefined)?.code === "SQLITE_TOOBIG");
}

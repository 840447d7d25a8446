import type { IntMode, ResultSet } from "@libsql/client/sqlite3";
import type { Fifo } from "../../shared/fifo.js";
import type { BoundStatement } from "../sql/bound-statement.js";
import { parseStatement } from "../sql/parse.js";
import { StatementResult } from "../sql/rows.js";
import type { Connection } from "./connection.js";
import type { NativeValue } from "./native.js";

export interface StatementTask {
  readonly kind: "statement";
  readonly bound: BoundStatement;
  readonly resolve: (result: ResultSet) => void;
  readonly reject: (error: unknown) => void;
  readonly enqueuedAt: number;
  /** Set after its shared transaction was rolled back: it then runs in a separate one. */
  isAlone: boolean;
  /** Set after a statement for several rows failed: it then runs as its own statement. */
  isOneRow?: boolean;
}

export interface TurnTask {
  readonly kind: "turn";
  readonly run: (connection: Connection) => Promise<void>;
  readonly reject: (error: unknown) => void;
  readonly enqueuedAt: number;
}

export type Task = StatementTask | TurnTask;

// Statements that store one row each, and wait together, become one statement for all of them (`AS_ROWS`): a trigger that
// fills a full-text index then writes to it once.

/** Most rows and characters of one statement: a few ms. */
const MOST_ROWS = 100;
const MOST_CHARS = 100_000;

/** The tasks at the head of the line that one statement can store: less than two if there are none. */
export function rowsAtHead(tasks: Fifo<Task>): StatementTask[] {
  const rows: StatementTask[] = [];
  for (let chars = 0; rows.length < MOST_ROWS && chars < MOST_CHARS; ) {
    const task = tasks.peek(rows.length);
    if (task?.kind !== "statement" || task.isAlone || task.isOneRow === true) break;
    const { asRows, args } = task.bound;
    if (asRows === undefined || asRows !== (rows[0] ?? task).bound.asRows) break;
    for (const value of args) if (typeof value === "string") chars += value.length;
    rows.push(task);
  }
  return rows;
}

/** Stores the rows by one statement, and returns the result of each; none if it fails, and then each has to run by itself. */
export function storeRows(connection: Connection, rows: readonly StatementTask[], intMode: IntMode): ResultSet[] {
  try {
    for (const { bound } of rows) bound.trace?.start("writer");
    const json = JSON.stringify(rows.map(({ bound }) => bound.args.map(toJsonValue)));
    connection.execute(parseStatement(rows[0]!.bound.asRows!), [json], intMode);
  } catch {
    for (const task of rows) task.isOneRow = true;
    return [];
  }
  return rows.map(() => new StatementResult([], [], [], 1, undefined));
}

/** Throws on what JSON cannot hold. */
function toJsonValue(value: NativeValue): string | number | null {
  if (value instanceof Uint8Array || (typeof value === "bigint" && !Number.isSafeInteger(Number(value)))) {
    throw new RangeError("Expected text, null and numbers of JSON");
  }
  return typeof value === "bigint" ? Number(value) : (value as string | number | null);
}

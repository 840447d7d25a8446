import {
  type InArgs,
  type InStatement,
  LibsqlBatchError,
  LibsqlError,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { withoutCode } from "../../shared/errors.js";
import { expectation } from "../../shared/expectation.js";
import type { NativeValue } from "../local/native.js";
import type { StatementTrace } from "../statement-trace.js";
import { bindArguments } from "./bind.js";
import { firstWord, type ParsedStatement, parseStatement } from "./parse.js";

/**
 * A property of a statement that stores one row: the SQL that stores many such rows, whose only argument is the JSON of
 * an array of their arguments. The writer uses it for those that wait together, which is faster.
 */
export const AS_ROWS = Symbol("as rows");

/** A statement with its checked arguments. */
export interface BoundStatement {
  readonly statement: ParsedStatement;
  readonly args: readonly NativeValue[];
  /** See `AS_ROWS`. */
  readonly asRows?: string | undefined;
  /** The times of the statement, while someone subscribes to them. */
  readonly trace?: StatementTrace | undefined;
}

/** The number of characters from which a write counts as long, because full-text indexes take time for them. */
const LONG_WRITE_CHARS = 100_000;

/** Whether a statement should run on another thread, so that it does not block the event loop. */
export function isLongWrite({ statement, args }: BoundStatement): boolean {
  if (statement.kind !== "write") return false;
  let chars = 0;
  for (const value of args) if (typeof value === "string") chars += value.length;
  return chars > LONG_WRITE_CHARS;
}

/** Something to run: SQL and its arguments, in any of the forms that `batch` takes. */
export type StatementInput = InStatement | [string, InArgs?];

/** Throws TypeError unless `value` is an array of statements without holes. */
export function expectStatements(value: unknown): asserts value is readonly StatementInput[] {
  if (!Array.isArray(value)) throw new TypeError(expectation("statements", "an array of statements", value));
  for (let index = 0; index < value.length; index++) {
    if (!(index in value)) {
      throw new TypeError(`Expected \`statements\` to be an array without holes, and there is one at index ${index}`);
    }
  }
}

export function expectSql(sql: unknown): asserts sql is string {
  if (typeof sql !== "string") throw new TypeError(`Expected the SQL to be a string, got ${typeof sql}`);
}

/** Throws RangeError, as the stock client does, unless it is the mode of a transaction. */
export function expectMode(mode: TransactionMode): void {
  if (mode === "write" || mode === "read" || mode === "deferred") return;
  throw new RangeError('Unknown transaction mode, supported values are "write", "read" and "deferred"');
}

/** Reads any form of statement and checks its arguments. */
export function bindInput(input: StatementInput): BoundStatement {
  const [sql, args] = typeof input === "string" ? [input] : Array.isArray(input) ? input : [input?.sql, input?.args];
  expectSql(sql);
  const statement = parseStatement(sql);
  if (statement.hasTail) {
    throw new LibsqlError(
      "The SQL holds more than one statement, of which only the first would run. Use executeMultiple or batch",
      "SQL_MANY_STATEMENTS",
    );
  }
  const asRows = typeof input === "string" ? undefined : (input as { readonly [AS_ROWS]?: string })[AS_ROWS];
  return { statement, args: bindArguments(statement, args), asRows };
}

/** Refuses a statement that would commit the transaction of a batch, and so store a part of it. */
export function assertNoCommit(bound: BoundStatement): BoundStatement {
  if (bound.statement.kind !== "commit") return bound;
  throw new LibsqlError(
    `${firstWord(bound.statement)} in a batch would store a part of it; it is one transaction already. Leave it out`,
    "NOT_SUPPORTED",
  );
}

/** Reads the statements of a batch with `bind`; an error has the place of its statement. */
export function bindEach(
  inputs: readonly StatementInput[],
  bind: (input: StatementInput) => BoundStatement,
): BoundStatement[] {
  return inputs.map((input, index) => {
    try {
      return bind(input);
    } catch (error) {
      throw toBatchError(error, index);
    }
  });
}

/** The error of the statement at `index` of a batch, with that as its `statementIndex`. */
export function toBatchError(error: unknown, index: number): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return Object.assign(error, { statementIndex: index });
  if (!(error instanceof LibsqlError) || error instanceof LibsqlBatchError) return error;
  const cause = error.cause instanceof Error ? error.cause : error;
  return new LibsqlBatchError(withoutCode(error), index, error.code, error.extendedCode, error.rawCode, cause);
}

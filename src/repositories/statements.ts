import type { InValue } from "@libsql/client";
import { type AnyColumn, fillPlaceholders, getTableName, type SQL, sql } from "drizzle-orm";
import { SQLiteSyncDialect, type SQLiteTable } from "drizzle-orm/sqlite-core";

/** SQL and its arguments, ready for a client or a transaction. */
export interface Statement {
  readonly sql: string;
  readonly args: InValue[];
}

const dialect = new SQLiteSyncDialect();

/** The text and arguments of a Drizzle `sql` expression. */
export function toStatement(query: SQL): Statement {
  const { sql: text, params } = dialect.sqlToQuery(query);
  return { sql: text, args: params as InValue[] };
}

/** Compiles a Drizzle expression with `sql.placeholder(name)` in it once, for many calls. */
export function prepareStatement(query: SQL): (values: Record<string, InValue>) => Statement {
  const { sql: text, params } = dialect.sqlToQuery(query);
  return (values) => ({ sql: text, args: fillPlaceholders(params, values) as InValue[] });
}

/** Compiles the INSERT of one row into the given columns; the values come in their order. */
export function prepareInsert(table: SQLiteTable, columns: readonly AnyColumn[]): (values: InValue[]) => Statement {
  const names = columns.map((column) => `"${column.name}"`).join(", ");
  const marks = columns.map(() => "?").join(", ");
  const text = `insert into "${getTableName(table)}" (${names}) values (${marks})`;
  return (values) => ({ sql: text, args: values });
}

/** `column = value`, as SET wants it: without the table's name. */
export function set(column: AnyColumn, value: unknown): SQL {
  return sql`${sql.identifier(column.name)} = ${value}`;
}

/** Expressions with commas between. */
export function list(parts: readonly (SQL | AnyColumn)[]): SQL {
  return sql.join([...parts], sql`, `);
}

/** Conditions with AND between; the first is always there. */
export function all(conditions: readonly SQL[]): SQL {
  return sql.join([...conditions], sql` and `);
}

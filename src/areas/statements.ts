import type { InValue, Row } from "@libsql/client";
import {
  type AnyColumn,
  fillPlaceholders,
  getTableColumns,
  getTableName,
  type Query,
  type SQL,
  sql,
} from "drizzle-orm";
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

/** Compiles a Drizzle expression with `sql.placeholder(name)` in it once, at the first of many calls. */
export function prepareStatement(make: () => SQL): (values: Record<string, InValue>) => Statement {
  let compiled: Query | undefined;
  return (values) => {
    compiled ??= dialect.sqlToQuery(make());
    return { sql: compiled.sql, args: fillPlaceholders(compiled.params, values) as InValue[] };
  };
}

/**
 * The elements of a JSON array as a table with `key` and `value`, to read parts of each with `value ->> place`. A column
 * of json_each itself is written out as text again wherever it is mentioned: this, first in its FROM, writes it once.
 */
export function jsonRows(name: string): SQL {
  // The LIMIT keeps SQLite from seeing through the subquery.
  return sql`(select key, value from json_each(${sql.placeholder(name)}) limit -1)`;
}

/** Most bytes of an argument: a server takes 5 MB. */
const MAX_ARGUMENT_BYTES = 4_500_000;

/** Most rows and characters of one statement: enough for full speed, little enough to leave the event loop its turns. */
const MAX_ROWS = 1_000;
const MAX_CHARS = 4_000_000;

/** The statement for `rows`, or those for parts of them, in order: not of too many, and with no argument too large for a server. */
export function inParts<T extends object>(rows: readonly T[], toOne: (rows: readonly T[]) => Statement): Statement[] {
  const parts: T[][] = [[]];
  let chars = 0;
  for (const row of rows) {
    const size = charsOf(row);
    const part = parts.at(-1)!;
    if (part.length < MAX_ROWS && (part.length === 0 || chars + size <= MAX_CHARS)) {
      part.push(row);
      chars += size;
    } else {
      parts.push([row]);
      chars = size;
    }
  }
  return parts.flatMap((part) => halvedToFit(part, toOne));
}

/** Counted before anything is rendered: a text of many long ones could be longer than a string can be. */
function charsOf(row: object): number {
  let chars = 0;
  for (const value of Object.values(row)) if (typeof value === "string") chars += value.length;
  return chars;
}

function halvedToFit<T>(rows: readonly T[], toOne: (rows: readonly T[]) => Statement): Statement[] {
  const statement = toOne(rows);
  if (rows.length < 2 || !statement.args.some(isTooLarge)) return [statement];
  const half = rows.length >> 1;
  return [...halvedToFit(rows.slice(0, half), toOne), ...halvedToFit(rows.slice(half), toOne)];
}

/** A character of UTF-16 has at most three bytes. */
function isTooLarge(value: InValue): boolean {
  return (
    typeof value === "string" && value.length * 3 > MAX_ARGUMENT_BYTES && Buffer.byteLength(value) > MAX_ARGUMENT_BYTES
  );
}

/** Compiles the INSERT of one row into the given columns; the values come in their order. */
export function prepareInsert(table: SQLiteTable, columns: readonly AnyColumn[]): (values: InValue[]) => Statement {
  const names = columns.map((column) => `"${column.name}"`).join(", ");
  const marks = columns.map(() => "?").join(", ");
  const text = `insert into "${getTableName(table)}" (${names}) values (${marks})`;
  return (values) => ({ sql: text, args: values });
}

/**
 * The same with values by name. A column in `computed` takes SQL without arguments instead of a value; a row that has the
 * same values in the columns `unique` is replaced.
 */
export function insertOf<K extends string, C extends string = never>(
  table: SQLiteTable,
  columns: Readonly<Record<K, AnyColumn>>,
  options: { readonly computed?: Readonly<Record<C, SQL>>; readonly unique?: readonly NoInfer<K>[] } = {},
): (values: Readonly<Record<Exclude<K, C>, InValue>>) => Statement {
  const { unique = [] } = options;
  const computed = new Map<string, SQL>(Object.entries(options.computed ?? {}));
  const names = Object.keys(columns) as K[];
  const given = names.filter((name): name is Exclude<K, C> => !computed.has(name));
  const quoted = (name: K) => `"${columns[name].name}"`;
  const cells = names.map((name) => (computed.has(name) ? toStatement(computed.get(name)!).sql : "?"));
  const others = names
    .filter((name) => !unique.includes(name))
    .map((name) => `${quoted(name)} = excluded.${quoted(name)}`);
  const insert = `insert into "${getTableName(table)}" (${names.map(quoted)}) values (${cells})`;
  const text = unique.length === 0 ? insert : `${insert} on conflict (${unique.map(quoted)}) do update set ${others}`;
  return (values) => {
    const args: InValue[] = [];
    for (const name of given) args.push(values[name]);
    return { sql: text, args };
  };
}

/** `column = :name` for each column, as SET takes it. */
export function setEach(columns: Readonly<Record<string, AnyColumn>>): SQL {
  return list(Object.entries(columns).map(([name, column]) => set(column, sql.placeholder(name))));
}

/** `column = value`, as SET wants it: without the table's name. */
export function set(column: AnyColumn, value: unknown): SQL {
  return sql`${sql.identifier(column.name)} = ${value}`;
}

/** `updated = now`, but never before the record was created: a clock may be set back, or be that of another machine. */
export function touch(updatedAt: AnyColumn, createdAt: AnyColumn): SQL {
  return set(updatedAt, sql`max(${createdAt}, ${sql.placeholder("now")})`);
}

/** Expressions with commas between. */
export function list(parts: readonly (SQL | AnyColumn)[]): SQL {
  return sql.join([...parts], sql`, `);
}

/** Columns by their names alone, as INSERT and RETURNING want them. */
export function names(columns: readonly AnyColumn[]): SQL {
  return list(columns.map(({ name }) => sql`${sql.identifier(name)}`));
}

/** The columns of a RETURNING clause, under the names that a `selection` of the same parts gives them. */
export function returned(parts: Readonly<Record<string, AnyColumn>>): SQL {
  return list(Object.entries(parts).map(([as, { name }]) => sql`${sql.identifier(name)} as ${sql.identifier(as)}`));
}

/** Conditions with AND between; the first is always there. */
export function all(conditions: readonly SQL[]): SQL {
  return sql.join([...conditions], sql` and `);
}

/** Columns of a SELECT by name: the list, and the name of each column in a row. */
export interface Selection<K extends string> {
  readonly columns: SQL;
  readonly at: Readonly<Record<K, string>>;
}

/**
 * Names the columns of a SELECT once, so that `row[at.title]` stays right when columns are added or move. Reading a row by
 * name costs a tenth of reading it by position, which is a getter of the row. A `prefix` keeps several selections of one
 * SELECT apart.
 */
export function selection<K extends string>(parts: Readonly<Record<K, SQL | AnyColumn>>, prefix = ""): Selection<K> {
  const names = Object.keys(parts) as K[];
  const at = Object.fromEntries(names.map((name) => [name, prefix + name])) as Record<K, string>;
  const columns = () => list(names.map((name) => sql`${parts[name]} as ${sql.identifier(at[name])}`));
  return { columns: rendered(columns), at };
}

/**
 * The same expression as text, for a part of a statement that is built for each call: Drizzle would render the part each
 * time. An expression with arguments stays as it is. Drizzle takes `make` at the first use, because a process uses few of
 * the many that the modules have.
 */
export function rendered(make: () => SQL): SQL {
  const query = sql.empty();
  const define = (chunks: PropertyDescriptor) => Object.defineProperty(query, "queryChunks", chunks);
  define({
    configurable: true,
    get: () => {
      const made = make();
      const { sql: text, params } = dialect.sqlToQuery(made);
      const value = (params.length === 0 ? sql.raw(text) : made).queryChunks;
      define({ value });
      return value;
    },
  });
  return query;
}

/** The named columns of a table, for `selection` and `insertOf`. */
export function pick<T extends SQLiteTable, K extends keyof T["_"]["columns"] & string>(
  table: T,
  ...names: readonly K[]
): Pick<T["_"]["columns"], K> {
  const columns = getTableColumns(table) as T["_"]["columns"];
  return Object.fromEntries(names.map((name) => [name, columns[name]])) as Pick<T["_"]["columns"], K>;
}

/** The values of a row by the names of its selection. */
export function byName<K extends string>({ at }: Selection<K>, row: Row): Record<K, unknown> {
  return Object.fromEntries(Object.keys(at).map((name) => [name, row[at[name as K]]])) as Record<K, unknown>;
}

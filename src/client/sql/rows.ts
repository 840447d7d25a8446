import { inspect } from "node:util";
import type { IntMode, ResultSet, Row, Value } from "@libsql/client";

/** Makes the row that a caller gets from the values of one row, in column order. */
export type RowMaker = (values: Value[]) => Row;

/**
 * Libraries take an object for a plain one if its prototype is Object.prototype, or has the members of Object.prototype
 * and no prototype itself.
 */
const PLAIN_MEMBERS = Object.getOwnPropertyDescriptors(Object.prototype);
/**
 * The hidden property with all values, of rows in which several columns have one name. No column has this name: SQLite's
 * end at a NUL. Unlike a private field, it can be read through a Proxy of the row.
 */
const VALUES = "\0values";

/**
 * Rows that read as the stock client's: `row.name` (own, enumerable), `row[0]` and `row.length` (hidden).
 *
 * One prototype for each statement, because defining these properties on each row costs many times as much as the
 * assignments. An index reads the value that was selected, also after the column's property has changed. A Proxy and
 * `Object.create(row)` have no private fields, so there it reads the column by its name.
 */
export function sharedRows(columns: readonly string[]): RowMaker {
  const named = namedColumns(columns);
  if (named.some(({ name }) => isAwkward(name))) return plainRows(columns);

  class StatementRow {
    readonly #values: readonly Value[];

    constructor(values: readonly Value[]) {
      this.#values = values;
      for (const { name, index } of named) (this as unknown as Record<string, Value>)[name] = values[index] as Value;
    }

    static valueAt(row: object, index: number, name: string): Value | undefined {
      if (#values in row) return row.#values[index];
      // A copy of the row, such as that of lodash, has lost the values of later columns of one name.
      if (columns.indexOf(name) !== index) return (row as { readonly [VALUES]?: readonly Value[] })[VALUES]?.[index];
      return (row as Record<string, Value>)[name];
    }
  }
  const { prototype, valueAt } = StatementRow;
  Object.setPrototypeOf(prototype, null);
  Object.defineProperties(prototype, PLAIN_MEMBERS);
  for (const [index, name] of columns.entries()) {
    Object.defineProperty(prototype, index, {
      get(this: object) {
        return valueAt(this, index, name);
      },
    });
  }
  Object.defineProperty(prototype, "length", { value: columns.length });
  Object.defineProperty(prototype, inspect.custom, {
    value(this: object) {
      return { ...this };
    },
  });
  const RowClass = StatementRow as unknown as new (values: Value[]) => Row;
  if (named.length === columns.length) return (values) => new RowClass(values);
  return (values) => Object.defineProperty(new RowClass(values), VALUES, { value: values, configurable: true });
}

/** Names that plain assignment would not store, or that a Proxy may answer itself: of Object.prototype, `length`, indexes. */
function isAwkward(name: string): boolean {
  return name in Object.prototype || name === "length" || /^\d+$/.test(name);
}

/** Rows that are made as those of the stock client: plain objects, with hidden indexes and `length` on each. */
export function plainRows(columns: readonly string[]): RowMaker {
  const named = namedColumns(columns);
  return (values) => {
    const row = {};
    Object.defineProperty(row, "length", { value: values.length });
    for (let index = 0; index < values.length; index++) Object.defineProperty(row, index, { value: values[index] });
    for (const { name, index } of named) {
      if (Object.hasOwn(row, name)) continue;
      Object.defineProperty(row, name, { value: values[index], enumerable: true, configurable: true, writable: true });
    }
    return row as Row;
  };
}

/** Of columns with one name, the first is reached by the name, and all of them by index. */
function namedColumns(columns: readonly string[]): { name: string; index: number }[] {
  return [...new Set(columns)].map((name) => ({ name, index: columns.indexOf(name) }));
}

/**
 * Turns what the binding read into what the caller gets, in place: integers as `intMode` says, BLOBs as ArrayBuffer.
 *
 * Throws RangeError on an integer that a JavaScript number cannot hold.
 */
export function decodeRow(values: unknown[], intMode: IntMode, columns: readonly string[]): Value[] {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (typeof value === "bigint") values[index] = decodeInteger(value, intMode, index, columns);
    else if (typeof value === "object" && value !== null) values[index] = decodeBlob(value);
  }
  return values as Value[];
}

function decodeInteger(
  value: bigint,
  intMode: IntMode,
  index: number,
  columns: readonly string[],
): number | bigint | string {
  if (intMode === "bigint") return value;
  if (intMode === "string") return value.toString();
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    // The text of @libsql/client, then what to do.
    throw new RangeError(
      `Received integer which cannot be safely represented as a JavaScript number: column ${JSON.stringify(columns[index] ?? index)}. Set \`intMode\` to "bigint" or "string"`,
    );
  }
  return number;
}

/** The binding gives an ArrayBuffer or a Buffer, depending on the call. */
function decodeBlob(value: object): ArrayBuffer {
  if (value instanceof ArrayBuffer) return value;
  const { buffer, byteOffset, byteLength } = value as Uint8Array<ArrayBuffer>;
  return byteOffset === 0 && byteLength === buffer.byteLength
    ? buffer
    : buffer.slice(byteOffset, byteOffset + byteLength);
}

/** The result of a statement, with the JSON form of the stock client. */
export class StatementResult implements ResultSet {
  columns: string[];
  columnTypes: string[];
  rows: Row[];
  rowsAffected: number;
  lastInsertRowid: bigint | undefined;

  constructor(
    columns: string[],
    columnTypes: string[],
    rows: Row[],
    rowsAffected: number,
    lastInsertRowid: bigint | undefined,
  ) {
    this.columns = columns;
    this.columnTypes = columnTypes;
    this.rows = rows;
    this.rowsAffected = rowsAffected;
    this.lastInsertRowid = lastInsertRowid;
  }

  toJSON(): unknown {
    return {
      columns: this.columns,
      columnTypes: this.columnTypes,
      rows: this.rows.map((row) => Array.from(row as unknown as ArrayLike<Value>, valueToJson)),
      rowsAffected: this.rowsAffected,
      lastInsertRowid: this.lastInsertRowid === undefined ? null : this.lastInsertRowid.toString(),
    };
  }
}

/** A result of one row that the engine makes itself. */
export function singleRow(columns: string[], values: Value[]): StatementResult {
  const types = columns.map(() => "");
  return new StatementResult(columns, types, [sharedRows(columns)(values)], 0, undefined);
}

function valueToJson(value: Value): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  return value;
}

import type { IntMode, ResultSet, Row, Value } from "@libsql/client";

/** Makes the row that a caller gets from the values of one row, in column order. */
export type RowMaker = (values: Value[]) => Row;

/**
 * A maker of rows that read as the stock client's: `row.name` (own, enumerable), `row[0]` and `row.length` (hidden).
 *
 * One class a statement, since defining these properties on each row costs many times as much as the assignments.
 */
export function rowMaker(columns: readonly string[]): RowMaker {
  // Of columns with one name the first is reached by it, all of them by index.
  const names = columns.filter((name, index) => columns.indexOf(name) === index);
  if (names.some(isAwkward)) return (values) => awkwardRow(names, columns, values);
  const named = names.map((name) => ({ name, index: columns.indexOf(name) }));

  class StatementRow {
    readonly #values: Value[];
    [name: string]: Value;
    constructor(values: Value[]) {
      this.#values = values;
      for (const { name, index } of named) this[name] = values[index] as Value;
    }
    static {
      for (let index = 0; index < columns.length; index++) {
        Object.defineProperty(StatementRow.prototype, index, {
          get(this: StatementRow) {
            return this.#values[index];
          },
        });
      }
      Object.defineProperty(StatementRow.prototype, "length", { value: columns.length });
      // A row compares and prints as the plain object that it is in the stock client.
      Object.defineProperty(StatementRow.prototype, "constructor", { value: Object });
    }
  }
  return (values) => new StatementRow(values) as unknown as Row;
}

/** Names that plain assignment would not store: `__proto__`, `length`, and those that look like an index. */
function isAwkward(name: string): boolean {
  return name in Object.prototype || name === "length" || /^\d+$/.test(name);
}

function awkwardRow(names: readonly string[], columns: readonly string[], values: Value[]): Row {
  const row = {};
  Object.defineProperty(row, "length", { value: values.length });
  for (let index = 0; index < values.length; index++) Object.defineProperty(row, index, { value: values[index] });
  for (const name of names) {
    if (Object.hasOwn(row, name)) continue;
    const value = values[columns.indexOf(name)];
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return row as Row;
}

/**
 * Turns what the binding read into what the caller gets, in place: integers as `intMode` says, BLOBs as ArrayBuffer.
 *
 * Throws RangeError on an integer that a JavaScript number cannot hold.
 */
export function decodeRow(values: unknown[], intMode: IntMode): Value[] {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (typeof value === "bigint") values[index] = decodeInteger(value, intMode);
    else if (typeof value === "object" && value !== null) values[index] = decodeBlob(value);
  }
  return values as Value[];
}

function decodeInteger(value: bigint, intMode: IntMode): number | bigint | string {
  if (intMode === "bigint") return value;
  if (intMode === "string") return value.toString();
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new RangeError("Received integer which cannot be safely represented as a JavaScript number");
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
  return new StatementResult(columns, types, [rowMaker(columns)(values)], 0, undefined);
}

function valueToJson(value: Value): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  return value;
}

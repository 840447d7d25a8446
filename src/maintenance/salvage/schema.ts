import type { Connection } from "../../client/connection.js";
import { quoteText } from "../../client/quote.js";
import { isFullText } from "../../migrate/full-text.js";
import type { TreeRow, Trees, Value } from "./trees.js";

/** A table, index, trigger or view of the damaged file. */
export interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  /** 0 of what has no pages. */
  readonly root: number;
  readonly sql: string;
}

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  /** Stored, but computed by SQLite from the others. */
  readonly isGenerated: boolean;
  /** From 1 in the primary key, else 0. */
  readonly keyPlace: number;
}

/** What FTS5, FTS4 and R-trees call theirs. */
const SHADOWS = new Set("data idx content docsize config segments segdir stat node parent rowid".split(" "));
const TYPES = new Set(["table", "index", "trigger", "view"]);

/** What the file says about its tables; from the pages that are left of it, if page 1 or another one is lost. */
export function readSchema(trees: Trees): { readonly objects: SchemaObject[]; readonly isWhole: boolean } {
  const objects: SchemaObject[] = [];
  let isWhole = true;
  const damaged = () => {
    isWhole = false;
  };
  for (const row of trees.rows(1, damaged)) {
    const object = toObject(row);
    if (object === undefined) damaged();
    else objects.push(object);
  }
  if (isWhole) return { objects, isWhole };
  for (const { number, rows } of trees.strayLeaves()) {
    const found = rows.map(toObject);
    if (found.some((object) => object === undefined)) continue;
    trees.keep(number);
    objects.push(...(found as SchemaObject[]));
  }
  return { objects, isWhole };
}

function toObject({ values }: TreeRow): SchemaObject | undefined {
  if (values?.length !== 5) return undefined;
  const [type, name, table, root, sql] = values;
  if (typeof type !== "string" || !TYPES.has(type) || typeof name !== "string" || typeof table !== "string") {
    return undefined;
  }
  if ((typeof root !== "bigint" && root !== null) || (typeof sql !== "string" && sql !== null)) return undefined;
  return { type, name, table, root: Number(root ?? 0n), sql: sql ?? "" };
}

export function isWithoutRowId(sql: string): boolean {
  return /\bWITHOUT\s+ROWID\b[^)]*$/i.test(sql);
}

export function isVirtual(sql: string): boolean {
  return /^\s*CREATE\s+VIRTUAL\s+TABLE\b/i.test(sql);
}

/** The columns of a table of `connection`, in the order in which its records hold them. */
export function columnsOf(connection: Connection, table: string): Column[] {
  // A generated column that is not stored is in no record.
  const rows = connection
    .query(`SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(${quoteText(table)})`)
    .filter((row) => Number(row[4]) !== 2);
  return rows.map(([name, type, required, place, hidden]) => ({
    name: String(name),
    type: String(type).toUpperCase(),
    isRequired: Number(required) === 1,
    isGenerated: Number(hidden) === 3,
    keyPlace: Number(place),
  }));
}

/** Whether a row may be one of a table with these columns; `rowIdAt` is the column that stands for the row id, or -1. */
export function fits(values: readonly Value[], columns: readonly Column[], rowIdAt: number): boolean {
  if (values.length !== columns.length) return false;
  return values.every((value, at) => {
    const { name, type, isRequired } = columns[at]!;
    if (value === null) return at === rowIdAt || !isRequired;
    if (at === rowIdAt) return false;
    if (type.includes("INT")) return typeof value === "bigint";
    // A content may be stored compressed.
    if (type.includes("TEXT") && value instanceof Uint8Array) return name === "content";
    if (type.includes("TEXT")) return typeof value === "string" || typeof value === "symbol";
    if (type === "BLOB") return value instanceof Uint8Array;
    if (type === "REAL") return typeof value === "number" || typeof value === "bigint";
    return true;
  });
}

/** Tables that a virtual one keeps for itself, and those of SQLite and libSQL: they are made again, not copied. */
export function isKeptByAnother(name: string, objects: readonly SchemaObject[]): boolean {
  if (/^(sqlite_|libsql_)/i.test(name)) return true;
  return objects.some((other) => {
    if (other.type === "table" && isVirtual(other.sql)) {
      return name.startsWith(`${other.name}_`) && SHADOWS.has(name.slice(other.name.length + 1));
    }
    return other.type === "index" && /libsql_vector_idx/i.test(other.sql) && name === `${other.name}_shadow`;
  });
}

/** Whether a full-text table keeps its texts itself, so that they can be put in again. */
export function keepsItsText(sql: string): boolean {
  return isFullText(sql) && !/[(,]\s*content\s*=/i.test(sql);
}

import type { Connection } from "../../client/local/connection.js";
import { splitScript } from "../../client/sql/parse.js";
import { quoteText } from "../../client/sql/quote.js";
import type { SchemaObjectType } from "../../migrate/ddl.js";
import { isFullText } from "../../migrate/full-text.js";
import type { TreeRow, Trees, Value } from "./trees.js";

/** A table, index, trigger or view of the damaged file. */
export interface SchemaObject {
  readonly type: SchemaObjectType;
  readonly name: string;
  readonly table: string;
  /** 0 for an object without pages. */
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

/** The suffixes of the tables behind FTS5, FTS4 and R-trees. */
const SHADOWS = new Set("data idx content docsize config segments segdir stat node parent rowid".split(" "));
const TYPES = new Set(["table", "index", "trigger", "view"]);

/** The schema of the file; if page 1 or another one is lost, from the remaining pages. */
export function readSchema(trees: Trees): { readonly objects: SchemaObject[]; readonly isWhole: boolean } {
  const objects: SchemaObject[] = [];
  let isWhole = true;
  const damaged = () => {
    isWhole = false;
  };
  for (const row of trees.rows(1, "table", damaged)) {
    const object = toObject(row);
    if (object === undefined) damaged();
    else objects.push(object);
  }
  if (isWhole) return { objects, isWhole };
  for (const { number, rows } of trees.strayLeaves()) {
    const found = rows.map(toObject).filter((object) => object !== undefined);
    if (found.length * 2 < rows.length) continue;
    trees.keep(number);
    objects.push(...found);
  }
  return { objects, isWhole };
}

/** A table, index or trigger that the migrations of Holdfast make. */
export interface OwnObject {
  readonly type: SchemaObjectType;
  readonly table: string;
  /** Of a table; in its newest version. */
  readonly columns: readonly string[];
}

/**
 * Repairs the names of objects, which each row has twice, and keeps one object of each name: the CREATE statement of a
 * table with a damaged name would create a table that exists already.
 */
export function settleNames(objects: readonly SchemaObject[], own: ReadonlyMap<string, OwnObject>): SchemaObject[] {
  const settled = new Map<string, SchemaObject>();
  for (const object of objects) {
    const made = nameIn(object.sql);
    const name = made === undefined || own.has(object.name) ? object.name : made;
    const { type = object.type, table = object.type === "table" ? name : object.table } = own.get(name) ?? {};
    const key = `${type === "trigger" ? "trigger" : ""} ${name.toLowerCase()}`;
    if (!settled.has(key)) settled.set(key, { ...object, type, name, table });
  }
  return [...settled.values()];
}

const CREATE =
  /^\s*CREATE\s+(?:(?:UNIQUE|VIRTUAL)\s+)?(?:TABLE|INDEX|VIEW|TRIGGER)\s+(?:IF\s+NOT\s+EXISTS\s+)?("(?:[^"]|"")*"|`(?:[^`]|``)*`|'(?:[^']|'')*'|\[[^\]]*\]|[^\s("'`[.]+)/i;

/** The name of the object that a CREATE statement makes. */
function nameIn(sql: string): string | undefined {
  const name = CREATE.exec(sql)?.[1];
  const quote = name?.[0];
  if (name === undefined || quote === undefined || !"\"`'[".includes(quote)) return name;
  return name.slice(1, -1).replaceAll(quote + quote, quote);
}

/** Runs the CREATE statement of a table, index, view or trigger. Throws if damage has made anything else of it. */
export function make(connection: Connection, sql: string): void {
  if (!/^\s*CREATE\s/i.test(sql) || splitScript(sql).length !== 1) throw new Error("what made it cannot be read");
  connection.exec(sql);
}

function toObject({ values }: TreeRow): SchemaObject | undefined {
  if (values?.length !== 5) return undefined;
  const [type, name, table, root, sql] = values;
  if (!isType(type) || typeof name !== "string" || typeof table !== "string") return undefined;
  if ((typeof root !== "bigint" && root !== null) || (typeof sql !== "string" && sql !== null)) return undefined;
  return { type, name, table, root: Number(root ?? 0n), sql: sql ?? "" };
}

function isType(type: Value | undefined): type is SchemaObjectType {
  return typeof type === "string" && TYPES.has(type);
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

/** Whether a table belongs to a virtual table, SQLite or libSQL; those are rebuilt, not copied. */
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

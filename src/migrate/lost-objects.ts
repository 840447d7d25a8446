import { quoteName } from "../client/sql/quote.js";
import type { Ddl, SchemaObjectType } from "./ddl.js";

/** A row of sqlite_schema. */
export interface SchemaObject {
  readonly type: SchemaObjectType;
  readonly name: string;
  /** The table or view that it belongs to. For tables and views, their own name. */
  readonly table: string;
  readonly sql: string;
}

export const SCHEMA_QUERY = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid";

export function toSchema(rows: readonly ArrayLike<unknown>[]): SchemaObject[] {
  return rows.map((row) => ({
    type: String(row[0]) as SchemaObjectType,
    name: String(row[1]),
    table: String(row[2]),
    sql: String(row[3]),
  }));
}

/**
 * Follows the statements of a migration, and finds the triggers, views and indexes that its table rebuilds lose.
 *
 * A rebuild (`CREATE __new_x`, `DROP x`, `RENAME __new_x TO x`) drops the triggers and indexes of x. After a migration,
 * everything should exist that existed before, except for objects that its text drops or replaces by name. This class
 * neither reads nor writes the database.
 */
export class LostObjects {
  readonly #tablesBefore: ReadonlySet<string>;
  readonly #wanted = new Map<string, SchemaObject>();
  readonly #dropped = new Set<string>();
  readonly #touched = new Set<string>();

  constructor(before: readonly SchemaObject[]) {
    this.#tablesBefore = new Set(before.filter(({ type }) => type === "table").map(({ name }) => fold(name)));
    for (const object of before) if (object.type !== "table") this.#want(object);
  }

  /**
   * Records the next statement, and returns the statements to run before it.
   *
   * Renaming `__new_x` to the dropped x fails while a view, or a trigger of another table, mentions x. These have to be
   * dropped first, and then count as lost objects.
   */
  note({ sql, ddl }: { readonly sql: string; readonly ddl: Ddl | undefined }): string[] {
    if (ddl === undefined) return [];
    if (ddl.action === "rename") {
      this.#touched.add(fold(ddl.from)).add(fold(ddl.to));
      return this.#dropped.delete(fold(ddl.to)) ? this.#dropMentioning(ddl.to) : [];
    }
    if (ddl.type === "table") {
      this.#touched.add(fold(ddl.name));
      if (ddl.action === "drop") this.#dropped.add(fold(ddl.name));
      else this.#dropped.delete(fold(ddl.name));
    } else if (ddl.action === "drop") this.#wanted.delete(key(ddl));
    else this.#want({ type: ddl.type, name: ddl.name, table: ddl.table, sql });
    return [];
  }

  /** The objects that are gone although their table still exists, in the order in which they can be created again. */
  lost(after: readonly SchemaObject[]): SchemaObject[] {
    const present = new Set(after.map(key));
    const missing = [...this.#wanted.values()].filter((object) => !present.has(key(object)));
    const stands = new Set([...after, ...missing].filter(isTableOrView).map(({ name }) => fold(name)));
    const order = ["view", "index", "trigger"];
    return missing
      .filter(({ table }) => stands.has(fold(table)))
      .sort((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
  }

  /** Every table that was created, dropped or renamed, in lower case. */
  get touched(): ReadonlySet<string> {
    return this.#touched;
  }

  /** The tables whose rows may have new rowids, in lower case: they existed before and were created again. */
  rebuilt(after: readonly SchemaObject[]): ReadonlySet<string> {
    const tables = after.filter(({ type }) => type === "table").map(({ name }) => fold(name));
    return new Set(tables.filter((name) => this.#touched.has(name) && this.#tablesBefore.has(name)));
  }

  #want(object: SchemaObject): void {
    this.#wanted.set(key(object), object);
  }

  #dropMentioning(table: string): string[] {
    const gone = [table];
    const found = new Set<SchemaObject>();
    for (let size = -1; size !== found.size; ) {
      size = found.size;
      for (const object of this.#wanted.values()) {
        if (object.type === "index" || found.has(object) || !gone.some((name) => mentions(object.sql, name))) continue;
        found.add(object);
        // Objects that mention a dropped view also prevent the rename.
        if (object.type === "view") gone.push(object.name);
      }
    }
    return [...found].map(({ type, name }) => `DROP ${type.toUpperCase()} IF EXISTS ${quoteName(name)}`);
  }
}

/** Whether SQL may name an object. A word in a string or comment counts too, which does no harm. */
export function mentions(sql: string, name: string): boolean {
  const text = fold(sql);
  const word = fold(name);
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (!isWordCharacter(text[at - 1]) && !isWordCharacter(text[at + word.length])) return true;
  }
  return false;
}

export function fold(name: string): string {
  return name.toLowerCase();
}

function isWordCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\w$\u0080-\uffff]/.test(character);
}

function isTableOrView({ type }: SchemaObject): boolean {
  return type === "table" || type === "view";
}

function key({ type, name }: { readonly type: string; readonly name: string }): string {
  return `${type} ${fold(name)}`;
}

import type { SchemaObjectType } from "./ddl.js";

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
  return rows.map((row) => {
    const [type, name, table, sql] = Array.from(row, String) as [SchemaObjectType, string, string, string];
    return { type, name, table, sql };
  });
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

/** The identity of an object: its type and name. */
export function keyOf({ type, name }: { readonly type: string; readonly name: string }): string {
  return `${type} ${fold(name)}`;
}

/** The names of the tables and views, in lower case. */
export function relations(schema: readonly SchemaObject[]): ReadonlySet<string> {
  return new Set(schema.filter(({ type }) => type === "table" || type === "view").map(({ name }) => fold(name)));
}

function isWordCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\w$\u0080-\uffff]/.test(character);
}

import type { Client } from "@libsql/client";

/**
 * Returns the schema of a database as text that is equal for equal schemas, however they were created.
 *
 * It ignores differences that depend only on how a schema was created: quotes, spaces, the order of columns (ALTER
 * TABLE can only append), and whether a foreign key is written at its column or after all columns. Ledgers of
 * migrations are not part of the schema.
 */
export async function schemaText(client: Client): Promise<string> {
  const { rows } = await client.execute(
    "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB '__*' AND name NOT GLOB 'sqlite_*' ORDER BY type, name",
  );
  const lines: string[] = [];
  for (const { type, name, sql } of rows as unknown as { type: string; name: string; sql: string }[]) {
    lines.push(`${type} ${name}`);
    const isOrdinary = type === "table" && !/^CREATE\s+VIRTUAL/i.test(sql);
    lines.push(...(isOrdinary ? await tableLines(client, name, sql) : [`  ${plain(sql)}`]));
  }
  return lines.join("\n");
}

/** The lines that only one of two schemas has. */
export function difference(wanted: string, found: string): string {
  const only = (text: string, other: string) =>
    text
      .split("\n")
      .filter((line) => !other.split("\n").includes(line))
      .map((line) => line.trim());
  const list = (lines: string[]) => (lines.length === 0 ? "nothing" : lines.join("; "));
  return `extra: ${list(only(found, wanted))}; missing: ${list(only(wanted, found))}`;
}

/** The lines of the tables and indexes of one schema that another one does not have in the same object. */
export function compareSchemas(wanted: string, found: string): string[] {
  const has = toObjects(found);
  return [...toObjects(wanted)].flatMap(([object, lines]) => {
    const own = has.get(object);
    if (own === undefined) return [`the ${object} is missing`];
    const differs = difference(lines.join("\n"), own.join("\n"));
    return own.join() === lines.join() ? [] : [`${object}: ${differs}`];
  });
}

function toObjects(schema: string): Map<string, string[]> {
  const objects = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of schema.split("\n")) {
    if (line.startsWith("  ")) lines.push(line);
    else if (line !== "") {
      lines = [];
      objects.set(line, lines);
    }
  }
  return objects;
}

async function tableLines(client: Client, name: string, sql: string): Promise<string[]> {
  const open = sql.indexOf("(");
  const close = sql.lastIndexOf(")");
  const definitions = splitAtCommas(sql.slice(open + 1, close))
    .map(plain)
    .filter((text) => !/^(constraint \w+ )?foreign key/.test(text))
    .map((text) => text.replace(/ references .*$/, ""));
  const keys = await client.execute({ sql: "SELECT * FROM pragma_foreign_key_list(?)", args: [name] });
  const foreign = keys.rows.map((key) => `${key.from} -> ${key.table}.${key.to} ${key.on_delete} ${key.on_update}`);
  const options = plain(sql.slice(close + 1));
  return [...definitions.sort(), ...foreign.sort(), ...(options === "" ? [] : [options])].map((line) => `  ${line}`);
}

/** SQL without comments and quotes of names, in lower case and with single spaces. */
export function plain(sql: string): string {
  return sql
    .replace(/--[^\n]*/g, " ")
    .replace(/["`[\]]/g, "")
    .toLowerCase()
    .replace(/\s+/g, " ")
    .replace(/ ?([(),=<>]) ?/g, "$1")
    .trim();
}

/** Splits at commas outside of parentheses and text. */
export function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quote !== "") {
      if (character === quote) quote = "";
    } else if (character === "'" || character === '"' || character === "`") quote = character;
    else if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (character === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

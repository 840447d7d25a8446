import type { Client } from "@libsql/client";
import { quoteName } from "../../client/sql/quote.js";

/** If a random row can satisfy the constraints by chance, it does so within this many tries. */
const TRIES = 4000;

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly isKey: boolean;
  readonly parent: { readonly table: string; readonly column: string } | undefined;
}

type Value = string | number | Uint8Array | null;

/**
 * Inserts a few rows into every ordinary table, using only the schema. Values follow the declared type, and foreign
 * keys use existing keys. If a CHECK or a trigger refuses a row, it tries other values. No key value occurs twice,
 * unless the schema lists it, because a key of two columns may become a key of one column.
 *
 * Resolves to the tables that accepted no row.
 */
export async function fillTables(client: Client, random: () => number): Promise<string[]> {
  const tables = await client.execute(
    "SELECT l.name, s.sql FROM pragma_table_list l JOIN sqlite_schema s ON s.name = l.name WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT GLOB '__*' AND l.name NOT GLOB 'sqlite_*' ORDER BY s.rowid",
  );
  let left = tables.rows.map((row) => ({ name: String(row.name), sql: String(row.sql) }));
  for (let before = -1; left.length > 0 && left.length !== before; ) {
    before = left.length;
    const failed: typeof left = [];
    // A table whose parent comes later is filled in the next round.
    for (const table of left) if (!(await fillTable(client, table, random))) failed.push(table);
    left = failed;
  }
  return left.map(({ name }) => name);
}

async function fillTable(client: Client, table: { name: string; sql: string }, random: () => number): Promise<boolean> {
  const columns = await readColumns(client, table.name);
  // If a CHECK lists the allowed values, they are found here.
  const literals = [...table.sql.matchAll(/'((?:[^']|'')*)'/g)].map((match) => match[1]!.replaceAll("''", "'"));
  const names = columns.map(({ name }) => quoteName(name)).join(", ");
  const sql = `INSERT INTO ${quoteName(table.name)} (${names}) VALUES (${columns.map(() => "?").join(", ")})`;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const first = Number((await client.execute(`SELECT count(*) FROM ${quoteName(table.name)}`)).rows[0]![0]);
  let stored = 0;
  for (let attempt = 0; attempt < TRIES && stored < 3; attempt++) {
    const args: Value[] = [];
    for (const column of columns) {
      const candidates =
        column.parent === undefined ? valuesFor(column, first + attempt, literals) : await keysOf(client, column);
      if (candidates.length === 0) return false;
      args.push(attempt < 3 ? candidates[0]! : pick(candidates));
    }
    try {
      await client.execute({ sql, args });
      stored++;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      // A trigger that reads a column as JSON refuses other text.
      if (code !== "SQLITE_CONSTRAINT" && !message.includes("malformed JSON")) throw error;
    }
  }
  return stored > 0;
}

function valuesFor({ type, isRequired, isKey }: Column, number: number, literals: readonly string[]): Value[] {
  const none = isRequired ? [] : [null];
  if (/INT/i.test(type)) return isKey ? [number + 1] : [number + 1, 0, 1, 2, 3, 4, ...none];
  if (/REAL|FLOA|DOUB|NUMERIC/i.test(type)) return isKey ? [number + 0.5] : [number + 0.5, 0, 1, 0.25, ...none];
  if (/BLOB/i.test(type)) {
    const bytes = new Uint8Array([number & 0xff, number >> 8, 2, 3]);
    return isKey ? [bytes] : [bytes, new Uint8Array(8), ...none];
  }
  const texts = [`text ${number}`, `id-${number}`, ...literals];
  return isKey ? texts : [...texts, "{}", "[]", "", ...none];
}

async function keysOf(client: Client, { parent, isRequired }: Column): Promise<Value[]> {
  const { table, column } = parent!;
  const { rows } = await client.execute(`SELECT ${quoteName(column)} FROM ${quoteName(table)} LIMIT 20`);
  const keys = rows.map((row) => row[0] as Value);
  return isRequired ? keys : [...keys, null];
}

async function readColumns(client: Client, table: string): Promise<Column[]> {
  const info = await client.execute({ sql: "SELECT * FROM pragma_table_xinfo(?) WHERE hidden = 0", args: [table] });
  const keys = await client.execute({ sql: "SELECT * FROM pragma_foreign_key_list(?)", args: [table] });
  return info.rows.map((row) => {
    const key = keys.rows.find(({ from }) => String(from).toLowerCase() === String(row.name).toLowerCase());
    const parent = key === undefined ? undefined : { table: String(key.table), column: String(key.to ?? "rowid") };
    return {
      name: String(row.name),
      type: String(row.type),
      isRequired: Number(row.notnull) === 1,
      isKey: Number(row.pk) > 0,
      parent,
    };
  });
}

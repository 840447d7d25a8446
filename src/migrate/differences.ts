import { quoteName } from "../client/sql/quote.js";
import { difference, plain, splitAtCommas } from "./generate/schema-text.js";
import { MemorySchema } from "./memory-schema.js";
import { fold, keyOf, type SchemaObject } from "./schema-objects.js";

/**
 * How the tables, indexes, triggers and views of one schema differ in another one, one text for each. Objects that only
 * one of them has are not compared.
 *
 * Compares what they do, not their texts: columns with type, NOT NULL, default, collation and generated value, keys,
 * foreign keys and checks of a table, however it was written; the text of the others without quotes and spaces.
 */
export function findDifferences(wanted: readonly SchemaObject[], found: readonly SchemaObject[]): string[] {
  const [expected, present] = [describe(wanted), describe(found)];
  return [...expected].flatMap(([key, lines]) => {
    const own = present.get(key);
    if (own === undefined || own.join("\n") === lines.join("\n")) return [];
    return [`the ${key} (${difference(lines.join("\n"), own.join("\n"))})`];
  });
}

function describe(schema: readonly SchemaObject[]): Map<string, string[]> {
  const memory = new MemorySchema(schema, { withTriggers: false });
  try {
    const skipped = new Set(memory.skipped.map(keyOf));
    const compared = schema.filter((object) => !/^sqlite_/i.test(object.name) && !skipped.has(keyOf(object)));
    return new Map(
      compared.map((object) => {
        const isTable = object.type === "table" && !/^CREATE\s+VIRTUAL/i.test(object.sql);
        return [keyOf(object), isTable ? tableLines(memory, object) : [plain(object.sql)]];
      }),
    );
  } finally {
    memory.close();
  }
}

function tableLines(memory: MemorySchema, { name, sql }: SchemaObject): string[] {
  const table = quoteName(name);
  const rows = (pragma: string, of = table) => memory.query(`PRAGMA ${pragma}(${of})`);
  const text = sql.slice(sql.indexOf("(") + 1, sql.lastIndexOf(")"));
  const definitions = splitAtCommas(text).map(plain);
  const all = rows("table_xinfo");
  const columns = all.map(([, column, type, notNull, fallback, , hidden]) => {
    const own = definitions.find((one) => one.startsWith(`${fold(String(column))} `)) ?? "";
    const words = [
      `${fold(String(column))} ${fold(String(type))}`,
      Number(notNull) === 1 ? "not null" : "",
      fallback === null ? "" : `default ${withoutParentheses(plain(String(fallback)))}`,
      / collate (\w+)/.exec(own)?.[0]?.trim() ?? "",
      Number(hidden) === 0 ? "" : `as ${enclosed(own, /\bas ?\(/)}`,
    ];
    return words.filter((word) => word !== "").join(" ");
  });
  const key = all.filter((row) => Number(row[5]) > 0).sort((a, b) => Number(a[5]) - Number(b[5]));
  const unique = rows("index_list")
    .filter(([, , isUnique, origin, partial]) => Number(isUnique) === 1 && origin !== "pk" && Number(partial) === 0)
    .map(([, index]) => `unique (${listColumns(rows("index_info", quoteName(String(index))))})`);
  const checks = definitions.flatMap((one) => {
    const check = enclosed(one, /\bcheck ?\(/);
    return check === "" ? [] : [`check ${check}`];
  });
  const options = /autoincrement|without rowid$|\bstrict$/g;
  const trailing = `${plain(text)} ${plain(sql.slice(sql.lastIndexOf(")") + 1))}`;
  return [
    ...columns,
    ...(key.length === 0 ? [] : [`primary key (${key.map((row) => fold(String(row[1]))).join(",")})`]),
    ...new Set(unique),
    ...foreignKeys(rows("foreign_key_list")),
    ...checks,
    ...(trailing.match(options) ?? []),
  ].sort();
}

function listColumns(rows: readonly unknown[][]): string {
  return rows.map((row) => (row[2] === null ? "expression" : fold(String(row[2])))).join(",");
}

function foreignKeys(rows: readonly unknown[][]): string[] {
  const keys = new Map<string, string[]>();
  for (const [id, , table, from, to, onUpdate, onDelete] of rows.toReversed()) {
    const pairs = keys.get(`${id}`) ?? [`on update ${onUpdate} on delete ${onDelete}`.toLowerCase()];
    pairs.push(`${from} -> ${table}.${to ?? "primary key"}`.toLowerCase());
    keys.set(`${id}`, pairs);
  }
  return [...keys.values()].map(([actions, ...pairs]) => `foreign key ${pairs.sort().join(", ")} ${actions}`);
}

/** The parentheses that the last part of `start` opens, with what they hold; nothing if the text does not have it. */
function enclosed(text: string, start: RegExp): string {
  const found = start.exec(text);
  if (found === null) return "";
  const open = found.index + found[0].length - 1;
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0) return text.slice(open, at + 1);
  }
  return text.slice(open);
}

function withoutParentheses(text: string): string {
  return text.startsWith("(") && enclosed(text, /^\(/) === text ? withoutParentheses(text.slice(1, -1)) : text;
}

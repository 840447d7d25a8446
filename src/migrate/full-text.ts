import { quoteName, quoteText } from "../client/sql/quote.js";
import { fold, mentions, type SchemaObject } from "./schema-objects.js";

const FTS5 = /^CREATE\s+VIRTUAL\s+TABLE[\s\S]*?\bUSING\s+fts5\b/i;
const VALUE = String.raw`('(?:[^']|'')*'|"(?:[^"]|"")*"|${"`"}(?:[^${"`"}]|${"``"})*${"`"}|\[[^\]]*\]|\w+)`;
const CONTENT = new RegExp(String.raw`[(,]\s*content\s*=\s*${VALUE}`, "i");
const CONTENT_ROWID = new RegExp(String.raw`[(,]\s*content_rowid\s*=\s*${VALUE}`, "i");

/**
 * Returns the full-text tables that rebuilt tables (in lower case) leave behind.
 *
 * An index with external content identifies rows by rowid. Only a table with an INTEGER PRIMARY KEY keeps its rowids
 * through a rebuild, and the triggers did not see the rows move. (Until another open connection has read such an index
 * again, `integrity_check` on that connection calls it malformed: check on a fresh connection.)
 */
export function staleIndexes(schema: readonly SchemaObject[], rebuilt: ReadonlySet<string>): SchemaObject[] {
  if (rebuilt.size === 0) return [];
  const isStale = (content: string): boolean => {
    if (rebuilt.has(content)) return true;
    const view = schema.find(({ type, name }) => type === "view" && fold(name) === content);
    return view !== undefined && [...rebuilt].some((table) => mentions(view.sql, table));
  };
  return schema.filter(({ type, sql }) => type === "table" && isFullText(sql) && isStale(contentOf(sql)));
}

/** Fills a full-text table from its content. */
export function fillSql(name: string): string {
  return `INSERT INTO ${quoteName(name)}(${quoteName(name)}) VALUES('rebuild')`;
}

/** Creates a full-text table again over the table `content`, with its settings, and fills it. */
export function recreateSql({ name, sql }: SchemaObject, content: string): string[] {
  const table = quoteName(name);
  const kept = quoteName(`__kept_${name}`);
  return [
    `CREATE TABLE ${kept} AS SELECT k, v FROM ${quoteName(`${name}_config`)} WHERE k <> 'version'`,
    `DROP TABLE ${table}`,
    sql.replace(CONTENT, (option, value: string) => option.slice(0, -value.length) + quoteText(content)),
    `INSERT INTO ${table}(${table}, rank) SELECT k, v FROM ${kept}`,
    `DROP TABLE ${kept}`,
    fillSql(name),
  ];
}

export function isFullText(sql: string): boolean {
  return FTS5.test(sql);
}

/**
 * Returns the full-text tables with external content that missed changes while the `missing` triggers were gone: tables
 * that such a trigger writes to, and tables that are missing themselves. A table that keeps its own text cannot be
 * filled from another one.
 */
export function dependentIndexes(schema: readonly SchemaObject[], missing: readonly SchemaObject[]): string[] {
  return schema
    .filter(({ type, sql }) => type === "table" && isFullText(sql) && contentOf(sql) !== "")
    .filter(({ name }) => missing.some((object) => object.name === name || mentions(object.sql, name)))
    .map(({ name }) => name);
}

/**
 * The table or view that an index takes its content from, in lower case. Empty if the index keeps its own text, or
 * none.
 */
export function contentOf(sql: string): string {
  return fold(optionOf(CONTENT, sql));
}

/** The column of the content that is its rowid. */
export function contentRowidOf(sql: string): string {
  return optionOf(CONTENT_ROWID, sql) || "rowid";
}

function optionOf(option: RegExp, sql: string): string {
  const value = option.exec(sql)?.[1] ?? "";
  return /^\w/.test(value) ? value : value.slice(1, -1);
}

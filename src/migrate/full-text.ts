import { quoteName } from "../client/sql/quote.js";
import { fold, mentions, type SchemaObject } from "./lost-objects.js";

const FTS5 = /^CREATE\s+VIRTUAL\s+TABLE[\s\S]*?\bUSING\s+fts5\b/i;
const CONTENT = /[(,]\s*content\s*=\s*('(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\w+)/i;

/**
 * Returns the statements that synchronize full-text indexes with rebuilt tables.
 *
 * An index with external content identifies rows by rowid. Only a table with an INTEGER PRIMARY KEY keeps its rowids
 * through a rebuild, and the triggers did not see the rows move. (Until another open connection has read such an index
 * again, `integrity_check` on that connection calls it malformed: check on a fresh connection.)
 */
export function rebuildIndexesSql(schema: readonly SchemaObject[], rebuilt: ReadonlySet<string>): string[] {
  if (rebuilt.size === 0) return [];
  const isStale = (content: string): boolean => {
    if (rebuilt.has(content)) return true;
    const view = schema.find(({ type, name }) => type === "view" && fold(name) === content);
    return view !== undefined && [...rebuilt].some((table) => mentions(view.sql, table));
  };
  return schema
    .filter(({ type, sql }) => type === "table" && isFullText(sql) && isStale(contentOf(sql)))
    .map(({ name }) => `INSERT INTO ${quoteName(name)}(${quoteName(name)}) VALUES('rebuild')`);
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
function contentOf(sql: string): string {
  const value = CONTENT.exec(sql)?.[1] ?? "";
  return fold(/^\w/.test(value) ? value : value.slice(1, -1));
}

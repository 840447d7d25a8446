import { quoteName } from "../client/sql/quote.js";
import { fold, mentions, type SchemaObject } from "./lost-objects.js";

const FTS5 = /^CREATE\s+VIRTUAL\s+TABLE[\s\S]*?\bUSING\s+fts5\b/i;
const CONTENT = /[(,]\s*content\s*=\s*('(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\w+)/i;

/**
 * The statements that bring full-text indexes back in step with rebuilt tables.
 *
 * An index with external content knows rows by rowid, which only a table with an INTEGER PRIMARY KEY keeps through a
 * rebuild, and its triggers did not see the rows move. (Until another open connection has read such an index again,
 * `integrity_check` there calls it malformed: check on a fresh connection.)
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
 * The full-text tables with external content that missed changes while `missing` triggers were gone: those that such a
 * trigger writes to, and those that are missing themselves. One that keeps its own text has nothing to be filled from.
 */
export function dependentIndexes(schema: readonly SchemaObject[], missing: readonly SchemaObject[]): string[] {
  return schema
    .filter(({ type, sql }) => type === "table" && isFullText(sql) && contentOf(sql) !== "")
    .filter(({ name }) => missing.some((object) => object.name === name || mentions(object.sql, name)))
    .map(({ name }) => name);
}

/** The table or view behind an index, in lower case; empty for one that keeps its own text, or none. */
function contentOf(sql: string): string {
  const value = CONTENT.exec(sql)?.[1] ?? "";
  return fold(/^\w/.test(value) ? value : value.slice(1, -1));
}

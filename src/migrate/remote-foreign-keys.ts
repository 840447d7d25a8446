import { quoteText } from "../client/sql/quote.js";
import { findBroken } from "./compile.js";
import type { Renames } from "./foreign-keys.js";
import { fold, type SchemaObject } from "./schema-objects.js";

/** The rows without their parents, before a script (`age` 0) and after it (1). Exists only within the transaction. */
const ORPHANS = "__holdfast_orphans";

/** A statement of the comparison. The one that checks a table fails with "malformed JSON" if it has new orphans. */
export interface CheckStatement {
  readonly sql: string;
  readonly child?: string;
}

/** Notes the orphans of a schema, before the first script. */
export function beginChecks(schema: readonly SchemaObject[]): CheckStatement[] {
  const columns = "age integer, child text COLLATE NOCASE, parent text COLLATE NOCASE, row integer, count integer";
  return [{ sql: `CREATE TABLE ${ORPHANS} (${columns})` }, ...childrenIn(schema).map((child) => noteSql(0, child))];
}

/**
 * Compares the orphans after a script with those before it, as `newViolations` does on a file, and keeps them for the
 * next script. A batch cannot be asked in between, so the comparison is part of it.
 */
export function checkOrphans(
  schema: readonly SchemaObject[],
  touched: ReadonlySet<string>,
  renames: Renames,
): CheckStatement[] {
  const children = childrenIn(schema);
  return [
    ...renames.flatMap(({ from, to }) =>
      ["child", "parent"].map((column) => ({
        sql: `UPDATE ${ORPHANS} SET ${column} = ${quoteText(to)} WHERE ${column} = ${quoteText(from)}`,
      })),
    ),
    ...children.flatMap((child) => [noteSql(1, child), { sql: checkSql(child, touched.has(fold(child))), child }]),
    { sql: `DELETE FROM ${ORPHANS} WHERE age = 0` },
    { sql: `UPDATE ${ORPHANS} SET age = 0` },
  ];
}

export function endChecks(): CheckStatement[] {
  return [{ sql: `DROP TABLE ${ORPHANS}` }];
}

/** The tables whose foreign keys can be checked. SQLite fails to check a key without its parent key. */
function childrenIn(schema: readonly SchemaObject[]): string[] {
  const broken = new Set(
    findBroken(schema).flatMap(({ type, table }) => (type === "foreign key" ? [fold(table)] : [])),
  );
  const tables = schema.filter(({ type, sql }) => type === "table" && /\breferences\b/i.test(sql));
  return tables.map(({ name }) => name).filter((name) => !broken.has(fold(name)));
}

function noteSql(age: number, child: string): CheckStatement {
  const name = quoteText(child);
  return {
    sql: `INSERT INTO ${ORPHANS} SELECT ${age}, ${name}, parent, "rowid", count(*) FROM pragma_foreign_key_check(${name}) GROUP BY 3, 4`,
  };
}

function checkSql(child: string, isRenumbered: boolean): string {
  const name = quoteText(child);
  const before = `ifnull((SELECT old.count FROM ${ORPHANS} old WHERE old.age = 0 AND old.child = now.child AND old.parent = now.parent AND old.row IS now.row), 0)`;
  const isNew = `EXISTS (SELECT 1 FROM ${ORPHANS} now WHERE now.age = 1 AND now.child = ${name} AND now.count > ${before})`;
  const total = (age: number) => `(SELECT total(count) FROM ${ORPHANS} WHERE age = ${age} AND child = ${name})`;
  const isWorse = isRenumbered ? `${isNew} AND ${total(1)} > ${total(0)}` : isNew;
  return `SELECT CASE WHEN ${isWorse} THEN json('foreign key') ELSE 1 END`;
}

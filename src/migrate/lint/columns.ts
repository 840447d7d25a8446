import type { LocalClient } from "../../client/local/local-client.js";
import { fold } from "../schema-objects.js";

/** A column as the database has it. */
interface Column {
  readonly type: string;
  readonly notNull: boolean;
  /** The SQL of its default; undefined for none. */
  readonly byDefault: string | undefined;
}

/** The columns of each table, all names in lower case. */
export type Columns = ReadonlyMap<string, ReadonlyMap<string, Column>>;

export async function readColumns(client: LocalClient): Promise<Columns> {
  const { rows } = await client.execute(
    `SELECT lower(t.name) AS "table", lower(c.name) AS name, lower(c.type) AS type, c."notnull" AS "notNull", dflt_value AS byDefault
     FROM pragma_table_list AS t JOIN pragma_table_xinfo(t.name) AS c
     WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT GLOB '__drizzle*' AND t.name NOT GLOB 'sqlite_*'`,
  );
  const tables = new Map<string, Map<string, Column>>();
  for (const { table, name, type, notNull, byDefault } of rows) {
    const columns = tables.get(fold(String(table))) ?? new Map<string, Column>();
    tables.set(fold(String(table)), columns);
    columns.set(fold(String(name)), {
      type: String(type),
      notNull: notNull === 1,
      byDefault: byDefault === null ? undefined : String(byDefault),
    });
  }
  return tables;
}

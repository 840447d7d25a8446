import { quoteName } from "../client/sql/quote.js";
import type { Query } from "./ledger.js";
import { fold, SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import type { Script } from "./script.js";

/** A table that a migration or down file drops, with its rows. */
export interface DroppedTable {
  readonly table: string;
  readonly rows: number;
}

/** By result; the results themselves keep their documented form. */
const noted = new WeakMap<object, readonly DroppedTable[]>();

/** Returns `result`, of which `droppedBy` then tells the tables. */
export function withDropped<T extends object>(result: T, tables: readonly DroppedTable[]): T {
  noted.set(result, tables);
  return result;
}

/** The tables that a revert, or a migration of a dry run, has dropped. For the command line. */
export function droppedBy(result: object): readonly DroppedTable[] {
  return noted.get(result) ?? [];
}

/**
 * Counts the rows of the tables that a script may drop. Call it before the script runs, and the returned function
 * afterwards, which leaves out those that it created again, as a rebuild does. Full-text indexes have no rows.
 */
export async function countDropped(query: Query, script: Script): Promise<() => Promise<DroppedTable[]>> {
  const names = new Set(
    script.statements.flatMap(({ ddl }) => (ddl?.action === "drop" && ddl.type === "table" ? [fold(ddl.name)] : [])),
  );
  if (names.size === 0) return async () => [];
  const tablesNow = async () =>
    toSchema(await query(SCHEMA_QUERY)).filter(({ type, sql }) => type === "table" && !/^CREATE\s+VIRTUAL/i.test(sql));
  const counted: DroppedTable[] = [];
  for (const { name } of await tablesNow()) {
    if (!names.has(fold(name))) continue;
    const [row] = await query(`SELECT count(*) FROM ${quoteName(name)}`);
    counted.push({ table: name, rows: Number(row![0]) });
  }
  return async () => {
    const left = new Set((await tablesNow()).map(({ name }) => fold(name)));
    return counted.filter(({ table }) => !left.has(fold(table)));
  };
}

import type { Executor } from "./executor.js";

/** The names of the tables that a database has; one of another version may have fewer, or others. */
export async function tablesIn(executor: Pick<Executor, "execute">): Promise<ReadonlySet<string>> {
  const { rows } = await executor.execute({ sql: "select name from sqlite_schema where type = 'table'", args: [] });
  return new Set(rows.map((row) => row[0] as string));
}

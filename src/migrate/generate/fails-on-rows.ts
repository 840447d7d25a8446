import { openMemoryClient } from "../../client/local/open-local.js";
import { quoteText } from "../../client/sql/quote.js";
import { CANNOT_ADD, MigrationError } from "../failure.js";
import { migrate } from "../migrate.js";
import type { JournalOptions } from "../options.js";
import { fold } from "../schema-objects.js";
import { fillTables } from "./fill-tables.js";
import { mulberry32 } from "./random.js";

const NULL_IN = /NOT NULL constraint failed: (?:__new_)?(.+)\.([^.\s]+)/;

/** What to do about such a migration. */
export const ROWS_ADVICE =
  "Give the column a constant default; or add it without NOT NULL, fill it in a migration, and require it in the next one";

/**
 * Returns the failure of a migration that fails on each database whose tables have rows, because it requires a value in
 * a new column and gives none. Undefined for other migrations, also for those that fail on some rows only.
 *
 * Applies the migrations before it to a database in memory, fills the tables, and tries the migration.
 */
export async function failureOnRows(
  set: JournalOptions,
  previous: string | undefined,
  tag: string,
): Promise<MigrationError | undefined> {
  if (previous === undefined) return undefined;
  const client = openMemoryClient();
  try {
    await migrate(client, { ...set, to: previous });
    await fillTables(client, mulberry32(1));
    const isNew = async (table: string, column: string) => {
      const { rows } = await client.execute(`SELECT name FROM pragma_table_xinfo(${quoteText(table)})`);
      return rows.length > 0 && !rows.some(({ name }) => fold(String(name)) === fold(column));
    };
    try {
      await migrate(client, { ...set, to: tag });
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      const [, table, column] = NULL_IN.exec(error.message) ?? [];
      const isCertain = table === undefined ? CANNOT_ADD.test(error.message) : await isNew(table, column!);
      return isCertain ? error : undefined;
    }
    return undefined;
  } finally {
    await client.close();
  }
}

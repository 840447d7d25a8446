import { type AnyColumn, getTableName, sql } from "drizzle-orm";
import { StorageError } from "../shared/errors.js";
import type { CheckedPage, ProjectTable, Reader } from "./area.js";
import { pagesByRowId } from "./rows.js";

/** The object that a column holds as JSON; throws `CORRUPT` if something else has come to be there. */
export function parseObject(text: unknown, table: string, id: unknown): Record<string, unknown> {
  return parse(text, table, id, "metadata") as Record<string, unknown>;
}

/** The list of text that a column holds as JSON; throws `CORRUPT` if something else has come to be there. */
export function parseList(text: unknown, table: string, id: unknown): readonly string[] {
  return text === "[]" ? [] : (parse(text, table, id, "tags") as string[]);
}

/** The rows of a table without checksums that hold something else than JSON in one of `columns`: reading them rejects. */
export async function* withoutJson(
  reader: Reader,
  table: ProjectTable & { readonly rowId: AnyColumn; readonly id: AnyColumn },
  columns: readonly AnyColumn[],
): AsyncGenerator<CheckedPage> {
  const isDamaged = sql.join(
    columns.map((column) => sql`json_valid(${column}) = 0`),
    sql` or `,
  );
  const all = sql`select ${table.rowId}, ${table.project}, ${table.id} from ${table}`;
  for await (const rows of pagesByRowId(reader, all, table.rowId, sql` and (${isDamaged})`)) {
    const records = rows.map((row) => ({
      project: String(row[1]),
      id: String(row[2]),
      part: "JSON",
      table: getTableName(table),
      rowId: Number(row[0]),
    }));
    yield { read: rows.length, records };
  }
}

function parse(text: unknown, table: string, id: unknown, what: string): unknown {
  try {
    return JSON.parse(text as string);
  } catch (cause) {
    const message = `The ${what} of ${JSON.stringify(id)} in ${table} is not JSON any more, so other software has changed it: correct it with SQL, or restore a backup`;
    throw new StorageError("CORRUPT", message, { cause });
  }
}

import { StorageError } from "../shared/errors.js";

/** The object that a column holds as JSON; throws `CORRUPT` if something else has come to be there. */
export function parseObject(text: unknown, table: string, id: unknown): Record<string, unknown> {
  return parse(text, table, id, "metadata") as Record<string, unknown>;
}

/** The list of text that a column holds as JSON; throws `CORRUPT` if something else has come to be there. */
export function parseList(text: unknown, table: string, id: unknown): readonly string[] {
  return text === "[]" ? [] : (parse(text, table, id, "tags") as string[]);
}

function parse(text: unknown, table: string, id: unknown, what: string): unknown {
  try {
    return JSON.parse(text as string);
  } catch (cause) {
    const message = `The ${what} of ${JSON.stringify(id)} in ${table} is not JSON any more, so other software has changed it: correct it with SQL, or restore a backup`;
    throw new StorageError("CORRUPT", message, { cause });
  }
}

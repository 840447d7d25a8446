import { StorageError } from "../errors.js";

/** The object that a column holds as JSON; throws `CORRUPT` if something else has come to be there. */
export function parseObject(text: unknown, table: string, id: unknown): Record<string, unknown> {
  try {
    return JSON.parse(text as string) as Record<string, unknown>;
  } catch (cause) {
    throw new StorageError("CORRUPT", `The metadata of ${JSON.stringify(id)} in ${table} is not JSON any more`, {
      cause,
    });
  }
}

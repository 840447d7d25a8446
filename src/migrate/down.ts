import { readFileSync } from "node:fs";
import { StorageError } from "../shared/errors.js";
import type { Migration } from "./journal.js";
import { readScript, type Script } from "./script.js";

/** What a down file holds until somebody has written it: with this in it, there is no way back. */
export const UNFINISHED = "-- NOT WRITTEN YET";

/** Where the way back from a migration is: `0003_name.down.sql` beside `0003_name.sql`. */
export function downPath({ path }: Migration): string {
  return path.replace(/\.sql$/, ".down.sql");
}

/**
 * Reads the way back from a migration. Throws IRREVERSIBLE where there is none: no down file, an empty one (a comment
 * says that nothing is to be done), or one that is not written yet.
 */
export function readDown(migration: Migration): Script {
  const path = downPath(migration);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new StorageError("IO", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
    }
    throw irreversible(migration, `there is no ${path}`, error);
  }
  if (text.includes("\0")) throw new StorageError("INVALID", `${path} holds a NUL character, where SQL would end`);
  if (text.trim() === "") throw irreversible(migration, `${path} is empty`);
  if (text.includes(UNFINISHED)) throw irreversible(migration, `${path} is not written yet`);
  return readScript(migration, text);
}

function irreversible({ tag }: Migration, why: string, cause?: unknown): StorageError {
  return new StorageError(
    "IRREVERSIBLE",
    `There is no way back from ${tag}: ${why}. Nothing was touched. Write the down file, or restore the backup made before that migration`,
    cause === undefined ? {} : { cause },
  );
}

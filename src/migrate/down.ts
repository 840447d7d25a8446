import { readFileSync } from "node:fs";
import { asFileError, hasErrno } from "../files/file-error.js";
import { StorageError } from "../shared/errors.js";
import { withoutMark } from "./checksum.js";
import { downPath, type Migration, whyUnreadable } from "./journal.js";
import { assertRunnable } from "./refusals.js";
import { readScript, type Script } from "./script.js";

/** A down file contains this line until it is written. While it does, the migration cannot be reverted. */
export const UNFINISHED = "-- NOT WRITTEN YET";

/**
 * Reads the down file of a migration. Throws IRREVERSIBLE if it is missing, empty or not written yet. (A down file that
 * has nothing to do contains a comment.)
 */
export function readDown(migration: Migration): Script {
  if (migration.code !== undefined) return readCodeDown(migration, migration.code.down);
  const path = downPath(migration);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw asFileError(error, `Cannot read ${path}`);
    throw irreversible(migration, `there is no ${path}`, error);
  }
  const unreadable = whyUnreadable(bytes);
  if (unreadable !== undefined) {
    throw new StorageError("MIGRATION_INVALID", `${path} cannot be run: ${unreadable}. Nothing was changed`);
  }
  const text = bytes.toString();
  if (withoutMark(text).trim() === "") throw irreversible(migration, `${path} is empty`);
  if (text.includes(UNFINISHED)) throw irreversible(migration, `${path} is not written yet`);
  const script = readScript(migration, text);
  assertRunnable(script);
  return script;
}

function readCodeDown(migration: Migration, down: string | undefined): Script {
  if (down === undefined) throw irreversible(migration, "it has no `down`");
  const script = readScript(migration, down);
  assertRunnable(script);
  return script;
}

function irreversible({ tag }: Migration, why: string, cause?: unknown): StorageError {
  return new StorageError(
    "IRREVERSIBLE",
    `Cannot revert ${tag}: ${why}. Nothing was changed. Write the down file, or restore the backup made before that migration`,
    cause === undefined ? {} : { cause },
  );
}

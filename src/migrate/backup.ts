import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { Connection } from "../client/local/connection.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { snapshotFile } from "../client/local/snapshot.js";
import { quoteName } from "../client/sql/quote.js";
import { makeNextTo, placeFile, removeDatabase, stamp } from "../files/place-file.js";

const LEDGER = /\(\s*id SERIAL PRIMARY KEY,\s*hash text NOT NULL,\s*created_at numeric\s*\)/;

/** Whether any table has a row. Ledgers of migrations do not count. */
export function holdsRows(connection: Connection): boolean {
  const ledgers = new Set<string>();
  for (const [name, sql] of connection.query("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")) {
    if (LEDGER.test(String(sql))) ledgers.add(name as string);
  }
  for (const [schema, name, type] of connection.query("PRAGMA table_list") as string[][]) {
    if (schema !== "main" || name!.startsWith("sqlite_") || ledgers.has(name!)) continue;
    // Of the tables of a full-text index, only the one with the text counts as data.
    if (type !== "table" && !(type === "shadow" && name!.endsWith("_content"))) continue;
    if (connection.query(`SELECT 1 FROM ${quoteName(name!)} LIMIT 1`).length > 0) return true;
  }
  return false;
}

/**
 * Copies the database to `folder` before a migration, verifies the copy, and returns its path.
 *
 * The caller holds the write lock and has written nothing yet. A separate connection makes the copy. It sees the
 * committed state, which cannot change while the lock is held. The file gets its name only when it is complete on disk,
 * and never replaces another file.
 */
export async function backUpLocked(pool: ConnectionPool, folder: string, suffix: string): Promise<string> {
  const { path, encryptionKey } = pool.options;
  // A separate connection makes the copy, and would open the file that took the place of this one.
  pool.assertInPlace();
  const locked = async (work: () => Promise<void>) => {
    await work();
    return true;
  };
  return makeNextTo(join(folder, basename(path)), async (temporary) => {
    await snapshotFile({ path, encryptionKey, locked }, temporary);
    let destination: string;
    do destination = join(folder, `${nameOf(path)}-${stamp(new Date())}-${suffix}.db`);
    while (!(await placeFile(temporary, destination)));
    return destination;
  });
}

/** The beginning of the names of a database's backups. `app.db` and `app.sqlite` may share a folder. */
function nameOf(path: string): string {
  return extname(path) === ".db" ? basename(path, ".db") : basename(path);
}

/**
 * Removes the oldest backups that were made before migrations of the database `path`, until `keep` are left. The
 * backups in `made` are removed last. A backup that cannot be removed stays until the next call.
 */
export async function removeOldBackups(
  folder: string,
  path: string,
  keep: number,
  made: readonly string[],
): Promise<void> {
  if (keep === Number.POSITIVE_INFINITY) return;
  const prefix = `${nameOf(path)}-`;
  const backups = (await readdir(folder).catch(() => []))
    .filter((name) => name.startsWith(prefix) && /^\d{8}-\d{6}-\d{3}-before-.+\.db$/.test(name.slice(prefix.length)))
    .filter((name) => !name.slice(prefix.length).includes("-before-revert-"))
    .sort();
  for (const name of backups.slice(0, Math.max(0, backups.length - keep))) {
    const file = join(folder, name);
    if (keep > 0 && made.includes(file)) continue;
    await removeDatabase(file).catch(() => undefined);
  }
}

import { existsSync } from "node:fs";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "../client/connection.js";
import type { ConnectionPool } from "../client/connection-pool.js";
import { StorageError } from "../errors.js";
import { quoteName, quoteText } from "./ledger.js";

const LEDGER = /\(\s*id SERIAL PRIMARY KEY,\s*hash text NOT NULL,\s*created_at numeric\s*\)/;

/** What a file system that has no links says. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/** Whether any table has a row, ledgers of migrations aside. */
export function holdsRows(connection: Connection): boolean {
  const ledgers = new Set<string>();
  for (const [name, sql] of connection.query("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")) {
    if (LEDGER.test(String(sql))) ledgers.add(name as string);
  }
  for (const [schema, name, type] of connection.query("PRAGMA table_list") as string[][]) {
    if (schema !== "main" || name!.startsWith("sqlite_") || ledgers.has(name!)) continue;
    // Of the tables behind a full-text index only the one with the text is data.
    if (type !== "table" && !(type === "shadow" && name!.endsWith("_content"))) continue;
    if (connection.query(`SELECT 1 FROM ${quoteName(name!)} LIMIT 1`).length > 0) return true;
  }
  return false;
}

/**
 * Copies the database as it is before a migration to `folder`, verified, and returns the path.
 *
 * To be called with the write lock held and nothing written yet: the copy is made by a connection of its own, which
 * sees what is committed, and while the lock is held that is the very state to be migrated. The file appears under
 * its name only once it is complete on disk, and never takes the place of another.
 */
export async function backUpLocked(pool: ConnectionPool, folder: string, suffix: string): Promise<string> {
  const { path, encryptionKey } = pool.options;
  const temporary = join(folder, `.${basename(path)}-${process.pid}-${Date.now()}.partial`);
  const connect = (file: string) => {
    const options = { statementCacheSize: 1, ...(encryptionKey === undefined ? {} : { encryptionKey }) };
    return Connection.open(file, options, ["PRAGMA wal_autocheckpoint = 0"]);
  };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    // VACUUM INTO takes an empty file as it is, and so its mode.
    await (await open(temporary, "wx", 0o600)).close();
    const source = connect(path);
    try {
      await source.execOffThread(`VACUUM INTO ${quoteText(temporary)}`);
      await syncToDisk(temporary, "r+");
      await verifyCopy(connect, temporary, countObjects(source));
    } finally {
      source.close();
    }
    const destination = await claimName(temporary, folder, basename(path), suffix);
    await syncToDisk(folder, "r");
    return destination;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function verifyCopy(connect: (file: string) => Connection, copy: string, objects: bigint): Promise<void> {
  const connection = connect(copy);
  try {
    // A query is synchronous; a script is not, and leaves its answer in a table of this connection's own.
    await connection.execOffThread(
      "CREATE TEMP TABLE answer (line); INSERT INTO answer SELECT integrity_check FROM pragma_integrity_check",
    );
    const lines = connection.query("SELECT line FROM answer LIMIT 3").map(([line]) => String(line));
    if (lines.join() !== "ok") {
      throw new StorageError(
        "CORRUPT",
        `The copy fails its integrity check: ${lines.join("; ")}. Run a check of the file itself`,
      );
    }
    if (countObjects(connection) !== objects) throw new StorageError("CORRUPT", "The copy lacks tables of its source");
  } finally {
    connection.close();
  }
}

function countObjects(connection: Connection): bigint {
  return connection.query("SELECT count(*) FROM sqlite_schema")[0]![0] as bigint;
}

/** A link, unlike a rename, never takes the place of a file that has the name already. */
async function claimName(temporary: string, folder: string, file: string, suffix: string): Promise<string> {
  const name = basename(file, extname(file));
  for (;;) {
    const destination = join(folder, `${name}-${stamp(new Date())}-${suffix}.db`);
    try {
      await link(temporary, destination);
      await rm(temporary);
      return destination;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EEXIST" && !NO_LINKS.has(code ?? "")) throw error;
      if (code !== "EEXIST" && !existsSync(destination)) {
        await rename(temporary, destination);
        return destination;
      }
      await sleep(2);
    }
  }
}

/** `yyyymmdd-hhmmss-mmm` in UTC. */
function stamp(time: Date): string {
  const [date, clock] = time.toISOString().replace(/[-:Z]/g, "").split("T") as [string, string];
  return `${date}-${clock.replace(".", "-")}`;
}

async function syncToDisk(path: string, flags: "r" | "r+"): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

import { existsSync, statSync } from "node:fs";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { rollBackAfter } from "../client/local/connection.js";
import type { ConnectionPool } from "../client/local/connection-pool.js";
import { snapshotFile, snapshotMemory } from "../client/local/snapshot.js";
import { primaryCode, READONLY } from "../client/sql/sqlite-error.js";
import { toStorageError } from "../client/storage-error.js";
import { asFileError, hasErrno } from "../files/file-error.js";
import { makeFolder } from "../files/folders.js";
import { assertFree, makeNextTo, pathTaken, placeFile, removeDatabase, removeStale } from "../files/place-file.js";
import { StorageError } from "../shared/errors.js";
import { expectInteger } from "../shared/expectation.js";
import { checkLongCall, follow, type LongCallOptions } from "../shared/long-call.js";
import { resolveFile } from "./paths.js";

/** A verified copy of a database. */
export interface BackupResult {
  readonly path: string;
  readonly bytes: number;
}

/** The options of `backups`. */
export interface BackupsOptions extends LongCallOptions {
  /** How many to keep, the new one included. Older backups are removed once the new one is complete. @default Infinity */
  readonly keep?: number | undefined;
}

/** The new backup, and the ones that were removed. */
export interface BackupsResult extends BackupResult {
  /** The paths of the backups that were removed. */
  readonly removed: string[];
}

/** The longest wait for the write transaction of another process, which may be a migration. */
const LOCK_TIMEOUT_MS = 60_000;
const LONGEST_PAUSE_MS = 10;

/** Copies the database of a pool to the file `destination`; see `Storage.backup`. */
export async function backUp(
  pool: ConnectionPool,
  destination: string | URL,
  options: LongCallOptions = {},
): Promise<BackupResult> {
  const path = resolveFile("destination", destination);
  checkLongCall(options);
  try {
    assertFree(path);
    return await makeNextTo(path, async (temporary) => {
      await copy(pool, temporary, options);
      options.signal?.throwIfAborted();
      assertFree(path);
      if (!(await placeFile(temporary, path))) throw pathTaken(path);
      return { path, bytes: statSync(path).size };
    });
  } catch (error) {
    throw asFileError(named(toStorageError(error), path), `Cannot write the backup ${path}`);
  }
}

/** Adds the path of the backup to an error of SQLite. */
function named(error: unknown, path: string): unknown {
  if (!(error instanceof StorageError) || !["FULL", "IO", "CANNOT_OPEN"].includes(error.code)) return error;
  const { cause, retryable } = error;
  return new StorageError(error.code, `Cannot write the backup ${path}: ${error.message}`, { cause, retryable });
}

/** Copies the database to `dir/YYYYMMDD/HHMMSS/<file>`, and removes the oldest backups; see `Storage.backups`. */
export async function rotateBackups(
  pool: ConnectionPool,
  dir: string | URL,
  options: BackupsOptions & { readonly now: () => number },
): Promise<BackupsResult> {
  const folder = resolveFile("dir", dir);
  const { keep = Number.POSITIVE_INFINITY, now, ...rest } = options;
  if (keep !== Number.POSITIVE_INFINITY) expectInteger("keep", keep, 1);
  checkLongCall(rest);
  const file = pool.options.isMemory ? "memory.db" : basename(pool.options.path);
  try {
    const removeFolder = await makeFolder(folder);
    let own: string | undefined;
    try {
      await removeKilled(folder);
      own = await claimFolder(folder, now);
      const made = await backUp(pool, join(own, file), rest);
      const removed = await removeOldest(folder, file, keep, made.path);
      return { ...made, removed };
    } catch (error) {
      if (own !== undefined) await removeEmpty(own);
      await removeFolder();
      throw error;
    }
  } catch (error) {
    throw asFileError(error, `Cannot write a backup to ${folder}`);
  }
}

async function copy(pool: ConnectionPool, temporary: string, options: LongCallOptions): Promise<void> {
  const { path, encryptionKey, isMemory, readOnly } = pool.options;
  if (isMemory) {
    const copying = pool.turn((connection) => snapshotMemory(connection, temporary, options));
    await follow(copying, options, () => ({ phase: "copy", done: 0, total: 1 }));
    return;
  }
  await snapshotFile(
    { path, encryptionKey, readOnly, locked: (work) => withWriteLock(pool, options, work) },
    temporary,
    options,
  );
}

/** Runs `work` with the write lock; false if the file is read-only, so that there is no lock to take. */
async function withWriteLock(
  pool: ConnectionPool,
  { signal }: LongCallOptions,
  work: () => Promise<void>,
): Promise<boolean> {
  if (pool.options.readOnly !== false) {
    await work();
    return false;
  }
  const start = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    // Each try is a turn, so that other calls of this process do not wait for the other process too.
    const outcome = await pool.turn(async (connection) => {
      try {
        if (!pool.tryLock(connection)) return "busy";
      } catch (error) {
        if (primaryCode(error) !== READONLY) throw error;
        await work();
        return "unlocked";
      }
      try {
        // Another connection makes the copy, which would open a replaced file.
        pool.assertInPlace();
        await work();
        return "locked";
      } finally {
        rollBackAfter(connection);
      }
    });
    if (outcome !== "busy") return outcome === "locked";
    if (performance.now() - start >= LOCK_TIMEOUT_MS) {
      throw new StorageError(
        "BUSY",
        `Waited ${LOCK_TIMEOUT_MS} ms for a moment without a writer to begin the copy: another process holds the write lock of ${pool.options.path}`,
        { retryable: true },
      );
    }
    await sleep(Math.random() * LONGEST_PAUSE_MS);
  }
}

/** Makes a folder for this second, or for the one after the newest backup: the names give the order of the backups. */
async function claimFolder(folder: string, now: () => number): Promise<string> {
  const last = (await claimed(folder)).map(timeOf).findLast((time) => !Number.isNaN(time)) ?? 0;
  for (let time = Math.max(now(), last + 1000); ; time += 1000) {
    const [day, clock] = new Date(time).toISOString().replace(/[-:]/g, "").split(/[T.]/) as [string, string];
    await mkdir(join(folder, day), { recursive: true, mode: 0o700 });
    const own = join(folder, day, clock);
    try {
      await mkdir(own, { mode: 0o700 });
      return own;
    } catch (error) {
      if (!hasErrno(error, "EEXIST")) throw error;
    }
  }
}

/** Removes the unfinished backups of killed processes, with their folders. */
async function removeKilled(folder: string): Promise<void> {
  for (const own of await claimed(folder)) if ((await removeStale(own)) > 0) await removeEmpty(own);
}

async function removeOldest(folder: string, file: string, keep: number, newest: string): Promise<string[]> {
  const backups = (await claimed(folder)).map((clock) => join(clock, file)).filter((path) => existsSync(path));
  const removed = keep === Number.POSITIVE_INFINITY ? [] : backups.slice(0, -keep).filter((path) => path !== newest);
  for (const path of removed) {
    await removeDatabase(path);
    await removeEmpty(dirname(path));
  }
  return removed;
}

/** The time in the name of a backup folder, in milliseconds; NaN if the name has none. */
function timeOf(path: string): number {
  const [, ...parts] = /(\d{4})(\d\d)(\d\d).(\d\d)(\d\d)(\d\d)$/.exec(path) ?? [];
  const [year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** The folders of backups, oldest first. */
async function claimed(folder: string): Promise<string[]> {
  const clocks: string[] = [];
  for (const day of await foldersIn(folder, /^\d{8}$/)) clocks.push(...(await foldersIn(day, /^\d{6}$/)));
  return clocks.sort();
}

async function foldersIn(folder: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && pattern.test(entry.name))
    .map(({ name }) => join(folder, name));
}

/** Removes the folder of a second and that of its day, if they are empty. */
async function removeEmpty(own: string): Promise<void> {
  await rmdir(own).catch(() => undefined);
  await rmdir(dirname(own)).catch(() => undefined);
}

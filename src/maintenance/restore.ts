import { existsSync, statSync } from "node:fs";
import { link, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Connection, rollBackAfter } from "../client/local/connection.js";
import { connectAlone, verifyDatabase } from "../client/local/snapshot.js";
import { retryWhileBusy } from "../client/local/write-lock.js";
import { isBusy } from "../client/sql/sqlite-error.js";
import { toStorageError } from "../client/storage-error.js";
import { asFileError, hasErrno, lacksLinks, unlessMissing } from "../files/file-error.js";
import { syncFile, syncFolder } from "../files/folders.js";
import { type CopyProgress, copyInOtherProcess } from "../files/other-process.js";
import { makeNextTo, removeDatabase, SIDE_FILES, stamp } from "../files/place-file.js";
import { StorageError } from "../shared/errors.js";
import type { LongCallOptions } from "../shared/long-call.js";
import { type ClosedFileOptions, logBytes, resolveOptions, whyUnusable } from "./closed-file.js";
import { assertNotInUse } from "./in-use.js";
import { resolveDatabase } from "./paths.js";

/** The key is that of the backup, and so of what is restored. */
export interface RestoreOptions extends ClosedFileOptions {}

/** Where the restored file and the old ones are. */
export interface RestoreResult {
  readonly path: string;
  /** Where the old file is now; undefined if there was none. */
  readonly setAside: string | undefined;
  /** All files that were renamed: the old file, then its log and other files of SQLite that are not empty. */
  readonly setAsideFiles: readonly string[];
}

/** The end of an old file's new name. */
const ASIDE = "-before-restore";
/** The file was not in use just before, so only a process that has just opened it can hold its lock. */
const LOCK_TIMEOUT_MS = 5000;

/**
 * Replaces a database that is not open anywhere with a backup. The backup stays.
 *
 * The backup is first copied next to `target`, and the copy verified, so a damaged backup changes nothing. The old file
 * at `target` is renamed to a dated name, never deleted. Its log is moved into it first. If that is not possible, its
 * -wal is renamed too, since SQLite would read it as the latest state of the restored file. If the process is killed at
 * any moment, either the old or the new file is whole in its place.
 *
 * Rejects with NOT_FOUND if there is no backup, with CORRUPT or NOT_A_DATABASE if the backup is not a whole database or
 * has another key, and with IN_USE while another process, or an open client of this process, has `target` open.
 */
export async function restore(
  backup: string | URL,
  target: string | URL,
  options: RestoreOptions = {},
): Promise<RestoreResult> {
  const from = resolveDatabase("backup", backup);
  const to = resolveDatabase("target", target);
  const settled = resolveOptions("restore", options);
  const { encryptionKey, signal } = settled;
  try {
    assertBackup(from, to);
    await assertNotInUse(to);
    return await makeNextTo(to, async (temporary) => {
      await copyWhole(from, temporary, settled);
      await foldLog(temporary, encryptionKey);
      await verifyDatabase({ path: temporary, encryptionKey }, undefined, settled);
      signal?.throwIfAborted();
      const setAsideFiles = await withTargetLocked(to, encryptionKey, (isWhole) => swapUnused(temporary, to, isWhole));
      // The check of a copy in WAL mode leaves files next to it.
      await removeDatabase(temporary);
      return { path: to, setAside: setAsideFiles.find((file) => file.endsWith(ASIDE)), setAsideFiles };
    });
  } catch (error) {
    const failure = asFileError(toStorageError(error), `Cannot restore ${to}`);
    if (failure instanceof StorageError && ["CORRUPT", "NOT_A_DATABASE"].includes(failure.code)) {
      const why = failure.message.replace(/\. The file .*$/, "");
      throw new StorageError(failure.code, `The backup ${from} was not restored: ${why}. Nothing was changed`, {
        cause: error,
      });
    }
    throw failure;
  }
}

function assertBackup(from: string, to: string): void {
  const failure = whyUnusable(from, `backup ${from}`, "Use another one");
  if (failure !== undefined) throw failure;
  const [found, present] = [from, to].map((path) => statSync(path, { throwIfNoEntry: false }));
  if (present === undefined) return;
  if (present.ino === found?.ino && present.dev === found.dev) {
    throw new RangeError(`Expected \`target\` to be another file than the backup, got ${to}`);
  }
  if (!present.isFile()) throw new StorageError("CANNOT_OPEN", `${to} is not a file. Name the database file`);
}

/**
 * Copies the log too. A backup with a log was not made by this library, and its log has the latest rows.
 *
 * The log first: a connection that this process has closed moves it into the file and removes it once it is collected,
 * at any moment. The copied log then has what the file's copy may lack, and without a log the file is whole.
 */
async function copyWhole(from: string, temporary: string, { signal, onProgress }: LongCallOptions): Promise<void> {
  const hasLog = logBytes(from) > 0;
  if (hasLog) {
    await assertNotInUse(from);
    await copyInOtherProcess(`${from}-wal`, `${temporary}-wal`, { signal }).catch(unlessMissing);
  }
  const tell = onProgress && ((progress: CopyProgress) => onProgress({ phase: "copy", ...progress }));
  await copyInOtherProcess(from, temporary, { signal, onProgress: tell });
  // Another process that has opened it since may have begun the log again.
  if (hasLog) await assertNotInUse(from);
  // Before SQLite opens the copy: no connection has it open yet.
  await syncFile(temporary);
}

/** Moves the log of the copy into it, so that it is one file. */
async function foldLog(temporary: string, encryptionKey: string | undefined): Promise<void> {
  if (!existsSync(`${temporary}-wal`)) return;
  const connection = connectAlone({ path: temporary, encryptionKey });
  try {
    await connection.execOffThread("PRAGMA journal_mode = DELETE");
  } finally {
    connection.close();
  }
}

/**
 * Runs `work` while writers are kept out of the present file. Its log is moved into it first, if the file can be read;
 * `work` gets whether the file is whole without its log.
 */
async function withTargetLocked<T>(
  to: string,
  encryptionKey: string | undefined,
  work: (isWhole: boolean) => Promise<T>,
): Promise<T> {
  if (!existsSync(to)) return work(false);
  const locker = await lock(to, encryptionKey);
  try {
    const isWhole = locker !== undefined && (await moveLog(to, encryptionKey));
    await assertNotInUse(to);
    return await work(isWhole);
  } finally {
    if (locker !== undefined) {
      rollBackAfter(locker);
      locker.close();
    }
  }
}

async function lock(to: string, encryptionKey: string | undefined): Promise<Connection | undefined> {
  let connection: Connection | undefined;
  try {
    const opened = connectAlone({ path: to, encryptionKey });
    connection = opened;
    await retryWhileBusy(
      () => opened.exec("BEGIN IMMEDIATE"),
      LOCK_TIMEOUT_MS,
      () => undefined,
    );
    return opened;
  } catch (error) {
    connection?.close();
    if (isBusy(error)) {
      throw new StorageError(
        "IN_USE",
        `${to} is in use: another process holds its write lock. End it, then try again`,
        {
          cause: error,
          retryable: true,
        },
      );
    }
    // The file is damaged or has another key, which is a reason for a restore. There is nothing to lock.
    return undefined;
  }
}

/**
 * Moves the log into the file, so that a crash between the renames below loses nothing. Resolves to whether the whole log
 * was moved.
 */
async function moveLog(to: string, encryptionKey: string | undefined): Promise<boolean> {
  const connection = connectAlone({ path: to, encryptionKey });
  const passive = "PRAGMA wal_checkpoint(PASSIVE)";
  try {
    // Safe, since the write lock is held by the other connection.
    await connection.execOffThread(passive);
    // The answer to a second call says how far the first one came.
    const [busy, logFrames, movedFrames] = connection.query(passive)[0]!.map(Number);
    return busy === 0 && logFrames === movedFrames;
  } catch {
    // A damaged file is renamed as it is, with its log.
    return false;
  } finally {
    connection.close();
  }
}

/**
 * Swaps the files, then checks again whether the old one was opened in between, and puts it back if so. After that,
 * nothing can open it. (A process that waits for its lock fails with FILE_REPLACED at its commit.)
 */
async function swapUnused(temporary: string, to: string, isWhole: boolean): Promise<string[]> {
  const { setAside, files, undo } = await swap(temporary, to);
  try {
    if (setAside !== undefined) await assertNotInUse(setAside);
  } catch (error) {
    await undo();
    throw inUseAs(to, error);
  }
  const kept: string[] = [];
  for (const file of files) if (!(await isRemoved(file))) kept.push(file);
  return kept;

  /** Removes a side file without content; only once nothing can have it open. */
  async function isRemoved(file: string): Promise<boolean> {
    if (file === setAside) return false;
    // SQLite rebuilds a -shm from the log.
    const holdsNothing = isWhole || file.endsWith("-shm") || !statSync(file, { throwIfNoEntry: false })?.size;
    if (!holdsNothing) return false;
    return rm(file, { force: true }).then(
      () => true,
      () => false,
    );
  }
}

function inUseAs(to: string, error: unknown): unknown {
  if (!(error instanceof StorageError) || error.code !== "IN_USE") return error;
  return new StorageError(
    "IN_USE",
    `${to} was opened during the restore. The old file is in its place again: close it, then try again`,
    {
      cause: error,
      retryable: true,
    },
  );
}

interface Swapped {
  readonly setAside: string | undefined;
  /** The new names of all files that were renamed. */
  readonly files: readonly string[];
  /** Puts the old file back in place of the new one. */
  readonly undo: () => Promise<void>;
}

/** Renames the present file and puts the new one in its place. If that fails, undoes all of it. */
async function swap(temporary: string, to: string): Promise<Swapped> {
  const undo: (() => Promise<void>)[] = [];
  const move = async (from: string, into: string) => {
    await rename(from, into);
    undo.push(() => rename(into, from));
  };
  try {
    const files: string[] = [];
    const aside = existsSync(to) ? await linkAside(to, move) : undefined;
    if (aside !== undefined) files.push(aside);
    if (aside !== undefined && existsSync(to)) undo.push(() => rm(aside));
    for (const suffix of SIDE_FILES) {
      // Even if there is no file: SQLite would take a remaining log for that of the new file.
      if (!existsSync(to + suffix)) continue;
      const side = (aside ?? asideName(to)) + suffix;
      // A closed connection that is collected removes its log.
      await move(to + suffix, side).then(() => files.push(side), unlessMissing);
    }
    await rename(temporary, to);
    undo.length = 0;
    await syncFolder(dirname(to));
    return { setAside: aside, files, undo: () => putBack(aside, to) };
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

/** Replaces the new file, of which the backup still exists. */
async function putBack(aside: string | undefined, to: string): Promise<void> {
  // If there is a log, another process already uses the old file, whose own log was moved into it.
  const hasLog = SIDE_FILES.some((suffix) => existsSync(to + suffix));
  if (aside === undefined) return;
  for (const suffix of SIDE_FILES) if (!hasLog && existsSync(aside + suffix)) await rename(aside + suffix, to + suffix);
  await rename(aside, to);
  await syncFolder(dirname(to));
}

/** Links the file to a second name, so that `to` always exists. Without links, renames it. */
async function linkAside(to: string, move: (from: string, into: string) => Promise<void>): Promise<string> {
  for (;;) {
    const aside = asideName(to);
    try {
      await link(to, aside);
      return aside;
    } catch (error) {
      if (hasErrno(error, "EEXIST")) continue;
      if (!lacksLinks(error)) throw error;
      await move(to, aside);
      return aside;
    }
  }
}

function asideName(to: string): string {
  return join(dirname(to), `${basename(to)}.${stamp(new Date())}${ASIDE}`);
}

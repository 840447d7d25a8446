import { existsSync, statSync } from "node:fs";
import { link, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Connection, rollBackAfter } from "../client/local/connection.js";
import { connectAlone, verifyDatabase } from "../client/local/snapshot.js";
import { retryWhileBusy } from "../client/local/write-lock.js";
import { isBusy } from "../client/sql/sqlite-error.js";
import { toStorageError } from "../client/storage-error.js";
import { asFileError, hasErrno, lacksLinks } from "../files/file-error.js";
import { syncFile, syncFolder } from "../files/folders.js";
import { type CopyProgress, copyInOtherProcess } from "../files/other-process.js";
import { makeNextTo, removeDatabase, SIDE_FILES, stamp } from "../files/place-file.js";
import { StorageError } from "../shared/errors.js";
import type { LongCallOptions } from "../shared/long-call.js";
import { type ClosedFileOptions, logBytes, resolveOptions, whyUnusable } from "./closed-file.js";
import { assertNotInUse } from "./in-use.js";
import { resolveDatabase } from "./paths.js";

/** The key is that of the backup, and so of what is restored. */
export type RestoreOptions = ClosedFileOptions;

export interface RestoreResult {
  readonly path: string;
  /** Where the old file is now; undefined if there was none. */
  readonly setAside: string | undefined;
  /** Everything that was put aside: the old file, then its log and other files of SQLite's that hold anything. */
  readonly setAsideFiles: readonly string[];
}

/** The end of an old file's new name. */
const ASIDE = "-before-restore";
/** Nobody has the file open by then: only a process that came just now can hold its lock. */
const LOCK_TIMEOUT_MS = 5000;

/**
 * Puts a backup in the place of a database that nobody has open; the backup stays.
 *
 * The backup is copied beside `target` and the copy verified first, so a bad one changes nothing. What is at `target`
 * is never deleted: it goes aside under a dated name. Its log is moved into it first; where that is not possible, its
 * -wal goes aside as well, since an old one would be read as the latest state of the restored file. Killed at any moment, it leaves either file whole in its place.
 *
 * Rejects with NOT_FOUND without a backup, with CORRUPT or NOT_A_DATABASE for one that is no whole database (or has
 * another key), and with IN_USE while another process, or a client of this one that is not closed, has `target` open.
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

/** With the log, if it has one: then it is no backup of ours but a copied pair, and the log holds its latest rows. */
async function copyWhole(from: string, temporary: string, { signal, onProgress }: LongCallOptions): Promise<void> {
  const hasLog = logBytes(from) > 0;
  if (hasLog) await assertNotInUse(from);
  const tell = onProgress && ((progress: CopyProgress) => onProgress({ phase: "copy", ...progress }));
  await copyInOtherProcess(from, temporary, { signal, onProgress: tell });
  if (hasLog) await copyInOtherProcess(`${from}-wal`, `${temporary}-wal`, { signal });
  // Before SQLite opens it: nothing else can have a file of this name open.
  await syncFile(temporary);
}

/** Leaves the copy without a log, so that it is one file. */
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
 * Keeps writers out of the present file, whose log is moved into it first, if it can still be read at all; `work` is told
 * whether the file holds everything without its log by then.
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
    // A damaged file, or one with another key, is what one restores over: there is nothing to lock.
    return undefined;
  }
}

/**
 * Moves the log into the file, which then is complete without it: a crash between the renames below loses nothing. Tells
 * whether all of it was moved.
 */
async function moveLog(to: string, encryptionKey: string | undefined): Promise<boolean> {
  const connection = connectAlone({ path: to, encryptionKey });
  const passive = "PRAGMA wal_checkpoint(PASSIVE)";
  try {
    // Safe, since the write lock is held by the other connection.
    await connection.execOffThread(passive);
    // The same again tells how far it came.
    const [busy, logFrames, movedFrames] = connection.query(passive)[0]!.map(Number);
    return busy === 0 && logFrames === movedFrames;
  } catch {
    // What is damaged there goes aside as it is, log and all.
    return false;
  } finally {
    connection.close();
  }
}

/**
 * Swaps the files, then looks once more whether the old one has been opened in the meantime, and puts it back if so.
 * From then on nothing can open it. (A process that waits for its lock is refused with FILE_REPLACED when it commits.)
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

  /** Not before nothing can have it open any more. */
  async function isRemoved(file: string): Promise<boolean> {
    if (file === setAside) return false;
    // SQLite makes a -shm again from the log.
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
  return new StorageError("IN_USE", `${to} was opened during the restore. It was put back: close it, then try again`, {
    cause: error,
    retryable: true,
  });
}

interface Swapped {
  readonly setAside: string | undefined;
  /** All that was put aside, by its new names. */
  readonly files: readonly string[];
  /** Puts the old file back, in the place of the new one. */
  readonly undo: () => Promise<void>;
}

/** Puts the present file aside and the new one in its place; on a failure, everything back. */
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
      // Also without the file itself: a log that is left behind would be taken for the new file's.
      if (!existsSync(to + suffix)) continue;
      const side = (aside ?? asideName(to)) + suffix;
      await move(to + suffix, side);
      files.push(side);
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

/** Over the new file, which still has its backup. */
async function putBack(aside: string | undefined, to: string): Promise<void> {
  // If there is a log by now, another process already works on the old file, whose own log holds nothing more.
  const hasLog = SIDE_FILES.some((suffix) => existsSync(to + suffix));
  if (aside === undefined) return;
  for (const suffix of SIDE_FILES) if (!hasLog && existsSync(aside + suffix)) await rename(aside + suffix, to + suffix);
  await rename(aside, to);
  await syncFolder(dirname(to));
}

/** A second name for the file, so that there is no moment without one at `to`; where there are no links, another name. */
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

import { isUtf8 } from "node:buffer";
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  type Stats,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { asFileError, hasErrno, unlessMissing } from "../../../files/file-error.js";
import { makeFolderUnsynced, syncAndClose, syncFolder } from "../../../files/folders.js";
import { StorageError } from "../../../shared/errors.js";

const { W_OK, O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW = 0 } = constants;
/** A file up to this size is read synchronously, which costs less than using another thread. */
const READ_AT_ONCE_BYTES = 256 * 1024;

/** Files and folders that are open at once while they are synced: some systems allow a process only 256. */
export const SYNCS_AT_ONCE = 32;

/** What the file system threw, as a StorageError. Other errors pass as they are. */
export function toFileError(error: unknown): unknown {
  if (hasErrno(error, "ELOOP")) return leadsOut((error as NodeJS.ErrnoException).path ?? "A file", error);
  return asFileError(error, "Cannot use the files of the stories (nothing acknowledged is lost)");
}

const OBSTACLES = ["EPERM", "EACCES", "EBUSY", "EISDIR", "ERR_FS_EISDIR", "ENOTDIR", "ENOTEMPTY", "EEXIST"];

/** Whether certain files are in the way of a change, so that other changes are possible. */
export function isObstacle(error: unknown): boolean {
  if (error instanceof StorageError) return error.code === "CANNOT_OPEN" && error.outcome !== "unknown";
  return OBSTACLES.some((code) => hasErrno(error, code));
}

/** The error of a change that could not be finished and has taken effect, or may have. */
export function toUnknownOutcome(cause: unknown): StorageError {
  const failure = toFileError(cause);
  const code = failure instanceof StorageError ? failure.code : "IO";
  const { message } = failure as Error;
  const advice = "Whether the change is stored is unknown: load what it was about before you try again";
  return new StorageError(code, `${message}. ${advice}`, { cause, outcome: "unknown" });
}

/**
 * Makes a folder and its parents if they are missing; throws `CANNOT_OPEN` if its place is taken by something else.
 * Returns the folders with new names in them: a power failure may lose these names until the folders are synced.
 */
export function makeFolder(path: string): string[] {
  if (isFolder(path)) return [];
  const parents = makeFolderUnsynced(path);
  assertFolder(path);
  return parents;
}

/** Throws unless `path` is a folder itself: a link would lead writes elsewhere. */
export function assertFolder(path: string): void {
  if (isFolder(path)) return;
  throw new StorageError("CANNOT_OPEN", `${path} is gone. Open the stories again`);
}

/** Throws if a folder, or a file that the system protects from changes, is in the place of a file to replace or remove. */
export function assertReplaceable(path: string): void {
  const stats = lstat(path);
  if (stats?.isDirectory() === true) {
    throw new StorageError(
      "CANNOT_OPEN",
      `${path} is a folder in the place of a file: move it away. Nothing was changed`,
    );
  }
  if (stats?.isFile() === true) assertWritable(path);
}

function assertWritable(path: string): void {
  try {
    accessSync(path, W_OK);
  } catch (error) {
    // EPERM means an immutable file. One that is only not writable (EACCES) can be replaced.
    if (hasErrno(error, "EPERM")) throw error;
  }
}

function isFolder(path: string): boolean {
  const stats = lstat(path);
  if (stats === undefined) return false;
  if (stats.isSymbolicLink()) throw leadsOut(path);
  if (stats.isDirectory()) return true;
  throw new StorageError("CANNOT_OPEN", `${path} is not a folder: move it away, or use another root`);
}

export function lstat(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Identifies the state of a file without reading it: inode, size and time of the last change. */
export type FileStamp = readonly [inode: number, size: number, mtimeMs: number];

export function stampOf({ ino, size, mtimeMs }: Stats): FileStamp {
  return [ino, size, mtimeMs];
}

export function isStamp(stamp: FileStamp | undefined, { ino, size, mtimeMs }: Stats): boolean {
  return stamp !== undefined && stamp[0] === ino && stamp[1] === size && stamp[2] === mtimeMs;
}

/** The names in a folder; none if there is no folder. */
export function namesIn(folder: string): string[] {
  return isFolder(folder) ? readdirSync(folder) : [];
}

/** The text of a file, undefined if there is no file or its bytes are not UTF-8; links are not followed. */
export async function readText(path: string): Promise<string | undefined> {
  const descriptor = openFile(path, O_RDONLY);
  if (descriptor === undefined) return undefined;
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) return undefined;
    if (stats.size <= READ_AT_ONCE_BYTES) return toText(readFileSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
  const file = await open(path, O_RDONLY | O_NOFOLLOW).catch(unlessMissing);
  if (file === undefined) return undefined;
  try {
    return toText(await file.readFile());
  } finally {
    await file.close();
  }
}

/** The text of a small file that only this library writes. */
export function readTextSync(path: string): string | undefined {
  return readBytesSync(path)?.toString("utf8");
}

export function readBytesSync(path: string): Buffer | undefined {
  const descriptor = openFile(path, O_RDONLY);
  if (descriptor === undefined) return undefined;
  try {
    return fstatSync(descriptor).isDirectory() ? undefined : readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The text of a file from a position on, with its first bytes, and its size. */
export function readTail(
  path: string,
  from: number,
  headBytes: number,
): { head: string; text: string; size: number } | undefined {
  const descriptor = openFile(path, O_RDONLY);
  if (descriptor === undefined) return undefined;
  try {
    // The size comes first: the next call reads what is appended after that.
    const { size } = fstatSync(descriptor);
    const read = (start: number, length: number) => {
      const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - start)));
      let at = 0;
      for (let got = 1; at < bytes.length && got > 0; at += got) {
        got = readSync(descriptor, bytes, at, bytes.length - at, start + at);
      }
      return bytes.toString("utf8", 0, at);
    };
    return { head: read(0, headBytes), text: read(from, size - from), size };
  } finally {
    closeSync(descriptor);
  }
}

/** Writes a file that must not exist yet; it is on disk when this resolves. */
export async function writeNew(path: string, text: string): Promise<void> {
  await startWriting(path, text).synced;
}

/** The same in two steps: the text is in the file when this returns, and on the disk once `synced` resolves. */
export function startWriting(path: string, text: string): { stamp: FileStamp; synced: Promise<void> } {
  return writeTo(openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600), text);
}

/** Appends to a file, and waits for the disk. */
export async function append(path: string, text: string): Promise<void> {
  await writeTo(openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600), text).synced;
}

/** Waits until the names in these folders are on the disk; a few at a time, since a process may have few descriptors. */
export async function syncFolders(paths: Iterable<string>): Promise<void> {
  const all = [...paths];
  for (let at = 0; at < all.length; at += SYNCS_AT_ONCE) {
    await Promise.all(all.slice(at, at + SYNCS_AT_ONCE).map(syncFolder));
  }
}

function writeTo(descriptor: number, text: string): { stamp: FileStamp; synced: Promise<void> } {
  try {
    const bytes = Buffer.from(text, "utf8");
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    return { stamp: stampOf(fstatSync(descriptor)), synced: syncAndClose(descriptor) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Text that another program may have written; undefined if it is not UTF-8, because the decoder would replace bytes. The
 * byte order mark, which editors on Windows add and JSON does not allow, is removed.
 */
export function toText(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString("utf8");
  return text.startsWith("\u{FEFF}") ? text.slice(1) : text;
}

function openFile(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags | O_NOFOLLOW);
  } catch (error) {
    return unlessMissing(error);
  }
}

function leadsOut(path: string, cause?: unknown): StorageError {
  return new StorageError(
    "CANNOT_OPEN",
    `${path} is a symbolic link, which is not followed: it may lead out. Remove it`,
    {
      cause,
    },
  );
}

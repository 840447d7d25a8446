import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { StorageError } from "../errors.js";

/** What a file system that has no links says. */
export const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
/** A half-made file that nobody has written to for this long was left by a killed process. */
const STALE_MS = 24 * 60 * 60 * 1000;

/** Threads of one process, and copies of the package in it, must not arrive at the same name. */
let count = randomInt(2 ** 40);

/** The name under which a file is made before it gets the name `path`; in the same folder, hidden. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}-${process.pid}-${Date.now()}-${count++}.partial`);
}

/** Removes a half-made file, with what SQLite keeps beside it while it writes. */
export async function removeTemporary(temporary: string): Promise<void> {
  for (const suffix of ["", "-journal", "-wal", "-shm"]) await rm(temporary + suffix, { force: true });
}

/** Removes what killed processes have left half-made for `path`, a day or longer ago. */
export async function removeStale(path: string): Promise<void> {
  const prefix = `.${basename(path)}-`;
  const folder = dirname(path);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !/^\d+-\d+-\d+\.partial(-journal|-wal|-shm)?$/.test(name.slice(prefix.length)))
      continue;
    const file = join(folder, name);
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await rm(file, { force: true });
  }
}

/**
 * Gives a finished file its name, on the disk, unless a file has it already; tells whether it did. When it fails, there
 * is no file of that name, so that the same call can be tried again.
 */
export async function placeFile(temporary: string, destination: string): Promise<boolean> {
  if (!(await nameFile(temporary, destination))) return false;
  try {
    await syncToDisk(dirname(destination), "r");
    return true;
  } catch (error) {
    await rm(destination, { force: true });
    throw error;
  }
}

/** A link, unlike a rename, never takes the place of another file. */
async function nameFile(temporary: string, destination: string): Promise<boolean> {
  try {
    await link(temporary, destination);
    // A second name that stays is removed with what killed processes leave.
    await rm(temporary).catch(() => undefined);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    if (!NO_LINKS.has(code)) throw error;
    if (existsSync(destination)) return false;
    await rename(temporary, destination);
  }
  return true;
}

/** Has a file, or with `"r"` the names in a folder, written to the disk. */
export async function syncToDisk(path: string, flags: "r" | "r+"): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a folder with those above it, readable by its owner only; returns a function that removes those it made, if they are empty. */
export async function makeFolder(folder: string): Promise<() => Promise<void>> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  const remove = async () => {
    if (first === undefined) return;
    const below = relative(first, folder).split(sep).filter(Boolean);
    for (let depth = below.length; depth >= 0; depth--) {
      // One that somebody has put something into stays.
      await rmdir(join(first, ...below.slice(0, depth))).catch(() => undefined);
    }
  };
  if (first === undefined || process.platform === "win32") return remove;
  try {
    // A loss of power may take a new name from its folder, and with it all that was stored below.
    for (const parent of parentsOfNew(first, folder)) await syncToDisk(parent, "r");
  } catch (error) {
    await remove();
    throw error;
  }
  return remove;
}

/** The folders that got a new name when `folder` was made, of which `first` is the topmost that is new. */
export function parentsOfNew(first: string, folder: string): string[] {
  const parents: string[] = [];
  for (let at = folder; at.length >= first.length && at !== dirname(at); at = dirname(at)) parents.push(dirname(at));
  return parents;
}

/** `yyyymmdd-hhmmss-mmm` in UTC. */
export function stamp(time: Date): string {
  const [date, clock] = time.toISOString().replace(/[-:Z]/g, "").split("T") as [string, string];
  return `${date}-${clock.replace(".", "-")}`;
}

const BY_SYSTEM_CODE: Readonly<Record<string, "FULL" | "CANNOT_OPEN" | "NOT_FOUND" | "EXISTS">> = {
  ENOSPC: "FULL",
  EDQUOT: "FULL",
  EACCES: "CANNOT_OPEN",
  EPERM: "CANNOT_OPEN",
  EROFS: "CANNOT_OPEN",
  EISDIR: "CANNOT_OPEN",
  ENOTDIR: "CANNOT_OPEN",
  ENOENT: "NOT_FOUND",
  EEXIST: "EXISTS",
};

/** What the file system refused, as a StorageError; `what` is the start of its message. Other errors pass. */
export function asFileError(error: unknown, what: string): unknown {
  if (!(error instanceof Error) || error instanceof StorageError) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined) return error;
  // A file where a folder is to be made.
  if (code === "EEXIST" && syscall === "mkdir") {
    return new StorageError("CANNOT_OPEN", `${what}: ${error.message}`, { cause: error });
  }
  return new StorageError(BY_SYSTEM_CODE[code] ?? "IO", `${what}: ${error.message}`, { cause: error });
}

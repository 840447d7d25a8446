import { createHash, randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { StorageError } from "../shared/errors.js";
import { isShortOfDescriptors, TOO_MANY_FILES } from "./descriptors.js";
import { hasEnded, THIS_PROCESS } from "./process-identity.js";

/** What a file system that has no links says. */
export const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
/** A half-made file of a process elsewhere that was not written to for this long was left by a killed one. */
const STALE_MS = 24 * 60 * 60 * 1000;

/** Threads of one process, and copies of the package in it, must not arrive at the same name. */
let count = randomInt(2 ** 40);

/** Where this process's id and start mean something: a host, a run of its kernel, a namespace of process ids. */
const PLACE = createHash("sha256").update(`${THIS_PROCESS.host} ${THIS_PROCESS.machine}`).digest("hex").slice(0, 10);
/** The end of a half-made file's name: the process that makes it, and the files that SQLite keeps next to it. The start is unknown on some systems. */
const PARTIAL = /^\..+-(\d+)-(\d+)-([0-9a-f]{10})-\d+\.partial(\.source)?(-journal|-wal|-shm)?$/;
/** The same of an earlier version, without the process's start. */
const OLD_PARTIAL = /^\..+-\d+-\d+-\d+\.partial(\.source)?(-journal|-wal|-shm)?$/;

/** The name under which a file is made before it gets the name `path`; in the same folder, hidden. */
export function temporaryName(path: string): string {
  const { pid, start = "0" } = THIS_PROCESS;
  return join(dirname(path), `.${basename(path)}-${pid}-${start}-${PLACE}-${count++}.partial`);
}

/** Removes a half-made file, with what SQLite keeps beside it while it writes. */
export async function removeTemporary(temporary: string): Promise<void> {
  for (const suffix of ["", "-journal", "-wal", "-shm"]) await rm(temporary + suffix, { force: true });
}

/**
 * Removes what killed processes have left half-made in a folder: at once where this one can tell that its process has
 * ended, else after a day without a write. Tells how many files that were. Nothing depends on it, so it never rejects.
 */
export async function removeStale(folder: string): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    if (!(await isStale(file, name))) continue;
    await rm(file, { force: true }).then(
      () => removed++,
      () => undefined,
    );
  }
  return removed;
}

async function isStale(file: string, name: string): Promise<boolean> {
  const [, pid, start, place] = PARTIAL.exec(name) ?? [];
  if (place === PLACE) return hasEnded({ pid: Number(pid), start: start === "0" ? undefined : start });
  if (place === undefined && !OLD_PARTIAL.test(name)) return false;
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > STALE_MS;
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
  EMFILE: "CANNOT_OPEN",
  ENFILE: "CANNOT_OPEN",
  EACCES: "CANNOT_OPEN",
  EPERM: "CANNOT_OPEN",
  EROFS: "CANNOT_OPEN",
  EISDIR: "CANNOT_OPEN",
  ENOTDIR: "CANNOT_OPEN",
  ELOOP: "CANNOT_OPEN",
  ENAMETOOLONG: "CANNOT_OPEN",
  ENOENT: "NOT_FOUND",
  EEXIST: "EXISTS",
};

const FULL_DISK = "The disk is full: make room, or name a place on another disk";

/** What the file system refused, as a StorageError; `what` is the start of its message. Other errors pass. */
export function asFileError(error: unknown, what: string): unknown {
  if (!(error instanceof Error) || error instanceof StorageError) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined) return error;
  // A file where a folder is to be made.
  if (code === "EEXIST" && syscall === "mkdir") {
    return new StorageError("CANNOT_OPEN", `${what}: ${error.message}`, { cause: error });
  }
  const isShort = isShortOfDescriptors(error);
  const known = isShort ? "CANNOT_OPEN" : (BY_SYSTEM_CODE[code] ?? "IO");
  const advice = known === "FULL" ? FULL_DISK : isShort ? TOO_MANY_FILES : undefined;
  const message = advice === undefined ? error.message : `${error.message}. ${advice}`;
  return new StorageError(known, `${what}: ${message}`, { cause: error, retryable: isShort });
}

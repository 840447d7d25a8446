import { createHash, randomInt } from "node:crypto";
import { closeSync, existsSync, openSync } from "node:fs";
import { link, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StorageError } from "../shared/errors.js";
import { hasErrno, lacksLinks } from "./file-error.js";
import { makeFolder, syncFolder } from "./folders.js";
import { hasEnded, THIS_PROCESS } from "./process-identity.js";

/** The files that SQLite keeps next to a database while it is in use. */
export const SIDE_FILES = ["-wal", "-shm", "-journal"];
/** A half-made file of a process on another machine counts as left behind after this long without a write. */
const STALE_MS = 24 * 60 * 60 * 1000;

/** Starts at random: threads of one process, and copies of the package in it, must not make the same name. */
let count = randomInt(2 ** 40);

/** Tells where this process's id and start are valid: the host, the run of its kernel, the namespace of process ids. */
const PLACE = createHash("sha256").update(`${THIS_PROCESS.host} ${THIS_PROCESS.machine}`).digest("hex").slice(0, 10);
/**
 * The end of a half-made file's name: the process that makes it, with its start where the system tells it, and the
 * suffixes of the files that SQLite keeps next to it.
 */
const PARTIAL = /^\..+-(\d+)-(\d+)-([0-9a-f]{10})-\d+\.partial(\.source)?(-journal|-wal|-shm)?$/;
/** The same in an earlier version, without the process's start. */
const OLD_PARTIAL = /^\..+-\d+-\d+-\d+\.partial(\.source)?(-journal|-wal|-shm)?$/;

/**
 * Runs `work` with the name of a file to make, hidden next to `path`. The folder is created if it is missing. If
 * `work` rejects, that file and the new folders are removed.
 */
export async function makeNextTo<T>(path: string, work: (temporary: string) => Promise<T>): Promise<T> {
  const folder = dirname(path);
  const removeFolder = await makeFolder(folder);
  const temporary = temporaryName(path);
  try {
    await removeStale(folder);
    return await work(temporary);
  } catch (error) {
    await removeDatabase(temporary);
    await removeFolder();
    throw error;
  }
}

/** The name under which a file is made before it gets the name `path`: hidden, in the same folder. */
export function temporaryName(path: string): string {
  const { pid, start = "0" } = THIS_PROCESS;
  return join(dirname(path), `.${basename(path)}-${pid}-${start}-${PLACE}-${count++}.partial`);
}

/** Makes an empty file that only its owner may use. SQLite takes an empty file as it is, and keeps its mode. */
export function createEmpty(path: string): void {
  closeSync(openSync(path, "wx", 0o600));
}

/** Writes a new file that only its owner may use; it is on the disk when this resolves. */
export async function writeSynced(path: string, chunks: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Removes a database file, or a half-made one, with the files that SQLite keeps next to it. */
export async function removeDatabase(path: string): Promise<void> {
  for (const suffix of ["", ...SIDE_FILES]) await rm(path + suffix, { force: true });
}

/**
 * Removes the half-made files that killed processes have left in a folder: at once where this process can tell that the
 * other one has ended, otherwise after a day without a write. Resolves to how many files that were. Nothing depends on
 * it, so it never rejects.
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
 * Gives a finished file its name, on the disk. False if the name is taken: nothing is overwritten. If it rejects, there
 * is no file of that name, so that the same call can be tried again.
 */
export async function placeFile(temporary: string, destination: string): Promise<boolean> {
  if (!(await nameFile(temporary, destination))) return false;
  try {
    await syncFolder(dirname(destination));
    return true;
  } catch (error) {
    await rm(destination, { force: true });
    throw error;
  }
}

/** Unlike a rename, a link never takes the place of another file. */
async function nameFile(temporary: string, destination: string): Promise<boolean> {
  try {
    await link(temporary, destination);
    // If the second name stays, `removeStale` removes it later.
    await rm(temporary).catch(() => undefined);
  } catch (error) {
    if (hasErrno(error, "EEXIST")) return false;
    if (!lacksLinks(error)) throw error;
    if (existsSync(destination)) return false;
    await rename(temporary, destination);
  }
  return true;
}

/**
 * Throws EXISTS if there is a file `path`, or one that SQLite would read as part of it: an old -wal next to a database is
 * taken for its latest state.
 */
export function assertFree(path: string): void {
  const found = ["", ...SIDE_FILES].map((suffix) => path + suffix).find((file) => existsSync(file));
  if (found !== undefined) throw pathTaken(found);
}

export function pathTaken(path: string): StorageError {
  return new StorageError(
    "EXISTS",
    `${path} exists already, and nothing is overwritten. Name another file, or move it away`,
  );
}

/** `yyyymmdd-hhmmss-mmm` in UTC. */
export function stamp(time: Date): string {
  const [date, clock] = time.toISOString().replace(/[-:Z]/g, "").split("T") as [string, string];
  return `${date}-${clock.replace(".", "-")}`;
}

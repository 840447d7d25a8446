import { execFile } from "node:child_process";
import { existsSync, type Stats } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { isOpenHere } from "../client/local/open-files.js";
import { isShortOfDescriptors } from "../files/descriptors.js";
import { hasErrno } from "../files/file-error.js";
import { SIDE_FILES } from "../files/place-file.js";
import { StorageError } from "../shared/errors.js";

const LOOKS = 5;
const PAUSE_MS = 50;

/**
 * Rejects with IN_USE while another process has a database open, or a client of this one, in any of its threads.
 *
 * Connections that this process has closed do not count, although their descriptors live on until they are collected.
 * Other processes are seen by their descriptors, and those of other users by their locks (Linux: /proc, elsewhere:
 * lsof); one on another machine, or in a container that shares only the folder, is not seen.
 */
export async function assertNotInUse(path: string): Promise<void> {
  if (!existsSync(path)) return;
  if (isOpenHere(path)) {
    throw new StorageError(
      "IN_USE",
      `${path} is open in this process. Close its storages and clients first, those of worker threads too`,
    );
  }
  const paths = [path, ...SIDE_FILES.map((suffix) => path + suffix)];
  let pids = await otherHolders(paths);
  // A process that has just been forked holds its parent's files until it executes its own program, and one that is
  // ending holds them for a moment: neither is a user.
  for (let look = 1; pids.length > 0 && look < LOOKS; look++) {
    await sleep(PAUSE_MS);
    pids = await otherHolders(paths);
  }
  if (pids.length === 0) return;
  const who = pids.length === 1 ? `process ${pids[0]} has` : `processes ${pids.join(", ")} have`;
  throw new StorageError("IN_USE", `${path} is in use: ${who} it open. Stop what uses it, then try again`, {
    retryable: true,
  });
}

async function otherHolders(paths: readonly string[]): Promise<number[]> {
  const pids = process.platform === "linux" ? await holdersOnLinux(paths) : await holdersByLsof(paths);
  return [...new Set(pids)].filter((pid) => pid !== process.pid).sort((a, b) => a - b);
}

async function holdersOnLinux(paths: readonly string[]): Promise<number[]> {
  // A log vanishes at any moment, when another process closes the database: looking for it first would be a race.
  const found = await Promise.all(paths.map((path) => stat(path).catch(noFile)));
  const files = found.filter((file) => file !== undefined);
  const isWanted = ({ dev, ino }: Pick<Stats, "dev" | "ino">) =>
    files.some((file) => file.ino === ino && file.dev === dev);
  const entries = await readdir("/proc");
  const byDescriptor = await Promise.all(
    entries.filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).map((pid) => holds(pid, isWanted)),
  );
  return [...byDescriptor.flat(), ...(await holdersByLock(files))];
}

function noFile(error: unknown): undefined {
  if (!hasErrno(error, "ENOENT")) throw error;
}

async function holds(pid: string, isWanted: (file: Stats) => boolean): Promise<number[]> {
  // A process that has ended meanwhile, or is another user's, tells nothing.
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(unlessShort<string[]>([]));
  for (const descriptor of descriptors) {
    const file = await stat(`/proc/${pid}/fd/${descriptor}`).catch(() => undefined);
    if (file !== undefined && isWanted(file)) return [Number(pid)];
  }
  return [];
}

/** Every connection that has read a database in WAL mode keeps a lock on it, which anybody may see. */
async function holdersByLock(files: readonly Stats[]): Promise<number[]> {
  const text = await readFile("/proc/locks", "utf8").catch(unlessShort(""));
  return text.split("\n").flatMap((line) => {
    const found = /\bPOSIX\b.*?\s(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line);
    if (found === null) return [];
    const [pid, major, minor, inode] = [
      Number(found[1]),
      ...[2, 3].map((at) => Number.parseInt(found[at]!, 16)),
      Number(found[4]),
    ];
    const isOne = files.some(({ dev, ino }) => ino === inode && majorOf(dev) === major && minorOf(dev) === minor);
    return isOne ? [pid!] : [];
  });
}

/** How Linux puts the two halves of a device's number together. */
function majorOf(dev: number): number {
  return Number((BigInt(dev) >> 8n) & 0xfffn);
}

function minorOf(dev: number): number {
  return Number((BigInt(dev) & 0xffn) | ((BigInt(dev) >> 12n) & 0xfff00n));
}

async function holdersByLsof(paths: readonly string[]): Promise<number[]> {
  try {
    const present = paths.filter((path) => existsSync(path));
    const { stdout } = await promisify(execFile)("lsof", ["-F", "p", "--", ...present]);
    return stdout.split("\n").flatMap((line) => (line.startsWith("p") ? [Number(line.slice(1))] : []));
  } catch (error) {
    // It exits with 1 where nobody has them open. Where there is no lsof, the lock on the file has to do.
    return unlessShort<number[]>([])(error);
  }
}

/** Without a descriptor this process cannot look: that is not an answer. */
function unlessShort<T>(answer: T): (error: unknown) => T {
  return (error) => {
    if (isShortOfDescriptors(error)) throw error;
    return answer;
  };
}

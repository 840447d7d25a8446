import { execFile } from "node:child_process";
import { existsSync, type Stats } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { isOpenHere } from "../client/local/open-files.js";
import { isShortOfDescriptors } from "../files/descriptors.js";
import { unlessMissing } from "../files/file-error.js";
import { SIDE_FILES } from "../files/place-file.js";
import { StorageError } from "../shared/errors.js";

const LOOKS = 5;
const PAUSE_MS = 50;

/**
 * Rejects with IN_USE while another process, or a client of this process in any thread, has a database open.
 *
 * Closed connections of this process do not count, although their descriptors exist until they are collected. Other
 * processes are found by their descriptors, and those of other users by their locks (Linux: /proc, elsewhere: lsof).
 * A process on another machine, or in a container that shares only the folder, is not found.
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
  // A forked process has its parent's files until it executes its own program, and an ending one has them for a moment.
  // Neither is a user.
  for (let look = 1; pids.length > 0 && look < LOOKS; look++) {
    await sleep(PAUSE_MS);
    pids = await otherHolders(paths);
  }
  if (pids.length === 0) return;
  const who = pids.length === 1 ? `process ${pids[0]} has` : `processes ${pids.join(", ")} have`;
  throw new StorageError(
    "IN_USE",
    `${path} is in use: ${who} it open. Stop what uses it, then try again. A process that has closed it can keep it until it ends`,
    {
      retryable: true,
    },
  );
}

async function otherHolders(paths: readonly string[]): Promise<number[]> {
  const pids = process.platform === "linux" ? await holdersOnLinux(paths) : await holdersByLsof(paths);
  return [...new Set(pids)].filter((pid) => pid !== process.pid).sort((a, b) => a - b);
}

async function holdersOnLinux(paths: readonly string[]): Promise<number[]> {
  // A log may vanish at any moment, when another process closes the database, so there is no check before the stat.
  const found = await Promise.all(paths.map((path) => stat(path).catch(unlessMissing)));
  const files = found.filter((file) => file !== undefined);
  const isWanted = ({ dev, ino }: Pick<Stats, "dev" | "ino">) =>
    files.some((file) => file.ino === ino && file.dev === dev);
  const entries = await readdir("/proc");
  const byDescriptor = await Promise.all(
    entries.filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).map((pid) => holds(pid, isWanted)),
  );
  return [...byDescriptor.flat(), ...(await holdersByLock(files))];
}

async function holds(pid: string, isWanted: (file: Stats) => boolean): Promise<number[]> {
  // A process that has just ended, or belongs to another user, cannot be read.
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(unlessShort<string[]>([]));
  for (const descriptor of descriptors) {
    const file = await stat(`/proc/${pid}/fd/${descriptor}`).catch(() => undefined);
    if (file !== undefined && isWanted(file)) return [Number(pid)];
  }
  return [];
}

/** Every connection that has read a database in WAL mode keeps a lock on it, which any user may see. */
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

/** Linux joins the two halves of a device number like this. */
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
    // lsof exits with 1 if no process has the files open. Without lsof, the lock on the file must do.
    return unlessShort<number[]>([])(error);
  }
}

/** Without a free descriptor this process cannot look, so the result is unknown. */
function unlessShort<T>(answer: T): (error: unknown) => T {
  return (error) => {
    if (isShortOfDescriptors(error)) throw error;
    return answer;
  };
}

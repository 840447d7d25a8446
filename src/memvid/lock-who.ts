import { FileLock } from "../files/lock/file-lock.js";
import { asMemvidErrors } from "./memvid-error.js";
import type { LockWhoResult } from "./memvid-types.js";

/** The holder of the `FileLock` on a path, if there is one. Storing needs no such lock: any number of processes may store. */
export function lockWho(path: string | URL): Promise<LockWhoResult> {
  return asMemvidErrors(async () => {
    const holder = await new FileLock(path).holder();
    if (holder === null) return { locked: false };
    return { locked: true, owner: { ...holder, since: holder.since.toISOString() } };
  });
}

/** Removes the lock of a process that ended without releasing it; false if there is none, or it is in use. */
export function lockNudge(path: string | URL): Promise<boolean> {
  return asMemvidErrors(async () => {
    const lock = new FileLock(path);
    if ((await lock.holder()) === null || !(await lock.acquire(0))) return false;
    await lock.release();
    return true;
  });
}

import { closeSync, fsync, mkdirSync, openSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

const syncDescriptor = promisify(fsync);

/**
 * Makes a folder with those above it, readable by its owner only, and on the disk. Resolves to a function that removes
 * the folders that it made, as far as they are empty.
 */
export async function makeFolder(folder: string): Promise<() => Promise<void>> {
  const parents = makeFolderUnsynced(folder);
  const made = parents.length === 0 ? [] : [folder, ...parents.slice(0, -1)];
  const remove = async () => {
    // A folder that something has been put into stays.
    for (const one of made) await rmdir(one).catch(() => undefined);
  };
  try {
    for (const parent of parents) await syncFolder(parent);
  } catch (error) {
    await remove();
    throw error;
  }
  return remove;
}

/**
 * Makes a folder with those above it, readable by its owner only. Returns the folders that got a new name, from the
 * innermost out: a loss of power may take the new names, and all that is stored below them, until these are synced.
 */
export function makeFolderUnsynced(folder: string): string[] {
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 });
  const parents: string[] = [];
  if (first === undefined) return parents;
  for (let at = folder; at.length >= first.length && at !== dirname(at); at = dirname(at)) parents.push(dirname(at));
  return parents;
}

/** Waits until the names in a folder are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  // Windows has no such call, and refuses to open a folder.
  if (process.platform === "win32") return;
  await syncAndClose(openSync(path, "r"));
}

/** Waits until a file is on the disk. */
export async function syncFile(path: string): Promise<void> {
  await syncAndClose(openSync(path, "r+"));
}

/** Waits until the file of a descriptor is on the disk, and closes it. */
export async function syncAndClose(descriptor: number): Promise<void> {
  try {
    await syncDescriptor(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

import { statSync } from "node:fs";

/** Pools of this process by the path that they opened. By path, so that a client that nobody closes can be collected. */
const openCounts = new Map<string, number>();

/** Notes that a pool works on a file, until the function that it returns is called. */
export function noteOpen(path: string): () => void {
  openCounts.set(path, (openCounts.get(path) ?? 0) + 1);
  let isOpen = true;
  return () => {
    if (!isOpen) return;
    isOpen = false;
    const left = openCounts.get(path)! - 1;
    if (left === 0) openCounts.delete(path);
    else openCounts.set(path, left);
  };
}

/**
 * Whether a client of this process has the file open, by whatever path.
 *
 * Its descriptors do not tell: the binding keeps those of a closed connection until they are collected.
 */
export function isOpenHere(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) return false;
  return [...openCounts.keys()].some((open) => {
    const found = statSync(open, { throwIfNoEntry: false });
    return found !== undefined && found.ino === file.ino && found.dev === file.dev;
  });
}

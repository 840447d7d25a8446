import type { GuardedLogger } from "../shared/callbacks.js";

/** A program needs one storage for each file. At this many, it probably forgets to close them. */
const MANY = 10;

// The count is shared by all copies of the package, for development servers that load it again on each change.
const COUNTS: unique symbol = Symbol.for("holdfast.open-storages");
const shared = globalThis as { [COUNTS]?: Map<string, number> };
const counts = shared[COUNTS] ?? new Map<string, number>();
shared[COUNTS] = counts;

/** Counts a storage on a file until the returned function is called. Warns when ten are open at once. */
export function countStorage(path: string, logger: GuardedLogger | undefined): () => void {
  const count = (counts.get(path) ?? 0) + 1;
  counts.set(path, count);
  if (count === MANY) {
    logger?.warn(
      `holdfast: ${MANY} storages are open on ${path}. Each keeps connections and file descriptors. Open one and share it, or close the unused ones`,
    );
  }
  let isOpen = true;
  return () => {
    if (!isOpen) return;
    isOpen = false;
    const left = counts.get(path)! - 1;
    if (left === 0) counts.delete(path);
    else counts.set(path, left);
  };
}

import { setImmediate as nextTurn } from "node:timers/promises";

/** SQLite removes the -wal and -shm of a closed storage when the binding's objects are collected. */
export async function collectClosed(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    (globalThis as { gc?: () => void }).gc?.();
    await nextTurn();
  }
}

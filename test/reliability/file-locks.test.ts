import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { tryFileLocks } from "../support/file-locks.js";

// SQLite keeps POSIX locks on the file and its -shm for as long as it has them open. A process that closes any
// descriptor of such a file loses all of its locks on it, and SQLite does not notice: the next process that closes the
// database believes that it was the last one, and deletes the -wal with what this process has committed.

/** Each call once. */
const ROUNDS = 65;

test.skipIf(!existsSync("/proc/locks"))(
  "no call takes SQLite's locks from a file that this process has open (needs /proc/locks)",
  async () => {
    const { calls, rounds, bad } = await tryFileLocks(ROUNDS);
    expect(bad).toEqual([]);
    expect(calls.length).toBeGreaterThan(40);
    expect(rounds.length).toBe(ROUNDS);
  },
);

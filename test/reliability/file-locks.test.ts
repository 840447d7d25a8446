import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { tryFileLocks } from "../support/file-locks.js";

// SQLite keeps POSIX locks on the file and its -shm as long as it has them open. If a process closes any descriptor of
// such a file, it loses all of its locks on the file, and SQLite does not notice. The next process that closes the
// database then believes that it is the last one, and deletes the -wal with the commits of this process.

/** Makes each call once. */
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

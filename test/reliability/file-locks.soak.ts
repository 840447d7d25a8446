import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { tryFileLocks } from "../support/file-locks.js";

const ROUNDS = Number(process.env.HOLDFAST_LOCK_ROUNDS ?? 1000);

test.skipIf(!existsSync("/proc/locks"))(
  `${ROUNDS} rounds of a file opened twice, with a foreign process in between, lose nothing (needs /proc/locks)`,
  { timeout: 60_000 + ROUNDS * 5_000 },
  async () => {
    const { rounds, bad } = await tryFileLocks(ROUNDS);
    expect(bad).toEqual([]);
    expect(rounds.length).toBe(ROUNDS);
  },
);

import { startChild } from "./child.js";
import { seededRandom } from "./random.js";
import { report } from "./reliability-table.js";
import { tempDatabase } from "./temp.js";

interface LockReport {
  readonly name: string;
  readonly isKept: boolean;
  readonly error?: string;
}

interface RoundReport {
  readonly name: string;
  readonly lost: number;
  readonly integrity: string;
  readonly error?: string;
}

export interface FileLockFindings {
  readonly calls: readonly LockReport[];
  readonly rounds: readonly RoundReport[];
  /** Calls after which a lock of SQLite was gone, and rounds that lost data. */
  readonly bad: readonly (LockReport | RoundReport)[];
}

/**
 * Makes each public call that touches a database file in a process that has the file open, and checks SQLite's locks.
 * Then runs `count` rounds of such a call followed by a foreign process that opens and closes the file. The calls run
 * once each, and after that at random.
 */
export async function tryFileLocks(count: number): Promise<FileLockFindings> {
  await using folder = await tempDatabase();
  const { seed } = seededRandom("file locks");
  await using child = startChild("file-locks", { dir: folder.dir, rounds: count, seed });
  await child.message<{ ended?: true }>((message) => message?.ended === true);
  const found = child.messages as ({ locks?: LockReport; round?: RoundReport } | null)[];
  const calls = found.flatMap((message) => message?.locks ?? []);
  const rounds = found.flatMap((message) => message?.round ?? []);
  const lostLocks = calls.filter(({ isKept }) => !isKept);
  const lostRows = rounds.filter(({ lost, integrity }) => lost !== 0 || integrity !== "ok");
  report({
    what: "a call while SQLite holds locks on the same file",
    tried: calls.length,
    unit: "calls",
    lost: lostLocks.length,
  });
  report({
    what: "a file opened twice while a foreign process opens and closes it",
    tried: rounds.length,
    unit: "rounds",
    lost: lostRows.length,
    note: `seed ${seed}`,
  });
  return { calls, rounds, bad: [...lostLocks, ...lostRows] };
}

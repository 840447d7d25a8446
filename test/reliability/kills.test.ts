import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { compareAfterwards, countWrong, Ledger, NOTHING_WRONG } from "../support/ledger.js";
import { type Random, seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { rounds, SOAK_TIMEOUT_MS, soakMinutes } from "../support/soak.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

// Three processes work on one file and one folder of stories, in all areas. They are killed at random moments and
// replaced. This process keeps the ledger, so the kills cannot affect it.

const PROCESSES = 3;
const KILLS_PER_FILE = soakMinutes === undefined ? 15 : 60;
/** A process is killed soon after its change with this number was acknowledged; 0 means while it opens the file. */
const LIVES = [0, 1, 2, 4, 8, 15, 30, 60];

interface Said {
  readonly ready?: boolean;
  readonly stored?: number;
  readonly problem?: string;
}

test(
  "processes that work in all areas and are killed lose nothing, and leave nothing partial and nothing twice",
  async () => {
    const random = seededRandom("kills");
    let kills = 0;
    let acknowledged = 0;
    let wrong = 0;
    for (const _ of rounds(1)) {
      await using place = await tempDatabase();
      const ledger = new Ledger();
      const problems: string[] = [];
      await live(place, random, 0, true, ledger, problems);
      let left = KILLS_PER_FILE - 1;
      const keepKilling = async () => {
        while (left-- > 0) await live(place, random, left + 1, false, ledger, problems);
      };
      await Promise.all(Array.from({ length: PROCESSES }, keepKilling));
      kills += KILLS_PER_FILE;
      acknowledged += ledger.acknowledged;
      const comparison = await compareAfterwards(place.dir, ledger);
      wrong += countWrong(comparison);
      const where = `HOLDFAST_SEED=${random.seed}, kill ${kills}`;
      expect.soft(comparison, where).toEqual(NOTHING_WRONG);
      expect.soft(problems, where).toEqual([]);
    }
    const note = `${acknowledged.toLocaleString("en")} changes acknowledged`;
    report({ what: "kill -9 of three processes in all areas", tried: kills, unit: "kills", lost: wrong, note });
    expect(acknowledged).toBeGreaterThan(kills);
  },
  SOAK_TIMEOUT_MS,
);

/** Runs one process from its start to its kill. */
async function live(
  place: TempDatabase,
  random: Random,
  life: number,
  isFirst: boolean,
  ledger: Ledger,
  problems: string[],
): Promise<void> {
  const input = {
    dir: place.dir,
    writer: `k${life}`,
    seed: random.below(2 ** 31),
    isFirst,
    atOnce: 1 + random.below(4),
  };
  const changes = isFirst ? 30 : random.pick(LIVES);
  await using child = startChild("mixed-writer", input);
  if (changes > 0) await child.message<Said>(({ stored }) => stored !== undefined && stored >= changes);
  // Kills during the next change or two.
  const moment = performance.now() + random.next() * 15;
  while (performance.now() < moment) await new Promise((resolve) => setImmediate(resolve));
  child.kill();
  const { signal, stderr } = await child.exited;
  if (signal !== "SIGKILL") problems.push(`${input.writer} ended by itself: ${stderr}`);
  problems.push(...(child.messages as Said[]).flatMap(({ problem }) => problem ?? []));
  ledger.add(child.messages);
}

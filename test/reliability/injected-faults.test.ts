import { afterAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import {
  type Comparison,
  compareAfterwards,
  countWrong,
  DATABASE_KINDS,
  FILE_KINDS,
  Ledger,
  NOTHING_WRONG,
} from "../support/ledger.js";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { compileShim } from "../support/shim.js";
import { rounds, SOAK_TIMEOUT_MS, soakMinutes } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

// The n-th call to the file system fails, for every n in turn, during a change of each kind. Afterwards every
// acknowledged change is stored, no refused change is stored, and the same process continues.

const FAULTS = {
  pwrite: ["EIO", "ENOSPC", "SHORT", "TORN", "EINTR"],
  write: ["EIO", "ENOSPC", "SHORT", "TORN"],
  fsync: ["EIO", "ENOSPC"],
  ftruncate: ["EIO", "EINTR"],
  rename: ["EIO", "ENOSPC"],
  link: ["EIO", "ENOSPC"],
  open: ["EMFILE", "EIO", "ENOSPC", "EINTR"],
  unlink: ["EIO"],
  mkdir: ["ENOSPC"],
};
const ALL_FAULTS = Object.entries(FAULTS).flatMap(([call, modes]) => modes.map((mode) => ({ calls: [call], mode })));
interface Fired {
  readonly fired?: number;
  readonly what?: string;
  readonly code?: string | null;
  readonly isStorageError?: boolean;
  readonly problem?: string;
}

const shim = compileShim();
afterAll(() => shim?.[Symbol.dispose]());

test.skipIf(shim === undefined).each([
  ["every kind of write to the database", DATABASE_KINDS, 4],
  ["changes of stories in files", FILE_KINDS, 1],
])(
  "faults during %s: no acknowledged change is lost, no refused change is stored, and the next call works",
  async (what, all, shortRounds) => {
    const random = seededRandom("injected faults");
    let fired = 0;
    let refused = 0;
    const wrong: { seed: number; comparison: Comparison }[] = [];
    const problems: string[] = [];
    for (const round of rounds(shortRounds)) {
      await using place = await tempDatabase();
      const seed = random.below(2 ** 31);
      // In a short run, each kind has one turn. In a long run, the kinds of a round are random.
      const kinds = all.filter((_, i) =>
        soakMinutes === undefined ? i % shortRounds === round : random.below(4) === 0,
      );
      const stride = soakMinutes === undefined ? 11 : 3;
      const input = { dir: place.dir, seed, kinds, faults: ALL_FAULTS, stride, isNew: true };
      const ending = random.pick(["kill", "close"]);
      await using child = startChild("faulty-writer", { ...input, ending }, shim!.environment(place.dir, {}));
      const { code, signal, stderr } = await child.exited;
      const where = `seed ${seed}, kinds ${kinds}`;
      if (signal !== (ending === "kill" ? "SIGKILL" : null) || (ending === "close" && code !== 0)) {
        problems.push(`${where}: ended with ${signal ?? code}: ${stderr}`);
      }
      const said = child.messages as Fired[];
      const hits = said.filter((message) => message.fired !== undefined);
      fired += hits.length;
      refused += hits.filter((hit) => hit.code !== null).length;
      problems.push(...said.flatMap(({ problem }) => (problem === undefined ? [] : [`${where}: ${problem}`])));
      const vague = hits.filter(isVague);
      problems.push(...vague.map((hit) => `${where}: ${hit.what} was told as ${hit.code}`));
      const ledger = new Ledger();
      ledger.add(child.messages);
      const comparison = await compareAfterwards(place.dir, ledger);
      if (countWrong(comparison) > 0) wrong.push({ seed, comparison });
    }
    const lost = wrong.reduce((sum, { comparison }) => sum + countWrong(comparison), 0);
    report({
      what: `faults during ${what}`,
      tried: fired,
      unit: "faults fired",
      lost,
      note: `${refused} calls refused`,
    });
    expect(wrong.map(({ comparison }) => comparison)).toEqual(wrong.map(() => NOTHING_WRONG));
    expect(problems).toEqual([]);
    // The library survives most faults on files. The number of the others depends on the seed.
    expect(refused).toBeGreaterThan(5);
  },
  SOAK_TIMEOUT_MS,
);

const FEW_FAULTS = ALL_FAULTS.filter(({ calls, mode }) => mode === (calls[0] === "pwrite" ? "ENOSPC" : "EIO"));

// A restore looks for users of the file in other processes each time, so fewer restores fit into a short run.
test.skipIf(shim === undefined).each([
  ["open", 41],
  ["backup", 17],
  ["restore", 3],
  ["import", 17],
  ["prune", 17],
  ["migration", 97],
])(
  "faults during %s: the result is the old state or the new one, no unfinished file is left, and the next call works",
  async (scenario, shortStride) => {
    const random = seededRandom(`faults during ${scenario}`);
    const problems: string[] = [];
    let fired = 0;
    for (const _ of rounds(1)) {
      await using place = await tempDatabase();
      const seed = random.below(2 ** 31);
      const stride = soakMinutes === undefined ? shortStride : 1 + Math.floor(shortStride / 8);
      const faults = scenario === "restore" && soakMinutes === undefined ? FEW_FAULTS : ALL_FAULTS;
      const input = { dir: place.dir, seed, scenario, faults, stride };
      await using child = startChild("faulty-maintenance", input, shim!.environment(place.dir, {}));
      const { code, signal, stderr } = await child.exited;
      if (code !== 0) problems.push(`seed ${seed}: ended with ${signal ?? code}: ${stderr}`);
      const said = child.messages as Fired[];
      fired += said.filter((message) => message.fired !== undefined).length;
      problems.push(...said.flatMap(({ problem }) => (problem === undefined ? [] : [`seed ${seed}: ${problem}`])));
      problems.push(...said.filter(isVague).map((hit) => `seed ${seed}: ${hit.what} was told as ${hit.code}`));
    }
    report({ what: `faults during ${scenario}`, tried: fired, unit: "faults fired", lost: problems.length });
    expect(problems).toEqual([]);
    expect(fired).toBeGreaterThan(0);
  },
  SOAK_TIMEOUT_MS,
);

/** Errors of the bare client have the codes of @libsql/client. All other errors are StorageErrors. */
function isVague({ fired, code, isStorageError }: Fired): boolean {
  return fired !== undefined && code !== null && isStorageError !== true && code?.startsWith("SQLITE_") !== true;
}

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { compileShim } from "../support/shim.js";
import { rounds, SOAK_TIMEOUT_MS } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

// A call to the file system fails during a change of stories in files. Every acknowledged change is stored. No refused
// change is stored, and it never appears later. Any other change is reported with an unknown outcome. The next call
// works.

const FAULTS = [
  { calls: ["open"], mode: "EMFILE" },
  { calls: ["open"], mode: "EMFILE", pattern: ".write.lock" },
  { calls: ["open"], mode: "EIO" },
  { calls: ["write"], mode: "ENOSPC" },
  { calls: ["write"], mode: "TORN" },
  { calls: ["fsync"], mode: "EIO" },
  { calls: ["rename"], mode: "EIO" },
  { calls: ["rename"], mode: "ENOSPC" },
  { calls: ["link"], mode: "EIO" },
  { calls: ["link"], mode: "ENOSPC" },
  { calls: ["unlink"], mode: "EIO" },
  { calls: ["mkdir"], mode: "ENOSPC" },
];

const shim = compileShim();
afterAll(() => shim?.[Symbol.dispose]());

test.skipIf(shim === undefined)(
  "faults during changes of stories in files: no acknowledged change is lost, and no refused change appears later",
  async () => {
    const random = seededRandom("story faults");
    const problems: string[] = [];
    let fired = 0;
    let unknown = 0;
    for (const _ of rounds(2)) {
      await using db = await tempDatabase();
      const path = join(db.dir, "root");
      const seed = random.below(2 ** 31);
      const input = { path, seed, count: 90, faults: FAULTS };
      await using child = startChild("faulty-stories", input, shim!.environment(db.dir, {}));
      const { code, stderr } = await child.exited;
      const said = child.messages as { fired?: number; outcome?: string; problem?: string; done?: true }[];
      if (code !== 0) problems.push(`seed ${seed}: ended with ${code}: ${stderr}`);
      problems.push(...said.flatMap(({ problem }) => (problem === undefined ? [] : [`seed ${seed}: ${problem}`])));
      fired += said.filter((message) => message.fired !== undefined).length;
      unknown += said.filter(({ outcome }) => outcome === "unknown").length;
      if (said.at(-1)?.done === true) expect(readdirSync(path)).not.toContain(".journal.json");
    }
    report({
      what: "faults during changes of stories in files",
      tried: fired,
      unit: "faults fired",
      lost: problems.length,
      note: `${unknown} of unknown outcome`,
    });
    expect(problems).toEqual([]);
    expect(fired).toBeGreaterThan(50);
  },
  SOAK_TIMEOUT_MS,
);

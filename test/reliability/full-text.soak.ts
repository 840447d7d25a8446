import { expect, test } from "vitest";
import { changeAtRandom } from "../support/full-text-run.js";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { tempFileStorage } from "../support/storage.js";

const STEPS = Number(process.env.HOLDFAST_FULL_TEXT_STEPS ?? 5_000);
/** A storage grows with each step, and so does the amount to compare after it. */
const STEPS_A_STORAGE = 500;

test("the full-text indexes match their tables over a long time, whatever changes a row", { timeout: 0 }, async () => {
  const random = seededRandom("full text, long");
  let steps = 0;
  let byHand = 0;
  for (let faults: readonly string[] = []; steps < STEPS; ) {
    await using temp = await tempFileStorage();
    const run = await changeAtRandom(temp.storage, temp.db.path, random, Math.min(STEPS_A_STORAGE, STEPS - steps));
    steps += run.steps;
    byHand += run.byHand;
    faults = run.faults;
    const note = `${byHand} statements by hand`;
    if (faults.length > 0 || steps >= STEPS) {
      console.log(`full text: ${steps} steps, ${note}, ${faults.length} faults`);
      report({ what: "changes of indexed rows", tried: steps, unit: "steps", lost: faults.length, note });
    }
    expect(faults).toEqual([]);
  }
});

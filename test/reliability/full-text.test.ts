import { expect, test } from "vitest";
import { changeAtRandom } from "../support/full-text-run.js";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { tempFileStorage } from "../support/storage.js";

/** The number of steps of the short run. `npm run test:soak` takes 5,000, or the number in the variable. */
const STEPS = Number(process.env.HOLDFAST_FULL_TEXT_STEPS ?? 150);

test("the full-text indexes match their tables, whatever changes a row through the library or by SQL", async () => {
  const random = seededRandom("full text");
  await using temp = await tempFileStorage();
  const run = await changeAtRandom(temp.storage, temp.db.path, random, STEPS);
  const note = `${run.byHand} statements by hand, ${run.refused} refused`;
  console.log(`full text: ${run.steps} steps, ${note}, ${run.faults.length} faults`);
  report({ what: "changes of indexed rows", tried: run.steps, unit: "steps", lost: run.faults.length, note });
  expect(run.faults).toEqual([]);
  expect(run.steps).toBe(STEPS);
  expect(await temp.storage.check()).toMatchObject({ ok: true });
});

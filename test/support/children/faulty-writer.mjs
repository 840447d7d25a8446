// Makes changes of each kind in `kinds`, and makes the n-th call of each to the file system fail, for every `stride`-th
// n.
import { arm, disarm } from "./faults.mjs";
import { attempt, Changes, openEverything, prepare, seeded } from "./workload.mjs";

const { dir, seed, kinds, faults, stride, ending, isNew } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const random = seeded(seed);
// Small logs, so that faults can hit checkpoints.
const open = await openEverything(dir, { checkpoint: { walBytes: 64 * 1024 } });
if (isNew) await prepare(open);
const changes = new Changes(open, `w${seed}`, seed);

/** Finds or creates the record that the change needs. */
async function find(kind) {
  for (const first of [undefined, ...Changes.first]) {
    if (first !== undefined) await make(first, "nothing");
    const change = changes.next(kind);
    if (change !== undefined) return change;
  }
  throw new Error(`There is nothing for ${kind} to change`);
}

/** Without a fault, the change must be stored. */
async function make(kind, after) {
  const error = await attempt(changes, await find(kind));
  if (error !== undefined) say({ problem: `${kind} after ${after}: ${error.code} ${error.message}` });
}

for (const kind of kinds) {
  for (const fault of faults) {
    // Each run begins at another n, so that each n is tested by many runs.
    for (let nth = 1 + random.below(stride); ; nth += stride) {
      const change = await find(kind);
      arm({ ...fault, nth });
      const error = await attempt(changes, change);
      const { fired, path, call } = disarm();
      if (fired === 0) {
        if (error !== undefined) say({ problem: `${kind} without a fault: ${error.code} ${error.message}` });
        break;
      }
      const what = `${call} ${nth} of ${path.slice(dir.length + 1)} with ${fault.mode}`;
      say({ fired, what, code: error?.code ?? null, isStorageError: error?.name === "StorageError" });
      await make(kind, what);
    }
  }
}
// Ends a process that has met faults. Its log may contain refused changes.
if (ending === "kill") process.kill(process.pid, "SIGKILL");
await open.close();

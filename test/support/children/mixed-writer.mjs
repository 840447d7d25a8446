// Changes everything at random, several changes at once, until it is killed.
import { attempt, Changes, openEverything, prepare } from "./workload.mjs";

const { dir, writer, seed, isFirst, atOnce, kinds } = JSON.parse(process.argv[2]);
const open = await openEverything(dir, { checkpoint: { walBytes: 128 * 1024 } });
if (isFirst) await prepare(open);
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
// A backup copies the whole file: one now and then.
const often = Changes.kinds.filter((kind) => kind !== "backup");
const changes = new Changes(open, writer, seed, kinds ?? [...often, ...often, "backup"]);

async function work() {
  for (;;) {
    const error = await attempt(changes, changes.next());
    if (error !== undefined) process.stdout.write(`${JSON.stringify({ problem: String(error.stack) })}\n`);
  }
}
await Promise.all(Array.from({ length: atOnce }, work));

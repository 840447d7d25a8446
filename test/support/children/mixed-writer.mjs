// Makes random changes of every kind, several at once, until it is killed or has made `count` changes.
import { attempt, Changes, openEverything, prepare, say } from "./workload.mjs";

const {
  dir,
  writer,
  seed,
  isFirst,
  atOnce,
  withStories,
  durability,
  kinds = Changes.kinds,
  count = Number.POSITIVE_INFINITY,
} = JSON.parse(process.argv[2]);
const open = await openEverything(dir, { withStories, durability, checkpoint: { walBytes: 128 * 1024 } });
if (isFirst) await prepare(open);
say({ ready: true });
// A backup copies the whole file, so make only a few.
const often = kinds.filter((kind) => kind !== "backup");
const changes = new Changes(open, writer, seed, [...often, ...often, ...kinds.filter((kind) => kind === "backup")]);

let left = count;
async function work() {
  while (left-- > 0) {
    const error = await attempt(changes, changes.next());
    if (error !== undefined) say({ problem: String(error.stack) });
  }
}
await Promise.all(Array.from({ length: atOnce }, work));
await open.close();

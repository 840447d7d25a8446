// Changes stories in a folder at random, one after the other, and reports each change before and after it.
import { openStories } from "holdfast/stories";

const { path, seed, ids, state } = JSON.parse(process.argv[2]);
let random = seed;
const below = (limit) => {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return Math.floor((random / 2 ** 32) * limit);
};
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const service = await openStories({ backend: "filesystem", path, historyLimit: 3 });
const stories = new Map(Object.entries(state));

for (let n = 1; ; n++) {
  const id = ids[below(ids.length)];
  const known = stories.get(id);
  const kind = known === undefined ? "save" : ["save", "save", "tag", "delete"][below(4)];
  const stamp = `${seed}-${n}`;
  const next =
    kind === "delete"
      ? undefined
      : kind === "tag"
        ? { ...known, tags: [stamp] }
        : { stamp, filler: stamp.repeat(below(2000)), tags: known?.tags ?? [stamp] };
  say({ n, id, next: next ?? null });
  if (kind === "delete") await service.deleteStory(id);
  else if (kind === "tag") await service.updateMetadata(id, { tags: next.tags });
  else await service.saveStory(id, { stamp, filler: next.filler }, known ? {} : { metadata: { tags: next.tags } });
  if (next === undefined) stories.delete(id);
  else stories.set(id, next);
  say({ done: n });
}

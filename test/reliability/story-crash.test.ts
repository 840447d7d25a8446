import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openStories } from "holdfast/stories";
import { expect, test } from "vitest";
import { runChild, startChild } from "../support/child.js";
import { seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { times } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

interface StoryState {
  readonly stamp: string;
  readonly filler: string;
  readonly tags: readonly string[];
}

interface Attempt {
  readonly n: number;
  readonly id: string;
  readonly next: StoryState | null;
}

const KILLS = times(24, 100);
const IDS = ["a", "B", "../c", "d e", "é", "x".repeat(300)];

test(`a process that saves, deletes and tags is killed ${KILLS} times: what it acknowledged is there, and each story whole`, async () => {
  const random = seededRandom("story crash");
  await using db = await tempDatabase();
  const path = join(db.dir, "root");
  const state = new Map<string, StoryState>();
  let acknowledged = 0;
  let inFlight = 0;
  let taken = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const input = { path, seed: random.below(2 ** 31), ids: IDS, state: Object.fromEntries(state) };
    await using child = startChild("story-changer", input);
    const after = 1 + random.below(4);
    await child.message<{ done?: number }>(({ done }) => done === after);
    // Kills during the next change or two.
    const moment = performance.now() + random.next() * 15;
    while (performance.now() < moment) await new Promise((resolve) => setImmediate(resolve));
    child.kill();
    const { signal } = await child.exited;
    expect(signal).toBe("SIGKILL");
    const messages = child.messages as (Attempt & { done?: number })[];
    const done = new Set(messages.flatMap((message) => message.done ?? []));
    let open: Attempt | undefined;
    for (const attempt of messages.filter((message) => message.done === undefined)) {
      if (!done.has(attempt.n)) open = attempt;
      else if (attempt.next === null) state.delete(attempt.id);
      else state.set(attempt.id, attempt.next);
    }
    acknowledged += done.size;

    const service = await openStories({ backend: "filesystem", path, historyLimit: 3 });
    const listed = new Map((await service.listStories()).map((metadata) => [metadata.id, metadata]));
    const read = async (id: string) => {
      const story = await service.loadStory(id);
      return story === undefined ? undefined : { ...story, tags: listed.get(id)?.tags };
    };
    if (open !== undefined) {
      inFlight++;
      const found = await read(open.id);
      expect([state.get(open.id), open.next ?? undefined], `${open.id} is as before or as after`).toContainEqual(found);
      if (found === undefined) state.delete(open.id);
      else {
        if (JSON.stringify(found) === JSON.stringify(open.next)) taken++;
        state.set(open.id, found as unknown as StoryState);
      }
    }
    for (const id of IDS) expect(await read(id), `${id} is as acknowledged`).toEqual(state.get(id));
    expect([...listed.keys()].sort()).toEqual([...state.keys()].sort());
    for (const [id, metadata] of listed) {
      const revisions = await service.revisions(id);
      expect(revisions[0]?.revision).toBe(metadata.revision);
      for (const { revision } of revisions) {
        expect(await service.loadRevision(id, revision), `revision ${revision} of ${id}`).toBeDefined();
      }
    }
    await service.close();
    expect(readdirSync(join(path, ".tmp"))).toEqual([]);
    expect(readdirSync(path).sort()).toEqual(
      [".index.jsonl", ".tmp", "metadata", "preferences", "queue", "revisions", "stories"].sort(),
    );
    expect(readdirSync(join(path, "stories"))).toHaveLength(state.size);
  }
  console.log(`${acknowledged} acknowledged, ${inFlight} kills within a change, of which ${taken} had been decided`);
  report({ what: "kill -9 of a process that changes stories in files", tried: KILLS, unit: "kills", lost: 0 });
  expect(inFlight).toBeGreaterThan(0);

  // The maintained index equals one that is built from the files.
  const kept = await openStories({ backend: "filesystem", path });
  const before = await kept.listStories();
  await kept.close();
  const { rmSync } = await import("node:fs");
  rmSync(join(path, ".index.jsonl"));
  const rebuilt = await openStories({ backend: "filesystem", path });
  expect(await rebuilt.listStories()).toEqual(before);
  await rebuilt.close();
  for (const file of readdirSync(join(path, "stories"))) JSON.parse(readFileSync(join(path, "stories", file), "utf8"));
}, 900_000);

test.each(["filesystem", "libsql"])(
  "processes that share a folder or database on %s see each other's saves and lose none",
  async (backend) => {
    await using db = await tempDatabase();
    const path = join(db.dir, "place");
    const count = 25;
    const service = await openStories({ backend: backend as "libsql", path });
    const names = ["one", "two", "three"];
    const results = await Promise.all(names.map((name) => runChild("story-saver", { backend, path, name, count })));
    expect(results).toHaveLength(3);
    const { lines } = (await service.loadStory<{ lines: string[] }>("shared"))!;
    const expected = names.flatMap((name) => Array.from({ length: count }, (_, n) => `${name}-${n}`));
    expect([...lines].sort()).toEqual([...expected].sort());
    expect(await service.getMetadata("shared")).toMatchObject({ revision: expected.length });
    for (const name of names) {
      expect(await service.listStories({ tags: [name] })).toHaveLength(count);
      expect(await service.loadStory(`${name}-${count - 1}`)).toEqual({ name, n: count - 1 });
    }
    await service.close();
  },
);

import { Readable } from "node:stream";
import { openStories } from "holdfast/stories";
import { expect, test } from "vitest";
import { type Random, seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { tempFileStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 15);

/** A clock that jumps by hours in both directions, and sometimes stands still. */
function jumpingClock(random: Random) {
  let time = START;
  return {
    now: () => time,
    jump() {
      time += random.pick([0, 0, 1, 1, 1000, HOUR_MS, 26 * HOUR_MS, -HOUR_MS, -26 * HOUR_MS]);
      return time;
    },
  };
}

interface Page {
  readonly items: readonly { readonly id: string }[];
  readonly nextCursor: string | undefined;
}

test("lists have one order whatever the clock does, and their pages skip and repeat nothing", async () => {
  const random = seededRandom("clock jumps");
  const clock = jumpingClock(random);
  await using t = await tempFileStorage({ now: clock.now });
  const { memories, sessions, conversations } = t.storage;
  let inserts = 0;
  const areas = {
    memories: {
      insert: (id: string) => memories.insert({ id, content: id }),
      page: (cursor?: string): Promise<Page> => memories.list({ limit: 7, cursor }),
    },
    sessions: {
      insert: (id: string) => sessions.start(id),
      page: (cursor?: string): Promise<Page> => sessions.list({ limit: 7, cursor }),
    },
    conversations: {
      insert: (id: string) => conversations.insert({ id }),
      page: (cursor?: string): Promise<Page> => conversations.list({ limit: 7, orderBy: "createdAt", cursor }),
    },
  };
  for (const [name, { insert, page }] of Object.entries(areas)) {
    const times = new Map<string, number>();
    const add = async () => {
      const id = `${name} ${inserts++}`;
      times.set(id, clock.jump());
      await insert(id);
    };
    while (times.size < 60) await add();
    // Newest first. If times are equal, the record that was inserted last comes first.
    const inOrder = () =>
      [...times].map(([id, time], at) => ({ id, time, at })).sort((a, b) => b.time - a.time || b.at - a.at);
    const before = inOrder().map(({ id }) => id);
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const { items, nextCursor } = await page(cursor);
      found.push(...items.map(({ id }) => id));
      cursor = nextCursor;
      // Between the pages, other writers insert records with times before, at and after the cursor.
      await add();
    } while (cursor !== undefined);
    expect(new Set(found).size, name).toBe(found.length);
    expect(
      found.filter((id) => before.includes(id)),
      name,
    ).toEqual(before);
    const after = inOrder().map(({ id }) => id);
    expect(found, name).toEqual(after.filter((id) => found.includes(id)));
  }
  report({ what: "lists under jumping clocks", tried: inserts, unit: "inserts", lost: 0 });
});

test("the active session is the one with the latest start by the clock, and ends by the clock", async () => {
  const random = seededRandom("clock jumps of sessions");
  const clock = jumpingClock(random);
  await using t = await tempFileStorage({ now: clock.now });
  const { sessions } = t.storage;
  const open = new Map<string, { time: number; at: number }>();
  for (let n = 0; n < 60; n++) {
    const time = clock.jump();
    if (open.size > 3 && random.below(3) === 0) {
      const [id, started] = random.pick([...open]);
      const ended = await sessions.end(id);
      expect(ended?.endedAt?.getTime()).toBe(Math.max(time, started.time));
      open.delete(id);
    } else {
      open.set(`s${n}`, { time, at: n });
      await sessions.start(`s${n}`);
    }
    const newest = [...open].sort(([, a], [, b]) => b.time - a.time || b.at - a.at)[0]![0];
    expect((await sessions.active())?.id).toBe(newest);
  }
});

test("prune by age removes only records that were changed before the given time, in whatever order they were changed", async () => {
  const random = seededRandom("clock jumps and prune");
  const clock = jumpingClock(random);
  await using t = await tempFileStorage({ now: clock.now });
  const changed = new Map<string, number>();
  for (let n = 0; n < 80; n++) {
    changed.set(`m${n}`, clock.jump());
    await t.storage.memories.insert({ id: `m${n}`, content: `memory ${n}` });
  }
  for (let n = 0; n < 20; n++) {
    const id = `m${random.below(80)}`;
    const time = clock.jump();
    const memory = await t.storage.memories.update(id, { content: `changed ${n}` });
    expect(memory?.updatedAt.getTime()).toBeGreaterThanOrEqual(time);
    changed.set(id, memory!.updatedAt.getTime());
  }
  const times = [...changed.values()].sort((a, b) => a - b);
  const olderThan = times[40]!;
  const old = [...changed].filter(([, time]) => time < olderThan).map(([id]) => id);
  const { removed } = await t.storage.prune({ area: "memories", olderThan: new Date(olderThan) });
  expect(removed.reduce((sum, { rows }) => sum + rows, 0)).toBe(old.length);
  const left = await t.storage.memories.list({ limit: 200 });
  expect(left.items.map(({ id }) => id).sort()).toEqual([...changed.keys()].filter((id) => !old.includes(id)).sort());
});

test("stories number their revisions without gaps and in order, whatever the clock does", async () => {
  const random = seededRandom("clock jumps of stories");
  for (const backend of ["filesystem", "libsql"] as const) {
    await using db = await tempDatabase();
    const clock = jumpingClock(random);
    const service = await openStories({ backend, path: `${db.dir}/place`, now: clock.now });
    for (let n = 1; n <= 15; n++) {
      clock.jump();
      const { revision } = await service.saveStory("a", { text: `${n}` }, { expectedRevision: n - 1 });
      expect(revision).toBe(n);
    }
    expect((await service.revisions("a")).map(({ revision }) => revision)).toEqual(
      Array.from({ length: 15 }, (_, i) => 15 - i),
    );
    expect(await service.loadStory("a")).toEqual({ text: "15" });
    await service.close();
  }
});

test("no record is updated, deleted or ended before its creation, whatever the clock and an import say", async () => {
  let time = START;
  await using t = await tempFileStorage({ now: () => time });
  await using files = await tempDatabase();
  const { storage } = t;
  const { memories, sessions, conversations, graph, stories } = storage;
  const ownStories = await openStories({ backend: "filesystem", path: `${files.dir}/stories`, now: () => time });
  const future = new Date(START + HOUR_MS);
  const store = async (id: string, createdAt: Date | undefined) => {
    await memories.insert({ id, content: "a", createdAt });
    await conversations.insert({ id, createdAt, messages: [{ role: "user", content: "a", createdAt }] });
    await graph.addNode({ id, kind: "k", name: id, createdAt });
    await sessions.start(id, { startedAt: createdAt });
    await stories.saveStory(id, { text: "a" });
    await ownStories.saveStory(id, { text: "a" });
  };
  const records = async (id: string) => [
    await memories.get(id, { includeDeleted: true }),
    await conversations.get(id, { includeDeleted: true }),
    await graph.getNode(id),
    await stories.getMetadata(id),
    await ownStories.getMetadata(id),
  ];
  const expectInOrder = async () => {
    for (const record of [...(await records("now")), ...(await records("later"))]) {
      if (record === undefined) throw new Error("a record is missing");
      expect(record.updatedAt.getTime(), JSON.stringify(record)).toBeGreaterThanOrEqual(record.createdAt.getTime());
    }
  };
  await store("now", undefined);
  await store("later", future);
  await expectInOrder();
  time -= 2 * HOUR_MS;
  const changes: ((id: string) => Promise<unknown>)[] = [
    (id) => memories.update(id, { content: "b" }),
    (id) => memories.put(id, { content: "c" }),
    (id) => memories.insertMany([{ id, content: "d" }], { onConflict: "replace" }),
    (id) => memories.delete(id),
    (id) => memories.restore(id),
    (id) => conversations.update(id, { title: "b" }),
    (id) => conversations.tag(id, "x"),
    (id) => conversations.append(id, { role: "user", content: "b" }),
    (id) => conversations.delete(id),
    (id) => conversations.restore(id),
    (id) => graph.updateNode(id, { name: "b" }),
    (id) => graph.putNode({ id, kind: "k", name: "c" }),
    (id) => graph.addNodes([{ id, kind: "k", name: "d" }], { onConflict: "replace" }),
    (id) => graph.addLabel(id, "x"),
    (id) => stories.saveStory(id, { text: "b" }),
    (id) => stories.updateMetadata(id, { title: "b" }),
    (id) => ownStories.saveStory(id, { text: "b" }),
    (id) => ownStories.updateMetadata(id, { title: "b" }),
  ];
  for (const change of changes) {
    for (const id of ["now", "later"]) {
      const answer = (await change(id)) as { createdAt?: Date; updatedAt?: Date };
      if (answer?.updatedAt !== undefined) expect(answer.updatedAt >= answer.createdAt!, String(change)).toBe(true);
    }
    await expectInOrder();
  }
  // Sessions are ordered by their start, even if it is later than the current time.
  await sessions.start("earlier");
  expect((await sessions.latest()).map(({ id }) => id)).toEqual(["later", "now", "earlier"]);
  expect((await sessions.active())?.id).toBe("later");
  expect((await sessions.end("later"))?.endedAt).toEqual(future);
  expect((await sessions.active())?.id).toBe("now");

  const exported = (await storage.export().toArray()).join("");
  const old = exported.replace(
    /"(updatedAt|endedAt)":"[^"]*"/g,
    (_, name) => `"${name}":"${new Date(START - HOUR_MS).toISOString()}"`,
  );
  const document = await conversations.export("later");
  await storage.purgeProject("default");
  await storage.import(Readable.from([old]));
  await conversations.purge("later");
  await conversations.import({
    ...document,
    conversation: { ...document.conversation, updatedAt: new Date(START - HOUR_MS).toISOString() },
  });
  await expectInOrder();
  expect((await sessions.get("later"))?.endedAt).toEqual(future);
  await ownStories.close();
});

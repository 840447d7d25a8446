import { statSync } from "node:fs";
import { type Change, openStorage, PruneError, type PrunePolicy, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { openSecond, rejection } from "../support/clients.js";
import { seededRandom } from "../support/random.js";
import { tempFileStorage, tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

/** Numbers below 10^11 are refused as seconds. */
const START = Date.UTC(2026, 0, 1);

/** A storage whose clock stands where the test puts it. */
async function clockedStorage() {
  const clock = { now: 1000 };
  const storage = await openStorage({ url: ":memory:", now: () => clock.now });
  return { storage, clock };
}

/** What is there, deleted ones in brackets. */
async function idsOf(storage: Storage, project = "default"): Promise<string[]> {
  const { rows } = await storage.client.execute({
    sql: "select case when deleted_at is null then id else '(' || id || ')' end from memories where project = ? order by row_id",
    args: [project],
  });
  return rows.map((row) => row[0] as string);
}

describe("prune", () => {
  test("removes what was last changed before a date, in every project", async () => {
    const { storage, clock } = await clockedStorage();
    const other = storage.project("other").memories;
    for (const [now, id] of [
      [1000, "a"],
      [2000, "b"],
      [3000, "c"],
    ] as const) {
      clock.now = now;
      await storage.memories.insert({ id, content: `text ${id}` });
      await other.insert({ id, content: "é" });
    }
    clock.now = 4000;
    await storage.memories.update("a", { content: "changed" });
    const changes: Change[] = [];
    storage.on("change", (change) => changes.push(change));
    expect(await storage.prune({ olderThan: new Date(3000) })).toEqual({
      removed: [
        { project: "default", area: "memories", rows: 1 },
        { project: "other", area: "memories", rows: 2 },
      ],
      bytes: 6 + 2 * 2,
      dryRun: false,
    });
    expect(await idsOf(storage)).toEqual(["a", "c"]);
    expect(await idsOf(storage, "other")).toEqual(["c"]);
    expect(changes).toEqual([
      { project: "default", area: "memories", action: "purge", ids: ["b"] },
      { project: "other", area: "memories", action: "purge", ids: ["a", "b"] },
    ]);
    await storage.close();
  });

  test("keeps at most so many rows of each project, deleted ones and then the oldest first", async () => {
    const { storage, clock } = await clockedStorage();
    for (let i = 0; i < 6; i++) {
      clock.now += 1000;
      await storage.memories.insert({ id: `m${i}`, content: "x" });
    }
    await storage.project("small").memories.insert({ id: "s", content: "x" });
    clock.now += 1000;
    await storage.memories.delete("m4");
    expect((await storage.prune({ maxRows: 5, dryRun: true })).removed).toEqual([
      { project: "default", area: "memories", rows: 1 },
    ]);
    await storage.prune({ maxRows: 5 });
    expect(await idsOf(storage)).toEqual(["m0", "m1", "m2", "m3", "m5"]);
    await storage.prune({ maxRows: 2 });
    expect(await idsOf(storage)).toEqual(["m3", "m5"]);
    expect(await idsOf(storage, "small")).toEqual(["s"]);
    expect(await storage.prune({ maxRows: 0, project: "small" })).toMatchObject({ removed: [{ rows: 1 }] });
    expect(await idsOf(storage)).toEqual(["m3", "m5"]);
    await storage.close();
  });

  test("keeps at most so many bytes of content", async () => {
    const { storage, clock } = await clockedStorage();
    for (const id of ["a", "b", "c", "d"]) {
      clock.now += 1000;
      await storage.memories.insert({ id, content: "é".repeat(50) });
    }
    expect(await storage.prune({ maxBytes: 299 })).toMatchObject({ removed: [{ rows: 2 }], bytes: 200 });
    expect(await storage.prune({ maxBytes: 200 })).toMatchObject({ removed: [], bytes: 0 });
    expect(await idsOf(storage)).toEqual(["c", "d"]);
    await storage.close();
  });

  test("leaves sessions alone unless they are named, and those that have not ended always", async () => {
    const { storage, clock } = await clockedStorage();
    await storage.sessions.start("open");
    await storage.sessions.start("ended");
    await storage.sessions.end("ended", "done");
    clock.now = 5000;
    await storage.prune({ maxRows: 0 });
    expect(await storage.sessions.latest()).toHaveLength(2);
    expect(await storage.prune({ olderThan: new Date(5000), area: "sessions" })).toMatchObject({
      removed: [{ area: "sessions", rows: 1 }],
    });
    expect((await storage.sessions.latest()).map(({ id }) => id)).toEqual(["open"]);
    await storage.close();
  });

  test("takes vectors and index terms along with their memory", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.memories.insert({ id: "a", content: "a walrus", embedding: [1, 2], embeddingModel: "m" });
    await storage.prune({ maxRows: 0 });
    expect(await storage.memories.search("walrus")).toEqual([]);
    expect((await storage.client.execute("select count(*) from memory_embeddings")).rows[0]![0]).toBe(0);
    expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  });

  test("says the same dry and real, and removes what the policy of a plain model does", async () => {
    const random = seededRandom("prune");
    for (let round = 0; round < 30; round++) {
      const { storage, clock } = await clockedStorage();
      const model: { id: string; updatedAt: number; bytes: number; isDeleted: boolean }[] = [];
      for (let i = 0; i < 12; i++) {
        clock.now = START + random.below(10);
        const bytes = 1 + random.below(20);
        await storage.memories.insert({ id: `m${i}`, content: "x".repeat(bytes) });
        const isDeleted = random.below(3) === 0;
        if (isDeleted) await storage.memories.delete(`m${i}`);
        model.push({ id: `m${i}`, updatedAt: clock.now, bytes, isDeleted });
      }
      const policy: PrunePolicy = {
        ...(random.below(2) === 0
          ? {}
          : { olderThan: random.below(2) === 0 ? START + random.below(10) : new Date(START + random.below(10)) }),
        ...(random.below(2) === 0 ? {} : { maxRows: random.below(12) }),
        maxBytes: random.below(200),
      };
      const age = Number(policy.olderThan ?? -1);
      const left = model
        .filter(({ updatedAt }) => updatedAt >= age)
        .sort((a, b) => Number(b.isDeleted) - Number(a.isDeleted) || a.updatedAt - b.updatedAt || order(a, b));
      const size = () => left.reduce((sum, { bytes }) => sum + bytes, 0);
      while (left.length > (policy.maxRows ?? Number.POSITIVE_INFINITY) || size() > policy.maxBytes!) left.shift();
      const dry = await storage.prune({ ...policy, dryRun: true });
      expect((await idsOf(storage)).length).toBe(12);
      const real = await storage.prune(policy);
      expect(real).toEqual({ ...dry, dryRun: false });
      expect(real.bytes).toBe(model.reduce((sum, { bytes }) => sum + bytes, 0) - size());
      const kept = (await idsOf(storage)).map((id) => id.replace(/[()]/g, ""));
      expect(kept.sort(), `round ${round}`).toEqual(left.map(({ id }) => id).sort());
      await storage.close();
    }
  });

  test("refuses a policy without a limit, and limits that are none", async () => {
    await using temp = await tempStorage();
    await temp.storage.memories.insert({ content: "stays" });
    for (const [policy, type] of [
      [undefined, TypeError],
      [{}, TypeError],
      [{ project: "default" }, TypeError],
      [{ olderThan: "90d" }, TypeError],
      [{ olderThan: new Date(Number.NaN) }, RangeError],
      [{ olderThan: 1.5 }, RangeError],
      [{ maxRows: -1 }, RangeError],
      [{ maxRows: Number.NaN }, RangeError],
      [{ maxBytes: "5" }, TypeError],
      [{ maxRows: 1, area: "planets" }, TypeError],
      [{ maxRows: 1, maxRow: 2 }, TypeError],
      [{ maxRows: 1, dryRun: "yes" }, TypeError],
    ] as [unknown, new () => Error][]) {
      expect(await rejection(temp.storage.prune(policy as never)), JSON.stringify(policy)).toBeInstanceOf(type);
    }
    expect(await temp.storage.memories.count()).toBe(1);
  });

  test("aborted half-way, keeps what is removed by then and says what that is", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.memories.insertMany(Array.from({ length: 3000 }, () => ({ content: "x".repeat(300) })));
    const controller = new AbortController();
    const error = await rejection(
      storage.prune({ maxRows: 0, signal: controller.signal, onProgress: () => controller.abort() }),
    );
    const left = await storage.memories.count();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(3000);
    expect(error).toBeInstanceOf(PruneError);
    expect(error).toMatchObject({
      name: "AbortError",
      code: "ABORTED",
      retryable: false,
      cause: controller.signal.reason,
      removed: [{ project: "default", area: "memories", rows: 3000 - left }],
      bytes: (3000 - left) * 300,
    });
    expect(error.message).toContain(`${3000 - left} records had been removed`);
    expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
    // Before anything is removed, and in a dry run, the reason itself.
    for (const dryRun of [true, false]) {
      const early = await rejection(
        storage.prune({ maxRows: 0, dryRun, signal: AbortSignal.abort(new Error("mine")) }),
      );
      expect(early).toEqual(new Error("mine"));
    }
    const mine = new Error("of the callback");
    const failing = storage.prune({
      maxRows: 0,
      onProgress() {
        throw mine;
      },
    });
    expect(await rejection(failing)).toMatchObject({ code: "ABORTED", cause: mine });
  });

  test("failing half-way, says what is removed by then", async () => {
    await using temp = await tempFileStorage();
    const { storage } = temp;
    for (const project of ["a", "b"]) {
      const records = Array.from({ length: 1500 }, (_, i) => ({ id: `m${i}`, content: "x".repeat(300) }));
      await storage.project(project).memories.insertMany(records);
    }
    await storage.client.execute(
      "CREATE TRIGGER kept BEFORE DELETE ON memories WHEN old.project = 'b' AND old.id = 'm1400' BEGIN SELECT RAISE(ABORT, 'kept'); END",
    );
    const announced: Record<string, number> = {};
    storage.on("change", ({ project, ids }) => {
      announced[project] = (announced[project] ?? 0) + ids.length;
    });
    const error = await rejection(storage.prune({ maxRows: 0 }));
    const left = await storage.project("b").memories.count();
    expect(error).toBeInstanceOf(PruneError);
    expect(error).toMatchObject({
      name: "StorageError",
      cause: { name: "StorageError", code: error.code },
      removed: [
        { project: "a", area: "memories", rows: 1500 },
        { project: "b", area: "memories", rows: 1500 - left },
      ],
      bytes: (3000 - left) * 300,
    });
    expect(left).toBeGreaterThanOrEqual(100);
    expect(left).toBeLessThan(1500);
    expect(await storage.project("a").memories.count()).toBe(0);
    expect(announced).toEqual({ a: 1500, b: 1500 - left });
    await storage.client.execute("DROP TRIGGER kept");
    expect((await storage.prune({ maxRows: 0 })).removed).toEqual([{ project: "b", area: "memories", rows: left }]);
  });

  test("leaves a record alone that is changed before its turn comes", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.memories.insertMany(
      Array.from({ length: 3000 }, (_, i) => ({ id: `m${i}`, content: "x".repeat(300) })),
    );
    let changed: Promise<unknown> | undefined;
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === "remove") changed ??= storage.memories.update("m2999", { content: "changed meanwhile" });
    };
    const { removed } = await storage.prune({ maxRows: 0, onProgress });
    await changed;
    expect(removed).toEqual([{ project: "default", area: "memories", rows: 2999 }]);
    expect((await storage.memories.require("m2999")).content).toBe("changed meanwhile");
  });

  test("gives the space back, and another process's writes get their turn in between", async () => {
    await using db = await tempDatabase();
    const storage = await openStorage(db.path);
    const content = "words of a sentence that is to be forgotten ".repeat(40);
    for (let i = 0; i < 10; i++) {
      await storage.memories.insertMany(Array.from({ length: 600 }, (_, n) => ({ content: `${content} ${i} ${n}` })));
    }
    const { client } = storage as unknown as { client: { checkpoint(): Promise<unknown> } };
    await client.checkpoint();
    const before = statSync(db.path).size;
    await using writer = startChild("wait-for-lock", { path: db.path });
    await writer.message(({ isReady }) => isReady === true);
    const between: number[] = [];
    const count = openSecond(db.path);
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === "remove") between.push(count.all("SELECT count(*) FROM waits")[0]![0] as number);
    };
    const { removed } = await storage.prune({ maxRows: 100, onProgress });
    count[Symbol.dispose]();
    writer.send("stop");
    const found = new Set(between).size;
    console.log(`after ${between.length} steps another process had written in ${found} of the pauses`);
    // Without a pause it still comes in between now and then: after 8 of 24 steps.
    expect(between.length).toBeGreaterThan(5);
    expect(found).toBeGreaterThan(between.length * 0.6);
    const waits = await writer.message<{ writes: number; medianMs: number; p95Ms: number; longestMs: number }>(
      ({ writes }: { writes?: number }) => writes !== undefined,
    );
    console.log(`another process's writes during a prune: ${JSON.stringify(waits)}`);
    expect(removed).toEqual([{ project: "default", area: "memories", rows: 5900 }]);
    expect(statSync(db.path).size).toBeLessThan(before / 2);
    expect((await storage.stats()).freePages).toBeLessThan(100);
    // Its steps end after 15 ms; a machine with more to do than it has cores for lets each of them take longer.
    expect(waits.writes).toBeGreaterThan(20);
    expect(waits.medianMs).toBeLessThan(500);
    await storage.close();
  });
});

function order(a: { id: string }, b: { id: string }): number {
  return Number(a.id.slice(1)) - Number(b.id.slice(1));
}

import { openStorage } from "holdfast";
import { Autosave, type AutosaveOptions, type ConflictResolution, openStories } from "holdfast/stories";
import { expect, test } from "vitest";
import { MemoryBackend } from "../../../examples/custom-backend.js";
import { tempStorage } from "../../support/storage.js";
import { delivered, type TempStories, tempStories } from "../../support/stories.js";

/** Timers that go off when the test says so. */
class FakeClock {
  now = 0;
  readonly #timers = new Map<number, { at: number; task: () => void }>();
  #count = 0;

  setTimeout(task: () => void, delay: number): number {
    this.#timers.set(++this.#count, { at: this.now + delay, task });
    return this.#count;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and what it sets off be done. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      const next = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.now = next[1].at;
      next[1].task();
      for (let turn = 0; turn < 20; turn++) await delivered();
    }
    this.now = end;
    for (let turn = 0; turn < 20; turn++) await delivered();
  }
}

/** A backend whose saves fail while told to. */
class FailingBackend extends MemoryBackend {
  failures = 0;
  attempts = 0;

  override async save(...args: Parameters<MemoryBackend["save"]>) {
    this.attempts++;
    if (this.failures > 0) {
      this.failures--;
      throw new Error("disk on fire");
    }
    return super.save(...args);
  }
}

function autosaveOf(temp: TempStories, options: Partial<AutosaveOptions> = {}) {
  const clock = new FakeClock();
  const autosave = new Autosave({ service: temp.service, clock, ...options });
  const events: [string, unknown][] = [];
  autosave.on("saved", (event) => events.push(["saved", event]));
  autosave.on("error", (event) => events.push(["error", event]));
  autosave.on("conflict", (event) => events.push(["conflict", event]));
  return { autosave, clock, events };
}

test("a story is saved once, some time after the last edit", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock, events } = autosaveOf(temp);
  autosave.markDirty("a", { n: 1 });
  expect([autosave.isDirty("a"), autosave.isDirty(), autosave.state("a")]).toEqual([true, true, "idle"]);
  await clock.advance(1_999);
  autosave.markDirty("a", { n: 2 });
  await clock.advance(1_999);
  expect(await temp.service.hasStory("a")).toBe(false);
  await clock.advance(1);
  expect(await temp.service.loadStory("a")).toEqual({ n: 2 });
  expect(await temp.service.revisions("a")).toHaveLength(1);
  expect([autosave.isDirty("a"), autosave.isDirty(), autosave.state("a")]).toEqual([false, false, "saved"]);
  expect(events).toEqual([["saved", { id: "a", revision: 1, savedAs: "a" }]]);
  expect(autosave.stats()).toEqual({ saved: 1, failed: 0, conflicts: 0, dirty: 0 });
});

test("a save stores the story as it was when it was marked", async () => {
  await using temp = await tempStories("libsql");
  const { autosave } = autosaveOf(temp);
  const story = { list: [1] };
  autosave.markDirty("a", story);
  story.list.push(2);
  expect(await autosave.saveNow("a")).toBe(true);
  expect(await temp.service.loadStory("a")).toEqual({ list: [1] });
});

test("after start, all unsaved edits are saved every interval, even while edits continue", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock } = autosaveOf(temp, { interval: 5_000 });
  autosave.start();
  for (let n = 0; n < 6; n++) {
    autosave.markDirty("a", { n });
    await clock.advance(1_000);
  }
  expect(await temp.service.loadStory("a")).toEqual({ n: 4 });
  autosave.stop();
  await clock.advance(60_000);
  expect(await temp.service.loadStory("a")).toEqual({ n: 4 });
  expect(autosave.isDirty("a")).toBe(true);
  autosave.start();
  await clock.advance(2_000);
  expect(await temp.service.loadStory("a")).toEqual({ n: 5 });
});

test("while paused only saveNow saves, and resume continues", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock } = autosaveOf(temp);
  autosave.pause();
  autosave.markDirty("a", { n: 1 });
  expect(autosave.state("a")).toBe("paused");
  await clock.advance(60_000);
  expect(await temp.service.hasStory("a")).toBe(false);
  expect(await autosave.saveNow("a")).toBe(true);
  autosave.markDirty("a", { n: 2 });
  autosave.resume();
  expect(autosave.state("a")).toBe("idle");
  await clock.advance(2_000);
  expect(await temp.service.loadStory("a")).toEqual({ n: 2 });
});

test("after maxRetries failed attempts in all the state is error and the work stays dirty", async () => {
  const backend = new FailingBackend();
  await using service = await openStories({ backend });
  await using temp = await tempStories("custom");
  const { autosave, clock, events } = autosaveOf({ ...temp, service });
  autosave.markDirty("a", { n: 1 });
  backend.failures = 3;
  expect(await autosave.saveNow("a")).toBe(false);
  expect(backend.attempts).toBe(3);
  expect([autosave.state("a"), autosave.isDirty("a")]).toEqual(["error", true]);
  expect(events).toEqual([["error", { id: "a", error: new Error("disk on fire"), attempts: 3 }]]);
  await clock.advance(60_000);
  expect(backend.attempts, "no timer tries again by itself").toBe(3);
  autosave.start();
  await clock.advance(30_000);
  expect([autosave.state("a"), autosave.isDirty("a")]).toEqual(["saved", false]);
  expect(await service.loadStory("a")).toEqual({ n: 1 });
  autosave.markDirty("a", { n: 2 });
  backend.failures = 2;
  expect(await autosave.saveNow("a"), "a third attempt that works is enough").toBe(true);
});

test("saveAll counts saved and unsaved stories", async () => {
  const backend = new FailingBackend();
  await using service = await openStories({ backend });
  const autosave = new Autosave({ service, clock: new FakeClock(), maxRetries: 1 });
  autosave.markDirty("a", {});
  autosave.markDirty("b", {});
  autosave.markDirty("c", {});
  backend.failures = 1;
  expect(await autosave.saveAll()).toEqual({ saved: 2, failed: 1 });
  expect(await autosave.saveAll()).toEqual({ saved: 1, failed: 0 });
  expect(await autosave.saveAll()).toEqual({ saved: 0, failed: 0 });
  expect(await autosave.saveNow("unknown")).toBe(true);
  expect(autosave.state("unknown")).toBe("idle");
});

test("an edit during a save is saved too", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock } = autosaveOf(temp);
  autosave.markDirty("a", { n: 1 });
  const first = autosave.saveNow("a");
  expect(autosave.state("a")).toBe("saving");
  autosave.markDirty("a", { n: 2 });
  await first;
  await clock.advance(2_000);
  expect(await temp.service.loadStory("a")).toEqual({ n: 2 });
  expect(autosave.isDirty("a")).toBe(false);
});

test("a change by someone else since the id was first seen is a conflict, never overwritten", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock, events } = autosaveOf(temp);
  await temp.service.saveStory("a", { from: "before" });
  autosave.markDirty("a", { from: "local" });
  await delivered();
  await (await temp.openAnother()).saveStory("a", { from: "remote" });
  await clock.advance(2_000);
  expect(events).toEqual([
    ["conflict", { id: "a", local: { from: "local" }, remote: { from: "remote" }, remoteRevision: 2 }],
  ]);
  expect([autosave.state("a"), autosave.isDirty("a")]).toEqual(["error", true]);
  expect(await temp.service.loadStory("a")).toEqual({ from: "remote" });
  autosave.start();
  await clock.advance(100_000);
  expect(events, "the interval does not ask again and again").toHaveLength(1);
  expect(await autosave.saveNow("a")).toBe(false);
  // Whoever has seen the remote side says so.
  autosave.markDirty("a", { from: "both" }, { revision: 2 });
  expect(await autosave.saveNow("a")).toBe(true);
  expect(await temp.service.loadRevision("a", 2)).toEqual({ from: "remote" });
});

// An edit was taken to begin when it was marked, so a change between the load and the first key was overwritten.
test.each(["filesystem", "libsql", "custom"] as const)(
  "a change by another since a story was shown is a conflict: %s",
  async (backend) => {
    await using temp = await tempStories(backend);
    const { service } = temp;
    const other = await temp.openAnother();
    const { autosave, events } = autosaveOf(temp);
    const edit = async (id: string) => {
      autosave.markDirty(id, { from: "local" });
      const isSaved = await autosave.saveNow(id);
      autosave.discard(id);
      return isSaved;
    };
    await service.saveStory("loaded", { n: 1 });
    await service.loadStory("loaded");
    await other.saveStory("loaded", { from: "other" });
    expect(await edit("loaded")).toBe(false);
    expect(events).toMatchObject([["conflict", { id: "loaded", remote: { from: "other" }, remoteRevision: 2 }]]);

    await service.batchLoad(["missing"]);
    await other.saveStory("missing", { from: "other" });
    expect(await edit("missing")).toBe(false);

    await service.saveStory("saved", { n: 1 });
    await other.updateMetadata("saved", { tags: ["theirs"] });
    await service.updateMetadata("saved", { tags: ["ours"] });
    expect(await edit("saved")).toBe(false);

    await service.deleteStory("saved");
    await other.saveStory("saved", { from: "other" });
    expect(await edit("saved")).toBe(false);

    // What this service shows or stores itself is no conflict.
    await service.loadStory("saved");
    await service.updateMetadata("saved", { tags: ["ours"] });
    expect(await edit("saved")).toBe(true);
    await other.saveStory("saved", { from: "other" });
    await service.loadStory("saved");
    expect(await edit("saved"), "it was saved and shown again").toBe(true);
    await other.saveStory("never shown", { from: "other" });
    expect(await edit("never shown")).toBe(true);
  },
);

test("a load inside a transaction shows a story too", async () => {
  await using storage = await openStorage(":memory:");
  const autosave = new Autosave({ service: storage.stories });
  const { revision } = await storage.stories.saveStory("a", { n: 1 });
  await storage.stories.backend.save("a", { n: 2 });
  autosave.markDirty("a", { n: "local" });
  expect(await autosave.saveNow("a"), "only the first was shown").toBe(false);
  autosave.discard("a");
  await storage.stories.backend.save("a", { n: 3 });
  await storage.transaction((tx) => tx.stories.loadStory("a"));
  autosave.markDirty("a", { n: "local" });
  expect(await autosave.saveNow("a")).toBe(true);
  expect(revision).toBe(1);
});

test("an edit during the resolution of a conflict for the remote side is a conflict too", async () => {
  for (const resolution of ["remote", "keepBoth", { merged: { from: "both" } }] as const) {
    await using temp = await tempStories("libsql");
    let asked = 0;
    const { autosave } = autosaveOf(temp, {
      resolve: () => {
        if (asked++ === 0) autosave.markDirty("a", { from: "local, later" });
        return resolution;
      },
    });
    await temp.service.saveStory("a", { from: "remote" });
    autosave.markDirty("a", { from: "local" }, { revision: 0 });
    while (autosave.isDirty()) expect(await autosave.saveNow("a")).toBe(true);
    expect(asked).toBe(2);
    const stored = typeof resolution === "object" ? resolution.merged : { from: "remote" };
    expect(await temp.service.loadStory("a")).toEqual(stored);
  }
});

test("the copy of keepBoth has the story's tags and title, and the saved event has its revision", async () => {
  for (const backend of ["filesystem", "libsql", "custom"] as const) {
    await using temp = await tempStories(backend);
    const { autosave, events } = autosaveOf(temp, { resolve: () => "keepBoth" });
    await temp.service.saveStory("a", { n: 0 });
    await temp.service.saveStory("a", { n: 1 }, { metadata: { title: "A title", tags: ["x", "y"] } });
    autosave.markDirty("a", { n: "local" }, { revision: 1 });
    expect(await autosave.saveNow("a")).toBe(true);
    const { savedAs, ...saved } = events.at(-1)![1] as { savedAs: string };
    expect(saved).toEqual({ id: "a", revision: 1 });
    expect(await temp.service.getMetadata(savedAs)).toMatchObject({ title: "A title", tags: ["x", "y"], revision: 1 });
  }
});

test("the revision of an edit's beginning can be given", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, events } = autosaveOf(temp);
  await temp.service.saveStory("a", { n: 1 });
  await temp.service.saveStory("a", { n: 2 });
  autosave.markDirty("a", { n: 3 }, { revision: 1 });
  expect(await autosave.saveNow("a")).toBe(false);
  expect(events).toMatchObject([["conflict", { remoteRevision: 2 }]]);
  autosave.markDirty("b", {}, { revision: 0 });
  expect(await autosave.saveNow("b")).toBe(true);
});

test("a later edit begins from the revision saved last by this service", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, events } = autosaveOf(temp);
  autosave.markDirty("a", { n: 1 });
  await autosave.saveNow("a");
  autosave.markDirty("a", { n: 2 });
  expect(await autosave.saveNow("a")).toBe(true);
  await (await temp.openAnother()).saveStory("a", { n: "remote" });
  autosave.markDirty("a", { n: 3 });
  expect(await autosave.saveNow("a")).toBe(false);
  expect(events.at(-1)).toMatchObject(["conflict", { remoteRevision: 3 }]);
});

test("all services of a project in one storage count as one, however many projects are used", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const first = storage.project("u").stories;
  await first.saveStory("a", { n: 1 });
  for (let n = 0; n < 1_100; n++) storage.project(`other ${n}`);
  const second = storage.project("u").stories;
  await second.saveStory("a", { n: 2 });
  const autosave = new Autosave({ service: first });
  autosave.markDirty("a", { n: 3 });
  expect(await autosave.saveNow("a")).toBe(true);
  autosave.markDirty("a", { n: 4 }, { revision: 1 });
  expect(await autosave.saveNow("a"), "the revision that the editor shows").toBe(false);
  expect(await second.loadStory("a")).toEqual({ n: 3 });
});

const RESOLUTIONS: [ConflictResolution, unknown, number][] = [
  ["local", { from: "local" }, 3],
  ["remote", { from: "remote" }, 2],
  [{ merged: { from: "both" } }, { from: "both" }, 3],
  ["keepBoth", { from: "remote" }, 2],
];

test.each(RESOLUTIONS)("a conflict resolved by %o leaves %o", async (resolution, expected, revision) => {
  await using temp = await tempStories("libsql");
  const { autosave, events } = autosaveOf(temp, { resolve: async () => resolution });
  await temp.service.saveStory("a", { from: "before" });
  autosave.markDirty("a", { from: "local" }, { revision: 1 });
  await temp.service.saveStory("a", { from: "remote" });
  expect(await autosave.saveNow("a")).toBe(true);
  expect([autosave.state("a"), autosave.isDirty("a")]).toEqual(["saved", false]);
  expect(await temp.service.loadStory("a")).toEqual(expected);
  expect(await temp.service.getMetadata("a")).toMatchObject({ revision });
  expect(await temp.service.loadRevision("a", 2), "the remote side is kept").toEqual({ from: "remote" });
  const others = (await temp.service.listStories()).filter(({ id }) => id !== "a");
  expect(others).toHaveLength(resolution === "keepBoth" ? 1 : 0);
  for (const { id } of others) {
    expect(await temp.service.loadStory(id)).toEqual({ from: "local" });
    expect(events.at(-1)).toMatchObject(["saved", { id: "a", savedAs: id }]);
  }
  autosave.markDirty("a", { from: "later" });
  expect(await autosave.saveNow("a"), "the next edit goes on from here").toBe(true);
});

test("a story that was deleted during the edit is a conflict without a remote story", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, events } = autosaveOf(temp, { resolve: () => "local" });
  await temp.service.saveStory("a", { n: 1 });
  autosave.markDirty("a", { n: 2 }, { revision: 1 });
  await temp.service.deleteStory("a");
  expect(await autosave.saveNow("a")).toBe(true);
  expect(events[0]).toEqual(["conflict", { id: "a", local: { n: 2 }, remote: undefined, remoteRevision: 0 }]);
  expect(await temp.service.loadStory("a")).toEqual({ n: 2 });
});

test("a remote change during the resolution of a conflict is noticed before the save", async () => {
  await using temp = await tempStories("libsql");
  const seen: number[] = [];
  const { autosave } = autosaveOf(temp, {
    resolve: async ({ remoteRevision, remote }) => {
      seen.push(remoteRevision);
      if (seen.length < 3) await temp.service.saveStory("a", { remote: seen.length });
      return { merged: { of: remote } };
    },
  });
  await temp.service.saveStory("a", { remote: 0 });
  autosave.markDirty("a", {}, { revision: 0 });
  expect(await autosave.saveNow("a")).toBe(true);
  expect(seen).toEqual([1, 2, 3]);
  expect(await temp.service.loadStory("a")).toEqual({ of: { remote: 2 } });
});

test("a resolver that throws or returns junk leaves both sides, and the error is reported", async () => {
  for (const resolve of [
    () => {
      throw new Error("no idea");
    },
    () => "maybe" as "local",
  ]) {
    await using temp = await tempStories("libsql");
    const { autosave, events } = autosaveOf(temp, { resolve, maxRetries: 1 });
    await temp.service.saveStory("a", { from: "remote" });
    autosave.markDirty("a", { from: "local" }, { revision: 0 });
    expect(await autosave.saveNow("a")).toBe(false);
    expect([autosave.state("a"), autosave.isDirty("a")]).toEqual(["error", true]);
    expect(await temp.service.loadStory("a")).toEqual({ from: "remote" });
    expect(events.at(-1)).toMatchObject(["error", { id: "a" }]);
  }
});

test("close of the service saves the remaining edits and stops the timers", async () => {
  await using temp = await tempStories("filesystem");
  const { autosave, clock } = autosaveOf(temp);
  autosave.start();
  autosave.markDirty("a", { n: 1 });
  await temp.service.close();
  expect(autosave.isDirty()).toBe(false);
  expect(clock.waiting).toBe(0);
  expect(await (await temp.openAnother()).loadStory("a")).toEqual({ n: 1 });
});

test("close of a storage saves the edits of an autosave on its stories", async () => {
  await using temp = await tempStories("libsql");
  await temp.service.close();
  const storage = await openStorage(temp.path);
  const autosave = new Autosave({ service: storage.project("p").stories });
  autosave.markDirty("a", { n: 1 });
  await storage.close();
  expect(await (await temp.openAnother({ project: "p" })).loadStory("a")).toEqual({ n: 1 });
});

test("without a clock the system's timers are used", async () => {
  await using temp = await tempStories("libsql");
  const autosave = new Autosave({ service: temp.service, debounce: 5 });
  const saved = new Promise((resolve) => autosave.on("saved", resolve));
  autosave.markDirty("a", {});
  expect(await saved).toEqual({ id: "a", revision: 1, savedAs: "a" });
});

test("dirty lists the stories with unsaved edits, and discard drops the edits", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock, events } = autosaveOf(temp);
  await temp.service.saveStory("a", { n: 0 });
  expect(autosave.dirty()).toEqual([]);
  expect(autosave.discard("a")).toBe(false);
  autosave.markDirty("a", { n: 1 });
  autosave.markDirty("b", { n: 1 });
  expect(autosave.dirty()).toEqual(["a", "b"]);
  expect(autosave.discard("a")).toBe(true);
  expect([autosave.dirty(), autosave.isDirty("a"), autosave.state("a")]).toEqual([["b"], false, "idle"]);
  await clock.advance(10_000);
  expect(await temp.service.loadStory("a")).toEqual({ n: 0 });
  expect(events).toEqual([["saved", { id: "b", revision: 1, savedAs: "b" }]]);
  expect(autosave.dirty()).toEqual([]);
});

test("after a discard the next edit begins from the stored revision", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, events } = autosaveOf(temp);
  await temp.service.saveStory("a", { n: 0 });
  autosave.markDirty("a", { n: "lost" }, { revision: 1 });
  await temp.service.saveStory("a", { n: "remote" });
  expect(await autosave.saveNow("a")).toBe(false);
  expect(autosave.discard("a")).toBe(true);
  autosave.markDirty("a", { n: 3 });
  expect(await autosave.saveNow("a")).toBe(true);
  expect(events).toMatchObject([
    ["conflict", { id: "a" }],
    ["saved", { id: "a", revision: 3 }],
  ]);
});

test("an edit that is discarded during its save leaves nothing to save, whether the save succeeds or fails", async () => {
  const backend = new FailingBackend();
  await using service = await openStories({ backend });
  await using temp = await tempStories("custom");
  const { autosave, events } = autosaveOf({ ...temp, service }, { maxRetries: 1 });
  for (const failures of [0, 1]) {
    backend.failures = failures;
    autosave.markDirty("a", { failures });
    const saving = autosave.saveNow("a");
    expect(autosave.discard("a")).toBe(true);
    await saving;
    expect([autosave.dirty(), autosave.state("a")]).toEqual([[], "idle"]);
  }
  expect(events.filter(([name]) => name === "error")).toEqual([]);
  autosave.markDirty("a", { n: 3 });
  expect(await autosave.saveNow("a")).toBe(true);
  expect(await service.loadStory("a")).toEqual({ n: 3 });
});

test("an infinite debounce waits for the interval, and timers may be numbers", async () => {
  await using temp = await tempStories("libsql");
  const { autosave, clock } = autosaveOf(temp, { debounce: Number.POSITIVE_INFINITY, interval: 1_000 });
  autosave.start();
  autosave.markDirty("a", { n: 1 });
  await clock.advance(999);
  expect(autosave.isDirty("a")).toBe(true);
  await clock.advance(1);
  expect(autosave.isDirty("a")).toBe(false);
  autosave.stop();
});

const throws = () => {
  throw new Error("no timers");
};
test.each([
  ["throws", throws],
  ["rejects", async () => throws()],
])("a clock that %s is an error of the story that waits for it, which stays dirty", async (_, fails) => {
  await using temp = await tempStories("libsql");
  const { autosave, events } = autosaveOf(temp, { clock: { setTimeout: fails, clearTimeout: fails } });
  autosave.markDirty("a", { n: 1 });
  autosave.start();
  await new Promise((resolve) => setImmediate(resolve));
  expect(events[0]).toEqual(["error", { id: "a", error: new Error("no timers"), attempts: 0 }]);
  expect(autosave.isDirty("a")).toBe(true);
  expect(await autosave.saveNow("a")).toBe(true);
  autosave.discard("a");
  autosave.stop();
});

test("an error that a listener throws is ignored", async () => {
  await using temp = await tempStories("libsql");
  const { autosave } = autosaveOf(temp);
  autosave.on("saved", () => {
    throw new Error("no");
  });
  const off = autosave.on("saved", () => expect.fail("it was taken back"));
  off();
  autosave.markDirty("a", {});
  expect(await autosave.saveNow("a")).toBe(true);
});

test("wrong options and stories are refused before any work starts", async () => {
  await using temp = await tempStories("libsql");
  const { service } = temp;
  const make = (options: object) => () => new Autosave({ service, ...options });
  expect(make({ service: {} })).toThrow(TypeError);
  expect(make({ interval: -1 })).toThrow(RangeError);
  expect(make({ debounce: "1" })).toThrow(TypeError);
  expect(make({ maxRetries: 0 })).toThrow(RangeError);
  expect(make({ resolve: "local" })).toThrow(TypeError);
  expect(make({ clock: {} })).toThrow(TypeError);
  expect(make({ retries: 1 })).toThrow(TypeError);
  const autosave = new Autosave({ service, clock: new FakeClock() });
  expect(() => autosave.markDirty("", {})).toThrow(RangeError);
  expect(() => autosave.markDirty("a", { n: Number.NaN })).toThrow(RangeError);
  expect(() => autosave.on("save" as "saved", () => undefined)).toThrow(TypeError);
  expect(autosave.isDirty()).toBe(false);
});

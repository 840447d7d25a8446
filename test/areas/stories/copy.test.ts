import { copyStories, openStories, type StoryBackend, type StoryData } from "holdfast/stories";
import { expect, test } from "vitest";
import { MemoryBackend } from "../../../examples/custom-backend.js";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";
import { tempStories } from "../../support/stories.js";

const DIRECTIONS = [
  ["filesystem", "libsql"],
  ["libsql", "filesystem"],
] as const;

test.each(DIRECTIONS)(
  "copying from %s to %s keeps data, metadata, times, history and preferences",
  async (source, target) => {
    let now = 1_000_000;
    const clock = { now: () => (now += 1_000) };
    await using from = await tempStories(source, clock);
    await using to = await tempStories(target);
    await from.service.saveStory("../a", { title: "A", n: 1 }, { metadata: { tags: ["x", "y"] } });
    await from.service.saveStory("../a", { title: "A", n: 2 });
    await from.service.updateMetadata("../a", { title: "Set" });
    await from.service.saveStory("b", { n: 1 });
    await from.service.saveStory("gone", {});
    await from.service.deleteStory("gone");
    await from.service.backend.savePreference("p", { value: { a: 1 }, scope: "project" });
    const progress: unknown[] = [];
    const result = await copyStories(from.service, to.service, { onProgress: (step) => progress.push(step) });
    expect(result).toEqual({ copied: 2, preferences: 1 });
    expect(progress).toEqual([
      { done: 1, total: 2, id: "../a" },
      { done: 2, total: 2, id: "b" },
    ]);
    expect(await to.service.listStories()).toEqual(await from.service.listStories());
    for (const id of ["../a", "b"]) {
      expect(await to.service.loadStory(id)).toEqual(await from.service.loadStory(id));
      const revisions = await from.service.revisions(id);
      expect(await to.service.revisions(id)).toEqual(revisions);
      for (const { revision } of revisions) {
        expect(await to.service.loadRevision(id, revision)).toEqual(await from.service.loadRevision(id, revision));
      }
    }
    expect(await to.service.backend.loadPreference("p")).toEqual({ value: { a: 1 }, scope: "project" });
    // The title that was set lasts in the copy as well.
    expect(await to.service.saveStory("../a", { n: 3 })).toMatchObject({ title: "Set", revision: 4 });
  },
);

// The folder took the creation of the story for the earliest time of any revision.
test.each(DIRECTIONS)(
  "copying from %s to %s keeps the times of revisions from before a delete",
  async (source, target) => {
    let now = 1_000_000;
    await using from = await tempStories(source, { now: () => (now += 1_000) });
    await using to = await tempStories(target);
    await from.service.saveStory("a", { n: 1 });
    await from.service.deleteStory("a");
    await from.service.saveStory("a", { n: 2 });
    await copyStories(from.service, to.service);
    expect(await to.service.getMetadata("a")).toEqual(await from.service.getMetadata("a"));
    expect(await to.service.revisions("a")).toEqual(await from.service.revisions("a"));
  },
);

test("an existing story gets the copy as a new revision and keeps its history", async () => {
  await using from = await tempStories("filesystem");
  await using to = await tempStories("libsql");
  await from.service.saveStory("a", { from: 1 });
  await to.service.saveStory("a", { own: 1 });
  await to.service.loadStory("a");
  await copyStories(from.service, to.service);
  expect(await to.service.loadStory("a")).toEqual({ from: 1 });
  expect(await to.service.loadRevision("a", 1)).toEqual({ own: 1 });
  expect(await to.service.getMetadata("a")).toMatchObject({ revision: 2 });
});

test("copying to and from a custom backend keeps what the backend can store", async () => {
  await using from = await tempStories("libsql");
  const own = new MemoryBackend();
  await from.service.saveStory("a", { title: "A" }, { metadata: { tags: ["x"] } });
  await from.service.backend.savePreference("p", { value: 1 });
  expect(await copyStories(from.service, own)).toEqual({ copied: 1, preferences: 0 });
  expect(await own.getMetadata("a")).toMatchObject({ title: "A", tags: ["x"] });
  await using to = await tempStories("filesystem");
  await copyStories(own, to.service);
  expect(await to.service.loadStory("a")).toEqual({ title: "A" });
});

test("only the named stories are copied; a missing one rejects before any copy", async () => {
  await using from = await tempStories("libsql");
  await using to = await tempStories("filesystem");
  await from.service.saveStory("a", {});
  await from.service.saveStory("b", {});
  const error = await rejection(copyStories(from.service, to.service, { ids: ["a", "missing"] }));
  expect(error).toMatchObject({ code: "NOT_FOUND" });
  expect(await to.service.listStories()).toEqual([]);
  expect(await copyStories(from.service, to.service, { ids: ["b", "b"] })).toEqual({ copied: 1, preferences: 0 });
  expect((await to.service.listStories()).map(({ id }) => id)).toEqual(["b"]);
});

test("a target that loses data is detected", async () => {
  await using from = await tempStories("libsql");
  await from.service.saveStory("a", { text: "whole" });
  const lossy: StoryBackend = new (class extends MemoryBackend {
    override save(id: string, data: StoryData, metadata?: object) {
      return super.save(id, { ...data, text: "part" }, metadata);
    }
  })();
  expect(await rejection(copyStories(from.service, lossy))).toMatchObject({ code: "CORRUPT" });
  await expect(copyStories(from.service, {} as StoryBackend)).rejects.toThrow(TypeError);
  await expect(copyStories(from.service, lossy, { id: "a" } as object)).rejects.toThrow(TypeError);
  await using plain = await openStories({ backend: new MemoryBackend() });
  expect(await copyStories(from.service, plain)).toMatchObject({ copied: 1 });
});

test("a story is copied from one storage to another with its history", async () => {
  await using from = await tempStorage();
  await using to = await tempStorage();
  await from.storage.stories.saveStory("a", { n: 1 });
  await from.storage.stories.saveStory("a", { n: 2 }, { metadata: { tags: ["x"] } });
  expect(await copyStories(from.storage.stories, to.storage.project("other").stories)).toEqual({
    copied: 1,
    preferences: 0,
  });
  const { stories } = to.storage.project("other");
  expect(await stories.getMetadata("a")).toEqual(await from.storage.stories.getMetadata("a"));
  expect(await stories.revisions("a")).toEqual(await from.storage.stories.revisions("a"));
});

import { openStories, type StoryBackend, type StoryData } from "holdfast/stories";
import { storyBackendCases } from "holdfast/stories/testing";
import { expect, test } from "vitest";
import { MemoryBackend } from "../../../examples/custom-backend.js";
import { rejection } from "../../support/clients.js";
import { delivered, tempStories } from "../../support/stories.js";

// A wrong answer of a caller's backend ended the process: an event was made of it in a microtask.

class WrongBackend extends MemoryBackend {}

/** A backend whose `method` answers with `answer`. */
function answering(method: string, answer: unknown): StoryBackend {
  return Object.assign(new WrongBackend(), { [method]: async () => answer });
}

const good = {
  id: "a",
  title: "A",
  tags: [],
  size: 2,
  revision: 1,
  createdAt: new Date(),
  updatedAt: new Date(),
};
const metadataFailures = [
  true,
  "a",
  1,
  [],
  {},
  { ...good, tags: "x" },
  { ...good, tags: [1] },
  { ...good, revision: 0 },
];
const moreFailures = [
  { ...good, createdAt: "2026-11-30" },
  { ...good, updatedAt: new Date(Number.NaN) },
  { ...good, size: -1 },
];
const wrongMetadata = [...metadataFailures, ...moreFailures];

const CALLS: Record<string, { wrong: unknown[]; call: (backend: StoryBackend) => Promise<unknown> }> = {
  save: {
    wrong: [undefined, ...wrongMetadata],
    call: async (b) => (await openStories({ backend: b })).saveStory("a", {}),
  },
  load: {
    wrong: [true, "text", [], 1],
    call: async (b) => {
      await b.save("a", {}, {});
      return (await openStories({ backend: b })).loadStory("a");
    },
  },
  delete: { wrong: [undefined, 1, "yes"], call: async (b) => (await openStories({ backend: b })).deleteStory("a") },
  list: {
    wrong: [undefined, {}, [true], [{ ...good, tags: null }]],
    call: async (b) => (await openStories({ backend: b })).listStories(),
  },
  exists: { wrong: [undefined, "no"], call: async (b) => (await openStories({ backend: b })).hasStory("a") },
  getMetadata: { wrong: wrongMetadata, call: async (b) => (await openStories({ backend: b })).getMetadata("a") },
  updateMetadata: {
    wrong: wrongMetadata,
    call: async (b) => (await openStories({ backend: b })).updateMetadata("a", { title: "T" }),
  },
  export: { wrong: [1, {}], call: async (b) => (await openStories({ backend: b })).exportStory("a") },
  importData: {
    wrong: [undefined, "", 1],
    call: async (b) => (await openStories({ backend: b })).backend.importData({}),
  },
  getStorageUsage: {
    wrong: [undefined, "1", Number.NaN],
    call: async (b) => (await openStories({ backend: b })).getStatistics(),
  },
  revisions: {
    wrong: [undefined, [{ revision: "1" }]],
    call: async (b) => (await openStories({ backend: b })).revisions("a"),
  },
  loadRevision: { wrong: [true], call: async (b) => (await openStories({ backend: b })).loadRevision("a", 1) },
  conflicts: { wrong: [true, [{}]], call: async (b) => (await openStories({ backend: b })).conflicts() },
  loadPreference: {
    wrong: [1, {}],
    call: async (b) => (await openStories({ backend: b })).backend.loadPreference("p"),
  },
  listPreferences: {
    wrong: [undefined, [1]],
    call: async (b) => (await openStories({ backend: b })).backend.listPreferences(""),
  },
  getSyncQueue: {
    wrong: [undefined, [1]],
    call: async (b) => (await openStories({ backend: b })).backend.getSyncQueue(),
  },
};

test.each(Object.entries(CALLS))(
  "a wrong answer of %s rejects that call, and names backend and method",
  async (method, { wrong, call }) => {
    for (const answer of wrong) {
      const error = await rejection(call(answering(method, answer)));
      expect(error, JSON.stringify(answer)).toMatchObject({ name: "StorageError", code: "INVALID_ANSWER" });
      expect(error.message).toContain(`WrongBackend.${method}()`);
    }
    await delivered();
  },
);

test("null counts as missing, and so does false from updateMetadata", async () => {
  for (const [method, call] of [
    ["load", (service) => service.loadStory("a")],
    ["getMetadata", (service) => service.getMetadata("a")],
    ["updateMetadata", (service) => service.updateMetadata("a", { title: "T" })],
    ["export", (service) => service.exportStory("a")],
  ] as [string, (service: Awaited<ReturnType<typeof openStories>>) => Promise<unknown>][]) {
    for (const answer of method === "updateMetadata" ? [null, false] : [null]) {
      expect(await call(await openStories({ backend: answering(method, answer) })), method).toBeUndefined();
    }
  }
});

test("a wrong answer is reported as a storage_error, and the service continues", async () => {
  const backend = new WrongBackend();
  await using service = await openStories({ backend });
  const errors: unknown[] = [];
  service.on("storage_error", ({ error }) => errors.push((error as { code: string }).code));
  await service.saveStory("a", { n: 1 });
  const update = backend.updateMetadata;
  Object.assign(backend, { updateMetadata: async () => true });
  await rejection(service.updateMetadata("a", { title: "T" }));
  await delivered();
  expect(errors).toEqual(["INVALID_ANSWER"]);
  Object.assign(backend, { updateMetadata: update });
  expect(await service.updateMetadata("a", { title: "T" })).toMatchObject({ title: "T" });
});

test("a batch that cannot be undone rejects with the first error", async () => {
  const backend = new WrongBackend();
  const save = backend.save.bind(backend);
  Object.assign(backend, {
    save: async (id: string, data: StoryData) => {
      if (id === "b") throw new Error("disk on fire");
      return save(id, data);
    },
    delete: async () => {
      throw new Error("nor can it be removed");
    },
  });
  await using service = await openStories({ backend });
  expect(await rejection(service.batchSave({ a: {}, b: {} }, { atomic: true }))).toMatchObject({
    message: "disk on fire",
  });
});

test("a backend that neither opens nor closes rejects with the error of opening", async () => {
  const backend = Object.assign(new WrongBackend(), {
    initialize: () => Promise.reject(new Error("no key")),
    close: () => Promise.reject(new Error("not open")),
  });
  expect(await rejection(openStories({ backend }))).toMatchObject({ message: "no key" });
});

test("the suite fails a backend with wrong answers by an AssertionError", async () => {
  const failures: unknown[] = [];
  for (const { run } of storyBackendCases(async () => answering("updateMetadata", true))) {
    await run().catch((error) => failures.push(error));
  }
  expect(failures.length).toBeGreaterThan(0);
  for (const failure of failures) expect((failure as { code: unknown }).code).toBe("ERR_ASSERTION");
});

test("a listener whose promise is of another library may reject", async () => {
  await using temp = await tempStories("libsql");
  const errors: unknown[] = [];
  temp.service.on("storage_error", ({ operation, error }) => errors.push([operation, error]));
  // biome-ignore lint/suspicious/noThenProperty: a promise that is none of this realm's
  temp.service.on("story_saved", () => ({ then: (_: unknown, fail: (error: unknown) => void) => fail("late") }));
  await temp.service.saveStory("a", {});
  for (let turn = 0; turn < 3; turn++) await delivered();
  expect(errors).toEqual([["listener of story_saved", "late"]]);
});

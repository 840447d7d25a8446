import { AssertionError } from "node:assert";
import { join } from "node:path";
import {
  defineBackend,
  openStories,
  type StoryBackend,
  type StoryData,
  type StoryMetadataInput,
} from "holdfast/stories";
import { storyBackendCases } from "holdfast/stories/testing";
import { afterAll, describe, expect, test } from "vitest";
import { MemoryBackend } from "../../../examples/custom-backend.js";
import { tempDatabase } from "../../support/temp.js";

const SECRET = "5a".repeat(32);
const db = await tempDatabase();
afterAll(() => db[Symbol.asyncDispose]());
let count = 0;
const place = () => join(db.dir, `place-${++count}`);

const BACKENDS: Record<string, () => Promise<StoryBackend>> = {
  "libSQL, in a file": async () => (await openStories({ backend: "libsql", path: place(), secret: SECRET })).backend,
  "libSQL, in memory": async () => (await openStories({ backend: "libsql", path: ":memory:", secret: SECRET })).backend,
  "the filesystem": async () => (await openStories({ backend: "filesystem", path: place(), secret: SECRET })).backend,
  "the filesystem, without a secret": async () => (await openStories({ backend: "filesystem", path: place() })).backend,
  "the filesystem, in its own project": async () =>
    (await openStories({ backend: "filesystem", path: place(), secret: SECRET, project: "../a/B" })).backend,
  "the backend of the example": async () => new MemoryBackend(),
};

for (const [name, open] of Object.entries(BACKENDS)) {
  describe(name, () => {
    for (const { name: fact, run } of storyBackendCases(open)) test(fact, run);
  });
}

/** The names of the cases that a backend fails, each with what was expected. */
async function failuresOf(open: () => Promise<StoryBackend>): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>();
  for (const { name, run } of storyBackendCases(open)) {
    await run().catch((error) => failures.set(name, error));
  }
  return failures;
}

const SLOPPY: Record<string, { backend: () => StoryBackend; caught: string }> = {
  "a backend that keeps the caller's object": {
    backend: () => {
      const stories = new Map<string, StoryData>();
      return Object.assign(new MemoryBackend(), {
        save: async function (this: MemoryBackend, id: string, data: StoryData, metadata?: StoryMetadataInput) {
          stories.set(id, data);
          return MemoryBackend.prototype.save.call(this, id, data, metadata);
        },
        load: async (id: string) => stories.get(id),
      });
    },
    caught: "changing an object after a call does not change the stored story",
  },
  "a backend that forgets tags on a save without any": {
    backend: () =>
      new (class extends MemoryBackend {
        override save(id: string, data: StoryData, metadata: StoryMetadataInput = {}) {
          return super.save(id, data, { ...metadata, tags: metadata.tags ?? [] });
        }
      })(),
    caught: "tags survive a save without tags, and a save with tags replaces them",
  },
  "a backend that cuts the page before it looks at tags": {
    backend: () =>
      new (class extends MemoryBackend {
        override async list({ tags = [], ...page } = {}) {
          const cut = await super.list(page);
          return cut.filter((one) => tags.length === 0 || one.tags.some((tag) => (tags as string[]).includes(tag)));
        }
      })(),
    caught: "tags match any of them, exactly, before the page is cut",
  },
  "a backend that counts characters instead of bytes": {
    backend: () =>
      new (class extends MemoryBackend {
        override async save(id: string, data: StoryData, metadata?: StoryMetadataInput) {
          return { ...(await super.save(id, data, metadata)), size: JSON.stringify(data).length };
        }
      })(),
    caught: "save resolves to the metadata, and getMetadata to the same",
  },
  "a backend whose ids ignore case": {
    backend: () =>
      new (class extends MemoryBackend {
        override save(id: string, data: StoryData, metadata?: StoryMetadataInput) {
          return super.save(id.toLowerCase(), data, metadata);
        }
        override load(id: string) {
          return super.load(id.toLowerCase());
        }
      })(),
    caught: "all ids are distinct",
  },
  "a backend whose conditional save looks before it waits": {
    backend: () =>
      new (class extends MemoryBackend {
        async saveIf(id: string, data: StoryData, metadata: StoryMetadataInput, expected: number) {
          const actualRevision = (await this.getMetadata(id))?.revision ?? 0;
          if (actualRevision !== expected) throw Object.assign(new Error("no"), { code: "CONFLICT", actualRevision });
          await new Promise((resolve) => setImmediate(resolve));
          return this.save(id, data, metadata);
        }
      })(),
    caught: "saveIf saves only what is at the expected revision",
  },
  "a backend with half of the preferences": {
    backend: () => Object.assign(new MemoryBackend(), { savePreference: async () => undefined }),
    caught: "preferences are kept by key, with their scope",
  },
};

test.each(Object.entries(SLOPPY))("the suite catches %s, and says what is wrong", async (_, { backend, caught }) => {
  const failures = await failuresOf(async () => backend());
  expect([...failures.keys()]).toContain(caught);
  expect(failures.get(caught)).toBeInstanceOf(AssertionError);
});

const REQUIRED =
  "initialize save load delete list exists getMetadata updateMetadata export importData getStorageUsage clear".split(
    " ",
  );

test.each(REQUIRED)("a backend without %s is refused by name", (method) => {
  const methods = Object.fromEntries(
    REQUIRED.filter((one) => one !== method).map((one) => [one, async () => undefined]),
  );
  expect(() => defineBackend(methods as unknown as StoryBackend)).toThrow(
    new TypeError(`Backend must implement ${method}() method`),
  );
});

test("has() of a defined backend lists its methods, and the others reject with NOT_SUPPORTED", async () => {
  const backend = defineBackend(new MemoryBackend());
  expect(defineBackend(backend)).toBe(backend);
  expect(backend.has("save")).toBe(true);
  expect(backend.has("savePreference")).toBe(false);
  expect(backend.has("toString" as "save")).toBe(false);
  await expect(backend.savePreference("a", { value: 1 })).rejects.toMatchObject({
    code: "NOT_SUPPORTED",
    message: "Backend does not support preferences",
  });
  await expect(backend.getSyncQueue()).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  await expect(backend.loadGithubToken()).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  await expect(backend.revisions("a")).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  await expect(backend.close()).resolves.toBeUndefined();
});

test("both built-in backends have every method", async () => {
  for (const backend of ["libsql", "filesystem"] as const) {
    await using service = await openStories({ backend, path: place() });
    const optional = `savePreference loadPreference deletePreference listPreferences addToSyncQueue getSyncQueue
      removeFromSyncQueue clearSyncQueue saveGithubToken loadGithubToken deleteGithubToken`.split(/\s+/);
    const methods = [...REQUIRED, ...optional];
    expect(methods).toHaveLength(23);
    for (const method of [...methods, "saveIf", "revisions", "loadRevision"]) {
      expect(service.backend.has(method as "save"), `${backend} ${method}`).toBe(true);
    }
  }
});

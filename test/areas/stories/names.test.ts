import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStories, StoryEvents } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { MemoryBackend } from "../../../examples/custom-backend.js";
import { line } from "../../../src/areas/stories/filesystem/index-file.js";
import { parseRecord, serializeRecord } from "../../../src/areas/stories/filesystem/record.js";
import { runChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { delivered, tempStories } from "../../support/stories.js";
import { tempDatabase } from "../../support/temp.js";

test('"sqlite" is another name of "libsql"', async () => {
  await using db = await tempDatabase();
  const path = join(db.dir, "stories.db");
  const service = await openStories({ backend: "sqlite", path });
  await service.saveStory("a", { n: 1 });
  await service.close();
  await using again = await openStories({ backend: "libsql", path });
  expect(await again.loadStory("a")).toEqual({ n: 1 });
});

test("the names of the events are constants", async () => {
  await using temp = await tempStories("libsql");
  const heard: string[] = [];
  for (const name of Object.values(StoryEvents)) temp.service.on(name, () => heard.push(name));
  expect(heard).toEqual([]);
  await temp.service.saveStory("a", {});
  await temp.service.loadStory("a");
  await temp.service.saveStory("a", {});
  await temp.service.updateMetadata("a", { title: "T" });
  await temp.service.deleteStory("a");
  await temp.service.clear();
  await delivered();
  const { STORAGE_ERROR, ...others } = StoryEvents;
  expect(new Set(heard)).toEqual(new Set(Object.values(others)));
  expect(STORAGE_ERROR).toBe("storage_error");
});

test("files without a path are in the data folder", async () => {
  await using db = await tempDatabase();
  const folder = join(db.dir, "data");
  await runChild("default-stories", {}, { HOLDFAST_DATA_DIR: folder });
  await using service = await openStories({ backend: "filesystem", path: join(folder, "stories") });
  expect(await service.loadStory("a")).toEqual({ n: 1 });
  await expect(openStories({ backend: "filesystem", path: "" })).rejects.toThrow(TypeError);
});

describe.each(["libsql", "filesystem", "custom"] as const)("an export from %s", (kind) => {
  const passages = [{ id: "start" }];
  const stories: Record<string, { story: Record<string, unknown>; title?: string; tags?: string[] }> = {
    plain: { story: { id: "s", title: "A", passages } },
    tagged: { story: { id: "s", title: "A", passages }, tags: ["x", "y"] },
    titled: { story: { id: "s", passages }, title: "Set" },
    both: { story: { id: "s", metadata: { title: "Own", version: "2.0" }, passages }, title: "Set", tags: ["x"] },
    "with tags in its own metadata": { story: { id: "s", metadata: { tags: "mine" }, passages }, tags: ["x"] },
  };

  test.each(Object.entries(stories))(
    "of a story that is %s carries tags and title, and an import takes them",
    async (_, { story, title, tags }) => {
      await using from = await tempStories(kind);
      await using to = await tempStories(kind === "custom" ? "libsql" : kind);
      await from.service.saveStory("s", story, {
        metadata: { ...(title ? { title } : {}), ...(tags ? { tags } : {}) },
      });
      const before = (await from.service.getMetadata("s"))!;
      const text = (await from.service.exportStory("s"))!;
      const exported = JSON.parse(text);
      if (tags !== undefined) expect(exported.metadata.tags).toEqual(tags);
      expect(exported.metadata?.title ?? exported.title).toBe(before.title);
      expect(exported.passages).toEqual(passages);
      expect(await to.service.importStory(text)).toBe("s");
      expect(await to.service.getMetadata("s")).toMatchObject({
        title: before.title,
        tags: before.tags,
        size: before.size,
      });
      expect(await to.service.loadStory("s")).toEqual(await from.service.loadStory("s"));
    },
  );
});

test("an import refuses an invalid story with its errors, unless validate is false", async () => {
  for (const kind of ["libsql", "filesystem", "custom"] as const) {
    await using temp = await tempStories(kind);
    const { service } = temp;
    const invalid = { id: "bad", title: "Bad", passages: [{ id: "a" }, { id: "a" }, {}] };
    const error = await rejection(service.importStory(invalid));
    expect(error).toMatchObject({ name: "InvalidStoryError", code: "INVALID_STORY" });
    expect((error as unknown as { errors: string[] }).errors).toHaveLength(2);
    expect(await rejection(service.importStory("{}"))).toMatchObject({ code: "INVALID_STORY" });
    expect(await service.listStories()).toEqual([]);
    expect(await service.importStory(invalid, { validate: false })).toBe("bad");
    expect(await service.backend.importData({ id: "worse" })).toBe("worse");
    expect(await rejection(service.importStory("{", { validate: false }))).toMatchObject({ code: "INVALID" });
    await expect(service.importStory(invalid, { validate: "no" } as never)).rejects.toThrow(TypeError);
    await expect(service.importStory(invalid, { strict: true } as never)).rejects.toThrow(TypeError);
  }
});

describe("a root of an earlier version", () => {
  /** Makes a root look as the earlier version left it: another name of the index, and no copies of the texts. */
  function age(root: string): void {
    const lines: string[] = [line({ sequence: 0, made: "x" })];
    for (const file of readdirSync(join(root, "metadata"))) {
      const path = join(root, "metadata", file);
      if (file.endsWith(".text.json")) {
        rmSync(path);
        continue;
      }
      const { isCopied, ...record } = parseRecord(readFileSync(path, "utf8"))!;
      writeFileSync(path, serializeRecord(record));
      const { history, ...entry } = record;
      if (!record.isDeleted) lines.push(line(entry));
    }
    writeFileSync(join(root, ".index.json"), lines.join(""));
    rmSync(join(root, ".index.jsonl"), { force: true });
  }

  test("is taken over with all stories, tags, deletes and revisions", async () => {
    await using temp = await tempStories("filesystem");
    await temp.service.saveStory("a", { n: 1 }, { metadata: { tags: ["x"] } });
    await temp.service.saveStory("a", { n: 2 });
    await temp.service.saveStory("gone", { n: 1 });
    await temp.service.deleteStory("gone");
    const before = await temp.service.listStories();
    await temp.service.close();
    age(temp.path);
    const service = await temp.openAnother();
    expect(await service.listStories()).toEqual(before);
    expect([existsSync(join(temp.path, ".index.jsonl")), existsSync(join(temp.path, ".index.json"))]).toEqual([
      true,
      false,
    ]);
    expect(await service.loadStory("a")).toEqual({ n: 2 });
    // Each way in which a present text becomes a past one, without a copy of it.
    expect(await service.updateMetadata("a", { title: "T" })).toMatchObject({ revision: 3 });
    expect(await service.saveStory("a", { n: 4 })).toMatchObject({ revision: 4, tags: ["x"] });
    for (const [revision, n] of [
      [1, 1],
      [2, 2],
      [3, 2],
    ] as const)
      expect(await service.loadRevision("a", revision)).toEqual({ n });
    expect(await service.restore("gone")).toMatchObject({ revision: 2 });
  });

  test("whose story another program has changed keeps what it can and reports the rest", async () => {
    await using temp = await tempStories("filesystem");
    await temp.service.saveStory("a", { n: 1 });
    await temp.service.saveStory("a", { n: 2 });
    await temp.service.close();
    age(temp.path);
    writeFileSync(join(temp.path, "stories", "a.json"), '{"n":"outside"}');
    const service = await temp.openAnother();
    expect(await service.loadStory("a")).toEqual({ n: "outside" });
    // The earlier version had the text of revision 2 in the file only that was overwritten.
    expect(await service.revisions("a")).toMatchObject([{ revision: 3, source: "outside" }, { revision: 1 }]);
    expect(await service.loadRevision("a", 2)).toBeUndefined();
    expect(await service.loadRevision("a", 1)).toEqual({ n: 1 });
  });

  test("that the earlier version opens again afterwards loses nothing of what either has stored", async () => {
    await using temp = await tempStories("filesystem");
    const { service } = temp;
    await service.batchSave({ a: { n: 1 }, b: { n: 1 }, c: { n: 1 } });
    // It finds no index of its own, makes one from the metadata, and knows nothing of the other.
    const index = readFileSync(join(temp.path, ".index.jsonl"));
    const other = await temp.openAnother();
    await other.saveStory("a", { n: 2 });
    await other.updateMetadata("b", { tags: ["old"] });
    await other.deleteStory("c");
    await other.saveStory("d", { n: 1 });
    const expected = await other.listStories();
    await other.close();
    age(temp.path);
    writeFileSync(join(temp.path, ".index.jsonl"), index);
    expect(await service.listStories()).toEqual(expected);
    expect(await service.loadStory("a")).toEqual({ n: 2 });
    expect(await service.loadRevision("a", 1)).toEqual({ n: 1 });
    expect(await service.hasStory("c")).toBe(false);
    expect(existsSync(join(temp.path, ".index.json"))).toBe(false);
  });
});

test("a custom backend without conflicts() rejects with NOT_SUPPORTED", async () => {
  await using service = await openStories({ backend: new MemoryBackend() });
  expect(await rejection(service.conflicts())).toMatchObject({ code: "NOT_SUPPORTED" });
});

import { openStorage } from "holdfast";
import { create, createStorage, type MemoryEntry } from "holdfast/memvid";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const createdAt = new Date("2026-01-02T03:04:05Z");
const entry = (id: string, fields: Partial<MemoryEntry> = {}): MemoryEntry => ({
  id,
  type: "decision",
  content: `content of ${id}`,
  metadata: {},
  createdAt,
  ...fields,
});

test("entries of createStorage are frames", async () => {
  await using db = await tempDatabase("mind.mv2");
  const storage = await createStorage({ path: db.path, strict: true });
  await storage.write("a", entry("a", { content: "we chose whales", vector: [1, 0] }));
  const metadata = { title: "Bones", tags: ["sea"], uri: "mv2://bones", n: 1 };
  await storage.write("b", entry("b", { type: "bugFix", content: "whale bones", metadata }));
  await storage.write("c", entry("c", { content: "" }));
  await storage.close();

  await using mv = await create(db.path);
  expect(await mv.put({ title: "put later", text: "whale song" })).toBe("3");
  expect((await mv.find("whale")).hits.map(({ frame_id }) => frame_id).sort()).toEqual([0, 1, 3]);
  expect((await mv.find("whale", { scope: "mv2://frames/" })).hits.map(({ frame_id }) => frame_id).sort()).toEqual([
    0, 3,
  ]);
  expect((await mv.vecSearch("x", [1, 0])).hits.map(({ frame_id }) => frame_id)).toEqual([0]);
  expect(await mv.view(0)).toBe("we chose whales");
  expect(await mv.view(2)).toBe("");
  expect(await mv.viewByUri("mv2://frames/0")).toBe("we chose whales");
  expect(await mv.viewByUri("mv2://bones")).toBe("whale bones");
  expect(await mv.getFrameInfo(0)).toMatchObject({
    uri: "mv2://frames/0",
    title: "Untitled",
    labels: ["decision"],
    tags: [],
    timestamp: createdAt.getTime() / 1000,
    metadata: {},
  });
  expect(await mv.getFrameInfo(1)).toMatchObject({
    uri: "mv2://bones",
    title: "Bones",
    labels: ["bugFix"],
    tags: ["sea"],
    metadata: { ...metadata, type: "bugFix" },
  });
  expect((await mv.timeline()).map(({ frame_id, preview }) => [frame_id, preview])).toEqual([
    [0, "we chose whales"],
    [1, "whale bones"],
    [2, ""],
    [3, "whale song"],
  ]);
  expect(await mv.stats()).toMatchObject({ frame_count: 4, active_frame_count: 4 });
  await mv.remove(0);
  await using again = await createStorage({ path: db.path });
  expect(await again.read("a")).toBeNull();
  expect((await again.read("b"))!.type).toBe("bugFix");
});

test("frames are entries, with their other fields in the metadata", async () => {
  await using db = await tempDatabase("mind.mv2");
  const mv = await create(db.path);
  await mv.put({
    title: "Plan",
    label: "meeting",
    labels: ["q4"],
    text: "Apollo goes to the moon",
    tags: ["a"],
    uri: "mv2://plan",
    metadata: { n: 1 },
    searchText: "zebra",
    timestamp: createdAt.getTime() / 1000,
    embedding: [0.5, 1],
  });
  await mv.put({ text: "" });
  await mv.close();

  await using storage = await createStorage({ path: db.path, strict: true });
  const [found] = await storage.search("zebra");
  const given = { title: "Plan", label: "meeting", labels: ["q4"], tags: ["a"], uri: "mv2://plan", n: 1 };
  expect(found).toEqual({
    id: expect.any(String),
    type: "meeting",
    content: "Apollo goes to the moon",
    metadata: given,
    createdAt,
    vector: [0.5, 1],
  });
  expect(await storage.read(found!.id)).toEqual(found);
  // Read, changed and written again it is the same frame.
  await storage.write(found!.id, { ...found!, content: "Apollo landed" });
  await using again = await create(db.path);
  expect(await again.view(0)).toBe("Apollo landed");
  expect(await again.getFrameInfo(0)).toMatchObject({ uri: "mv2://plan", title: "Plan", tags: ["a"], metadata: given });
  expect(await again.view(1)).toBe("");
  expect((await storage.stats()).count).toBe(2);
});

test("memories of plain repositories are both, and other projects are neither", async () => {
  await using db = await tempDatabase("mind.mv2");
  await using plain = await openStorage(db.path);
  await plain.project("other").memories.insert({ content: "whale of another project" });
  await plain.memories.insert({ id: "m", content: "whale", metadata: { memvid: "mine", title: 5, tags: [1, "t"] } });
  await using mv = await create(db.path);
  await using storage = await createStorage({ path: db.path, strict: true });
  expect((await mv.find("whale")).hits).toMatchObject([{ frame_id: 1, title: "Untitled", tags: ["t"] }]);
  expect((await storage.read("m"))!.metadata).toEqual({ memvid: "mine", title: 5, tags: [1, "t"] });
  await expect(mv.view(0)).rejects.toMatchObject({ code: "MV010" });
  await expect(mv.remove(0)).rejects.toMatchObject({ code: "MV010" });
  await expect(mv.viewByUri("mv2://frames/0")).rejects.toMatchObject({ code: "MV010" });
  expect(await mv.put({ text: "next" })).toBe("2");
  expect(await mv.stats()).toMatchObject({ frame_count: 2, active_frame_count: 2 });
});

import { create, open } from "holdfast/memvid";
import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { tempDatabase } from "../support/temp.js";

test("three processes that put 50 frames each, into a file that none of them has made yet, give 150", async () => {
  await using db = await tempDatabase("shared.mv2");
  const names = ["a", "b", "c"];
  const reports = await Promise.all(
    names.map((name) => runChild<{ ids: string[] }>("memvid-puts", { path: db.path, name, count: 50 })),
  );
  await using mv = await open(db.path);
  expect(await mv.stats()).toMatchObject({ frame_count: 150, active_frame_count: 150 });
  const ids = reports.flatMap((report) => report.ids).map(Number);
  expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 150 }, (_, i) => i));
  for (const [index, name] of names.entries()) {
    for (const [i, id] of reports[index]!.ids.entries()) expect(await mv.view(id)).toBe(`frame ${i} of ${name}`);
  }
  expect((await mv.find("frame", { k: 150 })).hits).toHaveLength(150);
});

test("a thousand single puts, awaited or all at once, are all there", async () => {
  await using db = await tempDatabase("many.mv2");
  const mv = await create(db.path);
  for (let i = 0; i < 500; i++) expect(await mv.put({ title: `n${i}`, text: `awaited note ${i}` })).toBe(String(i));
  const ids = await Promise.all(
    Array.from({ length: 500 }, (_, i) => mv.put({ title: `c${i}`, text: `hurried note ${i}` })),
  );
  expect(new Set(ids).size).toBe(500);
  await mv.seal();
  const again = await open(db.path);
  expect((await again.stats()).frame_count).toBe(1000);
  expect((await again.find("note", { k: 1 })).total_hits).toBe(1000);
  expect((await again.timeline()).map(({ frame_id }) => frame_id)).toHaveLength(1000);
  for (const [i, id] of ids.entries()) expect(await again.view(id)).toBe(`hurried note ${i}`);
  await again.close();
});

test("an error of putMany says which document it is about", async () => {
  await using db = await tempDatabase("index.mv2");
  await using mv = await create(db.path);
  await mv.put({ text: "first", embedding: [1, 0] });
  const good = { text: "good" };
  for (const bad of [{ text: "a\0b" }, { text: "x", metadata: { a: "\0" } }, { text: "x", embedding: [1, 0, 0] }]) {
    const error = await mv.putMany([good, bad]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ index: 1, message: expect.stringContaining("at index 1") });
  }
});

test("puts that share a commit fail each for itself", async () => {
  await using db = await tempDatabase("mixed.mv2");
  await using mv = await create(db.path);
  await mv.put({ text: "first", embedding: [1, 0] });
  const puts = Array.from({ length: 20 }, (_, i) =>
    mv.put({ text: `n${i}`, embedding: i % 5 === 0 ? [1, 0, 0] : [0, 1] }),
  );
  const bad = Array.from({ length: 3 }, () => mv.put({ text: "x", embedding: [Number.NaN, 0] }));
  const results = await Promise.allSettled([...puts, ...bad]);
  expect(results.map(({ status }) => status)).toEqual([
    ...puts.map((_, i) => (i % 5 === 0 ? "rejected" : "fulfilled")),
    ...bad.map(() => "rejected"),
  ]);
  expect(results[0]).toMatchObject({ reason: { code: "MV014" } });
  expect(results[20]).toMatchObject({ reason: { code: "MV999" } });
  expect((await mv.stats()).frame_count).toBe(17);
  for (const [i, result] of results.entries()) {
    if (result.status === "fulfilled") expect(await mv.view(result.value)).toBe(`n${i}`);
  }
});

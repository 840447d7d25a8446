import { expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

test("a full database rejects with FULL the writes that it does not store, and works again when there is room", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await memories.insert({ id: "before", content: "x" });
  const pages = Number((await temp.storage.client.execute("PRAGMA page_count")).rows[0]![0]);
  await temp.storage.client.execute(`PRAGMA max_page_count = ${pages + 8}`);
  const content = "word ".repeat(1500);
  const settled = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => memories.insert({ id: `m${i}`, content })),
  );
  const stored = settled.flatMap(({ status }, i) => (status === "fulfilled" ? [`m${i}`] : []));
  expect(stored.length).toBeLessThan(20);
  for (const outcome of settled) {
    if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ name: "StorageError", code: "FULL" });
  }
  expect(
    await rejection(
      memories.insertMany([
        { id: "a", content },
        { id: "b", content: content.repeat(10) },
      ]),
    ),
  ).toMatchObject({
    code: "FULL",
  });
  expect((await memories.list()).items.map(({ id }) => id).sort()).toEqual(["before", ...stored].sort());
  await temp.storage.client.execute("PRAGMA max_page_count = 1000000");
  await memories.insert({ id: "after", content });
  expect(await memories.search("word", { limit: 50 })).toHaveLength(stored.length + 1);
  expect((await temp.storage.client.execute("PRAGMA integrity_check")).rows[0]![0]).toBe("ok");
});

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { openStorage, PruneError } from "holdfast";
import { expect, test } from "vitest";
import { holdfast } from "../support/cli.js";
import { rejection } from "../support/clients.js";
import { tempFileStorage } from "../support/storage.js";

test("an import stores records of other projects in the one that is named, and they are whole there", async () => {
  await using home = await tempFileStorage();
  const { storage, db } = home;
  const a = storage.project("a");
  await a.memories.insert({ id: "m", content: "about zebras" });
  await a.conversations.insert({ id: "c", messages: [{ role: "user", content: "a zebra?" }] });
  await storage.project("other").memories.insert({ id: "o", content: "zebras too" });
  const lines = await text(storage.export());
  expect(await storage.import(lines, { project: "a", intoProject: "b" })).toMatchObject({ inserted: 2, skipped: 0 });
  const b = storage.project("b");
  expect(await b.memories.search("zebras")).toHaveLength(1);
  expect(await b.conversations.search("zebra")).toHaveLength(1);
  expect(await a.memories.count()).toBe(1);
  const { findings } = await storage.check({ deep: true });
  expect(findings.filter(({ severity }) => severity !== "info")).toEqual([]);
  expect(await rejection(storage.import(lines, { intoProject: "" }))).toBeInstanceOf(RangeError);
  const file = join(db.dir, "all.jsonl");
  writeFileSync(file, lines);
  const into = await holdfast(["import", file, "--into-project", "c", "--json", "--url", db.path]);
  expect(JSON.parse(into.stdout)).toMatchObject({ inserted: 3 });
  const none = await holdfast(["import", file, "--project", "typo", "--url", db.path]);
  expect(none.stderr).toContain("--into-project");
});

test("a prune that fails half-way says what it has removed", async () => {
  await using storage = await openStorage(":memory:");
  await storage.memories.insertMany(Array.from({ length: 30 }, (_, i) => ({ id: `m${i}`, content: "x" })));
  await storage.client.execute(
    "CREATE TRIGGER keep BEFORE DELETE ON memories WHEN old.id = 'm25' BEGIN SELECT RAISE(ABORT, 'kept'); END",
  );
  // Each step ends as soon as it can.
  const failed = await rejection(storage.prune({ maxRows: 0, onProgress: () => undefined }));
  const left = await storage.memories.count();
  const removed = failed instanceof PruneError ? failed.removed.reduce((sum, { rows }) => sum + rows, 0) : 0;
  expect(removed + left).toBe(30);
  expect(left).toBeGreaterThan(0);
});

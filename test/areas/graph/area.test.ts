import { text } from "node:stream/consumers";
import type { Storage } from "holdfast";
import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

async function fill(storage: Storage): Promise<void> {
  for (const project of ["default", "other"]) {
    const { graph } = storage.project(project);
    await graph.addNodes([
      { id: "a", kind: "file", name: "a.ts", data: JSON.parse('{"__proto__":1,"n":0.1}'), labels: ["x", "entry"] },
      { id: "b", kind: "file", name: "b.ts" },
      { id: "edge e1", kind: "odd", name: "named like an edge" },
    ]);
    await graph.addEdges([
      { id: "e1", from: "a", to: "b", type: "imports", weight: 0.1, data: { line: 3 } },
      { id: "a", from: "a", to: "b", type: "imports", parallel: true },
      { id: "e3", from: "b", to: "b", type: "calls" },
    ]);
  }
}

async function dump(storage: Storage): Promise<string> {
  const lines = await text(storage.export());
  return lines.slice(lines.indexOf("\n"));
}

test("an export of graphs, imported elsewhere, gives the same nodes, labels and edges, parallel ones too", async () => {
  await using source = await tempStorage();
  await fill(source.storage);
  await using target = await tempStorage();
  expect(await target.storage.import(source.storage.export())).toMatchObject({ inserted: 12 });
  expect(await dump(target.storage)).toBe(await dump(source.storage));
  for (const project of ["default", "other"]) {
    const [before, after] = [source, target].map(({ storage }) => storage.project(project).graph);
    expect(await after!.subgraph(["a", "b"])).toEqual(await before!.subgraph(["a", "b"]));
  }
  expect(await target.storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("an import that replaces nodes keeps edges that it does not know of", async () => {
  await using target = await tempStorage();
  await using source = await tempStorage();
  await source.storage.graph.addNode({ id: "a", kind: "file", name: "renamed", labels: ["new"] });
  await fill(target.storage);
  const replacing = target.storage.import(source.storage.export(), { onConflict: "replace" });
  expect(await replacing).toMatchObject({ replaced: 1 });
  expect(await target.storage.graph.getNode("a")).toMatchObject({ name: "renamed", labels: ["new"] });
  expect((await target.storage.graph.subgraph(["a", "b"])).edges).toHaveLength(3);
});

test("an import that replaces puts parallel edges back as they were", async () => {
  await using target = await tempStorage();
  const { storage } = target;
  const { graph } = storage;
  await graph.addNodes(["a", "b", "c"].map((id) => ({ id, kind: "k", name: id })));
  for (const id of ["1", "2", "3"]) await graph.addEdge({ id, from: "a", to: "b", type: "t", parallel: true });
  const edges = async () => (await graph.subgraph(["a", "b", "c"])).edges;
  const before = [await edges(), await text(storage.export())] as const;
  const replace = { onConflict: "replace" } as const;
  expect(await storage.import(before[1], replace)).toMatchObject({ inserted: 0, replaced: 6 });
  expect(await edges()).toEqual(before[0]);
  await graph.deleteEdge("1");
  await graph.addEdge({ id: "1", from: "b", to: "c", type: "u", weight: 2 });
  expect(await storage.import(before[1], replace)).toMatchObject({ inserted: 0, replaced: 6 });
  expect(await edges()).toEqual(before[0]);
  expect(await graph.bfs("a")).toEqual(["a", "b"]);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("an edge whose nodes are missing refuses the import", async () => {
  await using source = await tempStorage();
  await fill(source.storage);
  const lines = (await text(source.storage.export({ project: "other" }))).trim().split("\n");
  const header = JSON.parse(lines[0]!);
  const edges = lines.filter((line) => line.includes('"edge":'));
  const only = [JSON.stringify({ ...header, counts: { graph: edges.length } }), ...edges].join("\n");
  await using target = await tempStorage();
  expect(await rejection(target.storage.import(only))).toMatchObject({ name: "StorageError", line: 2 });
});

test("prune takes nodes with their edges only where the graph is named", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await fill(storage);
  expect(await storage.prune({ maxRows: 0 })).toMatchObject({ removed: [] });
  const dry = await storage.prune({ maxRows: 1, area: "graph", project: "other", dryRun: true });
  expect(dry.removed).toEqual([{ project: "other", area: "graph", rows: 2 }]);
  expect(await storage.prune({ maxRows: 1, area: "graph", project: "other" })).toEqual({ ...dry, dryRun: false });
  expect(await storage.project("other").graph.subgraph(["a", "b"])).toMatchObject({ edges: [] });
  expect((await storage.graph.subgraph(["a", "b"])).edges).toHaveLength(3);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

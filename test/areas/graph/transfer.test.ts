import { Readable } from "node:stream";
import { MultiDirectedGraph } from "graphology";
import { type GraphRepository, openStorage } from "holdfast";
import { expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

async function linesOf(graph: GraphRepository): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of graph.export()) lines.push(line);
  return lines;
}

/** More nodes and edges than one page, with all that a record can hold. */
async function fill(graph: GraphRepository): Promise<void> {
  await graph.addNodes(
    Array.from({ length: 700 }, (_, i) => ({
      id: `n${i} "\u{2028}😀`,
      kind: "k",
      name: "a\nb",
      data: { i },
      labels: i % 2 === 0 ? ["even", "x"] : [],
      createdAt: new Date(i),
    })),
  );
  const id = (i: number) => `n${i % 700} "\u{2028}😀`;
  await graph.addEdges(
    Array.from({ length: 1500 }, (_, i) => ({
      id: `e${i}`,
      from: id(i),
      to: id(i * 7),
      type: i % 2 === 0 ? "a" : "b",
      weight: i / 3,
      data: { i },
      parallel: true,
    })),
  );
}

test("an export is imported as it was, from lines, text and streams, into another project and another file", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await fill(storage.graph);
  const lines = await linesOf(storage.graph);
  expect(lines).toHaveLength(2200);
  const text = lines.join("\n");
  const bytes = Buffer.from(text);
  const cut = Array.from({ length: Math.ceil(bytes.length / 1001) }, (_, i) =>
    bytes.subarray(i * 1001, (i + 1) * 1001),
  );
  const sources = [
    lines,
    text,
    `${text.replaceAll("\n", "\r\n")}\r\n\n`,
    Readable.from(cut),
    Readable.from(cut).setEncoding("utf8"),
    Readable.toWeb(Readable.from(cut)) as unknown as ReadableStream<Uint8Array>,
    storage.graph.export(),
  ];
  for (const [index, source] of sources.entries()) {
    const { graph } = storage.project(`copy-${index}`);
    expect(await graph.import(source)).toEqual({ nodes: 700, edges: 1500 });
    expect(await linesOf(graph)).toEqual(lines);
  }
  // One connection reads and writes there.
  await using memory = await openStorage(":memory:");
  await memory.graph.import(lines);
  await memory.project("b").graph.import(memory.graph.export());
  expect(await linesOf(memory.project("b").graph)).toEqual(lines);
});

test("a wrong line rejects with its number, and nothing of the import is stored", async () => {
  await using temp = await tempStorage();
  const { graph } = temp.storage.project("target");
  await fill(temp.storage.graph);
  const lines = await linesOf(temp.storage.graph);
  let told = 0;
  temp.storage.on("change", () => told++);
  const wrong: [number, string][] = [
    [1, "{broken"],
    [650, "[]"],
    [700, JSON.stringify({ node: { id: "x", kind: " ", name: "n" } })],
    [701, JSON.stringify({ edge: { id: "x", from: "missing", to: "missing", type: "t" } })],
    [1999, JSON.stringify({ edge: { id: "e3", from: "n1", to: "n2", type: "t", weight: -1 } })],
    [2150, lines[900]!],
    [2200, JSON.stringify({ node: {}, edge: {} })],
  ];
  for (const [line, text] of wrong) {
    const error = await rejection(graph.import(lines.with(line - 1, text)));
    expect(error).toMatchObject({ code: "INVALID_IMPORT", line, retryable: false });
    expect(error).toHaveProperty("cause");
    expect(await graph.kinds()).toEqual([]);
  }
  await graph.addNode({ id: JSON.parse(lines[5]!).node.id, kind: "k", name: "here before" });
  expect(await rejection(graph.import(lines))).toMatchObject({
    code: "INVALID_IMPORT",
    line: 6,
    cause: { code: "CONFLICT" },
  });
  expect(told).toBe(1);
  for (const source of [7, null, {}]) expect(await rejection(graph.import(source as never))).toBeInstanceOf(TypeError);
  const failing = async function* () {
    yield lines[0]!;
    yield lines[1]!;
    throw new Error("the source broke");
  };
  expect(await rejection(graph.import(failing()))).toMatchObject({ message: "the source broke" });
  expect(await graph.kinds()).toEqual([{ kind: "k", count: 1 }]);
});

test("a text may start with a byte order mark; bytes that are not UTF-8 reject with their line", async () => {
  await using temp = await tempStorage();
  const { graph } = temp.storage;
  const node = (id: string) => JSON.stringify({ node: { id, kind: "k", name: "n" } });
  expect(await graph.import(`\uFEFF${node("a")}\n`)).toEqual({ nodes: 1, edges: 0 });
  const broken = [Buffer.from(`${node("b")}\n`), Buffer.from([0xff, 0x0a])];
  expect(await rejection(graph.import(broken))).toMatchObject({ code: "INVALID_IMPORT", line: 2 });
  expect(await graph.kinds()).toEqual([{ kind: "k", count: 1 }]);
});

test("an export is a snapshot that later writes do not change, and releases its connection", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await fill(storage.graph);
  const expected = await linesOf(storage.graph);
  const lines: string[] = [];
  for await (const line of storage.graph.export()) {
    if (lines.length % 400 === 0) await storage.graph.deleteEdge(`e${lines.length}`);
    if (lines.length === 600) await storage.purgeProject("default");
    lines.push(line);
  }
  expect(lines).toEqual(expected);
  await fill(storage.graph);
  for await (const _ of storage.graph.export()) break;
  // The engine may be running a checkpoint.
  const active = async () => (await storage.stats()).client?.pool.active ?? 0;
  await expect.poll(active, { timeout: 10_000 }).toBe(0);
});

test("an import in a transaction is undone with it, and sees the nodes that were added before", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const edge = JSON.stringify({ edge: { from: "a", to: "b", type: "t" } });
  await storage
    .transaction(async (tx) => {
      await tx.graph.addNodes(["a", "b"].map((id) => ({ id, kind: "k", name: id })));
      expect(await tx.graph.import(edge)).toEqual({ nodes: 0, edges: 1 });
      expect(await rejection(tx.graph.import(edge))).toMatchObject({ code: "INVALID_IMPORT", line: 1 });
      expect(await tx.graph.edgeTypes()).toEqual([{ type: "t", count: 1 }]);
      throw new Error("undo");
    })
    .catch(() => undefined);
  expect(await storage.graph.kinds()).toEqual([]);
});

test("graphology gets the whole graph with its attributes", async () => {
  await using temp = await tempStorage();
  const { graph } = temp.storage;
  await fill(graph);
  const copy = await graph.toGraphology(MultiDirectedGraph);
  expect([copy.order, copy.size]).toEqual([700, 1500]);
  const node = await graph.requireNode('n4 "\u{2028}😀');
  const { id, ...attributes } = node;
  expect(copy.getNodeAttributes(id)).toEqual(attributes);
  const { id: key, from, to, ...rest } = await graph.requireEdge("e4");
  expect([copy.source(key), copy.target(key)]).toEqual([from, to]);
  expect(copy.getEdgeAttributes(key)).toEqual(rest);
  expect(await rejection(graph.toGraphology({} as never))).toBeInstanceOf(TypeError);
});

import { eq } from "drizzle-orm";
import { type GraphRepository, openStorage, type Storage, type StorageOptions } from "holdfast";
import { graphEdges } from "holdfast/schema";
import { expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { seededRandom } from "../../support/random.js";
import { fileTest, tempFileStorage, tempStorage, testTarget } from "../../support/storage.js";

/** Every traversal that a query can answer as well, from every node. */
async function answers(graph: GraphRepository, ids: readonly string[]): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const id of ids) {
    for (const direction of ["out", "in", "both"] as const) {
      for (const types of [undefined, ["b", "é"], []]) {
        all.push(await graph.neighbors(id, { direction, types }));
        all.push(await graph.bfs(id, { direction, types }));
        for (const depth of [0, 1, 2, 3, 5]) all.push(await graph.kHop(id, depth, { direction, types }));
        all.push(await graph.hasPath(id, ids[0]!, undefined, { direction, types }));
        all.push(await graph.hasPath(id, ids[1]!, 4, { direction, types }));
      }
      all.push(await graph.chain(id, [{ direction }, { direction, type: "b" }, {}]));
    }
  }
  return all;
}

fileTest("the graph in memory answers as recursive queries do, with other handles writing in between", async () => {
  const random = seededRandom("graph cache");
  // Handles on a replica see each other's writes only after a sync, so the answers of two could differ.
  await using temp = await tempFileStorage();
  const { storage } = temp;
  await using other = await openStorage({ url: temp.db.url });
  await using uncached = await openStorage({ url: temp.db.url, graphCacheBytes: 0 });
  const ids = ["ab", "b", "z", "\u{fffd}", "😀", "é", "A", "a'b", "10", "9"];
  await storage.graph.addNodes(ids.map((id) => ({ id, kind: "k", name: id })));
  const types = ["a", "b", "é"];
  const writers: Storage[] = [storage, other, uncached];
  for (let round = 0; round < 25; round++) {
    const { graph } = random.pick(writers);
    const [from, to, type] = [random.pick(ids), random.pick(ids), random.pick(types)];
    const { items } = await graph.edges({ limit: 1000 });
    switch (random.below(items.length > 15 ? 8 : 4)) {
      case 5:
        await graph.deleteEdge(random.pick(items).id);
        break;
      case 6:
        await graph.updateEdge(random.pick(items).id, { weight: random.next() });
        break;
      case 7: {
        await graph.deleteNode(from);
        await graph.addNode({ id: from, kind: "k", name: "again" });
        break;
      }
      default:
        await graph.addEdge({ from, to, type, parallel: true, weight: random.below(4) });
        await graph.addEdge({ from: to, to: random.pick(ids), type, parallel: true });
    }
    const expected = await answers(uncached.graph, ids);
    expect(await answers(storage.graph, ids)).toEqual(expected);
  }
});

const chainOf = (ids: readonly string[]) =>
  ids.slice(1).map((to, i) => ({ id: `e${i}`, from: ids[i]!, to, type: "t" }));

/** A storage with the chain a → b → c, read into memory. */
async function warmStorage(options: StorageOptions = {}) {
  const temp = await tempStorage(options);
  const { graph } = temp.storage;
  await graph.addNodes(["a", "b", "c", "d"].map((id) => ({ id, kind: "k", name: id })));
  await graph.addEdges(chainOf(["a", "b", "c"]));
  expect(await graph.bfs("a")).toEqual(["a", "b", "c"]);
  return temp;
}

test("a warm traversal runs one statement", async () => {
  await using temp = await warmStorage();
  const { client, graph } = temp.storage;
  const seen: unknown[] = [];
  const { execute } = client;
  client.execute = ((statement: never) => {
    seen.push(statement);
    return execute.call(client, statement);
  }) as never;
  client.batch = () => Promise.reject(new Error("no batch is needed"));
  expect(await graph.bfs("a")).toEqual(["a", "b", "c"]);
  expect(await graph.neighbors("a")).toEqual(["b"]);
  expect(await graph.kHop("a", 2, { direction: "both" })).toEqual(["b", "c"]);
  expect(seen).toHaveLength(3);
});

/** What others have committed is in a replica once it was fetched. */
async function fetched(storage: Storage): Promise<void> {
  if (testTarget === "replica") await storage.sync();
}

test("the next traversal sees the commits of another process", async () => {
  await using temp = await warmStorage();
  const { graph } = temp.storage;
  await using child = startChild("graph-writer", { path: temp.db.url });
  await child.message<{ ready?: true }>(({ ready }) => ready === true);
  child.send({ add: { id: "new", from: "c", to: "d", type: "t" } });
  await child.message<{ done?: string }>(({ done }) => done === "new");
  await fetched(temp.storage);
  expect(await graph.bfs("a")).toEqual(["a", "b", "c", "d"]);
  child.send({ remove: "e0" });
  await child.message<{ done?: string }>(({ done }) => done === "e0");
  await fetched(temp.storage);
  expect(await graph.bfs("a")).toEqual(["a"]);
});

test("manual SQL is seen: through db, client, and a rebuilt file", async () => {
  await using temp = await warmStorage();
  const { storage } = temp;
  const reach = () => storage.graph.bfs("a");
  await storage.db.delete(graphEdges).where(eq(graphEdges.id, "e1"));
  expect(await reach()).toEqual(["a", "b"]);
  await storage.client.execute("update graph_edges set to_row = (select row_id from graph_nodes where id = 'd')");
  expect(await reach()).toEqual(["a", "d"]);
  await storage.client.execute("update graph_nodes set id = 'z' where id = 'd'");
  expect(await reach()).toEqual(["a", "z"]);
  // A server refuses VACUUM.
  if (storage.client.protocol === "file" && process.env.HOLDFAST_TEST_TARGET === undefined)
    await storage.client.execute("VACUUM");
  expect(await reach()).toEqual(["a", "z"]);
  expect(await storage.purgeProject("default")).toBe(5);
  expect(await rejection(reach())).toMatchObject({ code: "NOT_FOUND" });
});

test("a transaction sees its own writes and its snapshot, and leaves nothing in memory when rolled back", async () => {
  await using temp = await warmStorage();
  const { storage } = temp;
  await storage
    .transaction(async (tx) => {
      await tx.graph.addEdge({ from: "c", to: "d", type: "t" });
      expect(await tx.graph.bfs("a")).toEqual(["a", "b", "c", "d"]);
      expect((await tx.graph.shortestPath("a", "d"))?.ids).toEqual(["a", "b", "c", "d"]);
      // Other handles see the committed state.
      expect(await storage.graph.bfs("a")).toEqual(["a", "b", "c"]);
      expect(await tx.graph.bfs("a")).toEqual(["a", "b", "c", "d"]);
      throw new Error("undo");
    })
    .catch((error: Error) => expect(error.message).toBe("undo"));
  expect(await storage.graph.bfs("a")).toEqual(["a", "b", "c"]);
  await storage.transaction(
    async (tx) => {
      expect(await tx.graph.bfs("a")).toEqual(["a", "b", "c"]);
      await using other = await openStorage(temp.db.url);
      await other.graph.deleteEdge("e0");
      expect(await other.graph.bfs("a")).toEqual(["a"]);
      expect(await tx.graph.bfs("a")).toEqual(["a", "b", "c"]);
    },
    { mode: "read" },
  );
  await fetched(storage);
  expect(await storage.graph.bfs("a")).toEqual(["a"]);
});

test("a graph beyond graphCacheBytes is asked by query, and whole-graph calls still answer", async () => {
  await using temp = await warmStorage({ graphCacheBytes: 100 });
  const { client, graph } = temp.storage;
  const seen: string[] = [];
  const { execute } = client;
  client.execute = ((statement: { sql: string }) => {
    seen.push(statement.sql);
    return execute.call(client, statement as never);
  }) as never;
  expect(await graph.bfs("a")).toEqual(["a", "b", "c"]);
  expect(await graph.bfs("a", { direction: "both", depth: 2 })).toEqual(["a", "b", "c"]);
  expect(seen.filter((sql) => sql.includes("recursive"))).toHaveLength(2);
  expect((await graph.shortestPath("a", "c"))?.ids).toEqual(["a", "b", "c"]);
  expect(await graph.components()).toEqual([["a", "b", "c"], ["d"]]);
  expect(await rejection(openStorage({ url: ":memory:", graphCacheBytes: -1 }))).toBeInstanceOf(RangeError);
  expect(await rejection(openStorage({ url: ":memory:", graphCacheBytes: "1" as never }))).toBeInstanceOf(TypeError);
});

fileTest("a graph that changes while it is read in pieces is read again", async () => {
  await using temp = await tempFileStorage({ durability: "relaxed" });
  const { graph, client } = temp.storage;
  await graph.addNodes(Array.from({ length: 400 }, (_, i) => ({ id: `n${i}`, kind: "k", name: "n" })));
  await graph.addEdges(
    Array.from({ length: 70_000 }, (_, i) => ({
      from: `n${i % 400}`,
      to: `n${(i * 7) % 400}`,
      type: "a",
      parallel: true,
    })),
  );
  await graph.addNode({ id: "last", kind: "k", name: "n" });
  // Between two pieces, a node is added whose id is among those that were read already, and an edge.
  const batch = client.batch.bind(client);
  let pieces = 0;
  client.batch = (async (...args: Parameters<typeof batch>) => {
    const result = await batch(...args);
    if (++pieces === 3) {
      await client.execute(
        "insert into graph_nodes (project, id, kind, name, data, created_at, updated_at) values ('default', 'between', 'k', 'n', '{}', 0, 0)",
      );
      await client.execute(
        "insert into graph_edges (project, id, from_row, to_row, type, copy, weight, data) select 'default', 'e-between', row_id, (select row_id from graph_nodes where id = 'last'), 'zz', 0, 1, '{}' from graph_nodes where id = 'between'",
      );
    }
    return result;
  }) as typeof batch;
  const components = await graph.components();
  client.batch = batch as typeof client.batch;
  expect(pieces).toBeGreaterThan(3);
  expect(components).toContainEqual(["between", "last"]);
});

// A replica reads its own file, as the file does.
test.skipIf(testTarget === "replica")("a graph read in pieces is the graph that was read as a whole", async () => {
  const random = seededRandom("pieces");
  await using temp = await tempStorage({ durability: "relaxed" });
  const { graph } = temp.storage;
  const count = 600;
  await graph.addNodes(Array.from({ length: count }, (_, i) => ({ id: `n${i}`, kind: "k", name: "n" })));
  const out = new Map<string, Set<string>>();
  const seen = new Set<string>();
  // More than are read at once, of three types, and one node with more edges than all others.
  const edges = Array.from({ length: 80_000 }, (_, i) => {
    const from = `n${i % 3 === 0 ? 7 : random.below(count)}`;
    return { from, to: `n${random.below(count)}`, type: random.pick(["a", "b", "c"]), weight: 1 + random.below(3) };
  }).filter(({ from, to, type }) => {
    const key = `${from} ${to} ${type}`;
    return seen.has(key) ? false : seen.add(key);
  });
  await graph.addEdges(edges.map((edge) => ({ ...edge, parallel: false })));
  const more = edges.slice(0, 30_000).map((edge) => ({ ...edge, parallel: true }));
  await graph.addEdges(more);
  for (const { from, to } of edges) out.set(from, (out.get(from) ?? new Set()).add(to));
  expect(edges.length + more.length).toBeGreaterThan(65_536);
  await graph.bfs("n0");
  for (const [id, targets] of out) expect(await graph.neighbors(id)).toEqual([...targets].sort());
  const { items } = await graph.edges({ from: "n7", limit: 5000 });
  const ranks = await graph.rankedBy("out", { limit: 1 });
  expect(ranks).toEqual([{ id: "n7", score: items.length }]);
});

import { type GraphRepository, openStorage, type Storage } from "holdfast";
import { expect, test } from "vitest";
import { seededRandom } from "../support/random.js";
import { tempStorage } from "../support/storage.js";

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

test("the graph in memory answers as recursive queries do, with other handles writing in between", async () => {
  const random = seededRandom("graph cache");
  await using temp = await tempStorage();
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

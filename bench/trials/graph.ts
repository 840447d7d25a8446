import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MultiDirectedGraph } from "graphology";
import { openStorage, type Storage } from "../../src/storage/storage.js";
import { meanMicros, millis, type Trial, type TrialContext } from "../trial.js";

interface TestGraph {
  readonly ids: readonly string[];
  readonly edges: readonly (readonly [string, string])[];
}

/** Creates the same graph each time: every node has the same number of edges, to nodes that a fixed sequence picks. */
function randomGraph(nodes: number, edgesPerNode: number): TestGraph {
  const ids = Array.from({ length: nodes }, (_, i) => `node-${i}`);
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * nodes);
  };
  const edges = new Map<string, readonly [string, string]>();
  for (const from of ids) {
    for (let count = 0; count < edgesPerNode; ) {
      const edge = [from, ids[next()]!] as const;
      const key = edge.join(" ");
      if (edges.has(key)) continue;
      edges.set(key, edge);
      count++;
    }
  }
  return { ids, edges: [...edges.values()] };
}

const toNode = (id: string) => ({ id, kind: "function", name: id });
const toEdge = ([from, to]: readonly [string, string]) => ({ from, to, type: "calls" });

async function open({ folder }: TrialContext, { ids, edges }: TestGraph): Promise<Storage> {
  const storage = await openStorage(join(folder, "graph.db"));
  await storage.graph.addNodes(ids.map(toNode));
  await storage.graph.addEdges(edges.map(toEdge));
  return storage;
}

function inMemory({ ids, edges }: TestGraph) {
  const graph = new MultiDirectedGraph();
  for (const id of ids) graph.addNode(id);
  for (const [from, to] of edges) graph.addEdge(from, to);
  return graph;
}

/** Breadth-first search with a queue and a set, as users of graphology write it. Ends at `end`, or below `depth`. */
function bfsInMemory(graph: MultiDirectedGraph, start: string, { depth = Infinity, end = "" } = {}): string[] {
  const found = new Map([[start, 0]]);
  for (const [node, level] of found) {
    if (node === end || level >= depth) break;
    graph.forEachOutNeighbor(node, (next) => {
      if (!found.has(next)) found.set(next, level + 1);
    });
  }
  return [...found.keys()];
}

function bfsTrial(nodes: number, edgesPerNode: number, count: number): Trial {
  const size = `${nodes.toLocaleString("en")} nodes and ${(nodes * edgesPerNode).toLocaleString("en")} edges`;
  return {
    title: `a breadth-first search over ${size}; cold is the first one of an open file, including reading the graph`,
    unit: "ms",
    contenders: {
      "holdfast warm": async (context) => {
        const { graph } = await open(context, randomGraph(nodes, edgesPerNode));
        return (await meanMicros(() => graph.bfs("node-0"), { count })) / 1000;
      },
      "holdfast cold": async (context) => {
        const storage = await open(context, randomGraph(nodes, edgesPerNode));
        await storage.close();
        const { graph } = await openStorage(join(context.folder, "graph.db"));
        return millis(() => graph.bfs("node-0"));
      },
      "recursive query": async (context) => {
        await (await open(context, randomGraph(nodes, edgesPerNode))).close();
        const { graph } = await openStorage({ url: join(context.folder, "graph.db"), graphCacheBytes: 0 });
        return (await meanMicros(() => graph.bfs("node-0"), { count: 5, warmup: 1 })) / 1000;
      },
      graphology: async () => {
        const graph = inMemory(randomGraph(nodes, edgesPerNode));
        return (await meanMicros(() => bfsInMemory(graph, "node-0"), { count })) / 1000;
      },
    },
  };
}

export const graphBfsSmall = bfsTrial(1_000, 5, 500);
export const graphBfs = bfsTrial(10_000, 5, 50);

/** Measures one small query on many nodes. */
function questionTrial(
  title: string,
  ask: (graph: Storage["graph"], id: string) => Promise<unknown>,
  askInMemory: (graph: MultiDirectedGraph, id: string) => unknown,
): Trial {
  const test = () => randomGraph(10_000, 5);
  return {
    title: `${title}, warm, over 10,000 nodes and 50,000 edges`,
    unit: "µs",
    contenders: {
      holdfast: async (context) => {
        const { graph } = await open(context, test());
        await graph.bfs("node-0");
        return meanMicros((i) => ask(graph, `node-${(i * 7) % 10_000}`), { count: 5000 });
      },
      graphology: async () => {
        const graph = inMemory(test());
        return meanMicros((i) => askInMemory(graph, `node-${(i * 7) % 10_000}`), { count: 5000 });
      },
    },
  };
}

export const graphNeighbors = questionTrial(
  "neighbours",
  (graph, id) => graph.neighbors(id),
  (graph, id) => graph.outNeighbors(id).sort(),
);

export const graphKHop = questionTrial(
  "nodes within 2 edges",
  (graph, id) => graph.kHop(id, 2),
  (graph, id) => bfsInMemory(graph, id, { depth: 2 }),
);

export const graphPath = questionTrial(
  "a shortest path with its edges (graphology: a search up to its end)",
  (graph, id) => graph.shortestPath("node-0", id),
  (graph, id) => bfsInMemory(graph, "node-0", { end: id }),
);

export const graphInserts: Trial = {
  title: "1,000 nodes inserted: in one call, and awaited one by one",
  unit: "ms",
  isCases: true,
  contenders: {
    "one call": async ({ folder }) => {
      const { graph } = await openStorage(join(folder, "graph.db"));
      const nodes = randomGraph(1000, 0).ids.map(toNode);
      return millis(() => graph.addNodes(nodes));
    },
    "one by one": async ({ folder }) => {
      const { graph } = await openStorage(join(folder, "graph.db"));
      const nodes = randomGraph(1000, 0).ids.map(toNode);
      return millis(async () => {
        for (const node of nodes) await graph.addNode(node);
      });
    },
  },
};

export const graphBulk: Trial = {
  title: "a call of addEdges with 50,000 edges among 10,000 nodes",
  unit: "edges/s",
  isMoreBetter: true,
  contenders: {
    holdfast: async (context) => {
      const { ids, edges } = randomGraph(10_000, 5);
      const { graph } = await open(context, { ids, edges: [] });
      const inputs = edges.map(toEdge);
      return (inputs.length / (await millis(() => graph.addEdges(inputs)))) * 1000;
    },
  },
};

export const graphFacebook: Trial = {
  title: "SNAP ego-Facebook, 4,039 nodes and 88,234 edges: loading it, then a search in both directions",
  unit: "ms",
  isCases: true,
  data: "facebook_combined.txt",
  contenders: {
    "loading it": (context) => millis(async () => open(context, readFacebook())),
    "searching it cold": async (context) => {
      await (await open(context, readFacebook())).close();
      const { graph } = await openStorage(join(context.folder, "graph.db"));
      return millis(() => graph.bfs("0", { direction: "both" }));
    },
    "searching it warm": async (context) => {
      const { graph } = await open(context, readFacebook());
      return (await meanMicros(() => graph.bfs("0", { direction: "both" }), { count: 50 })) / 1000;
    },
  },
};

function readFacebook(): TestGraph {
  const lines = readFileSync(join(process.env.HOLDFAST_TEST_DATA!, "facebook_combined.txt"), "utf8").split("\n");
  const edges = lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(" ") as [string, string]);
  return { ids: [...new Set(edges.flat())], edges };
}

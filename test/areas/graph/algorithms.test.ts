import type { GraphEdgeInput, Project } from "holdfast";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareCodePoints } from "../../../src/areas/graph/algorithms/code-points.js";
import { rejection } from "../../support/clients.js";
import { type Random, seededRandom } from "../../support/random.js";
import { repeated, type TempStorage, tempStorage } from "../../support/storage.js";

/** Ids whose order by code point is not that of JavaScript. */
const IDS = ["10", "9", "A", "a", "b", "é", "\u{fffd}", "😀"];

let temp: TempStorage;
beforeAll(async () => {
  temp = await tempStorage();
});
afterAll(() => temp[Symbol.asyncDispose]());

let graphs = 0;

/** A graph of its own, in a project of its own. */
async function graphOf(
  edges: readonly (readonly [string, string, number?])[],
  ids: readonly string[] = [],
): Promise<Project> {
  const storage = temp.storage.project(`graph ${++graphs}`);
  const all = [...new Set([...ids, ...edges.map(([from]) => from), ...edges.map(([, to]) => to)])];
  await storage.graph.addNodes(all.map((id) => ({ id, kind: "k", name: id })));
  await storage.graph.addEdges(edges.map(([from, to, weight]) => ({ from, to, type: "t", weight, parallel: true })));
  return storage;
}

/** Asked for at once, as the calls are. */
const rejections = (calls: readonly Promise<unknown>[]) => Promise.all(calls.map(rejection));

function randomEdges(random: Random, count: number): (readonly [string, string, number])[] {
  return Array.from({ length: count }, () => [random.pick(IDS), random.pick(IDS), random.below(3)] as const);
}

/** All simple paths from `a` to `b`, with the least weight of each. */
function simplePaths(edges: readonly (readonly [string, string, number])[], a: string, b: string) {
  const found: { ids: string[]; weight: number }[] = [];
  const extend = (ids: string[], weight: number) => {
    const last = ids.at(-1)!;
    if (last === b) {
      found.push({ ids, weight });
      return;
    }
    for (const next of IDS) {
      if (ids.includes(next)) continue;
      const weights = edges.filter(([from, to]) => from === last && to === next).map(([, , w]) => w);
      if (weights.length > 0) extend([...ids, next], weight + Math.min(...weights));
    }
  };
  extend([a], 0);
  return found;
}

function compareSequences(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareCodePoints(a[index]!, b[index]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

test("texts compare by code point: U+FFFD before an emoji, other than in JavaScript", () => {
  expect("\u{fffd}" < "😀").toBe(false);
  expect(compareCodePoints("\u{fffd}", "😀")).toBeLessThan(0);
  expect(compareCodePoints("a\u{10000}", "a\u{10001}")).toBeLessThan(0);
  expect(compareCodePoints("a", "ab")).toBeLessThan(0);
  expect(compareCodePoints("é", "é")).toBe(0);
});

describe("against a search through all paths", () => {
  test("shortest paths are right, and the smallest sequence among equals, weights of 0 included", async () => {
    const random = seededRandom("shortest paths");
    for (let round = 0; round < 30; round++) {
      const edges = randomEdges(random, 4 + random.below(22));
      const storage = await graphOf(edges, IDS);
      const a = random.pick(IDS);
      const b = random.pick(IDS);
      const paths = simplePaths(edges, a, b);
      for (const weighted of [false, true]) {
        const cost = (path: (typeof paths)[number]) => (weighted ? path.weight : path.ids.length);
        const least = Math.min(...paths.map(cost));
        const expected = paths
          .filter((path) => cost(path) === least)
          .map(({ ids }) => ids)
          .sort(compareSequences)[0];
        const path = await storage.graph.shortestPath(a, b, { weighted });
        expect(path?.ids, JSON.stringify({ edges, a, b, weighted })).toEqual(expected);
        if (path === undefined) continue;
        expect(path.edges.map(({ from }) => from)).toEqual(path.ids.slice(0, -1));
        expect(path.edges.map(({ to }) => to)).toEqual(path.ids.slice(1));
        expect(path.weight).toBe(path.edges.reduce((sum, { weight }) => sum + weight, 0));
        if (weighted) expect(path.weight).toBe(least);
      }
      const back = await storage.graph.shortestPath(b, a, { direction: "in" });
      expect(back?.ids.length).toBe((await storage.graph.shortestPath(a, b))?.ids.length);
      expect(await storage.graph.hasPath(a, b)).toBe(paths.length > 0);
      const depth = random.below(4);
      expect(await storage.graph.hasPath(a, b, depth)).toBe(paths.some(({ ids }) => ids.length - 1 <= depth));
    }
  });

  test("cycles are all found, each once and from its smallest id, and a limit gives the first ones", async () => {
    const random = seededRandom("cycles");
    for (let round = 0; round < 20; round++) {
      const edges = randomEdges(random, 4 + random.below(20));
      const storage = await graphOf(edges, IDS);
      const expected: string[][] = [];
      for (const start of IDS) {
        const closing = edges.filter(([, to]) => to === start).map(([from]) => from);
        for (const end of new Set(closing)) {
          for (const { ids } of simplePaths(edges, start, end)) {
            if (ids.every((id) => compareCodePoints(start, id) <= 0)) expected.push(ids);
          }
        }
      }
      expected.sort(compareSequences);
      expect(await storage.graph.cycles(), JSON.stringify(edges)).toEqual(expected);
      expect(await storage.graph.cycles({ limit: 3 })).toEqual(expected.slice(0, 3));
      if (expected.length > 0) {
        expect(await rejection(storage.graph.topologicalOrder())).toMatchObject({ code: "CYCLE" });
      }
    }
  });

  test("a pattern finds what a search through all pairs of edges finds", async () => {
    const random = seededRandom("match");
    for (let round = 0; round < 10; round++) {
      const storage = await graphOf(randomEdges(random, 12), IDS);
      const { items } = await storage.graph.edges({ limit: 100 });
      const directions = ["out", "in", "both"] as const;
      const [first, second] = [random.pick(directions), random.pick(directions)];
      const ends = (edge: { from: string; to: string }, direction: "out" | "in" | "both") => {
        const out = [edge.from, edge.to] as const;
        const back = [edge.to, edge.from] as const;
        return direction === "out" ? [out] : direction === "in" ? [back] : [out, back];
      };
      const expected = new Set<string>();
      for (const one of items) {
        for (const two of items) {
          if (one.id === two.id) continue;
          for (const [x, y] of ends(one, first)) {
            for (const [from, z] of ends(two, second)) if (from === y) expected.add(JSON.stringify([x, y, z]));
          }
        }
      }
      for (const anchored of [undefined, random.pick(IDS)]) {
        const rows = await storage.graph.match([
          { as: "x" },
          { direction: first },
          { as: "y", ...(anchored === undefined ? {} : { id: anchored }) },
          { direction: second, type: "t" },
          { as: "z" },
        ]);
        const found = rows.map(({ x, y, z }) => [x.id, y.id, z.id]);
        const wanted = [...expected]
          .map((row) => JSON.parse(row) as string[])
          .filter(([, y]) => anchored === undefined || y === anchored);
        expect(found).toEqual(wanted.sort(compareSequences));
      }
    }
  });
});

describe("small graphs with known answers", () => {
  test("a bfs goes level by level, by id, and ends at its depth, its limit or its visitor", async () => {
    const storage = await graphOf([
      ["s", "c"],
      ["s", "b"],
      ["b", "a"],
      ["c", "d"],
      ["a", "s"],
      ["s", "s"],
    ]);
    const { graph } = storage;
    expect(await graph.bfs("s")).toEqual(["s", "b", "c", "a", "d"]);
    expect(await graph.bfs("s", { limit: 2 })).toEqual(["s", "b"]);
    expect(await graph.bfs("s", { limit: 0 })).toEqual([]);
    expect(await graph.bfs("s", { depth: 1 })).toEqual(["s", "b", "c"]);
    expect(await graph.bfs("s", { types: [] })).toEqual(["s"]);
    expect(await graph.kHop("s", 2, { limit: 3 })).toEqual(["b", "c", "a"]);
    expect(await graph.kHop("s", 0)).toEqual([]);
    expect(await graph.neighbors("s")).toEqual(["b", "c", "s"]);
    expect(await graph.neighbors("s", { direction: "both", limit: 2 })).toEqual(["a", "b"]);
    expect(await graph.degree("s")).toEqual({ in: 2, out: 3 });
    const visited: [string, number][] = [];
    const visit = (id: string, depth: number) => visited.push([id, depth]) < 4;
    expect(await graph.bfs("s", { visit })).toEqual(["s", "b", "c", "a"]);
    expect(visited).toEqual([
      ["s", 0],
      ["b", 1],
      ["c", 1],
      ["a", 2],
    ]);
    expect(await graph.chain("s", [{}, { type: "t" }, { direction: "in" }])).toEqual(["a", "b", "c", "s"]);
    expect(await graph.chain("s", [])).toEqual(["s"]);
    expect(await graph.shortestPath("s", "s")).toEqual({ ids: ["s"], edges: [], weight: 0 });
    expect(await graph.shortestPath("d", "s")).toBeUndefined();
    expect(await graph.shortestPath("s", "unknown")).toBeUndefined();
    expect(await graph.subgraph({ start: "b", depth: 1 })).toMatchObject({
      nodes: [{ id: "a" }, { id: "b" }],
      edges: [{ from: "b", to: "a" }],
    });
  });

  test("components, cycles, topological order and ranks", async () => {
    const storage = await graphOf(
      [
        ["b", "a"],
        ["d", "c"],
        ["c", "a"],
      ],
      ["e"],
    );
    const { graph } = storage;
    expect(await graph.components()).toEqual([["a", "b", "c", "d"], ["e"]]);
    expect(await graph.cycles()).toEqual([]);
    expect(await graph.topologicalOrder()).toEqual(["b", "d", "c", "a", "e"]);
    expect(await graph.rankedBy("in")).toEqual([
      { id: "a", score: 2 },
      { id: "c", score: 1 },
      ...["b", "d", "e"].map((id) => ({ id, score: 0 })),
    ]);
    expect(await graph.rankedBy("degree", { limit: 2 })).toEqual([
      { id: "a", score: 2 },
      { id: "c", score: 2 },
    ]);
    await graph.addEdge({ from: "a", to: "a", type: "t" });
    expect(await graph.cycles()).toEqual([["a"]]);
    expect(await rejection(graph.topologicalOrder())).toMatchObject({ code: "CYCLE" });
  });

  test("page ranks add up to 1, share dangling mass evenly, and solve their equation", async () => {
    const links: [string, string][] = [
      ["a", "b"],
      ["a", "c"],
      ["b", "c"],
      ["c", "a"],
      ["d", "c"],
    ];
    const storage = await graphOf(links, ["e"]);
    const ranks = new Map((await storage.graph.pageRank()).map(({ id, score }) => [id, score]));
    const ids = ["a", "b", "c", "d", "e"];
    expect([...ranks.keys()]).toEqual(["c", "a", "b", "d", "e"]);
    expect(ids.reduce((sum, id) => sum + ranks.get(id)!, 0)).toBeCloseTo(1, 9);
    for (const id of ids) {
      const links_ = links.filter(([, to]) => to === id);
      const followed = links_.reduce(
        (sum, [from]) => sum + ranks.get(from)! / links.filter(([source]) => source === from).length,
        ranks.get("e")! / 5,
      );
      expect(ranks.get(id)).toBeCloseTo(0.15 / 5 + 0.85 * followed, 8);
    }
    expect(await temp.storage.project("empty").graph.pageRank()).toEqual([]);
  });

  test("a pattern binds by name, the same variable twice is one node, and an edge is used once", async () => {
    const storage = await graphOf([
      ["a", "b"],
      ["b", "a"],
      ["c", "c"],
    ]);
    const { graph } = storage;
    const mutual = await graph.match([{ as: "x" }, {}, { as: "y" }, {}, { as: "x" }]);
    // The only edge of c cannot be used twice.
    expect(mutual.map(({ x, y }) => x.id + y.id)).toEqual(["ab", "ba"]);
    expect((await graph.match([{ as: "x" }, {}, { as: "x" }])).map(({ x }) => x.id)).toEqual(["c"]);
    expect(await graph.match([{ as: "x" }, { types: [] }, {}])).toEqual([]);
    expect(await graph.match([{ as: "x" }], { limit: 2 })).toHaveLength(2);
    const [hostile] = await graph.match([{ as: "__proto__", id: "a" }]);
    expect(Object.keys(hostile!)).toEqual(["__proto__"]);
    for (const pattern of [
      [],
      [{}],
      [{ as: "x" }, {}],
      [{ as: "x", nam: "y" }],
      [{ as: "x" }, { typ: "y" }, {}],
      "x",
    ]) {
      expect(await rejection(graph.match(pattern as never))).toBeInstanceOf(TypeError);
    }
  });
});

test("an unknown start is NOT_FOUND in every traversal, and wrong options are refused", async () => {
  const storage = await graphOf([["a", "b"]]);
  for (const bytes of [undefined, 0]) {
    await using other = await tempStorage({ graphCacheBytes: bytes });
    for (const { graph } of [storage, other.storage]) {
      for (const error of await rejections([
        graph.neighbors("x"),
        graph.degree("x"),
        graph.bfs("x"),
        graph.bfs("x", { depth: 2 }),
        graph.kHop("x", 2),
        graph.shortestPath("x", "a"),
        graph.hasPath("x", "x"),
        graph.hasPath("x", "a", 2),
        graph.chain("x", [{}]),
        graph.subgraph({ start: "x" }),
      ])) {
        expect(error).toMatchObject({ code: "NOT_FOUND" });
      }
    }
  }
  const { graph } = storage;
  for (const error of await rejections([
    graph.bfs("a", { direction: "up" as never }),
    graph.bfs("a", { types: "t" as never }),
    graph.bfs("a", { visit: 1 as never }),
    graph.kHop("a", "1" as never),
    graph.neighbors("a", { dir: "out" } as never),
    graph.shortestPath("a", "b", { weighted: 1 as never }),
    graph.chain("a", [{ types: [] } as never]),
    graph.rankedBy("weight" as never),
  ])) {
    expect(error).toBeInstanceOf(TypeError);
  }
  for (const error of await rejections([
    graph.kHop("a", -1),
    graph.bfs("a", { depth: 0.5 }),
    graph.pageRank({ damping: 2 }),
    graph.bfs(""),
  ])) {
    expect(error).toBeInstanceOf(RangeError);
  }
});

test("the same graph inserted in any order gives the same answers", async () => {
  const random = seededRandom("insertion order");
  const edges = randomEdges(random, 20).map(([from, to, weight], i) => ({
    id: `e${i}`,
    from,
    to,
    weight,
    type: "t",
    parallel: true,
  }));
  const shuffled = <T>(list: readonly T[]) =>
    list
      .map((item) => ({ item, key: random.next() }))
      .sort((a, b) => a.key - b.key)
      .map(({ item }) => item);
  const answers: unknown[] = [];
  for (let round = 0; round < 3; round++) {
    await using own = await tempStorage({ now: () => 0 });
    const { graph } = own.storage;
    for (const id of shuffled(IDS)) await graph.addNode({ id, kind: "k", name: id });
    for (const edge of shuffled(edges)) await graph.addEdge(edge as GraphEdgeInput);
    const lines: string[] = [];
    for await (const line of graph.export()) lines.push(line);
    answers.push({
      bfs: await Promise.all(IDS.map((id) => graph.bfs(id, { direction: "both" }))),
      paths: await Promise.all(IDS.map((id) => graph.shortestPath("a", id, { weighted: true }))),
      components: await graph.components(),
      cycles: await graph.cycles(),
      ranks: await graph.pageRank(),
      degrees: await graph.rankedBy("degree"),
      rows: await graph.match([{ as: "x" }, { direction: "both" }, { as: "y" }]),
      subgraph: await graph.subgraph(IDS),
      edges: await graph.edges(),
      lines,
    });
  }
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
});

const CHAIN = repeated(100_000);

test(`a chain of ${CHAIN} nodes overflows no stack and lets timers fire`, async () => {
  const count = CHAIN;
  const { graph } = temp.storage.project("chain");
  await graph.addNodes(Array.from({ length: count }, (_, i) => ({ id: String(i), kind: "k", name: "n" })));
  const edges = Array.from({ length: count }, (_, i) => ({
    from: String(i),
    to: String(i + 1),
    type: "t",
    weight: i % 2,
  }));
  await graph.addEdges(edges.slice(0, -1));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  expect(await graph.bfs("0")).toHaveLength(count);
  expect((await graph.shortestPath("0", String(count - 1)))?.weight).toBe((count - 2) / 2);
  expect((await graph.shortestPath("0", String(count - 1), { weighted: true }))?.ids).toHaveLength(count);
  expect((await graph.topologicalOrder()).at(-1)).toBe(String(count - 1));
  expect(await graph.components()).toHaveLength(1);
  expect(await graph.cycles()).toEqual([]);
  await graph.addEdge({ from: String(count - 1), to: "0", type: "t" });
  const before = ticks;
  const [cycle] = await graph.cycles();
  expect(cycle).toHaveLength(count);
  await graph.pageRank();
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(before);
});

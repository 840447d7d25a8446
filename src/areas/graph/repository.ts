import { StorageError } from "../../shared/errors.js";
import {
  expectArray,
  expectation,
  expectFinite,
  expectFunction,
  expectInteger,
  expectOneOf,
  toBoolean,
} from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import type { LineSource } from "../../shared/text-lines.js";
import { expectId, expectLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Metadata } from "../metadata.js";
import { weakComponents } from "./algorithms/components.js";
import { simpleCycles } from "./algorithms/cycles.js";
import { pageRank } from "./algorithms/page-rank.js";
import { topologicalOrder } from "./algorithms/topological-order.js";
import { compileMatch, type GraphMatch, type GraphPattern, type MatchOptions } from "./match.js";
import { type GraphPath, pathBetween, type ShortestPathOptions } from "./path.js";
import { GraphRecords } from "./records.js";
import { exportGraph, type GraphImport, importGraph } from "./transfer.js";
import {
  type BfsOptions,
  chain,
  degree,
  expectDepth,
  type FollowOptions,
  type GraphChainStep,
  hasPath,
  idsOf,
  type NeighborsOptions,
  neighbors,
  reach,
  toFollowing,
  visitNodes,
} from "./traversal.js";
import {
  type GraphologyConstructor,
  type GraphologyLike,
  readSubgraph,
  type Subgraph,
  type SubgraphOptions,
  toGraphology,
} from "./view.js";

/** The options of `pageRank`. */
export interface PageRankOptions {
  /** The share that follows edges; the rest goes to all nodes evenly. 0 to 1. @default 0.85 */
  readonly damping?: number | undefined;
  /** The iteration ends when the scores change by less than this in all. @default 1e-9 */
  readonly tolerance?: number | undefined;
  /** The most iterations. @default 200 */
  readonly maxIterations?: number | undefined;
  /** The most nodes in the result. @default Infinity */
  readonly limit?: number | undefined;
}

/** A node and its PageRank. */
export interface RankedNode {
  readonly id: string;
  /** The scores of all nodes add up to 1. */
  readonly score: number;
}

/**
 * The graph of one project: nodes, the edges between them, and what can be found by following them.
 *
 * Answers are sorted by id, by code point, so that they do not depend on the order of insertion. Traversals read the
 * graph into memory on first use and keep it until it is changed, also by another process; a graph
 * beyond `graphCacheBytes` is asked by query. A start that is unknown rejects with `NOT_FOUND`, a wrong argument with
 * TypeError or RangeError.
 */
export class GraphRepository<N extends object = Metadata, E extends object = Metadata> extends GraphRecords<N, E> {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    super(context);
    this.#context = context;
  }

  /**
   * The same repository, whose nodes have data of the type `NodeData`, and whose edges have data of the type `EdgeData`.
   * If a type has required keys, a new record needs `data`. Only the compiler knows the types: nothing checks stored data,
   * or the paths of `where`, and a record that was stored without data has `{}`.
   *
   * @example
   * const code = storage.graph.withData<{ lines: number }, { line?: number }>();
   */
  withData<NodeData extends object, EdgeData extends object = Metadata>(): GraphRepository<NodeData, EdgeData> {
    return this as unknown as GraphRepository<NodeData, EdgeData>;
  }

  /** The ids of the nodes one edge away, each once; the node itself only if it has an edge to itself. */
  async neighbors(id: string, options: NeighborsOptions = {}): Promise<string[]> {
    expectId(id);
    expectKeys("neighbors", options, ["direction", "types", "limit"]);
    const { limit = Number.POSITIVE_INFINITY } = options;
    expectLimit(limit);
    return neighbors(this.#context, id, toFollowing(options), limit);
  }

  /** How many edges lead to a node, and how many away from it; one to itself counts in both. */
  async degree(id: string): Promise<{ in: number; out: number }> {
    expectId(id);
    return degree(this.#context, id);
  }

  /** The nodes that can be reached, breadth first: the start, then level by level, by id within a level. */
  async bfs(start: string, options: BfsOptions = {}): Promise<string[]> {
    expectKeys("bfs", options, ["depth", "direction", "types", "limit", "visit"]);
    const { depth = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY, visit } = options;
    expectId(start, "start");
    expectDepth("depth", depth);
    expectLimit(limit);
    if (visit !== undefined) expectFunction("visit", visit);
    const reached = await reach(this.#context, start, toFollowing(options), depth, limit);
    return visit === undefined ? reached.ids.slice(0, limit) : visitNodes(reached, limit, visit);
  }

  /** The nodes at most `depth` edges away, by level and id, without the start. */
  async kHop(start: string, depth: number, options: NeighborsOptions = {}): Promise<string[]> {
    expectKeys("kHop", options, ["direction", "types", "limit"]);
    const { limit = Number.POSITIVE_INFINITY } = options;
    expectId(start, "start");
    expectDepth("depth", depth);
    expectLimit(limit);
    const { ids } = await reach(this.#context, start, toFollowing(options), depth, limit + 1);
    return ids.slice(1, limit + 1);
  }

  /**
   * The path of fewest edges, or of least weight with `weighted`; among equals the one with the smallest sequence of
   * ids. Undefined where there is none, or no node `b`.
   */
  async shortestPath(a: string, b: string, options: ShortestPathOptions = {}): Promise<GraphPath | undefined> {
    expectId(a, "a");
    expectId(b, "b");
    expectKeys("shortestPath", options, ["direction", "types", "weighted"]);
    const { weighted = false } = options;
    toBoolean("weighted", weighted);
    return pathBetween(this.#context, a, b, toFollowing(options), weighted);
  }

  /** Whether `b` can be reached from `a` over at most `maxDepth` edges (by default any number). A node reaches itself. */
  async hasPath(
    a: string,
    b: string,
    maxDepth = Number.POSITIVE_INFINITY,
    options: FollowOptions = {},
  ): Promise<boolean> {
    expectKeys("hasPath", options, ["direction", "types"]);
    expectId(a, "a");
    expectId(b, "b");
    expectDepth("maxDepth", maxDepth);
    return hasPath(this.#context, a, b, maxDepth, toFollowing(options));
  }

  /** The groups of nodes that edges connect in any direction, by the smallest id of each. */
  async components(): Promise<string[][]> {
    const graph = await this.#read();
    return (await weakComponents(graph)).map((group) => idsOf(graph, group));
  }

  /**
   * The cycles that visit no node twice, each from its smallest id, which is not repeated at the end, in order of their
   * ids. A dense graph has a very large number of cycles: pass a `limit`.
   */
  async cycles(options: { readonly limit?: number | undefined } = {}): Promise<string[][]> {
    expectKeys("cycles", options, ["limit"]);
    const { limit = Number.POSITIVE_INFINITY } = options;
    expectLimit(limit);
    const graph = await this.#read();
    return (await simpleCycles(graph, limit)).map((cycle) => idsOf(graph, cycle));
  }

  /** All nodes, each before those that its edges lead to, the smallest id first where there is a choice. `CYCLE` on one. */
  async topologicalOrder(): Promise<string[]> {
    const graph = await this.#read();
    const order = await topologicalOrder(graph);
    if (order.length === graph.size) return idsOf(graph, order);
    const [cycle] = await simpleCycles(graph, 1);
    const path = idsOf(graph, [...cycle!.slice(0, 5)]).join(" -> ");
    throw new StorageError(
      "CYCLE",
      `There is no order, since ${path}${cycle!.length > 5 ? " -> …" : ""} is a cycle. See cycles()`,
    );
  }

  /** The nodes at the end of a chain of steps, each once, sorted; without steps the start. */
  async chain(start: string, steps: readonly GraphChainStep[]): Promise<string[]> {
    expectId(start, "start");
    return chain(this.#context, start, steps);
  }

  /**
   * The matches of a pattern of nodes and edges, each once, sorted by the ids of the bound nodes. Two
   * variables may be one node, but an edge is used once.
   *
   * @example
   * for (const { f, g } of await graph.match([{ as: "f", kind: "function" }, { type: "calls" }, { as: "g" }]))
   *   console.log(f.name, "calls", g.name);
   */
  async match<const P extends GraphPattern>(pattern: P, options: MatchOptions = {}): Promise<GraphMatch<P, N>[]> {
    const { statement, toMatch } = compileMatch(this.#context, pattern, options);
    const { rows } = await this.#context.executor.execute(statement);
    return rows.map((row) => toMatch(row) as GraphMatch<P, N>);
  }

  /** The nodes of these ids that exist, or those that `bfs` finds, with the edges between them. */
  async subgraph(selection: readonly string[] | SubgraphOptions): Promise<Subgraph<N, E>> {
    if (Array.isArray(selection)) {
      expectArray("subgraph", selection, "ids");
      for (const id of selection) expectId(id);
      return readSubgraph<N, E>(this.#context, selection as readonly string[]);
    }
    expectKeys("subgraph", selection, ["start", "depth", "direction", "types", "limit"]);
    const { start, ...options } = selection as SubgraphOptions;
    return readSubgraph<N, E>(this.#context, await this.bfs(start, options), options.types);
  }

  /**
   * The graph as lines of JSON without line ends: nodes, then edges. It is a snapshot; later writes do not show. One page of
   * lines is in memory at a time. The export holds a read connection until the loop ends; `break` ends it early.
   */
  export(): AsyncGenerator<string, void, undefined> {
    return exportGraph(this.#context);
  }

  /**
   * Stores the lines of an export, or none of them: rejects with `INVALID_IMPORT` and the number of the first line that
   * is wrong, or that does not fit what the project holds already. The write lock is held while the source is read.
   */
  async import(source: LineSource): Promise<GraphImport> {
    return importGraph(this.#context, source);
  }

  /** The whole graph as a graph of graphology; pass its class `Graph`. */
  async toGraphology<G extends GraphologyLike>(Graph: GraphologyConstructor<G>): Promise<G> {
    expectFunction("Graph", Graph);
    return toGraphology(this.#context, Graph);
  }

  /** The nodes by PageRank, the best first, equal ones by id; the scores of all add up to 1. Weights do not count. */
  async pageRank(options: PageRankOptions = {}): Promise<RankedNode[]> {
    expectKeys("pageRank", options, ["damping", "tolerance", "maxIterations", "limit"]);
    const { damping = 0.85, tolerance = 1e-9, maxIterations = 200, limit = Number.POSITIVE_INFINITY } = options;
    expectShare("damping", damping, 1);
    expectShare("tolerance", tolerance, Number.POSITIVE_INFINITY);
    expectInteger("maxIterations", maxIterations, 1);
    expectLimit(limit);
    const graph = await this.#read();
    return ranked(graph.ids, await pageRank(graph, { damping, tolerance, maxIterations }), limit);
  }

  /** The nodes by the number of their edges: those that lead to it, away from it, or both. The best first. */
  async rankedBy(
    measure: "degree" | "in" | "out",
    options: { readonly limit?: number | undefined } = {},
  ): Promise<RankedNode[]> {
    expectOneOf("measure", measure, ["degree", "in", "out"]);
    expectKeys("rankedBy", options, ["limit"]);
    const { limit = Number.POSITIVE_INFINITY } = options;
    expectLimit(limit);
    const graph = await this.#read();
    const scores = new Float64Array(graph.size);
    for (const { offsets } of graph.select(measure === "degree" ? "both" : measure).rows) {
      for (let node = 0; node < graph.size; node++) scores[node]! += offsets[node + 1]! - offsets[node]!;
    }
    return ranked(graph.ids, scores, limit);
  }

  /** The graph in memory, independent of its size. */
  #read() {
    const { executor, project, graphs } = this.#context;
    return graphs.require(executor, project);
  }
}

function ranked(ids: readonly string[], scores: Float64Array, limit: number): RankedNode[] {
  const places = Uint32Array.from(ids.keys());
  places.sort((a, b) => scores[b]! - scores[a]! || a - b);
  const shown = limit < places.length ? places.subarray(0, limit) : places;
  return Array.from(shown, (place) => ({ id: ids[place]!, score: scores[place]! }));
}

function expectShare(name: string, value: unknown, most: number): void {
  if (typeof value !== "number") throw new TypeError(expectation(name, "a number", value));
  expectFinite(name, value);
  if (value < 0 || value > most) throw new RangeError(expectation(name, `0 to ${most}`, value));
}

import { StorageError } from "../../shared/errors.js";
import { expectation, expectFinite, expectInteger, expectOneOf } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import type { LineSource } from "../../shared/text-lines.js";
import { expectLimit } from "../arguments.js";
import type { BatchOptions } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import type { Page } from "../cursor.js";
import { asStorageErrors } from "../executor.js";
import { weakComponents } from "./algorithms/components.js";
import { simpleCycles } from "./algorithms/cycles.js";
import { pageRank } from "./algorithms/page-rank.js";
import { topologicalOrder } from "./algorithms/topological-order.js";
import type { GraphEdge, GraphEdgeInput, GraphEdgePatch } from "./edge.js";
import { compileMatch, type GraphMatch, type GraphPattern, type MatchOptions } from "./match.js";
import type { GraphNode, GraphNodeInput, GraphNodePatch } from "./node.js";
import { type GraphPath, pathBetween, type ShortestPathOptions } from "./path.js";
import * as records from "./records.js";
import { exportGraph, type GraphImport, importGraph } from "./transfer.js";
import * as traversal from "./traversal.js";
import {
  type GraphologyConstructor,
  type GraphologyLike,
  readSubgraph,
  type Subgraph,
  type SubgraphOptions,
  toGraphology,
} from "./view.js";

export interface PageRankOptions {
  /** The share that follows edges; the rest goes to all nodes evenly. 0 to 1. @default 0.85 */
  readonly damping?: number | undefined;
  /** The iteration ends when the scores change by less than this in all. @default 1e-9 */
  readonly tolerance?: number | undefined;
  /** @default 200 */
  readonly maxIterations?: number | undefined;
  /** @default Infinity */
  readonly limit?: number | undefined;
}

export interface RankedNode {
  readonly id: string;
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
export class GraphRepository {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /** Stores a node. Rejects with `CONFLICT` if the project has its id already. */
  async addNode(node: GraphNodeInput): Promise<GraphNode> {
    return records.addNode(this.#context, node);
  }

  /**
   * Stores all of them, or none; an error about one of them has its `index` and `id`. With `onConflict`, a taken id is
   * no error (`replace` keeps the edges of the node), and the answer holds what is stored now, in the order of `nodes`.
   */
  async addNodes(nodes: readonly GraphNodeInput[], options: BatchOptions = {}): Promise<GraphNode[]> {
    return records.addNodes(this.#context, nodes, options);
  }

  /** Stores a node in place of the one of its id, if there is one, whose edges and `createdAt` stay. */
  async putNode(node: GraphNodeInput): Promise<GraphNode> {
    return records.putNode(this.#context, node);
  }

  async getNode(id: string): Promise<GraphNode | undefined> {
    return records.getNode(this.#context, id);
  }

  /** The nodes that exist among `ids`, in the order of `ids`. */
  async getNodes(ids: readonly string[]): Promise<GraphNode[]> {
    return records.getNodes(this.#context, ids);
  }

  /** Rejects with `NOT_FOUND` when `getNode` would find nothing. */
  async requireNode(id: string): Promise<GraphNode> {
    const node = await this.getNode(id);
    if (node === undefined) throw records.noNode(this.#context, id);
    return node;
  }

  /** A page of the nodes that meet all conditions, by id. */
  async findNodes(options: records.FindNodesOptions = {}): Promise<Page<GraphNode>> {
    return records.findNodes(this.#context, options);
  }

  /** Changes the fields given, `data` and `labels` as a whole; undefined when unknown. */
  async updateNode(id: string, patch: GraphNodePatch): Promise<GraphNode | undefined> {
    return records.updateNode(this.#context, id, patch);
  }

  /** Removes a node with its labels and edges. False if there is none. Its event names the edges as well. */
  async deleteNode(id: string): Promise<boolean> {
    return records.deleteNode(this.#context, id);
  }

  /**
   * Stores an edge. Rejects with `FOREIGN_KEY` if a node of it is unknown, and with `CONFLICT` if its id is taken, or
   * if there is one between the same nodes and of the same type and it is not `parallel`.
   */
  async addEdge(edge: GraphEdgeInput): Promise<GraphEdge> {
    return records.addEdge(this.#context, edge);
  }

  /**
   * Stores all of them, or none; an error about one of them has its `index` and `id`. With `onConflict`, a taken id, or
   * an edge of the same type between the same nodes (unless it is added as `parallel`), is no error: the answer holds
   * the edges that are stored now, in the order of `edges`. One that replaces another keeps its id, unless it has one.
   */
  async addEdges(edges: readonly GraphEdgeInput[], options: BatchOptions = {}): Promise<GraphEdge[]> {
    return records.addEdges(this.#context, edges, options);
  }

  async getEdge(id: string): Promise<GraphEdge | undefined> {
    return records.getEdge(this.#context, id);
  }

  /** Rejects with `NOT_FOUND` when `getEdge` would find nothing. */
  async requireEdge(id: string): Promise<GraphEdge> {
    const edge = await this.getEdge(id);
    if (edge !== undefined) return edge;
    const { project } = this.#context;
    throw new StorageError("NOT_FOUND", `No edge ${JSON.stringify(id)} in project ${JSON.stringify(project)}`);
  }

  /** A page of edges by the ids of their ends, their type and their own id. */
  async edges(options: records.ListEdgesOptions = {}): Promise<Page<GraphEdge>> {
    return records.listEdges(this.#context, options);
  }

  /** Changes the fields given, `data` as a whole; undefined when unknown. `CONFLICT` where the new type is taken. */
  async updateEdge(id: string, patch: GraphEdgePatch): Promise<GraphEdge | undefined> {
    return records.updateEdge(this.#context, id, patch);
  }

  /** False if there is none. */
  async deleteEdge(id: string): Promise<boolean> {
    return records.deleteEdge(this.#context, id);
  }

  /** Whether the node did not have the label yet. Rejects with `NOT_FOUND` if there is no such node. */
  async addLabel(id: string, label: string): Promise<boolean> {
    return records.addLabel(this.#context, id, label);
  }

  /** Whether the node had the label. */
  async removeLabel(id: string, label: string): Promise<boolean> {
    return records.removeLabel(this.#context, id, label);
  }

  /** The kinds of the nodes, the most frequent first, equal ones by name. */
  async kinds(): Promise<{ kind: string; count: number }[]> {
    return records.kinds(this.#context);
  }

  /** The types of the edges, the most frequent first, equal ones by name. */
  async edgeTypes(): Promise<{ type: string; count: number }[]> {
    return records.edgeTypes(this.#context);
  }

  /** The ids of the nodes one edge away, each once; the node itself only if it has an edge to itself. */
  async neighbors(id: string, options: traversal.NeighborsOptions = {}): Promise<string[]> {
    return traversal.neighbors(this.#context, id, options);
  }

  /** How many edges lead to a node, and how many away from it; one to itself counts in both. */
  async degree(id: string): Promise<{ in: number; out: number }> {
    return traversal.degree(this.#context, id);
  }

  /** The nodes that can be reached, breadth first: the start, then level by level, by id within a level. */
  async bfs(start: string, options: traversal.BfsOptions = {}): Promise<string[]> {
    return traversal.bfs(this.#context, start, options);
  }

  /** The nodes at most `depth` edges away, by level and id, without the start. */
  async kHop(start: string, depth: number, options: traversal.NeighborsOptions = {}): Promise<string[]> {
    return traversal.kHop(this.#context, start, depth, options);
  }

  /**
   * The path of fewest edges, or of least weight with `weighted`; among equals the one with the smallest sequence of
   * ids. Undefined where there is none, or no node `b`.
   */
  async shortestPath(a: string, b: string, options: ShortestPathOptions = {}): Promise<GraphPath | undefined> {
    return pathBetween(this.#context, a, b, options);
  }

  /** Whether `b` can be reached from `a` over at most `maxDepth` edges. A node reaches itself. */
  async hasPath(
    a: string,
    b: string,
    maxDepth = Number.POSITIVE_INFINITY,
    options: traversal.FollowOptions = {},
  ): Promise<boolean> {
    return traversal.hasPath(this.#context, a, b, maxDepth, options);
  }

  /** The groups of nodes that are connected whatever the direction of the edges, by the smallest id of each. */
  async components(): Promise<string[][]> {
    const graph = await this.#read();
    return (await weakComponents(graph)).map((group) => traversal.idsOf(graph, group));
  }

  /**
   * The cycles that visit no node twice, each from its smallest id, which is not repeated at the end, in order of their
   * ids. There can be more of them than anybody has time for: give a `limit` where the graph is dense.
   */
  async cycles(options: { readonly limit?: number | undefined } = {}): Promise<string[][]> {
    expectKeys("cycles", options, ["limit"]);
    const { limit = Number.POSITIVE_INFINITY } = options;
    expectLimit(limit);
    const graph = await this.#read();
    return (await simpleCycles(graph, limit)).map((cycle) => traversal.idsOf(graph, cycle));
  }

  /** All nodes, each before those that its edges lead to, the smallest id first where there is a choice. `CYCLE` on one. */
  async topologicalOrder(): Promise<string[]> {
    const graph = await this.#read();
    const order = await topologicalOrder(graph);
    if (order.length === graph.size) return traversal.idsOf(graph, order);
    const [cycle] = await simpleCycles(graph, 1);
    const path = traversal.idsOf(graph, [...cycle!.slice(0, 5)]).join(" -> ");
    throw new StorageError(
      "CYCLE",
      `There is no order, since ${path}${cycle!.length > 5 ? " -> …" : ""} is a cycle. See cycles()`,
    );
  }

  /** The nodes at the end of a chain of steps, each once, sorted; without steps the start. */
  async chain(start: string, steps: readonly traversal.GraphChainStep[]): Promise<string[]> {
    return traversal.chain(this.#context, start, steps);
  }

  /**
   * The ways in which a pattern of nodes and edges fits the graph, each once, sorted by the ids of the bound nodes. Two
   * variables may be one node, but an edge is used once.
   *
   * @example
   * for (const { f, g } of await graph.match([{ as: "f", kind: "function" }, { type: "calls" }, { as: "g" }]))
   *   console.log(f.name, "calls", g.name);
   */
  async match<const P extends GraphPattern>(pattern: P, options: MatchOptions = {}): Promise<GraphMatch<P>[]> {
    const { statement, toMatch } = compileMatch(this.#context, pattern, options);
    const { rows } = await asStorageErrors(() => this.#context.executor.execute(statement));
    return rows.map((row) => toMatch(row) as GraphMatch<P>);
  }

  /** The nodes of these ids that exist, or those that `bfs` finds, with the edges between them. */
  async subgraph(selection: readonly string[] | SubgraphOptions): Promise<Subgraph> {
    return readSubgraph(this.#context, selection);
  }

  /**
   * The graph as lines of JSON, without their line ends: nodes, then edges, of one moment whatever is written during the export.
   * A page of them is in memory at a time. End the loop, with `break` if need be: until then it holds a read connection.
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

  /** The whole graph in the memory of a graph of graphology's: `toGraphology(Graph)` with its class. */
  async toGraphology<G extends GraphologyLike>(Graph: GraphologyConstructor<G>): Promise<G> {
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

  /** For what needs the graph as a whole, however large it is. */
  #read() {
    const { executor, project, graphs } = this.#context;
    return asStorageErrors(() => graphs.require(executor, project));
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

import { sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { expectation } from "../../shared/expectation.js";
import type { RepositoryContext } from "../context.js";
import type { Metadata } from "../metadata.js";
import { readAllOf } from "../read-all.js";
import { prepareStatement } from "../statements.js";
import { edgeColumns, edgeOrder, edgesWithNodes, type GraphEdge, toEdge } from "./edge.js";
import { type GraphNode, nodeColumns, selectNodes, toNode } from "./node.js";
import type { BfsOptions } from "./traversal.js";

/** Some nodes of a graph, with the edges between them. */
export interface Subgraph<N extends object = Metadata, E extends object = Metadata> {
  /** By id. */
  readonly nodes: GraphNode<N>[];
  /** By the ids of their ends, their type and their id. */
  readonly edges: GraphEdge<E>[];
}

/** The nodes that `bfs` would give. */
export interface SubgraphOptions extends Omit<BfsOptions, "visit"> {
  /** The id of the node to start from. */
  readonly start: string;
}

/** The methods of a graph of graphology that `toGraphology` calls. */
export interface GraphologyLike {
  /** Adds a node. */
  addNode(key: string, attributes?: Record<string, unknown>): unknown;
  /** Adds an edge. */
  addEdgeWithKey(key: string, source: string, target: string, attributes?: Record<string, unknown>): unknown;
}

/** The class `Graph` of graphology. */
export type GraphologyConstructor<G extends GraphologyLike> = new (options: {
  type: "directed";
  multi: true;
  allowSelfLoops: true;
}) => G;

const n = graphNodes;
const e = graphEdges;
const project = sql.placeholder("project");

const selectEdgesAmong = prepareStatement(
  () => sql`with chosen(row_id) as materialized (
    select ${n.rowId} from ${n} where ${n.project} = ${project}
      and ${n.id} in (select value from json_each(${sql.placeholder("ids")}))
  ) select ${edgeColumns} from chosen cross join ${e} as e on e.from_row = chosen.row_id
    join ${n} as f on f.row_id = e.from_row join ${n} as t on t.row_id = e.to_row
  where e.to_row in (select row_id from chosen)
    and (${sql.placeholder("types")} is null or e.type in (select value from json_each(${sql.placeholder("types")})))
  order by ${edgeOrder}`,
);
const selectAllNodes = prepareStatement(
  () => sql`select ${nodeColumns} from ${n} where ${n.project} = ${project} order by ${n.id}`,
);
const selectAllEdges = prepareStatement(
  () => sql`select ${edgeColumns} from ${edgesWithNodes} where f.project = ${project} order by ${edgeOrder}`,
);

/** The nodes that exist among `ids`, and the edges between them; with `types`, only those of these types. */
export async function readSubgraph<N extends object, E extends object>(
  { project, executor }: RepositoryContext,
  ids: readonly string[],
  types?: readonly string[],
): Promise<Subgraph<N, E>> {
  const json = { project, ids: JSON.stringify(ids) };
  const [nodes, edges] = await readAllOf(executor, [
    selectNodes(json),
    selectEdgesAmong({ ...json, types: types === undefined ? null : JSON.stringify(types) }),
  ]);
  return { nodes: nodes!.map((row) => toNode<N>(row)), edges: edges!.map((row) => toEdge<E>(row)) };
}

/** A new graph of graphology. */
function construct<G extends GraphologyLike>(Graph: GraphologyConstructor<G>): G {
  try {
    return new Graph({ type: "directed", multi: true, allowSelfLoops: true });
  } catch (cause) {
    if (typeof Graph.prototype === "object") throw cause;
    throw new TypeError(expectation("Graph", "a class of graphs", Graph), { cause });
  }
}

/** The whole graph as a graph of graphology, with all fields but the ids as attributes. */
export async function toGraphology<G extends GraphologyLike>(
  context: RepositoryContext,
  Graph: GraphologyConstructor<G>,
): Promise<G> {
  const { project, executor } = context;
  const [nodes, edges] = await readAllOf(executor, [selectAllNodes({ project }), selectAllEdges({ project })]);
  const graph = construct(Graph);
  for (const row of nodes!) {
    const { id, ...attributes } = toNode(row);
    graph.addNode(id, attributes);
  }
  for (const row of edges!) {
    const { id, from, to, ...attributes } = toEdge(row);
    graph.addEdgeWithKey(id, from, to, attributes);
  }
  return graph;
}

import { sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { expectArray, expectInteger, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import type { RepositoryContext } from "../context.js";
import { notFound } from "../repository.js";
import { prepareStatement, selection } from "../statements.js";
import type { Adjacency, Direction } from "./algorithms/adjacency.js";
import { levelsFrom, neighborsOf } from "./algorithms/traverse.js";
import { expectDirection, expectTypes } from "./match.js";
import { isNode, nodeExists } from "./node.js";
import {
  type ChainStep,
  chainStatement,
  type Following,
  isReachable,
  neighborsStatement,
  type Reached,
  reachedByQuery,
} from "./queries.js";

/** Which edges to follow. */
export interface FollowOptions {
  /** `out` follows edges from their start, `in` from their end, `both` either way. @default "out" */
  readonly direction?: Direction | undefined;
  /** Any of these; an empty list is none. @default all */
  readonly types?: readonly string[] | undefined;
}

/** Which neighbors. */
export interface NeighborsOptions extends FollowOptions {
  /** The most nodes in the result. @default Infinity */
  readonly limit?: number | undefined;
}

/** Where a breadth-first traversal goes. */
export interface BfsOptions extends NeighborsOptions {
  /** How many edges away from the start. @default Infinity */
  readonly depth?: number | undefined;
  /** Called for each node in order; `false` ends the traversal with this node. */
  readonly visit?: ((id: string, depth: number) => unknown) | undefined;
}

/** One step of a chain: the edges to follow. */
export interface GraphChainStep {
  /** `out` follows edges from their start, `in` from their end, `both` either way. @default "out" */
  readonly direction?: Direction | undefined;
  /** The type of the edges. @default any */
  readonly type?: string | undefined;
}

/** The number of levels up to which a query costs less than reading the graph into memory. */
const SMALL_DEPTH = 2;

const edgeCounts = selection({
  out: sql`(select count(*) from ${graphEdges} where ${graphEdges.fromRow} = node.row_id)`,
  in: sql`(select count(*) from ${graphEdges} where ${graphEdges.toRow} = node.row_id)`,
});
const countEdges = prepareStatement(
  () => sql`select ${edgeCounts.columns}
  from (select ${graphNodes.rowId} as row_id from ${graphNodes} where ${isNode}) as node`,
);

export async function neighbors(
  context: RepositoryContext,
  id: string,
  following: Following,
  limit: number,
): Promise<string[]> {
  const { executor, project, graphs } = context;
  const graph = await graphs.get(executor, project, { isSmall: true });
  if (graph !== undefined) {
    const found = neighborsOf(placeOf(context, graph, id), graph.select(following.direction, following.types));
    return idsOf(graph, found.slice(0, limit));
  }
  const [exists, found] = await executor.batch([
    nodeExists({ project, id }),
    neighborsStatement(project, id, following, limit),
  ]);
  if (exists!.rows.length === 0) throw notFound(context, "node", id);
  return found!.rows.map((row) => row[0] as string);
}

export async function degree(context: RepositoryContext, id: string): Promise<{ in: number; out: number }> {
  const { at } = edgeCounts;
  const [row] = (await context.executor.execute(countEdges({ project: context.project, id }))).rows;
  if (row === undefined) throw notFound(context, "node", id);
  return { in: Number(row[at.in]), out: Number(row[at.out]) };
}

export async function hasPath(
  context: RepositoryContext,
  a: string,
  b: string,
  maxDepth: number,
  following: Following,
): Promise<boolean> {
  const { executor, project, graphs } = context;
  const graph = await graphs.get(executor, project, { isSmall: maxDepth <= SMALL_DEPTH });
  if (graph !== undefined) {
    const start = placeOf(context, graph, a);
    const target = graph.find(b);
    if (target === undefined) return false;
    const edges = graph.select(following.direction, following.types);
    const { nodes } = await levelsFrom(graph, start, edges, { depth: maxDepth, target });
    return nodes.includes(target);
  }
  const exists = await executor.execute(nodeExists({ project, id: a }));
  if (exists.rows.length === 0) throw notFound(context, "node", a);
  if (maxDepth === Number.POSITIVE_INFINITY) return isReachable(executor, project, a, b, following);
  const reached = await reachedByQuery(executor, project, a, following, maxDepth);
  return reached.some(({ id }) => id === b);
}

export async function chain(
  context: RepositoryContext,
  start: string,
  given: readonly GraphChainStep[],
): Promise<string[]> {
  const steps = toSteps(given);
  const { executor, project, graphs } = context;
  const statement = chainStatement(project, start, steps);
  const demand = statement === undefined ? { isRequired: true } : { isSmall: steps.length <= SMALL_DEPTH };
  const graph = await graphs.get(executor, project, demand);
  if (graph === undefined) {
    const [exists, found] = await executor.batch([nodeExists({ project, id: start }), statement!]);
    if (exists!.rows.length === 0) throw notFound(context, "node", start);
    return found!.rows.map((row) => row[0] as string);
  }
  let places = [placeOf(context, graph, start)];
  for (const { direction, type } of steps) {
    const edges = graph.select(direction, type === undefined ? undefined : [type]);
    const next = new Set<number>();
    for (const place of places) for (const neighbor of neighborsOf(place, edges)) next.add(neighbor);
    places = [...next];
  }
  return idsOf(graph, Uint32Array.from(places).sort());
}

/** Nodes by level, then by id, and where each level starts. */
interface Levels {
  readonly ids: string[];
  readonly starts: readonly number[];
}

/** All that can be reached over at most `depth` edges; more than `atLeast` nodes only where a level ends. */
export async function reach(
  context: RepositoryContext,
  start: string,
  following: Following,
  depth: number,
  atLeast: number,
): Promise<Levels> {
  const { executor, project, graphs } = context;
  const graph = await graphs.get(executor, project, { isSmall: depth <= SMALL_DEPTH });
  if (graph !== undefined) {
    const edges = graph.select(following.direction, following.types);
    const levels = await levelsFrom(graph, placeOf(context, graph, start), edges, { depth, atLeast });
    return { ids: idsOf(graph, levels.nodes), starts: levels.starts };
  }
  const reached = await reachedByQuery(executor, project, start, following, depth);
  if (reached.length === 0) throw notFound(context, "node", start);
  return { ids: reached.map(({ id }) => id), starts: startsOf(reached) };
}

/** Calls `visit` for the first nodes, in order; resolves to those for which it was called. */
export async function visitNodes(
  { ids, starts }: Levels,
  limit: number,
  visit: (id: string, depth: number) => unknown,
): Promise<string[]> {
  for (let level = 0, index = 0; index < Math.min(limit, ids.length); index++) {
    while (index >= starts[level + 1]!) level++;
    if ((await visit(ids[index]!, level)) === false) return ids.slice(0, index + 1);
  }
  return ids.slice(0, limit);
}

function startsOf(reached: readonly Reached[]): number[] {
  const starts: number[] = [];
  for (const [index, { depth }] of reached.entries()) if (depth === starts.length) starts.push(index);
  return [...starts, reached.length];
}

/** Fills in the defaults; throws TypeError on wrong values. */
export function toFollowing({ direction = "out", types }: FollowOptions): Following {
  expectDirection(direction);
  if (types !== undefined) expectTypes(types);
  return { direction, types };
}

export function placeOf(context: RepositoryContext, graph: Adjacency, id: string): number {
  const place = graph.find(id);
  if (place === undefined) throw notFound(context, "node", id);
  return place;
}

export function idsOf(graph: Adjacency, places: ArrayLike<number>): string[] {
  const ids = new Array<string>(places.length);
  for (let index = 0; index < places.length; index++) ids[index] = graph.ids[places[index]!]!;
  return ids;
}

export function expectDepth(name: string, value: unknown): asserts value is number {
  if (value !== Number.POSITIVE_INFINITY) expectInteger(name, value, 0);
}

function toSteps(steps: unknown): ChainStep[] {
  expectArray("steps", steps, "steps");
  return (steps as readonly GraphChainStep[]).map((step) => {
    expectKeys("a step", step, ["direction", "type"]);
    const { direction = "out", type } = step;
    expectDirection(direction);
    if (type !== undefined) expectText("type", type, Number.POSITIVE_INFINITY, 0);
    return { direction, type };
  });
}

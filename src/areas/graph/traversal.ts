import { sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { expectArray, expectFunction, expectInteger, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { asStorageErrors } from "../executor.js";
import { prepareStatement } from "../statements.js";
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
import { noNode } from "./records.js";

/** Which edges to follow. */
export interface FollowOptions {
  /** @default "out" */
  readonly direction?: Direction | undefined;
  /** Any of these; an empty list is none. @default all */
  readonly types?: readonly string[] | undefined;
}

export interface NeighborsOptions extends FollowOptions {
  /** @default Infinity */
  readonly limit?: number | undefined;
}

export interface BfsOptions extends NeighborsOptions {
  /** How many edges away from the start. @default Infinity */
  readonly depth?: number | undefined;
  /** Called for each node in order; `false` ends the traversal with this node. */
  readonly visit?: ((id: string, depth: number) => unknown) | undefined;
}

export interface GraphChainStep {
  /** @default "out" */
  readonly direction?: Direction | undefined;
  /** @default any */
  readonly type?: string | undefined;
}

/** Levels for which a query costs less than reading a graph that is not in memory. */
const SMALL_DEPTH = 2;

const countEdges = prepareStatement(sql`select
    (select count(*) from ${graphEdges} where ${graphEdges.fromRow} = node.row_id),
    (select count(*) from ${graphEdges} where ${graphEdges.toRow} = node.row_id)
  from (select ${graphNodes.rowId} as row_id from ${graphNodes} where ${isNode}) as node`);

export async function neighbors(context: RepositoryContext, id: string, options: NeighborsOptions): Promise<string[]> {
  expectId(id);
  expectKeys("neighbors", options, ["direction", "types", "limit"]);
  const { limit = Number.POSITIVE_INFINITY } = options;
  expectLimit(limit);
  const following = toFollowing(options);
  const { executor, project, graphs } = context;
  return asStorageErrors(async () => {
    const graph = await graphs.get(executor, project, { isSmall: true });
    if (graph !== undefined) {
      const found = neighborsOf(placeOf(context, graph, id), graph.select(following.direction, following.types));
      return idsOf(graph, found.slice(0, limit));
    }
    const [exists, found] = await executor.batch([
      nodeExists({ project, id }),
      neighborsStatement(project, id, following, limit),
    ]);
    if (exists!.rows.length === 0) throw noNode(context, id);
    return found!.rows.map((row) => row[0] as string);
  });
}

export async function degree(context: RepositoryContext, id: string): Promise<{ in: number; out: number }> {
  expectId(id);
  const { rows } = await asStorageErrors(() => context.executor.execute(countEdges({ project: context.project, id })));
  const [row] = rows;
  if (row === undefined) throw noNode(context, id);
  return { in: Number(row[1]), out: Number(row[0]) };
}

export async function bfs(context: RepositoryContext, start: string, options: BfsOptions): Promise<string[]> {
  expectKeys("bfs", options, ["depth", "direction", "types", "limit", "visit"]);
  const { depth = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY, visit } = options;
  expectId(start, "start");
  expectDepth("depth", depth);
  expectLimit(limit);
  if (visit !== undefined) expectFunction("visit", visit);
  const reached = await reach(context, start, toFollowing(options), depth, limit);
  if (visit === undefined) return reached.ids.slice(0, limit);
  for (let level = 0, index = 0; index < Math.min(limit, reached.ids.length); index++) {
    while (index >= reached.starts[level + 1]!) level++;
    if ((await visit(reached.ids[index]!, level)) === false) return reached.ids.slice(0, index + 1);
  }
  return reached.ids.slice(0, limit);
}

export async function kHop(
  context: RepositoryContext,
  start: string,
  depth: number,
  options: NeighborsOptions,
): Promise<string[]> {
  expectKeys("kHop", options, ["direction", "types", "limit"]);
  const { limit = Number.POSITIVE_INFINITY } = options;
  expectId(start, "start");
  expectDepth("depth", depth);
  expectLimit(limit);
  const { ids } = await reach(context, start, toFollowing(options), depth, limit + 1);
  return ids.slice(1, limit + 1);
}

export async function hasPath(
  context: RepositoryContext,
  a: string,
  b: string,
  maxDepth: number,
  options: FollowOptions,
): Promise<boolean> {
  expectKeys("hasPath", options, ["direction", "types"]);
  expectId(a, "a");
  expectId(b, "b");
  expectDepth("maxDepth", maxDepth);
  const following = toFollowing(options);
  const { executor, project, graphs } = context;
  return asStorageErrors(async () => {
    const graph = await graphs.get(executor, project, { isSmall: maxDepth <= SMALL_DEPTH });
    if (graph !== undefined) {
      const start = placeOf(context, graph, a);
      const target = graph.find(b);
      if (target === undefined) return false;
      const selection = graph.select(following.direction, following.types);
      const { nodes } = await levelsFrom(graph, start, selection, { depth: maxDepth, target });
      return nodes.includes(target);
    }
    const exists = await executor.execute(nodeExists({ project, id: a }));
    if (exists.rows.length === 0) throw noNode(context, a);
    if (maxDepth === Number.POSITIVE_INFINITY) return isReachable(executor, project, a, b, following);
    const reached = await reachedByQuery(executor, project, a, following, maxDepth);
    return reached.some(({ id }) => id === b);
  });
}

export async function chain(
  context: RepositoryContext,
  start: string,
  given: readonly GraphChainStep[],
): Promise<string[]> {
  expectId(start, "start");
  const steps = toSteps(given);
  const { executor, project, graphs } = context;
  return asStorageErrors(async () => {
    const statement = chainStatement(project, start, steps);
    const demand = statement === undefined ? { isRequired: true } : { isSmall: steps.length <= SMALL_DEPTH };
    const graph = await graphs.get(executor, project, demand);
    if (graph === undefined) {
      const [exists, found] = await executor.batch([nodeExists({ project, id: start }), statement!]);
      if (exists!.rows.length === 0) throw noNode(context, start);
      return found!.rows.map((row) => row[0] as string);
    }
    let places = [placeOf(context, graph, start)];
    for (const { direction, type } of steps) {
      const selection = graph.select(direction, type === undefined ? undefined : [type]);
      const next = new Set<number>();
      for (const place of places) for (const neighbor of neighborsOf(place, selection)) next.add(neighbor);
      places = [...next];
    }
    return idsOf(graph, Uint32Array.from(places).sort());
  });
}

/** Nodes level by level, and where each level starts; more than `atLeast` only where a level ends. */
async function reach(
  context: RepositoryContext,
  start: string,
  following: Following,
  depth: number,
  atLeast: number,
): Promise<{ ids: string[]; starts: readonly number[] }> {
  const { executor, project, graphs } = context;
  return asStorageErrors(async () => {
    const graph = await graphs.get(executor, project, { isSmall: depth <= SMALL_DEPTH });
    if (graph !== undefined) {
      const selection = graph.select(following.direction, following.types);
      const levels = await levelsFrom(graph, placeOf(context, graph, start), selection, { depth, atLeast });
      return { ids: idsOf(graph, levels.nodes), starts: levels.starts };
    }
    const reached = await reachedByQuery(executor, project, start, following, depth);
    if (reached.length === 0) throw noNode(context, start);
    return { ids: reached.map(({ id }) => id), starts: startsOf(reached) };
  });
}

function startsOf(reached: readonly Reached[]): number[] {
  const starts: number[] = [];
  for (const [index, { depth }] of reached.entries()) if (depth === starts.length) starts.push(index);
  return [...starts, reached.length];
}

/** Fills in the defaults of what is to be followed; throws TypeError on wrong values. */
export function toFollowing({ direction = "out", types }: FollowOptions): Following {
  expectDirection(direction);
  if (types !== undefined) expectTypes(types);
  return { direction, types };
}

export function placeOf(context: RepositoryContext, graph: Adjacency, id: string): number {
  const place = graph.find(id);
  if (place === undefined) throw noNode(context, id);
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

import { sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { halvedUntilItFits } from "../read-all.js";
import { type Statement, selection, toStatement } from "../statements.js";
import { compareCodePoints } from "./algorithms/code-points.js";
import { shortestPath } from "./algorithms/shortest-path.js";
import { versionIn } from "./cache.js";
import { edgeParts, type GraphEdge, toEdge } from "./edge.js";
import { type Following, ofTypes } from "./queries.js";
import { type FollowOptions, idsOf, placeOf } from "./traversal.js";

/** Which path. */
export interface ShortestPathOptions extends FollowOptions {
  /** Whether the path of least weight is meant, and not the one of fewest edges. @default false */
  readonly weighted?: boolean | undefined;
}

/** A way from one node to another. */
export interface GraphPath {
  /** The nodes, both ends included. */
  readonly ids: string[];
  /** The edges between them; of parallel ones the lightest, then the one with the smallest id. */
  readonly edges: GraphEdge[];
  /** The sum of the weights of `edges`, also without `weighted`. */
  readonly weight: number;
}

/** How many steps are read at once; fewer if their edges have much data, because a server limits an answer to 10 MB. */
const STEPS_PER_READ = 10_000;
/** How often the edges of a path are read while others change the graph; the last attempt holds the write lock. */
const MAX_ATTEMPTS = 5;

export async function pathBetween(
  context: RepositoryContext,
  a: string,
  b: string,
  following: Following,
  weighted: boolean,
): Promise<GraphPath | undefined> {
  const attempt = (executor: Executor) => findPath(context, executor, a, b, following, weighted);
  for (let count = 1; count < MAX_ATTEMPTS; count++) {
    const path = await attempt(context.executor);
    if (path !== "changed") return path;
  }
  const path = await context.executor.atomically(attempt);
  return path === "changed" ? undefined : path;
}

async function findPath(
  context: RepositoryContext,
  executor: Executor,
  a: string,
  b: string,
  following: Following,
  weighted: boolean,
): Promise<GraphPath | undefined | "changed"> {
  const { project, graphs } = context;
  const graph = await graphs.require(executor, project);
  const start = placeOf(context, graph, a);
  const end = graph.find(b);
  if (end === undefined) return undefined;
  const places = await shortestPath(graph, start, end, { ...following, weighted });
  if (places === undefined) return undefined;
  const ids = idsOf(graph, places);
  if (ids.length === 1) return { ids, edges: [], weight: 0 };
  const edges = new Array<GraphEdge | undefined>(ids.length - 1).fill(undefined);
  for (let first = 0; first < edges.length; ) {
    const { results, count } = await halvedUntilItFits(
      Math.min(STEPS_PER_READ, edges.length - first),
      async (steps) => {
        const statements = [graphs.versionStatement(project), edgesAlong(project, ids, first, steps, following)];
        return { results: await executor.batch(statements), count: steps };
      },
    );
    const [versions, edgesFound] = results;
    if (versionIn(versions!) !== graph.version) return "changed";
    first += count;
    for (const row of edgesFound!.rows) {
      const edge = toEdge(row);
      const step = Number(row[found.at.step]);
      const other = edges[step];
      const isLighter =
        other === undefined || edge.weight < other.weight || (edge.weight === other.weight && isSmaller(edge, other));
      if (isLighter) edges[step] = edge;
    }
  }
  const chosen = edges as GraphEdge[];
  return { ids, edges: chosen, weight: chosen.reduce((sum, { weight }) => sum + weight, 0) };
}

const found = selection({ ...edgeParts, step: sql`step.value ->> 0` });

/** All edges that lead from one node of a path to the next, with the number of the step, `count` from `first` on. */
function edgesAlong(
  project: string,
  ids: readonly string[],
  first: number,
  count: number,
  { direction, types }: Following,
): Statement {
  const steps = ids.slice(first + 1, first + 1 + count).flatMap((id, index) => {
    const step = first + index;
    const pairs: [string, string][] = [];
    if (direction !== "in") pairs.push([ids[step]!, id]);
    if (direction !== "out") pairs.push([id, ids[step]!]);
    return pairs.map((pair) => [step, ...pair]);
  });
  return toStatement(sql`select ${found.columns}
    from json_each(${JSON.stringify(steps)}) as step
      cross join ${graphNodes} as f on f.project = ${project} and f.id = step.value ->> 1
      cross join ${graphNodes} as t on t.project = ${project} and t.id = step.value ->> 2
      cross join ${graphEdges} as e on e.from_row = f.row_id and e.to_row = t.row_id ${ofTypes(types)}`);
}

function isSmaller(edge: GraphEdge, other: GraphEdge): boolean {
  return compareCodePoints(edge.id, other.id) < 0;
}

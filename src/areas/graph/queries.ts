import { type SQL, sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { toSqlLimit } from "../arguments.js";
import type { Executor } from "../executor.js";
import { type Statement, selection, toStatement } from "../statements.js";
import type { Direction } from "./algorithms/adjacency.js";
import { compareCodePoints } from "./algorithms/code-points.js";

/** The edges that a traversal follows. */
export interface Following {
  readonly direction: Direction;
  readonly types: readonly string[] | undefined;
}

/** A step of `chain`, with its defaults. */
export interface ChainStep {
  readonly direction: Direction;
  readonly type: string | undefined;
}

/** A node that was reached, and over how many edges. */
export interface Reached {
  readonly id: string;
  readonly depth: number;
}

/** Up to this depth, pairs of node and depth cost less than an order of all nodes. */
const MAX_PAIR_DEPTH = 3;
/** Steps of one query; SQLite joins no more than 64 tables, and views nested in views count. */
const MAX_QUERY_STEPS = 20;

const n = graphNodes;
const byDepth = selection({ id: sql`n.id`, depth: sql`min(reach.depth)` });
const byPlace = selection({ id: sql`n.id`, parent: sql`parents.place` });
const startRow = (project: string, id: string) =>
  sql`(select ${n.rowId} from ${n} where ${n.project} = ${project} and ${n.id} = ${id})`;

/** The statement that gives the ids of the neighbors of a node. */
export function neighborsStatement(project: string, id: string, following: Following, limit: number): Statement {
  const sources = directions(following.direction).map(
    ([here, there]) =>
      sql`select ${there} as node from ${graphEdges} as e where ${here} = ${startRow(project, id)} ${ofTypes(following.types)}`,
  );
  return toStatement(sql`select n.id from (${sql.join(sources, sql` union `)}) as found
    cross join ${n} as n on n.row_id = found.node group by n.row_id order by n.id limit ${toSqlLimit(limit)}`);
}

/** All that can be reached within `depth` edges, by one recursive query; the start first, then by depth and id. */
export async function reachedByQuery(
  executor: Executor,
  project: string,
  start: string,
  following: Following,
  depth: number,
): Promise<Reached[]> {
  if (depth <= MAX_PAIR_DEPTH) {
    const steps = directions(following.direction).map(
      ([
        here,
        there,
      ]) => sql`select ${there}, reach.depth + 1 from reach cross join ${graphEdges} as e on ${here} = reach.node
        where reach.depth < ${depth} ${ofTypes(following.types)}`,
    );
    const { rows } = await executor.execute(
      toStatement(sql`with recursive reach(node, depth) as (
        select ${startRow(project, start)}, 0 union ${sql.join(steps, sql` union `)}
      ) select ${byDepth.columns} from reach cross join ${n} as n on n.row_id = reach.node
        group by reach.node order by 2, n.id`),
    );
    const { at } = byDepth;
    return rows.map((row) => ({ id: row[at.id] as string, depth: Number(row[at.depth]) }));
  }
  return (await reachedInOrder(executor, project, start, following)).filter((node) => node.depth <= depth);
}

/**
 * Without a bound, pairs of node and depth would never end on a cycle. A recursive query without ORDER BY takes its rows
 * first in, first out, so it is breadth first. A node is one level deeper than the first of its neighbors in that order.
 */
async function reachedInOrder(
  executor: Executor,
  project: string,
  start: string,
  following: Following,
): Promise<Reached[]> {
  const found = sql.join(
    directions(following.direction).map(
      ([here, there]) => sql`select ${there} as node, reached.place as place from reached
        cross join ${graphEdges} as e on ${here} = reached.node where true ${ofTypes(following.types)}`,
    ),
    sql` union all `,
  );
  const { rows } = await executor.execute(
    toStatement(sql`with recursive ${reachOf(project, start, following)},
      reached(node, place) as materialized (select node, row_number() over () - 1 from reach),
      parents(node, place) as materialized (select node, min(place) from (${found}) group by node)
    select ${byPlace.columns} from reached cross join ${n} as n on n.row_id = reached.node
      left join parents on parents.node = reached.node order by reached.place`),
  );
  const { at } = byPlace;
  const reached: Reached[] = [];
  for (const row of rows) {
    const depth = reached.length === 0 ? 0 : reached[Number(row[at.parent])]!.depth + 1;
    reached.push({ id: row[at.id] as string, depth });
  }
  return reached.sort((a, b) => a.depth - b.depth || compareCodePoints(a.id, b.id));
}

/** Whether `end` can be reached from `start`, by one recursive query. */
export async function isReachable(
  executor: Executor,
  project: string,
  start: string,
  end: string,
  following: Following,
): Promise<boolean> {
  const { rows } = await executor.execute(
    toStatement(sql`with recursive ${reachOf(project, start, following)}
      select 1 from reach where node = ${startRow(project, end)} limit 1`),
  );
  return rows.length > 0;
}

/** The statement that gives the ids at the end of a chain; undefined where it has too many steps for one query. */
export function chainStatement(project: string, start: string, steps: readonly ChainStep[]): Statement | undefined {
  if (steps.length > MAX_QUERY_STEPS) return undefined;
  const tables = steps.map(({ direction, type }, index) => {
    const previous = sql.raw(`step${index}`);
    const parts = directions(direction).map(
      ([
        here,
        there,
      ]) => sql`select ${there} from ${previous} cross join ${graphEdges} as e on ${here} = ${previous}.node
        where true ${ofTypes(type === undefined ? undefined : [type])}`,
    );
    return sql`${sql.raw(`step${index + 1}`)}(node) as materialized (select distinct * from (${sql.join(parts, sql` union `)}))`;
  });
  const first = sql`step0(node) as (select ${startRow(project, start)})`;
  return toStatement(sql`with ${sql.join([first, ...tables], sql`, `)}
    select n.id from ${sql.raw(`step${steps.length}`)} as last cross join ${n} as n on n.row_id = last.node order by n.id`);
}

function reachOf(project: string, start: string, following: Following): SQL {
  const steps = directions(following.direction).map(
    ([here, there]) => sql`select ${there} from reach cross join ${graphEdges} as e on ${here} = reach.node
      where true ${ofTypes(following.types)}`,
  );
  return sql`reach(node) as (select ${startRow(project, start)} union ${sql.join(steps, sql` union `)})`;
}

/** The columns of the end to follow from, and of the end to follow to. */
function directions(direction: Direction): [here: SQL, there: SQL][] {
  const out: [SQL, SQL] = [sql.raw("e.from_row"), sql.raw("e.to_row")];
  const back: [SQL, SQL] = [out[1], out[0]];
  return direction === "out" ? [out] : direction === "in" ? [back] : [out, back];
}

/** The end of a condition on the edges `e`. */
export function ofTypes(types: readonly string[] | undefined): SQL {
  return types === undefined ? sql`` : sql`and e.type in (select value from json_each(${JSON.stringify(types)}))`;
}

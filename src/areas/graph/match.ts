import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { expectArray, expectation, expectOneOf, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit, toSqlLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Metadata } from "../metadata.js";
import { list, type Statement, selection, toStatement } from "../statements.js";
import type { Direction } from "./algorithms/adjacency.js";
import { expectNodeFilter, type GraphNodeFilter, nodeConditions } from "./filter.js";
import { type GraphNode, nodeParts, toNode } from "./node.js";

/** A node of a pattern. */
export interface PatternNode extends GraphNodeFilter {
  /** The variable that holds the node in the answer; the same one twice means the same node. */
  readonly as?: string | undefined;
  /** The id of the node. */
  readonly id?: string | undefined;
}

/** An edge of a pattern, between the nodes before and after it. */
export interface PatternEdge {
  /** The type of the edge. */
  readonly type?: string | undefined;
  /** Any of these; an empty list is none. */
  readonly types?: readonly string[] | undefined;
  /** As seen from the node before. @default "out" */
  readonly direction?: Direction | undefined;
}

/** Nodes with edges between: node, edge, node, … */
export type GraphPattern = readonly [PatternNode, ...(PatternNode | PatternEdge)[]];

type Named<P extends GraphPattern> = Extract<P[number], { readonly as: string }>["as"];
/** Any, if the pattern is not given as a literal. */
type Variable<P extends GraphPattern> = [Named<P>] extends [never] ? string : Named<P>;

/** The nodes that a pattern binds, by variable; a pattern given as a literal names them. */
export type GraphMatch<P extends GraphPattern, D extends object = Metadata> = {
  readonly [K in Variable<P>]: GraphNode<D>;
};

/** The options of `match`. */
export interface MatchOptions {
  /** The most matches. @default Infinity */
  readonly limit?: number | undefined;
}

/** Edges of a pattern: each takes two of the 64 tables that SQLite joins, and a share of the time to plan. */
const MAX_EDGES = 20;

/** The statement that finds a pattern, and the function that turns its rows into matches; throws TypeError or RangeError. */
export function compileMatch(
  context: RepositoryContext,
  pattern: GraphPattern,
  options: MatchOptions,
): { statement: Statement; toMatch: (row: Row) => Record<string, GraphNode> } {
  const { project } = context;
  expectKeys("match", options, ["limit"]);
  const { limit = Number.POSITIVE_INFINITY } = options;
  expectLimit(limit);
  expectPattern(pattern);
  const nodes = pattern.filter((_, index) => index % 2 === 0) as readonly PatternNode[];
  const edges = pattern.filter((_, index) => index % 2 === 1) as readonly PatternEdge[];
  /** Where each variable is bound first. */
  const bound = new Map<string, SQL>();
  const conditions: SQL[] = [];
  for (const [index, node] of nodes.entries()) {
    const alias = sql.raw(`n${index}`);
    conditions.push(...nodeConditions(project, node, alias));
    if (node.as === undefined) continue;
    const first = bound.get(node.as);
    if (first === undefined) bound.set(node.as, alias);
    else conditions.push(sql`${alias}.row_id = ${first}.row_id`);
  }
  for (const [index, edge] of edges.entries()) conditions.push(...edgeConditions(edge, index));
  const anchor = nodes.reduce((best, node, index) => (weightOf(node) > weightOf(nodes[best]!) ? index : best), 0);
  const tables = [sql`${graphNodes} as ${sql.raw(`n${anchor}`)}`];
  // The joins follow the edges from the anchor: without statistics, SQLite may pair all nodes before it looks for edges.
  for (let right = anchor; right < edges.length; right++) tables.push(leg(edges[right]!, right, right, right + 1));
  for (let left = anchor - 1; left >= 0; left--) tables.push(leg(edges[left]!, left, left + 1, left));
  const variables = [...bound.keys()];
  const rowIds = [...bound.values()].map((alias, index) => sql`${alias}.row_id as ${sql.raw(`b${index}`)}`);
  const shown = variables.map((_, index) => sql.raw(`v${index}`));
  const selections = shown.map((alias, index) => selection(nodeParts(alias), `v${index}_`));
  const comma = sql`, `;
  const statement = toStatement(sql`select ${list(selections.map(({ columns }) => columns))}
    from (select distinct ${sql.join(rowIds, comma)} from ${sql.join(tables, sql` cross join `)} where ${sql.join(conditions, sql` and `)})
    ${sql.join(
      shown.map((alias, index) => sql`join ${graphNodes} as ${alias} on ${alias}.row_id = ${sql.raw(`b${index}`)}`),
      sql` `,
    )}
    order by ${sql.join(
      shown.map((alias) => sql`${alias}.id`),
      comma,
    )} limit ${toSqlLimit(limit)}`);
  // A node can occur in many rows, and is made once.
  const known = new Map<string, GraphNode>();
  const toMatch = (row: Row) =>
    Object.fromEntries(
      variables.map((variable, index) => {
        const { at } = selections[index]!;
        const id = row[at.id] as string;
        const node = known.get(id) ?? toNode(row, at);
        known.set(id, node);
        return [variable, node];
      }),
    );
  return { statement, toMatch };
}

/** How few nodes are likely to meet the filter of a node. */
function weightOf({ id, name, namePrefix, label, kind, where }: PatternNode): number {
  return [where, kind, label, namePrefix, name, id].findLastIndex((given) => given !== undefined);
}

/** The edge `number` from the node `known` to the node `next`. */
function leg({ direction = "out" }: PatternEdge, number: number, known: number, next: number): SQL {
  const edge = sql.raw(`e${number}`);
  const here = sql`${sql.raw(`n${known}`)}.row_id`;
  const there = sql`${sql.raw(`n${next}`)}.row_id`;
  const onward = sql`${edge}.from_row = ${here}`;
  const back = sql`${edge}.to_row = ${here}`;
  // Directions are meant from left to right, also for an edge that is followed from right to left.
  const isOnward = (direction === "out") === known < next;
  const [isIncident, other] =
    direction === "both"
      ? [sql`(${onward} or ${back})`, sql`case when ${onward} then ${edge}.to_row else ${edge}.from_row end`]
      : isOnward
        ? [onward, sql`${edge}.to_row`]
        : [back, sql`${edge}.from_row`];
  return sql`${graphEdges} as ${edge} on ${isIncident} cross join ${graphNodes} as ${sql.raw(`n${next}`)} on ${there} = ${other}`;
}

function edgeConditions({ type, types }: PatternEdge, index: number): SQL[] {
  const own = sql.raw(`e${index}`);
  const conditions: SQL[] = [];
  if (type !== undefined) conditions.push(sql`${own}.type = ${type}`);
  if (types !== undefined) {
    conditions.push(sql`${own}.type in (select value from json_each(${JSON.stringify(types)}))`);
  }
  for (let other = 0; other < index; other++) conditions.push(sql`${own}.row_id <> ${sql.raw(`e${other}`)}.row_id`);
  return conditions;
}

function expectPattern(pattern: unknown): asserts pattern is GraphPattern {
  if (!Array.isArray(pattern) || pattern.length % 2 === 0) {
    throw new TypeError(expectation("pattern", "a list of nodes with an edge between each two", pattern));
  }
  if (pattern.length > 2 * MAX_EDGES + 1) {
    throw new RangeError(expectation("pattern", `at most ${MAX_EDGES} edges`, (pattern.length - 1) / 2));
  }
  expectArray("pattern", pattern as unknown, "nodes and edges");
  for (const [index, part] of pattern.entries()) {
    if (index % 2 === 0) {
      expectNodeFilter("a node of a pattern", part, ["as", "id"]);
      if (part.as !== undefined) expectText("as", part.as, 200);
    } else {
      expectKeys("an edge of a pattern", part, ["type", "types", "direction"]);
      if (part.type !== undefined) expectText("type", part.type, Number.POSITIVE_INFINITY, 0);
      if (part.types !== undefined) expectTypes(part.types);
      if (part.direction !== undefined) expectDirection(part.direction);
    }
  }
  if (pattern.every((part: PatternNode) => part.as === undefined)) {
    throw new TypeError(expectation("pattern", "to bind a node with `as`", pattern));
  }
}

export function expectTypes(value: unknown): asserts value is readonly string[] {
  expectArray("types", value, "strings");
  for (const type of value) expectText("types", type, Number.POSITIVE_INFINITY, 0);
}

export function expectDirection(value: unknown): asserts value is Direction {
  expectOneOf("direction", value, ["out", "in", "both"]);
}

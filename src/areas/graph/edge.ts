import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { StorageError } from "../../shared/errors.js";
import { expectation, toBoolean } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, toJsonText } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { parseObject } from "../json.js";
import type { Metadata, RequiredData } from "../metadata.js";
import { inParts, jsonRows, list, prepareStatement, type Statement, selection, set } from "../statements.js";
import { deleteLabels, deleteNodeRow, expectWord, ownRow, ROWS_PER_STATEMENT } from "./node.js";

/** An edge between two nodes of one project, or from a node to itself. */
export interface GraphEdge<D extends object = Metadata> {
  readonly id: string;
  /** Id of the node it starts from. */
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly weight: number;
  readonly data: D;
}

interface EdgeFields<D extends object> {
  /** The id, unique among the edges of the project. @default a new UUIDv7 */
  readonly id?: string | undefined;
  readonly from: string;
  readonly to: string;
  /** 1 to 200 characters, not all of them blank. */
  readonly type: string;
  /** Finite, 0 or more. @default 1 */
  readonly weight?: number | undefined;
  /** A JSON object of your own; required if its type has required keys. @default {} */
  readonly data?: D | undefined;
  /** Whether there may be one between the same nodes and of the same type already. @default false */
  readonly parallel?: boolean | undefined;
}

/** The input for an edge; a `GraphEdge` is one too. */
export type GraphEdgeInput<D extends object = Metadata> = EdgeFields<D> & RequiredData<D>;

/** Fields to change; those left out, or undefined, stay. */
export type GraphEdgePatch<D extends object = Metadata> = {
  readonly [K in "type" | "weight" | "data"]?: EdgeFields<D>[K] | undefined;
};

/** A checked input. */
export interface EdgeDraft {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly weight: number;
  readonly data: string;
  readonly parallel: boolean;
}

/** Checks an input and fills in the defaults; throws TypeError or RangeError. */
export function toEdgeDraft({ repair }: Pick<RepositoryContext, "repair">, input: GraphEdgeInput<object>): EdgeDraft {
  expectKeys("an edge", input, ["id", "from", "to", "type", "weight", "data", "parallel"]);
  const { id = newId(), from, to, weight = 1, data = {}, parallel = false } = input;
  const type = repair(input.type);
  expectId(id);
  expectId(from, "from");
  expectId(to, "to");
  expectWord("type", type);
  expectWeight(weight);
  toBoolean("parallel", parallel);
  return { id, from, to, type, weight, data: toJsonText("data", repair(data), repair), parallel };
}

function expectWeight(value: unknown): asserts value is number {
  if (typeof value !== "number") throw new TypeError(expectation("weight", "a number", value));
  if (!Number.isFinite(value) || value < 0) {
    throw new RangeError(expectation("weight", "a finite number of at least 0", value));
  }
}

const e = graphEdges;
const n = graphNodes;
const project = sql.placeholder("project");

/** Edges `e` with their nodes `f` and `t`; a condition on `f`, `t` or `e` has to name the project. */
export const edgesWithNodes = sql`${e} as e join ${n} as f on f.row_id = e.from_row join ${n} as t on t.row_id = e.to_row`;
/** The columns that `toEdge` reads, of `edgesWithNodes`. A query may select more. */
export const edgeParts = {
  id: sql.raw("e.id"),
  from: sql.raw("f.id"),
  to: sql.raw("t.id"),
  type: sql.raw("e.type"),
  weight: sql.raw("e.weight"),
  data: sql.raw("e.data"),
};
const edge = selection(edgeParts);
export const edgeColumns = edge.columns;
/** The order of edges wherever several are given. */
export const edgeOrder = sql.raw("f.id, t.id, e.type, e.id");

export function toEdge<D extends object = Metadata>(row: Row): GraphEdge<D> {
  const { at } = edge;
  const id = row[at.id] as string;
  return {
    id,
    from: row[at.from] as string,
    to: row[at.to] as string,
    type: row[at.type] as string,
    weight: Number(row[at.weight]),
    data: parseObject(row[at.data], "graph_edges", id) as D,
  };
}

/** The record of a draft that has just been stored. */
export function draftToEdge<D extends object = Metadata>(draft: EdgeDraft): GraphEdge<D> {
  const { id, from, to, type, weight, data } = draft;
  return { id, from, to, type, weight, data: JSON.parse(data) as D };
}

export const selectEdge = prepareStatement(
  () => sql`select ${edgeColumns} from ${edgesWithNodes}
  where e.project = ${project} and e.id = ${sql.placeholder("id")}`,
);

const nodeRow = (place: number): SQL =>
  sql`(select ${n.rowId} from ${n} where ${n.project} = ${project} and ${n.id} = edge.value ->> ${sql.raw(String(place))})`;
const insertInto = sql`insert into ${e} (project, id, from_row, to_row, type, copy, weight, data)`;
const draftRows = sql`from ${jsonRows("rows")} as edge`;
// Statements take rows as JSON: one statement for many rows costs half as much as one for each. SQLite does not always
// read the last bit of decimals in JSON, so a weight is an integer and a power of two to divide by, or an argument.
const weightColumn = sql`coalesce(${sql.placeholder("weight")}, (edge.value ->> 4) * 1.0 / (1 << (edge.value ->> 5)))`;
const insertRows = prepareStatement(
  () => sql`${insertInto} select ${project}, edge.value ->> 0, ${nodeRow(1)}, ${nodeRow(2)},
  edge.value ->> 3, 0, ${weightColumn}, edge.value ->> 6 ${draftRows}`,
);
/** For edges that differ only in their ends, like those of many bulk loads: the shared values are arguments. */
const insertLikeRows = prepareStatement(
  () => sql`${insertInto} select ${project}, edge.value ->> 0, ${nodeRow(1)},
  ${nodeRow(2)}, ${sql.placeholder("type")}, 0, ${sql.placeholder("weight")}, ${sql.placeholder("data")} ${draftRows}`,
);
/** The last column counts those of the same ends and type that come before in the same statement. */
const insertParallelRows = prepareStatement(
  () => sql`${insertInto} select ${project}, edge.value ->> 0, ${nodeRow(1)},
  ${nodeRow(2)}, edge.value ->> 3,
  case when edge.value ->> 7 then edge.value ->> 8 + coalesce((select max(copy) + 1 from ${e} as other
    where other.from_row = ${nodeRow(1)} and other.to_row = ${nodeRow(2)} and other.type = edge.value ->> 3), 0) else 0 end,
  ${weightColumn}, edge.value ->> 6 ${draftRows}`,
);
const updateRow = prepareStatement(
  () =>
    sql`update ${e} set ${list([
      set(e.copy, sql`case when ${sql.placeholder("type")} <> ${e.type} then 0 else ${e.copy} end`),
      set(e.type, sql`coalesce(${sql.placeholder("type")}, ${e.type})`),
      set(e.weight, sql`coalesce(${sql.placeholder("weight")}, ${e.weight})`),
      set(e.data, sql`coalesce(${sql.placeholder("data")}, ${e.data})`),
    ])} where ${e.project} = ${project} and ${e.id} = ${sql.placeholder("id")}`,
);
/** Returns the ids. */
const deleteEdgesOfNode = prepareStatement(
  () => sql`delete from ${e} where ${e.fromRow} = ${ownRow} or ${e.toRow} = ${ownRow} returning id`,
);
export const deleteEdgeRow = prepareStatement(
  () => sql`delete from ${e} where ${e.project} = ${project} and ${e.id} = ${sql.placeholder("id")}`,
);

/** The statements that store drafts as new edges; run them in `namingEnds`. */
export function insertEdges(context: RepositoryContext, drafts: readonly EdgeDraft[]): Statement[] {
  const statements: Statement[] = [];
  let rows: EdgeDraft[] = [];
  const flush = () => {
    if (rows.length > 0) statements.push(...inParts(rows, (part) => insertStatement(context.project, part)));
    rows = [];
  };
  for (const draft of drafts) {
    const isOdd = integerAndShift(draft.weight) === undefined;
    if (isOdd || rows.length === ROWS_PER_STATEMENT) flush();
    rows.push(draft);
    if (isOdd) flush();
  }
  flush();
  return statements;
}

function insertStatement(project: string, drafts: readonly EdgeDraft[]): Statement {
  const hasParallel = drafts.some(({ parallel }) => parallel);
  const { type, weight: shared, data: json } = drafts[0]!;
  if (!hasParallel && drafts.every((one) => one.type === type && one.weight === shared && one.data === json)) {
    const rows = JSON.stringify(drafts.map(({ id, from, to }) => [id, from, to]));
    return insertLikeRows({ project, rows, type, weight: shared, data: json });
  }
  const before = new Map<string, number>();
  const rows = drafts.map(({ id, from, to, type, weight, data, parallel }) => {
    const row = [id, from, to, type, ...(integerAndShift(weight) ?? [0, 0]), data];
    if (!hasParallel) return row;
    const key = JSON.stringify([from, to, type]);
    const count = before.get(key) ?? 0;
    before.set(key, count + 1);
    return [...row, parallel ? 1 : 0, count];
  });
  const [first] = drafts;
  const weight = integerAndShift(first!.weight) === undefined ? first!.weight : null;
  const values = { project, rows: JSON.stringify(rows), weight };
  return hasParallel ? insertParallelRows(values) : insertRows(values);
}

/** The integer and the power of two that it is to be divided by to give `weight`; undefined where there is none. */
function integerAndShift(weight: number): [integer: number, shift: number] | undefined {
  let integer = weight;
  // 62: the largest power of two that is a 64-bit integer.
  for (let shift = 0; shift <= 62; shift++, integer *= 2) if (Number.isSafeInteger(integer)) return [integer, shift];
  return undefined;
}

/** The statements that remove a node: its edges, whose ids the first returns, its labels, and the node. */
export function deleteNodeStatements(project: string, id: string): Statement[] {
  const node = { project, id };
  return [deleteEdgesOfNode(node), deleteLabels(node), deleteNodeRow(node)];
}

/** The statement that changes an edge, if there is one; throws TypeError or RangeError. */
export function updateEdgeStatement(context: RepositoryContext, id: string, patch: GraphEdgePatch<object>): Statement {
  expectKeys("a patch", patch, ["type", "weight", "data"]);
  const { type, weight, data } = context.repair(patch);
  if (type !== undefined) expectWord("type", type);
  if (weight !== undefined) expectWeight(weight);
  const json = data === undefined ? null : toJsonText("data", data);
  return updateRow({ project: context.project, id, type: type ?? null, weight: weight ?? null, data: json });
}

/** The nodes of an edge. */
export type EdgeEnds = Pick<GraphEdge, "from" | "to">;

/**
 * Runs work that stores edges. Its errors name the end whose node is unknown, and the node if there is one edge, or say
 * that there is such an edge.
 */
export async function namingEnds<T>(work: () => Promise<T>, edge?: EdgeEnds): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asEdgeError(error, edge);
  }
}

/** An edge whose node is unknown has no row to refer to: SQLite then reports a NULL. */
function asEdgeError(error: unknown, edge: EdgeEnds | undefined): unknown {
  if (!(error instanceof StorageError) || error.table !== "graph_edges") return error;
  const { code, cause, table, columns } = error;
  if (code === "CONFLICT" && columns?.includes("from_row") === true) {
    const message =
      "There is an edge of this type between these nodes already: update it, or add with `parallel: true`";
    return new StorageError(code, message, { cause, table, columns });
  }
  if (code !== "INVALID") return error;
  const [column] = error.columns ?? [];
  if (column !== "from_row" && column !== "to_row") return error;
  const end = column === "from_row" ? "from" : "to";
  return unknownNode(end, edge?.[end], error.cause);
}

/** The error for an edge whose node is unknown. */
export function unknownNode(end: keyof EdgeEnds, id: string | undefined, cause: unknown): StorageError {
  const what =
    id === undefined
      ? `No node has the id that \`${end}\` of an edge names`
      : `There is no node ${JSON.stringify(id)}, which \`${end}\` of an edge names`;
  return new StorageError("FOREIGN_KEY", `${what}. Add the node first`, {
    cause,
    table: "graph_edges",
    columns: [end === "from" ? "from_row" : "to_row"],
  });
}

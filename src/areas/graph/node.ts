import type { InValue, Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { graphLabels, graphNodes } from "../../schema/graph.js";
import { expectArray, expectation, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, MAX_NAME_CHARS, toJsonText, toMillis } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { parseObject } from "../json.js";
import type { Metadata, RequiredData } from "../metadata.js";
import {
  inParts,
  jsonRows,
  list,
  prepareStatement,
  type Statement,
  selection,
  set,
  setEach,
  touch,
} from "../statements.js";
import { compareCodePoints } from "./algorithms/code-points.js";

/** A node of a graph. */
export interface GraphNode<D extends object = Metadata> {
  readonly id: string;
  /** Its type, for example `function` or `file`. */
  readonly kind: string;
  readonly name: string;
  readonly data: D;
  /** By code point, each once. */
  readonly labels: readonly string[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

interface NodeFields<D extends object> {
  /** The id, unique among the nodes of the project. @default a new UUIDv7 */
  readonly id?: string | undefined;
  /** 1 to 200 characters, not all of them blank; a label as well. */
  readonly kind: string;
  /** 1 to 10,000 characters, not all of them blank. */
  readonly name: string;
  /** A JSON object of your own; required if its type has required keys. @default {} */
  readonly data?: D | undefined;
  /** The labels of the node. @default [] */
  readonly labels?: readonly string[] | undefined;
  /** A Date or integer milliseconds. @default now */
  readonly createdAt?: Date | number | undefined;
}

/** The input for a node; a `GraphNode` is one too. */
export type GraphNodeInput<D extends object = Metadata> = NodeFields<D> & RequiredData<D>;

/** Fields to change; those left out, or undefined, stay. */
export type GraphNodePatch<D extends object = Metadata> = {
  readonly [K in "kind" | "name" | "data" | "labels"]?: NodeFields<D>[K] | undefined;
};

/** A checked input. */
export interface NodeDraft {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly data: string;
  readonly labels: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

const MAX_NODE_NAME_CHARS = 10_000;

/** Throws unless `value` is text that is not blank. */
export function expectWord(name: string, value: unknown, max = MAX_NAME_CHARS): asserts value is string {
  expectText(name, value, max);
  if (value.trim() === "") throw new RangeError(expectation(name, "more than blanks", value));
}

/** Labels by code point, each once; throws TypeError or RangeError. */
function toLabels(value: unknown): string[] {
  expectArray("labels", value, "strings");
  for (const label of value) expectWord("labels", label);
  return [...new Set(value as string[])];
}

/** Checks an input and fills in the defaults; throws TypeError or RangeError. */
export function toNodeDraft(context: RepositoryContext, input: GraphNodeInput<object>): NodeDraft {
  expectKeys("a node", input, ["id", "kind", "name", "data", "labels", "createdAt", "updatedAt"]);
  const { repair } = context;
  const { id = newId(), data = {}, labels = [], createdAt } = input;
  const kind = repair(input.kind);
  const name = repair(input.name);
  expectId(id);
  expectWord("kind", kind);
  expectWord("name", name, MAX_NODE_NAME_CHARS);
  const now = context.now();
  const created = createdAt === undefined ? now : toMillis("createdAt", createdAt);
  return {
    id,
    kind,
    name,
    data: toJsonText("data", repair(data), repair),
    labels: toLabels(repair(labels)),
    createdAt: created,
    updatedAt: Math.max(created, now),
  };
}

const n = graphNodes;
const l = graphLabels;
const project = sql.placeholder("project");

/** The columns that `toNode` reads; `nodes` is the table, or an alias of it. */
export function nodeParts(nodes: SQL = sql`${n}`) {
  const column = ({ name }: { name: string }) => sql`${nodes}.${sql.identifier(name)}`;
  return {
    id: column(n.id),
    kind: column(n.kind),
    name: column(n.name),
    data: column(n.data),
    createdAt: column(n.createdAt),
    updatedAt: column(n.updatedAt),
    labels: sql`(select json_group_array(label) from (select ${l.label} as label from ${l}
      where ${l.nodeRow} = ${column(n.rowId)} order by ${l.label}))`,
  };
}

const node = selection(nodeParts());
export const nodeColumns = node.columns;

/** The node of a row. Pass the `at` of the selection if it has a prefix. */
export function toNode<D extends object = Metadata>(row: Row, at: typeof node.at = node.at): GraphNode<D> {
  const id = row[at.id] as string;
  return {
    id,
    kind: row[at.kind] as string,
    name: row[at.name] as string,
    data: parseObject(row[at.data], "graph_nodes", id) as D,
    labels: JSON.parse(row[at.labels] as string) as string[],
    createdAt: new Date(Number(row[at.createdAt])),
    updatedAt: new Date(Number(row[at.updatedAt])),
  };
}

/** The record of a draft that has just been stored. */
export function draftToNode<D extends object = Metadata>(draft: NodeDraft): GraphNode<D> {
  return {
    ...draft,
    data: JSON.parse(draft.data) as D,
    labels: [...draft.labels].sort(compareCodePoints),
    createdAt: new Date(draft.createdAt),
    updatedAt: new Date(draft.updatedAt),
  };
}

/** Condition: the node of this project and id. */
export const isNode = sql`${n.project} = ${project} and ${n.id} = ${sql.placeholder("id")}`;

export const selectNode = prepareStatement(() => sql`select ${nodeColumns} from ${n} where ${isNode}`);
export const selectNodes = prepareStatement(
  () => sql`select ${nodeColumns} from ${n} where ${n.project} = ${project}
  and ${n.id} in (select value from json_each(${sql.placeholder("ids")})) order by ${n.id}`,
);

// Statements take rows as JSON: one statement for many rows costs a third of one for each.
const insertRows = prepareStatement(
  () => sql`insert into ${n} (project, id, kind, name, data, created_at, updated_at)
  select ${project}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
  from ${jsonRows("rows")}`,
);
/** Stores all values of a draft, including its times. */
const replaceRow = prepareStatement(
  () => sql`update ${n} set ${setEach({ kind: n.kind, name: n.name, data: n.data, createdAt: n.createdAt, updatedAt: n.updatedAt })}
    where ${isNode}`,
);
const upsertRow = prepareStatement(
  () => sql`insert into ${n} (project, id, kind, name, data, created_at, updated_at)
  values (${project}, ${sql.placeholder("id")}, ${sql.placeholder("kind")}, ${sql.placeholder("name")},
    ${sql.placeholder("data")}, ${sql.placeholder("createdAt")}, ${sql.placeholder("updatedAt")})
  on conflict (project, id) do update set kind = excluded.kind, name = excluded.name, data = excluded.data,
    updated_at = max(created_at, excluded.updated_at)`,
);
const insertLabels = prepareStatement(
  () => sql`insert into ${l} (project, node_row, label)
  select ${project}, ${n.rowId}, pair.value ->> 1 from ${jsonRows("pairs")} as pair
  cross join ${n} on ${n.project} = ${project} and ${n.id} = pair.value ->> 0`,
);
export const ownRow = sql`(select ${n.rowId} from ${n} where ${isNode})`;
export const deleteLabels = prepareStatement(() => sql`delete from ${l} where ${l.nodeRow} = ${ownRow}`);
export const deleteNodeRow = prepareStatement(() => sql`delete from ${n} where ${isNode}`);
export const nodeExists = prepareStatement(() => sql`select 1 from ${n} where ${isNode}`);
const updateRow = prepareStatement(
  () =>
    sql`update ${n} set ${list([
      set(n.kind, sql`coalesce(${sql.placeholder("kind")}, ${n.kind})`),
      set(n.name, sql`coalesce(${sql.placeholder("name")}, ${n.name})`),
      set(n.data, sql`coalesce(${sql.placeholder("data")}, ${n.data})`),
      touch(n.updatedAt, n.createdAt),
    ])} where ${isNode}`,
);

/** The most rows of one statement. It keeps the JSON small, and the event loop can run between two statements. */
export const ROWS_PER_STATEMENT = 500;

/** The statements that store drafts as new nodes. */
export function insertNodes({ project }: RepositoryContext, drafts: readonly NodeDraft[]): Statement[] {
  const statements: Statement[] = [];
  for (let start = 0; start < drafts.length; start += ROWS_PER_STATEMENT) {
    const part = drafts.slice(start, start + ROWS_PER_STATEMENT);
    const rows = part.map(({ id, kind, name, data, createdAt, updatedAt }) => [
      id,
      kind,
      name,
      data,
      createdAt,
      updatedAt,
    ]);
    statements.push(
      ...inParts(rows, (some) => insertRows({ project, rows: JSON.stringify(some) })),
      ...labelStatements(project, part),
    );
  }
  return statements;
}

/** The statements that insert a draft or replace the node with its id, whose `createdAt` stays. */
export function putNodeStatements(context: RepositoryContext, draft: NodeDraft): Statement[] {
  const { labels, ...row } = draft;
  const values: Record<string, InValue> = { ...row, project: context.project };
  return [upsertRow(values), deleteLabels(values), ...labelStatements(context.project, [draft])];
}

/** The statements that replace a stored node, including its times; its edges stay. */
export function replaceNodeStatements({ project }: RepositoryContext, draft: NodeDraft): Statement[] {
  const { labels, ...row } = draft;
  const values = { ...row, project };
  return [replaceRow(values), deleteLabels(values), ...labelStatements(project, [draft])];
}

/** The statements that change a node, if there is one. */
export function updateNodeStatements(
  context: RepositoryContext,
  id: string,
  patch: GraphNodePatch<object>,
): Statement[] {
  expectKeys("a patch", patch, ["kind", "name", "data", "labels"]);
  const { kind, name, data, labels } = context.repair(patch);
  if (kind !== undefined) expectWord("kind", kind);
  if (name !== undefined) expectWord("name", name, MAX_NODE_NAME_CHARS);
  const { project } = context;
  const json = data === undefined ? null : toJsonText("data", data);
  const update = updateRow({ project, id, kind: kind ?? null, name: name ?? null, data: json, now: context.now() });
  if (labels === undefined) return [update];
  return [update, deleteLabels({ project, id }), ...labelStatements(project, [{ id, labels: toLabels(labels) }])];
}

function labelStatements(project: string, drafts: readonly Pick<NodeDraft, "id" | "labels">[]): Statement[] {
  const pairs = drafts.flatMap(({ id, labels }) => labels.map((label) => [id, label]));
  if (pairs.length === 0) return [];
  return inParts(pairs, (part) => insertLabels({ project, pairs: JSON.stringify(part) }));
}

import { type SQL, sql } from "drizzle-orm";
import { graphEdges, graphLabels, graphNodes } from "../../schema/graph.js";
import { StorageError } from "../../shared/errors.js";
import { expectArray, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectLimit, toSqlLimit } from "../arguments.js";
import {
  atRecord,
  type BatchOptions,
  checkEach,
  firstTaken,
  isOfRecord,
  settleConflicts,
  toOnConflict,
} from "../batch.js";
import type { ChangeAction, RepositoryContext } from "../context.js";
import { decodeTexts, encodeTexts, type Page, toPage } from "../cursor.js";
import { asStorageErrors, type Executor } from "../executor.js";
import { currentExecutor } from "../optimistic.js";
import { readAll } from "../read-all.js";
import { all, inParts, prepareStatement, type Statement, toStatement, touch } from "../statements.js";
import { compareCodePoints } from "./algorithms/code-points.js";
import {
  asEdgeError,
  deleteEdgeRow,
  draftToEdge,
  edgeColumns,
  edgeOrder,
  edgesWithNodes,
  type GraphEdge,
  type GraphEdgeInput,
  type GraphEdgePatch,
  insertEdges,
  ROWS_PER_STATEMENT,
  selectEdge,
  toEdge,
  toEdgeDraft,
  updateEdgeStatement,
} from "./edge.js";
import { addEdgesOver, atFailedEdge } from "./edge-batch.js";
import { expectNodeFilter, type GraphNodeFilter, nodeConditions } from "./filter.js";
import {
  expectWord,
  type GraphNode,
  type GraphNodeInput,
  type GraphNodePatch,
  insertNodes,
  isNode,
  type NodeDraft,
  nodeColumns,
  nodeExists,
  putNodeStatements,
  selectNode,
  selectNodes,
  toNode,
  toNodeDraft,
  updateNodeStatements,
} from "./node.js";

export interface FindNodesOptions extends GraphNodeFilter {
  /** @default 50 */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface ListEdgesOptions {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly type?: string | undefined;
  /** @default 50 */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

const n = graphNodes;
const e = graphEdges;
const l = graphLabels;
const placeholder = sql.placeholder("project");

const ownRow = sql`(select ${n.rowId} from ${n} where ${isNode})`;
const deleteEdgesOfNode = prepareStatement(
  sql`delete from ${e} where ${e.fromRow} = ${ownRow} or ${e.toRow} = ${ownRow} returning id`,
);
const deleteLabelsOfNode = prepareStatement(sql`delete from ${l} where ${l.nodeRow} = ${ownRow}`);
const deleteNodeRow = prepareStatement(sql`delete from ${n} where ${isNode}`);
const insertLabel = prepareStatement(sql`insert or ignore into ${l} (project, node_row, label)
  select ${n.project}, ${n.rowId}, ${sql.placeholder("label")} from ${n} where ${isNode}`);
const deleteLabel = prepareStatement(
  sql`delete from ${l} where ${l.nodeRow} = ${ownRow} and ${l.label} = ${sql.placeholder("label")}`,
);
/** After a change of the labels alone; nothing where that changed nothing. */
const touchNode = prepareStatement(
  sql`update ${n} set ${touch(n.updatedAt, n.createdAt)} where ${isNode} and changes() > 0`,
);
const countKinds = prepareStatement(sql`select ${n.kind}, count(*) from ${n} where ${n.project} = ${placeholder}
  group by ${n.kind} order by 2 desc, 1`);
const countEdgeTypes = prepareStatement(sql`select ${e.type}, count(*) from ${e} where ${e.project} = ${placeholder}
  group by ${e.type} order by 2 desc, 1`);

export async function addNode(context: RepositoryContext, input: GraphNodeInput): Promise<GraphNode> {
  const draft = toNodeDraft(context, input);
  await store(context, nodeStatements(context, [draft]));
  announce(context, "insert", [draft.id]);
  return draftToNode(draft);
}

export async function addNodes(
  context: RepositoryContext,
  inputs: readonly GraphNodeInput[],
  options: BatchOptions,
): Promise<GraphNode[]> {
  expectArray("inputs", inputs, "nodes");
  const onConflict = toOnConflict("addNodes", options);
  const drafts = checkEach(inputs, (input) => toNodeDraft(context, input));
  if (drafts.length === 0) return [];
  if (onConflict !== "fail") return addNodesOver(context, drafts, onConflict);
  try {
    await store(context, nodeStatements(context, drafts));
  } catch (error) {
    throw isOfRecord(error) ? await atTakenNode(context, error, drafts) : error;
  }
  announce(
    context,
    "insert",
    drafts.map(({ id }) => id),
  );
  return drafts.map(draftToNode);
}

/** With the lock held, so that what is known of the ids stays true. */
async function addNodesOver(
  context: RepositoryContext,
  drafts: readonly NodeDraft[],
  onConflict: "skip" | "replace",
): Promise<GraphNode[]> {
  const { known, settled } = await asStorageErrors(() =>
    context.executor.atomically(async (locked) => {
      const known = await findNodesById(context, locked, drafts);
      const settled = settleConflicts(drafts, onConflict, known, (draft, earlier) => {
        const createdAt = Number(earlier.createdAt);
        return { ...draft, createdAt, updatedAt: Math.max(createdAt, draft.updatedAt) };
      });
      const isNew = ({ id }: NodeDraft) => !known.has(id);
      const changed = [...settled.values()];
      const statements = [
        ...nodeStatements(context, changed.filter(isNew)),
        ...changed.filter((draft) => !isNew(draft)).flatMap((draft) => putNodeStatements(context, draft)),
      ];
      if (statements.length > 0) await locked.batch(statements);
      return { known, settled };
    }),
  );
  const ids = [...settled.keys()];
  announce(
    context,
    "insert",
    ids.filter((id) => !known.has(id)),
  );
  announce(
    context,
    "update",
    ids.filter((id) => known.has(id)),
  );
  return drafts.map(({ id }) => {
    const draft = settled.get(id);
    return draft === undefined ? known.get(id)! : draftToNode(draft);
  });
}

/** The error of a batch of nodes, with the place of the first whose id is taken. */
async function atTakenNode(
  context: RepositoryContext,
  error: StorageError,
  drafts: readonly NodeDraft[],
): Promise<unknown> {
  // The error of the batch is the one to tell, whatever comes of looking.
  const known = await findNodesById(context, currentExecutor(context.executor), drafts).catch(() => new Map());
  const index = firstTaken(
    drafts.map(({ id }) => id),
    new Set(known.keys()),
  );
  return index === undefined ? error : atRecord(error, { index, id: drafts[index]!.id });
}

async function findNodesById(
  { project }: RepositoryContext,
  executor: Executor,
  drafts: readonly { readonly id: string }[],
): Promise<Map<string, GraphNode>> {
  const found = new Map<string, GraphNode>();
  const statements = inParts(
    drafts.map(({ id }) => [id]),
    (part) => selectNodes({ project, ids: JSON.stringify(part.flat()) }),
  );
  for (const statement of statements) {
    for (const row of await readAll(executor, statement)) found.set(row[0] as string, toNode(row));
  }
  return found;
}

/** The statements that store drafts as new nodes, a number of them at once. */
export function nodeStatements(context: RepositoryContext, drafts: readonly NodeDraft[]): Statement[] {
  const statements: Statement[] = [];
  for (let start = 0; start < drafts.length; start += ROWS_PER_STATEMENT) {
    statements.push(...insertNodes(context, drafts.slice(start, start + ROWS_PER_STATEMENT)));
  }
  return statements;
}

export async function putNode(context: RepositoryContext, input: GraphNodeInput): Promise<GraphNode> {
  const draft = toNodeDraft(context, input);
  const { project } = context;
  const { id } = draft;
  const results = await asStorageErrors(() =>
    context.executor.batch([
      nodeExists({ project, id }),
      ...putNodeStatements(context, draft),
      selectNode({ project, id }),
    ]),
  );
  announce(context, results[0]!.rows.length === 0 ? "insert" : "update", [id]);
  return toNode(results.at(-1)!.rows[0]!);
}

export async function getNode(context: RepositoryContext, id: string): Promise<GraphNode | undefined> {
  expectId(id);
  const [row] = (await run(context, selectNode({ project: context.project, id }))).rows;
  return row === undefined ? undefined : toNode(row);
}

export async function getNodes(context: RepositoryContext, ids: readonly string[]): Promise<GraphNode[]> {
  expectArray("ids", ids, "ids");
  checkEach(ids, (id) => expectId(id));
  const { rows } = await run(context, selectNodes({ project: context.project, ids: JSON.stringify(ids) }));
  const byId = new Map(rows.map((row) => [row[0] as string, toNode(row)]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

export async function findNodes(context: RepositoryContext, options: FindNodesOptions): Promise<Page<GraphNode>> {
  expectNodeFilter("findNodes", options, ["limit", "cursor"]);
  const { limit = 50, cursor, ...filter } = options;
  expectLimit(limit);
  const nodes = sql.raw("n");
  const conditions = nodeConditions(context.project, filter, nodes);
  if (cursor !== undefined) conditions.push(sql`n.id > ${decodeTexts("nodes", cursor, 1)[0]}`);
  const { rows } = await run(
    context,
    toStatement(sql`select ${nodeColumns(nodes)} from ${n} as n where ${all(conditions)}
      order by n.id limit ${toSqlLimit(limit + 1)}`),
  );
  return toPage(rows, limit, toNode, (row) => encodeTexts("nodes", [row[0] as string]));
}

export async function updateNode(
  context: RepositoryContext,
  id: string,
  patch: GraphNodePatch,
): Promise<GraphNode | undefined> {
  expectId(id);
  const statements = [...updateNodeStatements(context, id, patch), selectNode({ project: context.project, id })];
  const results = await asStorageErrors(() => context.executor.batch(statements));
  const row = results.at(-1)!.rows[0];
  if (row === undefined) return undefined;
  announce(context, "update", [id]);
  return toNode(row);
}

export async function deleteNode(context: RepositoryContext, id: string): Promise<boolean> {
  expectId(id);
  const node = { project: context.project, id };
  const [edges, , nodes] = await asStorageErrors(() =>
    context.executor.batch([deleteEdgesOfNode(node), deleteLabelsOfNode(node), deleteNodeRow(node)]),
  );
  if (nodes!.rowsAffected === 0) return false;
  const edgeIds = edges!.rows.map((row) => row[0] as string).sort(compareCodePoints);
  announce(context, "delete", [id, ...edgeIds]);
  return true;
}

export async function addEdge(context: RepositoryContext, input: GraphEdgeInput): Promise<GraphEdge> {
  const draft = toEdgeDraft(context, input);
  await store(context, insertEdges(context, [draft]));
  announce(context, "insert", [draft.id]);
  return draftToEdge(draft);
}

export async function addEdges(
  context: RepositoryContext,
  inputs: readonly GraphEdgeInput[],
  options: BatchOptions,
): Promise<GraphEdge[]> {
  expectArray("inputs", inputs, "edges");
  const onConflict = toOnConflict("addEdges", options);
  const drafts = checkEach(inputs, (input) => toEdgeDraft(context, input));
  if (drafts.length === 0) return [];
  if (onConflict !== "fail") {
    const hasOwnId = inputs.map(({ id }) => id !== undefined);
    const { edges, inserted, updated, deleted } = await addEdgesOver(context, drafts, hasOwnId, onConflict);
    announce(context, "insert", inserted);
    announce(context, "update", updated);
    announce(context, "delete", deleted);
    return edges;
  }
  try {
    await store(context, insertEdges(context, drafts));
  } catch (error) {
    throw isOfRecord(error) ? await atFailedEdge(context, error, drafts) : error;
  }
  announce(
    context,
    "insert",
    drafts.map(({ id }) => id),
  );
  return drafts.map(draftToEdge);
}

export async function getEdge(context: RepositoryContext, id: string): Promise<GraphEdge | undefined> {
  expectId(id);
  const [row] = (await run(context, selectEdge({ project: context.project, id }))).rows;
  return row === undefined ? undefined : toEdge(row);
}

export async function listEdges(context: RepositoryContext, options: ListEdgesOptions): Promise<Page<GraphEdge>> {
  expectKeys("edges", options, ["from", "to", "type", "limit", "cursor"]);
  const { from, to, type, limit = 50, cursor } = options;
  expectLimit(limit);
  const { project } = context;
  const conditions: SQL[] = [sql`f.project = ${project}`, sql`t.project = ${project}`];
  if (from !== undefined) {
    expectId(from, "from");
    conditions.push(sql`f.id = ${from}`);
  }
  if (to !== undefined) {
    expectId(to, "to");
    conditions.push(sql`t.id = ${to}`);
  }
  if (type !== undefined) {
    expectText("type", type, Number.POSITIVE_INFINITY, 0);
    conditions.push(sql`e.type = ${type}`);
  }
  if (cursor !== undefined) {
    const last = decodeTexts("edges", cursor, 4);
    // The first part again, for the index to start from.
    conditions.push(sql`f.id >= ${last[0]}`);
    conditions.push(sql`(${edgeOrder}) > (${last[0]}, ${last[1]}, ${last[2]}, ${last[3]})`);
  }
  const { rows } = await run(
    context,
    toStatement(sql`select ${edgeColumns} from ${edgesWithNodes} where ${all(conditions)}
      order by ${edgeOrder} limit ${toSqlLimit(limit + 1)}`),
  );
  return toPage(
    rows.map(toEdge),
    limit,
    (edge) => edge,
    ({ from, to, type, id }) => encodeTexts("edges", [from, to, type, id]),
  );
}

export async function updateEdge(
  context: RepositoryContext,
  id: string,
  patch: GraphEdgePatch,
): Promise<GraphEdge | undefined> {
  expectId(id);
  const statements = [updateEdgeStatement(context, id, patch), selectEdge({ project: context.project, id })];
  const [, found] = await asStorageErrors(() => context.executor.batch(statements));
  const row = found!.rows[0];
  if (row === undefined) return undefined;
  announce(context, "update", [id]);
  return toEdge(row);
}

export async function deleteEdge(context: RepositoryContext, id: string): Promise<boolean> {
  expectId(id);
  const { rowsAffected } = await run(context, deleteEdgeRow({ project: context.project, id }));
  if (rowsAffected > 0) announce(context, "delete", [id]);
  return rowsAffected > 0;
}

/** Whether the node did not have it yet. */
export async function addLabel(context: RepositoryContext, id: string, given: string): Promise<boolean> {
  expectId(id);
  const label = context.repair(given);
  expectWord("label", label);
  const { project } = context;
  const [exists, inserted] = await asStorageErrors(() =>
    context.executor.batch([
      nodeExists({ project, id }),
      insertLabel({ project, id, label }),
      touchNode({ project, id, now: context.now() }),
    ]),
  );
  if (exists!.rows.length === 0) throw noNode(context, id);
  if (inserted!.rowsAffected > 0) announce(context, "update", [id]);
  return inserted!.rowsAffected > 0;
}

export async function removeLabel(context: RepositoryContext, id: string, given: string): Promise<boolean> {
  expectId(id);
  const label = context.repair(given);
  expectWord("label", label);
  const { project } = context;
  const [deleted] = await asStorageErrors(() =>
    context.executor.batch([deleteLabel({ project, id, label }), touchNode({ project, id, now: context.now() })]),
  );
  if (deleted!.rowsAffected > 0) announce(context, "update", [id]);
  return deleted!.rowsAffected > 0;
}

export async function kinds(context: RepositoryContext): Promise<{ kind: string; count: number }[]> {
  const { rows } = await run(context, countKinds({ project: context.project }));
  return rows.map((row) => ({ kind: row[0] as string, count: Number(row[1]) }));
}

export async function edgeTypes(context: RepositoryContext): Promise<{ type: string; count: number }[]> {
  const { rows } = await run(context, countEdgeTypes({ project: context.project }));
  return rows.map((row) => ({ type: row[0] as string, count: Number(row[1]) }));
}

export function noNode({ project }: RepositoryContext, id: string): StorageError {
  return new StorageError("NOT_FOUND", `No node ${JSON.stringify(id)} in project ${JSON.stringify(project)}`);
}

function run({ executor }: RepositoryContext, statement: Statement) {
  return asStorageErrors(() => executor.execute(statement));
}

async function store({ executor }: RepositoryContext, statements: readonly Statement[]): Promise<void> {
  try {
    // A single statement can share its commit with others that wait.
    await asStorageErrors(async () =>
      statements.length === 1 ? executor.execute(statements[0]!) : executor.batch(statements),
    );
  } catch (error) {
    throw asEdgeError(error);
  }
}

function announce({ project, announce }: RepositoryContext, action: ChangeAction, ids: readonly string[]): void {
  if (ids.length > 0) announce({ project, area: "graph", action, ids });
}

/** The record of a draft that has just been stored. */
function draftToNode(draft: NodeDraft): GraphNode {
  return {
    ...draft,
    data: JSON.parse(draft.data) as Record<string, unknown>,
    labels: [...draft.labels].sort(compareCodePoints),
    createdAt: new Date(draft.createdAt),
    updatedAt: new Date(draft.updatedAt),
  };
}

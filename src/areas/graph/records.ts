import { type SQL, sql } from "drizzle-orm";
import { graphEdges, graphLabels, graphNodes } from "../../schema/graph.js";
import { expectArray, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectLimit, toSqlLimit } from "../arguments.js";
import { type BatchOptions, checkEach, isOfRecord, toOnConflict } from "../batch.js";
import type { ChangeAction, RepositoryContext } from "../context.js";
import { decodeTexts, encodeTexts, type Page, toPage } from "../cursor.js";
import type { Metadata } from "../metadata.js";
import { announce, notFound, readMany, runAll } from "../repository.js";
import { all, prepareStatement, selection, toStatement, touch } from "../statements.js";
import { compareCodePoints } from "./algorithms/code-points.js";
import {
  deleteEdgeRow,
  deleteNodeStatements,
  draftToEdge,
  edgeColumns,
  edgeOrder,
  edgesWithNodes,
  type GraphEdge,
  type GraphEdgeInput,
  type GraphEdgePatch,
  insertEdges,
  namingEnds,
  selectEdge,
  toEdge,
  toEdgeDraft,
  updateEdgeStatement,
} from "./edge.js";
import { addEdgesOver, atFailedEdge } from "./edge-batch.js";
import { expectNodeFilter, type GraphNodeFilter, nodeConditions } from "./filter.js";
import {
  draftToNode,
  expectWord,
  type GraphNode,
  type GraphNodeInput,
  type GraphNodePatch,
  insertNodes,
  isNode,
  nodeExists,
  nodeParts,
  ownRow,
  putNodeStatements,
  selectNode,
  selectNodes,
  toNode,
  toNodeDraft,
  updateNodeStatements,
} from "./node.js";
import { addNodesOver, atTakenNode } from "./node-batch.js";

/** Which nodes, and how many. */
export interface FindNodesOptions extends GraphNodeFilter {
  /** The most nodes of a page. @default 50 */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** Which edges, and how many. */
export interface ListEdgesOptions {
  /** Only edges that start from this node. */
  readonly from?: string | undefined;
  /** Only edges that end at this node. */
  readonly to?: string | undefined;
  /** Only edges of this type. */
  readonly type?: string | undefined;
  /** The most edges of a page. @default 50 */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

const n = graphNodes;
const e = graphEdges;
const l = graphLabels;
const placeholder = sql.placeholder("project");
const aliasedNode = selection(nodeParts(sql.raw("n")));

const insertLabel = prepareStatement(
  () => sql`insert or ignore into ${l} (project, node_row, label)
  select ${n.project}, ${n.rowId}, ${sql.placeholder("label")} from ${n} where ${isNode}`,
);
const deleteLabel = prepareStatement(
  () => sql`delete from ${l} where ${l.nodeRow} = ${ownRow} and ${l.label} = ${sql.placeholder("label")}`,
);
/** Runs after a change of labels, and does nothing if that changed nothing. */
const touchNode = prepareStatement(
  () => sql`update ${n} set ${touch(n.updatedAt, n.createdAt)} where ${isNode} and changes() > 0`,
);
const kindCount = selection({ kind: n.kind, count: sql`count(*)` });
const countKinds = prepareStatement(
  () => sql`select ${kindCount.columns} from ${n} where ${n.project} = ${placeholder}
  group by ${n.kind} order by 2 desc, 1`,
);
const typeCount = selection({ type: e.type, count: sql`count(*)` });
const countEdgeTypes = prepareStatement(
  () => sql`select ${typeCount.columns} from ${e} where ${e.project} = ${placeholder}
  group by ${e.type} order by 2 desc, 1`,
);

/** The nodes, edges and labels of one project. */
export class GraphRecords<N extends object = Metadata, E extends object = Metadata> {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /** Stores a node. Rejects with `CONFLICT` if the project has its id already. */
  async addNode(node: GraphNodeInput<N>): Promise<GraphNode<N>> {
    const draft = toNodeDraft(this.#context, node);
    await runAll(this.#context.executor, insertNodes(this.#context, [draft]));
    this.#announce("insert", [draft.id]);
    return draftToNode<N>(draft);
  }

  /**
   * Stores all of them, or none; an error about one of them has its `index` and `id`. With `onConflict`, a taken id is
   * no error (`replace` keeps the edges of the node), and the answer holds what is stored now, in the order of `nodes`.
   */
  async addNodes(nodes: readonly GraphNodeInput<N>[], options: BatchOptions = {}): Promise<GraphNode<N>[]> {
    expectArray("inputs", nodes, "nodes");
    const onConflict = toOnConflict("addNodes", options);
    const drafts = checkEach(nodes, (node) => toNodeDraft(this.#context, node));
    if (drafts.length === 0) {
      this.#context.executor.assertOutside?.();
      return [];
    }
    if (onConflict !== "fail") {
      const { nodes: stored, inserted, updated } = await addNodesOver(this.#context, drafts, onConflict);
      this.#announce("insert", inserted);
      this.#announce("update", updated);
      return stored as GraphNode<N>[];
    }
    try {
      await runAll(this.#context.executor, insertNodes(this.#context, drafts));
    } catch (error) {
      throw isOfRecord(error) ? await atTakenNode(this.#context, error, drafts) : error;
    }
    this.#announce("insert", idsOf(drafts));
    return drafts.map(draftToNode<N>);
  }

  /** Stores a node, or replaces the one with its id, whose edges and `createdAt` stay. */
  async putNode(node: GraphNodeInput<N>): Promise<GraphNode<N>> {
    const draft = toNodeDraft(this.#context, node);
    const { project, executor } = this.#context;
    const { id } = draft;
    const results = await executor.batch([
      nodeExists({ project, id }),
      ...putNodeStatements(this.#context, draft),
      selectNode({ project, id }),
    ]);
    this.#announce(results[0]!.rows.length === 0 ? "insert" : "update", [id]);
    return toNode<N>(results.at(-1)!.rows[0]!);
  }

  /** The node with this id; undefined if there is none. */
  async getNode(id: string): Promise<GraphNode<N> | undefined> {
    expectId(id);
    const { project, executor } = this.#context;
    const [row] = (await executor.execute(selectNode({ project, id }))).rows;
    return row === undefined ? undefined : toNode<N>(row);
  }

  /** The nodes that exist among `ids`, in the order of `ids`. */
  getNodes(ids: readonly string[]): Promise<GraphNode<N>[]> {
    return readMany(this.#context, ids, selectNodes, toNode<N>);
  }

  /** The node with this id. Rejects with `NOT_FOUND` if `getNode` would find nothing. */
  async requireNode(id: string): Promise<GraphNode<N>> {
    return (await this.getNode(id)) ?? Promise.reject(notFound(this.#context, "node", id));
  }

  /** A page of the nodes that meet all conditions, by id. */
  async findNodes(options: FindNodesOptions = {}): Promise<Page<GraphNode<N>>> {
    expectNodeFilter("findNodes", options, ["limit", "cursor"]);
    const { limit = 50, cursor, ...filter } = options;
    expectLimit(limit);
    const { project, executor } = this.#context;
    const conditions = nodeConditions(project, filter, sql.raw("n"));
    if (cursor !== undefined) conditions.push(sql`n.id > ${decodeTexts("nodes", cursor, 1)[0]}`);
    const { rows } = await executor.execute(
      toStatement(sql`select ${aliasedNode.columns} from ${n} as n where ${all(conditions)}
        order by n.id limit ${toSqlLimit(limit + 1)}`),
    );
    return toPage(rows, limit, toNode<N>, (_row, { id }) => encodeTexts("nodes", [id]));
  }

  /** Changes the fields given, `data` and `labels` as a whole; undefined when unknown. */
  async updateNode(id: string, patch: GraphNodePatch<N>): Promise<GraphNode<N> | undefined> {
    expectId(id);
    const { project, executor } = this.#context;
    const update = updateNodeStatements(this.#context, id, patch);
    const results = await executor.batch([...update, selectNode({ project, id })]);
    const row = results.at(-1)!.rows[0];
    if (row === undefined) return undefined;
    this.#announce("update", [id]);
    return toNode<N>(row);
  }

  /** Removes a node with its labels and edges. False if there is none. Its event names the edges as well. */
  async deleteNode(id: string): Promise<boolean> {
    expectId(id);
    const { project, executor } = this.#context;
    const [edges, , nodes] = await executor.batch(deleteNodeStatements(project, id));
    if (nodes!.rowsAffected === 0) return false;
    const edgeIds = edges!.rows.map((row) => row[0] as string).sort(compareCodePoints);
    this.#announce("delete", [id, ...edgeIds]);
    return true;
  }

  /**
   * Stores an edge. Rejects with `FOREIGN_KEY` if one of its nodes is unknown. Rejects with `CONFLICT` if its id is taken,
   * or if there is an edge of its type between the same nodes and it is not `parallel`.
   */
  async addEdge(edge: GraphEdgeInput<E>): Promise<GraphEdge<E>> {
    const draft = toEdgeDraft(this.#context, edge);
    await namingEnds(() => runAll(this.#context.executor, insertEdges(this.#context, [draft])), draft);
    this.#announce("insert", [draft.id]);
    return draftToEdge<E>(draft);
  }

  /**
   * Stores all of them, or none; an error about one of them has its `index` and `id`. With `onConflict`, a taken id, or
   * an edge of the same type between the same nodes (unless it is added as `parallel`), is no error: the answer holds
   * the edges that are stored now, in the order of `edges`. One that replaces another keeps its id, unless it has one.
   */
  async addEdges(edges: readonly GraphEdgeInput<E>[], options: BatchOptions = {}): Promise<GraphEdge<E>[]> {
    expectArray("inputs", edges, "edges");
    const onConflict = toOnConflict("addEdges", options);
    const drafts = checkEach(edges, (edge) => toEdgeDraft(this.#context, edge));
    if (drafts.length === 0) {
      this.#context.executor.assertOutside?.();
      return [];
    }
    if (onConflict !== "fail") {
      const hasOwnId = edges.map(({ id }) => id !== undefined);
      const added = await addEdgesOver(this.#context, drafts, hasOwnId, onConflict);
      this.#announce("insert", added.inserted);
      this.#announce("update", added.updated);
      this.#announce("delete", added.deleted);
      return added.edges as GraphEdge<E>[];
    }
    try {
      await namingEnds(() => runAll(this.#context.executor, insertEdges(this.#context, drafts)));
    } catch (error) {
      throw isOfRecord(error) ? await atFailedEdge(this.#context, error, drafts) : error;
    }
    this.#announce("insert", idsOf(drafts));
    return drafts.map(draftToEdge<E>);
  }

  /** The edge with this id; undefined if there is none. */
  async getEdge(id: string): Promise<GraphEdge<E> | undefined> {
    expectId(id);
    const { project, executor } = this.#context;
    const [row] = (await executor.execute(selectEdge({ project, id }))).rows;
    return row === undefined ? undefined : toEdge<E>(row);
  }

  /** The edge with this id. Rejects with `NOT_FOUND` if `getEdge` would find nothing. */
  async requireEdge(id: string): Promise<GraphEdge<E>> {
    return (await this.getEdge(id)) ?? Promise.reject(notFound(this.#context, "edge", id));
  }

  /** A page of edges by the ids of their ends, their type and their own id. */
  async edges(options: ListEdgesOptions = {}): Promise<Page<GraphEdge<E>>> {
    expectKeys("edges", options, ["from", "to", "type", "limit", "cursor"]);
    const { from, to, type, limit = 50, cursor } = options;
    expectLimit(limit);
    const { project, executor } = this.#context;
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
      // The first part again, so that the index can start there.
      conditions.push(sql`f.id >= ${last[0]}`);
      conditions.push(sql`(${edgeOrder}) > (${last[0]}, ${last[1]}, ${last[2]}, ${last[3]})`);
    }
    const { rows } = await executor.execute(
      toStatement(sql`select ${edgeColumns} from ${edgesWithNodes} where ${all(conditions)}
        order by ${edgeOrder} limit ${toSqlLimit(limit + 1)}`),
    );
    return toPage(rows, limit, toEdge<E>, (_row, { from, to, type, id }) => encodeTexts("edges", [from, to, type, id]));
  }

  /** Changes the fields given, `data` as a whole; undefined when unknown. `CONFLICT` where the new type is taken. */
  async updateEdge(id: string, patch: GraphEdgePatch<E>): Promise<GraphEdge<E> | undefined> {
    expectId(id);
    const { project, executor } = this.#context;
    const update = updateEdgeStatement(this.#context, id, patch);
    const [, found] = await executor.batch([update, selectEdge({ project, id })]);
    const row = found!.rows[0];
    if (row === undefined) return undefined;
    this.#announce("update", [id]);
    return toEdge<E>(row);
  }

  /** Removes an edge. False if there is none. */
  async deleteEdge(id: string): Promise<boolean> {
    expectId(id);
    const { project, executor } = this.#context;
    const { rowsAffected } = await executor.execute(deleteEdgeRow({ project, id }));
    if (rowsAffected > 0) this.#announce("delete", [id]);
    return rowsAffected > 0;
  }

  /** Whether the node did not have the label yet. Rejects with `NOT_FOUND` if there is no such node. */
  async addLabel(id: string, label: string): Promise<boolean> {
    const values = this.#toLabelValues(id, label);
    const [exists, inserted] = await this.#context.executor.batch([
      nodeExists(values),
      insertLabel(values),
      touchNode(values),
    ]);
    if (exists!.rows.length === 0) throw notFound(this.#context, "node", id);
    const isNew = inserted!.rowsAffected > 0;
    if (isNew) this.#announce("update", [id]);
    return isNew;
  }

  /** Whether the node had the label. */
  async removeLabel(id: string, label: string): Promise<boolean> {
    const values = this.#toLabelValues(id, label);
    const [deleted] = await this.#context.executor.batch([deleteLabel(values), touchNode(values)]);
    const isGone = deleted!.rowsAffected > 0;
    if (isGone) this.#announce("update", [id]);
    return isGone;
  }

  /** The kinds of the nodes, the most frequent first, equal ones by name. */
  async kinds(): Promise<{ kind: string; count: number }[]> {
    const { project, executor } = this.#context;
    const { at } = kindCount;
    const { rows } = await executor.execute(countKinds({ project }));
    return rows.map((row) => ({ kind: row[at.kind] as string, count: Number(row[at.count]) }));
  }

  /** The types of the edges, the most frequent first, equal ones by name. */
  async edgeTypes(): Promise<{ type: string; count: number }[]> {
    const { project, executor } = this.#context;
    const { at } = typeCount;
    const { rows } = await executor.execute(countEdgeTypes({ project }));
    return rows.map((row) => ({ type: row[at.type] as string, count: Number(row[at.count]) }));
  }

  #toLabelValues(id: string, given: string) {
    expectId(id);
    const { project, repair, now } = this.#context;
    const label = repair(given);
    expectWord("label", label);
    return { project, id, label, now: now() };
  }

  #announce(action: ChangeAction, ids: readonly string[]): void {
    announce(this.#context, "graph", action, ids);
  }
}

function idsOf(records: readonly { readonly id: string }[]): string[] {
  return records.map(({ id }) => id);
}

import { type AnyColumn, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { graphEdges, graphLabels, graphNodes, graphVersions } from "../../schema/graph.js";
import type { Area, IncomingRecord } from "../area.js";
import { withoutJson } from "../json.js";
import { inOrderOfRows, notBefore, pagesByRowId, toExported, whereProject } from "../rows.js";
import { prepareStatement, selection } from "../statements.js";
import { deleteEdgeRow, deleteNodeStatements, edgeParts, toEdge, toEdgeDraft } from "./edge.js";
import type { EdgeLine, GraphLine, NodeLine } from "./line.js";
import { insertNodes, nodeParts, replaceNodeStatements, toNode, toNodeDraft } from "./node.js";
import { GraphRepository } from "./repository.js";

const n = graphNodes;
const l = graphLabels;
const e = graphEdges;

const placeholder = sql.placeholder;
const project = placeholder("project");
const nodeRow = (name: string) =>
  sql`(select ${n.rowId} from ${n} where ${n.project} = ${project} and ${n.id} = ${placeholder(name)})`;

const insertEdge = prepareStatement(
  () => sql`insert into ${e} (project, id, from_row, to_row, type, copy, weight, data)
  values (${project}, ${placeholder("id")}, ${nodeRow("from")}, ${nodeRow("to")}, ${placeholder("type")},
    ${placeholder("copy")}, ${placeholder("weight")}, ${placeholder("data")})`,
);
/** Keeps the row: if it were removed, a parallel edge would take over its `copy`. An edge with new ends or type gets the next `copy`. */
const updateEdge = prepareStatement(
  () => sql`update ${e} set
  copy = case when from_row = ${nodeRow("from")} and to_row = ${nodeRow("to")} and type = ${placeholder("type")} then copy
    else (select coalesce(max(copy) + 1, 0) from ${e} as like_it where like_it.from_row = ${nodeRow("from")}
      and like_it.to_row = ${nodeRow("to")} and like_it.type = ${placeholder("type")}) end,
  from_row = ${nodeRow("from")}, to_row = ${nodeRow("to")}, type = ${placeholder("type")},
  weight = ${placeholder("weight")}, data = ${placeholder("data")}
  where project = ${project} and id = ${placeholder("id")}`,
);
const aliased = alias(e, "e");
const idOf = (column: AnyColumn) => sql`(select ${n.id} from ${n} where ${n.rowId} = ${column})`;
const node = selection({ rowId: n.rowId, project: n.project, ...nodeParts() });
const edge = selection({
  rowId: aliased.rowId,
  project: aliased.project,
  ...edgeParts,
  // Not a join, which would leave out an edge without its nodes.
  from: idOf(aliased.fromRow),
  to: idOf(aliased.toRow),
  copy: aliased.copy,
});

/** Nodes and edges may have the same ids. */
const NODE = "node ";
const EDGE = "edge ";

/** Nodes with their labels, then the edges between them. They carry no checksum. */
export const graphArea: Area<"graph", GraphRepository> = {
  name: "graph",
  tables: [n, l, e, graphVersions],
  // The last one is written by the triggers of the others.
  purgeOrder: [e, l, n, graphVersions],
  recordTables: [n, e],
  searchTargets: [],
  counted: sql`select ${n.project}, 1 as records from ${n} union all select ${e.project}, 1 from ${e}`,
  // Pruning single nodes would make a graph incomplete.
  isPrunedByDefault: false,
  table: sql`(select project from ${n} union all select project from ${e})`,

  open: (context) => new GraphRepository(context),

  ids: (name) => sql`select ${n.id} from ${n} where ${n.project} = ${name}
    union all select ${e.id} from ${e} where ${e.project} = ${name}`,

  async *pages(reader, projectName) {
    const ofNode = inOrderOfRows(n.project, projectName);
    for await (const rows of pagesByRowId(reader, sql`select ${node.columns} from ${n}`, n.rowId, ofNode)) {
      yield rows.map((row) => {
        const record: NodeLine = toExported(toNode(row));
        return { project: row[node.at.project] as string, record: { node: record } };
      });
    }
    const ofEdge = inOrderOfRows(aliased.project, projectName);
    for await (const rows of pagesByRowId(reader, sql`select ${edge.columns} from ${e} as e`, aliased.rowId, ofEdge)) {
      yield rows.map((row) => {
        const record: EdgeLine = { ...toEdge(row), copy: Number(row[edge.at.copy]) };
        return { project: row[edge.at.project] as string, record: { edge: record } };
      });
    }
  },

  loadLine: () => import("./line.js"),

  parse(context, line: GraphLine): IncomingRecord {
    if ("edge" in line) {
      const { copy, ...input } = line.edge;
      const { parallel, ...draft } = toEdgeDraft(context, input);
      const values = { project: context.project, ...draft };
      return {
        id: draft.id,
        key: EDGE + draft.id,
        statements: [insertEdge({ ...values, copy })],
        replacement: [updateEdge(values)],
      };
    }
    const { createdAt, updatedAt, ...input } = line.node;
    const checked = toNodeDraft(context, { ...input, createdAt: new Date(createdAt) });
    const draft = { ...checked, updatedAt: notBefore(createdAt, updatedAt) };
    return {
      id: draft.id,
      key: NODE + draft.id,
      statements: insertNodes(context, [draft]),
      replacement: replaceNodeStatements(context, draft),
    };
  },

  existing: { [NODE]: sql`${n}`, [EDGE]: sql`${e}` },

  /** Removes a node with its edges, since an edge needs both of its nodes. */
  async remove({ project: name, executor }, key) {
    const id = key.slice(NODE.length);
    if (key.startsWith(EDGE)) await executor.execute(deleteEdgeRow({ project: name, id }));
    else await executor.batch(deleteNodeStatements(name, id));
  },

  prunable(name) {
    return sql`select ${n.project} as project, ${n.rowId} as row_id, ${NODE} || ${n.id} as key, ${n.id} as id, 0 as is_deleted,
      ${n.updatedAt} as updated_at, octet_length(${n.name}) + octet_length(${n.data}) as bytes
      from ${n}${whereProject(n.project, name)}`;
  },

  async *damaged(reader) {
    yield* withoutJson(reader, n, [n.data]);
    yield* withoutJson(reader, e, [e.data]);
  },

  async *rederive() {},
};

import { type AnyColumn, sql } from "drizzle-orm";
import { graphEdges, graphLabels, graphNodes, graphVersions } from "../../schema/graph.js";
import type { Area, IncomingRecord } from "../area.js";
import { parseObject } from "../json.js";
import { inOrderOfRows, notBefore, pagesByRowId, toTime, whereProject } from "../rows.js";
import { list, prepareStatement, toStatement } from "../statements.js";
import { toEdgeDraft } from "./edge.js";
import type { EdgeLine, GraphLine, NodeLine } from "./line.js";
import { toLabels, toNodeDraft } from "./node.js";
import { GraphRepository } from "./repository.js";

const n = graphNodes;
const l = graphLabels;
const e = graphEdges;

const placeholder = sql.placeholder;
const project = placeholder("project");
const nodeRow = (name: string) =>
  sql`(select ${n.rowId} from ${n} where ${n.project} = ${project} and ${n.id} = ${placeholder(name)})`;

const insertNode = prepareStatement(sql`insert into ${n} (project, id, kind, name, data, created_at, updated_at)
  values (${project}, ${placeholder("id")}, ${placeholder("kind")}, ${placeholder("name")}, ${placeholder("data")},
    ${placeholder("createdAt")}, ${placeholder("updatedAt")})`);
const updateNode = prepareStatement(sql`update ${n} set kind = ${placeholder("kind")}, name = ${placeholder("name")},
  data = ${placeholder("data")}, created_at = ${placeholder("createdAt")}, updated_at = ${placeholder("updatedAt")}
  where project = ${project} and id = ${placeholder("id")}`);
const insertLabels = prepareStatement(sql`insert into ${l} (project, node_row, label)
  select ${project}, ${nodeRow("id")}, value from json_each(${placeholder("labels")})`);
const insertEdge = prepareStatement(sql`insert into ${e} (project, id, from_row, to_row, type, copy, weight, data)
  values (${project}, ${placeholder("id")}, ${nodeRow("from")}, ${nodeRow("to")}, ${placeholder("type")},
    ${placeholder("copy")}, ${placeholder("weight")}, ${placeholder("data")})`);
/** In its place, since the next of its like takes over the copy of one that goes; a new place gets a copy of its own. */
const updateEdge = prepareStatement(sql`update ${e} set
  copy = case when from_row = ${nodeRow("from")} and to_row = ${nodeRow("to")} and type = ${placeholder("type")} then copy
    else (select coalesce(max(copy) + 1, 0) from ${e} as like_it where like_it.from_row = ${nodeRow("from")}
      and like_it.to_row = ${nodeRow("to")} and like_it.type = ${placeholder("type")}) end,
  from_row = ${nodeRow("from")}, to_row = ${nodeRow("to")}, type = ${placeholder("type")},
  weight = ${placeholder("weight")}, data = ${placeholder("data")}
  where project = ${project} and id = ${placeholder("id")}`);
const deleteEdgesOf = prepareStatement(
  sql`delete from ${e} where ${e.fromRow} = ${nodeRow("id")} or ${e.toRow} = ${nodeRow("id")}`,
);
const deleteLabelsOf = prepareStatement(sql`delete from ${l} where ${l.nodeRow} = ${nodeRow("id")}`);
const deleteNode = prepareStatement(
  sql`delete from ${n} where ${n.project} = ${project} and ${n.id} = ${placeholder("id")}`,
);
const deleteEdge = prepareStatement(
  sql`delete from ${e} where ${e.project} = ${project} and ${e.id} = ${placeholder("id")}`,
);

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
  // What a graph says is said by all of it.
  isPrunedByDefault: false,
  table: sql`(select project from ${n} union all select project from ${e})`,

  open: (context) => new GraphRepository(context),

  ids: (name) => sql`select ${n.id} from ${n} where ${n.project} = ${name}
    union all select ${e.id} from ${e} where ${e.project} = ${name}`,

  async *pages(reader, projectName) {
    const labels = sql`(select json_group_array(label) from (select ${l.label} as label from ${l}
      where ${l.nodeRow} = ${n.rowId} order by ${l.label}))`;
    const nodeColumns = list([n.rowId, n.project, n.id, n.kind, n.name, n.data, n.createdAt, n.updatedAt]);
    const nodes = (after: number, limit: number) =>
      sql`select ${nodeColumns}, ${labels} from ${n} where ${n.rowId} > ${after}${inOrderOfRows(n.project, projectName)}
        order by ${n.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, nodes)) {
      yield rows.map((row) => {
        const node: NodeLine = {
          id: row[2] as string,
          kind: row[3] as string,
          name: row[4] as string,
          data: parseObject(row[5], "graph_nodes", row[2]),
          labels: JSON.parse(row[8] as string) as string[],
          createdAt: toTime(row[6]),
          updatedAt: toTime(row[7]),
        };
        return { project: row[1] as string, record: { node } };
      });
    }
    const idOf = (column: AnyColumn) => sql`(select ${n.id} from ${n} where ${n.rowId} = ${column})`;
    const edgeColumns = list([
      e.rowId,
      e.project,
      e.id,
      idOf(e.fromRow),
      idOf(e.toRow),
      e.type,
      e.copy,
      e.weight,
      e.data,
    ]);
    const edges = (after: number, limit: number) =>
      sql`select ${edgeColumns} from ${e} where ${e.rowId} > ${after}${inOrderOfRows(e.project, projectName)}
        order by ${e.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, edges)) {
      yield rows.map((row) => {
        const edge: EdgeLine = {
          id: row[2] as string,
          from: row[3] as string,
          to: row[4] as string,
          type: row[5] as string,
          copy: Number(row[6]),
          weight: Number(row[7]),
          data: parseObject(row[8], "graph_edges", row[2]),
        };
        return { project: row[1] as string, record: { edge } };
      });
    }
  },

  loadLine: () => import("./line.js"),

  parse(context, line: GraphLine): IncomingRecord {
    const { project: name } = context;
    if ("edge" in line) {
      const { copy, ...input } = line.edge;
      const { parallel: _, ...draft } = toEdgeDraft(context, input);
      const values = { project: name, ...draft };
      return {
        id: draft.id,
        key: EDGE + draft.id,
        statements: [insertEdge({ ...values, copy })],
        replacement: [updateEdge(values)],
      };
    }
    const { createdAt, updatedAt, ...input } = line.node;
    const { labels: _, ...draft } = toNodeDraft(context, { ...input, createdAt: new Date(createdAt) });
    const labels = JSON.stringify(toLabels(context.repair(input.labels)));
    const values = { project: name, ...draft, updatedAt: notBefore(createdAt, updatedAt) };
    const own = input.labels.length === 0 ? [] : [insertLabels({ project: name, id: draft.id, labels })];
    return {
      id: draft.id,
      key: NODE + draft.id,
      statements: [insertNode(values), ...own],
      // In place, so that the edges that hang on it stay.
      replacement: [updateNode(values), deleteLabelsOf({ project: name, id: draft.id }), ...own],
    };
  },

  async existing(reader, name, keys) {
    const found = new Set<string>();
    for (const [prefix, table] of [[NODE, n] as const, [EDGE, e] as const]) {
      const ids = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
      if (ids.length === 0) continue;
      const { rows } = await reader.execute(
        toStatement(sql`select ${table.id} from ${table} where ${table.project} = ${name}
          and ${table.id} in (select value from json_each(${JSON.stringify(ids)}))`),
      );
      for (const row of rows) found.add(prefix + (row[0] as string));
    }
    return found;
  },

  /** A node goes with its edges: one that hangs on nothing could not be stored. */
  async remove({ project: name, executor }, key) {
    const id = key.slice(NODE.length);
    const values = { project: name, id };
    if (key.startsWith(EDGE)) await executor.execute(deleteEdge(values));
    else await executor.batch([deleteEdgesOf(values), deleteLabelsOf(values), deleteNode(values)]);
  },

  prunable(name) {
    return sql`select ${n.project} as project, ${n.rowId} as row_id, ${NODE} || ${n.id} as key, ${n.id} as id, 0 as is_deleted,
      ${n.updatedAt} as updated_at, octet_length(${n.name}) + octet_length(${n.data}) as bytes
      from ${n}${whereProject(n.project, name)}`;
  },

  async *damaged() {},

  async *rederive() {},
};

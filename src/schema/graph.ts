import { foreignKey, index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** The nodes of the graphs. */
export const graphNodes = sqliteTable(
  "graph_nodes",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique among the nodes of the project. */
    id: text("id").notNull(),
    /** The kind of node, such as `file`. */
    kind: text("kind").notNull(),
    /** The name. */
    name: text("name").notNull(),
    /** A JSON object. */
    data: text("data").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("graph_nodes_id").on(table.project, table.id),
    // Edges and labels refer to this key. It includes the project, so they cannot refer to nodes of another project.
    uniqueIndex("graph_nodes_row").on(table.project, table.rowId),
    index("graph_nodes_kind").on(table.project, table.kind, table.id),
    index("graph_nodes_name").on(table.project, table.name, table.id),
  ],
);

/** The labels of nodes. */
export const graphLabels = sqliteTable(
  "graph_labels",
  {
    project: text("project").notNull(),
    /** The node. */
    nodeRow: integer("node_row").notNull(),
    /** The label. */
    label: text("label").notNull(),
  },
  (table) => [
    primaryKey({ name: "graph_labels_pk", columns: [table.nodeRow, table.label] }),
    // No cascade: if a migrator leaves foreign keys on, a table rebuild would delete the labels.
    foreignKey({
      name: "graph_labels_node_fk",
      columns: [table.project, table.nodeRow],
      foreignColumns: [graphNodes.project, graphNodes.rowId],
    }),
    index("graph_labels_label").on(table.project, table.label, table.nodeRow),
  ],
);

/**
 * The edges between nodes of one project.
 *
 * Triggers of a custom migration ensure that one of the edges with equal ends and type has `copy` 0, and that
 * `graph_versions` changes with every change of nodes, ends, types and weights.
 */
export const graphEdges = sqliteTable(
  "graph_edges",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    /** The id, unique among the edges of the project. */
    id: text("id").notNull(),
    /** The node it starts from. */
    fromRow: integer("from_row").notNull(),
    /** The node it ends at. */
    toRow: integer("to_row").notNull(),
    /** The type of edge, such as `imports`. */
    type: text("type").notNull(),
    /** 0 for the first edge, and then 1, 2, … for parallel edges. */
    copy: integer("copy").notNull(),
    /** The weight, 0 or more. */
    weight: real("weight").notNull(),
    /** A JSON object. */
    data: text("data").notNull(),
  },
  (table) => [
    foreignKey({
      name: "graph_edges_from_fk",
      columns: [table.project, table.fromRow],
      foreignColumns: [graphNodes.project, graphNodes.rowId],
    }),
    foreignKey({
      name: "graph_edges_to_fk",
      columns: [table.project, table.toRow],
      foreignColumns: [graphNodes.project, graphNodes.rowId],
    }),
    uniqueIndex("graph_edges_id").on(table.project, table.id),
    uniqueIndex("graph_edges_from").on(table.fromRow, table.toRow, table.type, table.copy),
    index("graph_edges_to").on(table.toRow, table.fromRow, table.type),
    // Covers all columns that the compressed rows need, one type after the other.
    index("graph_edges_type").on(table.project, table.type, table.fromRow, table.toRow, table.weight),
  ],
);

/** One random number for each project, which changes with each change of the graph. Equal numbers mean equal graphs. */
export const graphVersions = sqliteTable("graph_versions", {
  project: text("project").primaryKey(),
  /** A random number. */
  version: integer("version").notNull(),
});

import { foreignKey, index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** The nodes of the graphs. */
export const graphNodes = sqliteTable(
  "graph_nodes",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    kind: text("kind").notNull(),
    name: text("name").notNull(),
    /** A JSON object. */
    data: text("data").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [
    uniqueIndex("graph_nodes_id").on(table.project, table.id),
    // What edges and labels refer to: with the project in it, none of them can reach into another one.
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
    nodeRow: integer("node_row").notNull(),
    label: text("label").notNull(),
  },
  (table) => [
    primaryKey({ name: "graph_labels_pk", columns: [table.nodeRow, table.label] }),
    // Without a cascade: a table rebuild by a migrator that leaves foreign keys on would delete the labels.
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
 * Triggers of a custom migration keep two things true: among edges with equal ends and type one has `copy` 0, and
 * `graph_versions` changes with every change of nodes, ends, types and weights.
 */
export const graphEdges = sqliteTable(
  "graph_edges",
  {
    rowId: integer("row_id").primaryKey({ autoIncrement: true }),
    project: text("project").notNull(),
    id: text("id").notNull(),
    fromRow: integer("from_row").notNull(),
    toRow: integer("to_row").notNull(),
    type: text("type").notNull(),
    /** 0, and counting on for those that were added as parallel ones. */
    copy: integer("copy").notNull(),
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
    // All that the compressed rows are made of, one type after the other.
    index("graph_edges_type").on(table.project, table.type, table.fromRow, table.toRow, table.weight),
  ],
);

/** One random number a project, another one after each change: equal numbers mean an equal graph. */
export const graphVersions = sqliteTable("graph_versions", {
  project: text("project").primaryKey(),
  version: integer("version").notNull(),
});

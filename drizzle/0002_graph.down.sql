-- Takes 0002_graph back. What it dropped comes back empty.
DROP TABLE `graph_edges`;
--> statement-breakpoint
DROP TABLE `graph_labels`;
--> statement-breakpoint
DROP TABLE `graph_nodes`;
--> statement-breakpoint
DROP TABLE `graph_versions`;

DROP TRIGGER `graph_edges_update`;
--> statement-breakpoint
DROP TRIGGER `graph_edges_delete`;
--> statement-breakpoint
DROP TRIGGER `graph_edges_insert`;
--> statement-breakpoint
DROP TRIGGER `graph_nodes_update`;
--> statement-breakpoint
DROP TRIGGER `graph_nodes_delete`;
--> statement-breakpoint
DROP TRIGGER `graph_nodes_insert`;

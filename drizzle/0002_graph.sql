CREATE TABLE `graph_edges` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`from_row` integer NOT NULL,
	`to_row` integer NOT NULL,
	`type` text NOT NULL,
	`copy` integer NOT NULL,
	`weight` real NOT NULL,
	`data` text NOT NULL,
	FOREIGN KEY (`project`,`from_row`) REFERENCES `graph_nodes`(`project`,`row_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`project`,`to_row`) REFERENCES `graph_nodes`(`project`,`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `graph_edges_id` ON `graph_edges` (`project`,`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `graph_edges_from` ON `graph_edges` (`from_row`,`to_row`,`type`,`copy`);--> statement-breakpoint
CREATE INDEX `graph_edges_to` ON `graph_edges` (`to_row`,`from_row`,`type`);--> statement-breakpoint
CREATE INDEX `graph_edges_type` ON `graph_edges` (`project`,`type`,`from_row`,`to_row`,`weight`);--> statement-breakpoint
CREATE TABLE `graph_labels` (
	`project` text NOT NULL,
	`node_row` integer NOT NULL,
	`label` text NOT NULL,
	PRIMARY KEY(`node_row`, `label`),
	FOREIGN KEY (`project`,`node_row`) REFERENCES `graph_nodes`(`project`,`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `graph_labels_label` ON `graph_labels` (`project`,`label`,`node_row`);--> statement-breakpoint
CREATE TABLE `graph_nodes` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`data` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `graph_nodes_id` ON `graph_nodes` (`project`,`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `graph_nodes_row` ON `graph_nodes` (`project`,`row_id`);--> statement-breakpoint
CREATE INDEX `graph_nodes_kind` ON `graph_nodes` (`project`,`kind`,`id`);--> statement-breakpoint
CREATE INDEX `graph_nodes_name` ON `graph_nodes` (`project`,`name`,`id`);--> statement-breakpoint
CREATE TABLE `graph_versions` (
	`project` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL
);

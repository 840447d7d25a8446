CREATE TABLE `vector_versions` (
	`project` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`last_row_id` integer NOT NULL
);

CREATE TABLE `tasks` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`title` text NOT NULL,
	`memory_id` text NOT NULL,
	`done_at` integer
);
--> statement-breakpoint
CREATE INDEX `tasks_open` ON `tasks` (`done_at`);
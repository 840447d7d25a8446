CREATE TABLE `memories` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`session_id` text,
	`type` text NOT NULL,
	`source` text NOT NULL,
	`content` text NOT NULL,
	`metadata` text NOT NULL,
	`embedding_row_id` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer,
	`content_hash` text NOT NULL,
	`checksum` text NOT NULL,
	`search_text` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `memories_id` ON `memories` (`project`,`id`);--> statement-breakpoint
CREATE INDEX `memories_time` ON `memories` (`project`,`created_at`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `memories_type` ON `memories` (`project`,`type`,`created_at`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `memories_source` ON `memories` (`project`,`source`,`created_at`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `memories_session` ON `memories` (`project`,`session_id`,`created_at`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `memories_content_hash` ON `memories` (`project`,`content_hash`) WHERE deleted_at is null;--> statement-breakpoint
CREATE TABLE `memory_embeddings` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`memory_row_id` integer NOT NULL,
	`project` text NOT NULL,
	`model` text NOT NULL,
	`version` text NOT NULL,
	`dimensions` integer NOT NULL,
	`vector` blob NOT NULL,
	`created_at` integer NOT NULL,
	`checksum` text NOT NULL,
	FOREIGN KEY (`memory_row_id`) REFERENCES `memories`(`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `memory_embeddings_memory` ON `memory_embeddings` (`memory_row_id`,`model`,`version`);--> statement-breakpoint
CREATE INDEX `memory_embeddings_model` ON `memory_embeddings` (`project`,`model`,`version`,`dimensions`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer,
	`summary` text,
	`metadata` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_id` ON `sessions` (`project`,`id`);--> statement-breakpoint
CREATE INDEX `sessions_time` ON `sessions` (`project`,`started_at`);--> statement-breakpoint
CREATE INDEX `sessions_active` ON `sessions` (`project`,`started_at`) WHERE ended_at is null;
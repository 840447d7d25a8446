CREATE TABLE `conversation_summaries` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`conversation_row_id` integer NOT NULL,
	`id` text NOT NULL,
	`date` text NOT NULL,
	`title` text NOT NULL,
	`text` text NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`conversation_row_id`) REFERENCES `conversations`(`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `conversation_summaries_id` ON `conversation_summaries` (`project`,`id`);--> statement-breakpoint
CREATE INDEX `conversation_summaries_date` ON `conversation_summaries` (`project`,`date`);--> statement-breakpoint
CREATE INDEX `conversation_summaries_conversation` ON `conversation_summaries` (`conversation_row_id`,`date`);--> statement-breakpoint
CREATE TABLE `conversation_tags` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`tag` text NOT NULL,
	`conversation_row_id` integer NOT NULL,
	`message_row_id` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `conversation_tags_tag` ON `conversation_tags` (`project`,`tag`,`conversation_row_id`,`message_row_id`);--> statement-breakpoint
CREATE INDEX `conversation_tags_owner` ON `conversation_tags` (`conversation_row_id`,`message_row_id`);--> statement-breakpoint
CREATE TABLE `conversations` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`title` text,
	`tags` text NOT NULL,
	`metadata` text NOT NULL,
	`parent_row_id` integer,
	`prefix_seq` integer NOT NULL,
	`forked_from_id` text,
	`forked_from_seq` integer,
	`visible_seq` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer,
	`purged_at` integer,
	FOREIGN KEY (`parent_row_id`) REFERENCES `conversations`(`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `conversations_id` ON `conversations` (`project`,`id`);--> statement-breakpoint
CREATE INDEX `conversations_created` ON `conversations` (`project`,`created_at`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `conversations_updated` ON `conversations` (`project`,`updated_at`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `conversations_parent` ON `conversations` (`parent_row_id`) WHERE parent_row_id is not null;--> statement-breakpoint
CREATE TABLE `message_refs` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`message_row_id` integer NOT NULL,
	`kind` text NOT NULL,
	`target` text NOT NULL,
	`score` real,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`message_row_id`) REFERENCES `messages`(`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `message_refs_message` ON `message_refs` (`message_row_id`,`kind`,`target`);--> statement-breakpoint
CREATE INDEX `message_refs_target` ON `message_refs` (`project`,`kind`,`target`);--> statement-breakpoint
CREATE TABLE `messages` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`conversation_row_id` integer NOT NULL,
	`seq` integer NOT NULL,
	`id` text NOT NULL,
	`role` text NOT NULL,
	`metadata` text NOT NULL,
	`tags` text NOT NULL,
	`client_id` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`checksum` text NOT NULL,
	`content` text NOT NULL,
	`search_text` text,
	FOREIGN KEY (`conversation_row_id`) REFERENCES `conversations`(`row_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `messages_id` ON `messages` (`project`,`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `messages_seq` ON `messages` (`conversation_row_id`,`seq`);--> statement-breakpoint
CREATE UNIQUE INDEX `messages_client_id` ON `messages` (`conversation_row_id`,`client_id`) WHERE client_id is not null;--> statement-breakpoint
CREATE INDEX `messages_time` ON `messages` (`project`,`created_at`);--> statement-breakpoint
CREATE INDEX `messages_unindexed` ON `messages` (`project`) WHERE search_text is null;
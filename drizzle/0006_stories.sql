CREATE TABLE `stories` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`title` text NOT NULL,
	`title_is_own` integer NOT NULL,
	`tags` text NOT NULL,
	`size` integer NOT NULL,
	`revision` integer NOT NULL,
	`content_row_id` integer NOT NULL,
	`change_row_id` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer,
	`indexed_revision` integer DEFAULT 0 NOT NULL,
	`checksum` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `stories_id` ON `stories` (`project`,`id`);--> statement-breakpoint
CREATE INDEX `stories_time` ON `stories` (`project`,`updated_at`,`change_row_id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `stories_unindexed` ON `stories` (`project`) WHERE deleted_at is null and indexed_revision < revision;--> statement-breakpoint
CREATE TABLE `story_contents` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`data` text NOT NULL,
	`size` integer NOT NULL,
	`checksum` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `story_contents_project` ON `story_contents` (`project`);--> statement-breakpoint
CREATE TABLE `story_preferences` (
	`project` text NOT NULL,
	`key` text NOT NULL,
	`value` text NOT NULL,
	`scope` text NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`project`, `key`)
);
--> statement-breakpoint
CREATE TABLE `story_revisions` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`revision` integer NOT NULL,
	`content_row_id` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `story_revisions_revision` ON `story_revisions` (`project`,`id`,`revision`);--> statement-breakpoint
CREATE INDEX `story_revisions_content` ON `story_revisions` (`content_row_id`);--> statement-breakpoint
CREATE TABLE `story_search` (
	`row_id` integer PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`content` text NOT NULL,
	`search_text` text NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `story_search_time` ON `story_search` (`project`,`updated_at`);--> statement-breakpoint
CREATE TABLE `story_secrets` (
	`project` text NOT NULL,
	`name` text NOT NULL,
	`value` blob NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`project`, `name`)
);
--> statement-breakpoint
CREATE TABLE `story_sync_queue` (
	`row_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`project` text NOT NULL,
	`id` text NOT NULL,
	`story_id` text NOT NULL,
	`action` text NOT NULL,
	`data` text NOT NULL,
	`timestamp` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `story_sync_queue_id` ON `story_sync_queue` (`project`,`id`);--> statement-breakpoint
CREATE TABLE `story_tags` (
	`project` text NOT NULL,
	`tag` text NOT NULL,
	`story_row_id` integer NOT NULL,
	PRIMARY KEY(`project`, `tag`, `story_row_id`)
);
--> statement-breakpoint
CREATE INDEX `story_tags_story` ON `story_tags` (`story_row_id`);
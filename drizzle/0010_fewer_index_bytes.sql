DROP INDEX `memories_content_hash`;--> statement-breakpoint
DROP INDEX `memories_source`;--> statement-breakpoint
DROP INDEX `memories_session`;--> statement-breakpoint
CREATE INDEX `memories_source` ON `memories` (`project`,`source`,`created_at`) WHERE deleted_at is null and source <> 'unknown';--> statement-breakpoint
CREATE INDEX `memories_session` ON `memories` (`project`,`session_id`,`created_at`) WHERE deleted_at is null and session_id is not null;
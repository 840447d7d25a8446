-- Reverts 0010_fewer_index_bytes. Dropped tables and columns are restored empty.
DROP INDEX `memories_source`;
--> statement-breakpoint
DROP INDEX `memories_session`;
--> statement-breakpoint
CREATE INDEX `memories_content_hash` ON `memories` (`project`,`content_hash`) WHERE deleted_at is null;
--> statement-breakpoint
CREATE INDEX `memories_source` ON `memories` (`project`,`source`,`created_at`) WHERE deleted_at is null;
--> statement-breakpoint
CREATE INDEX `memories_session` ON `memories` (`project`,`session_id`,`created_at`) WHERE deleted_at is null;

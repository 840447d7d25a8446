DROP TRIGGER `memory_embeddings_dimensions`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_update`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_insert`;
--> statement-breakpoint
DROP TABLE `memories_fts`;

DROP TRIGGER `memory_embeddings_update`;
--> statement-breakpoint
DROP TRIGGER `memory_embeddings_insert`;

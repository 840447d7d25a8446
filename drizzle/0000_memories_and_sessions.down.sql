-- Takes 0000_memories_and_sessions back. What it dropped comes back empty.
DROP TABLE `memories`;
--> statement-breakpoint
DROP TABLE `memory_embeddings`;
--> statement-breakpoint
DROP TABLE `sessions`;

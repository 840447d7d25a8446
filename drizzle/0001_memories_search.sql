-- The full-text index of memories. Its text is made of finished terms, so the tokenizer only has to split at spaces.
CREATE VIRTUAL TABLE `memories_fts` USING fts5(
	search_text,
	content = 'memories',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE TRIGGER `memories_fts_insert` AFTER INSERT ON `memories` BEGIN
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_delete` AFTER DELETE ON `memories` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_update` AFTER UPDATE OF row_id, search_text ON `memories` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
-- Vectors of one model and version all have one length: the first one settles it.
CREATE TRIGGER `memory_embeddings_dimensions` BEFORE INSERT ON `memory_embeddings`
WHEN EXISTS (
	SELECT 1 FROM memory_embeddings
	WHERE project = new.project AND model = new.model AND version = new.version AND dimensions <> new.dimensions
)
BEGIN
	SELECT RAISE(ABORT, 'DIMENSION_MISMATCH');
END;

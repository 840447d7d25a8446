-- The full-text index of stories. Its text is made of finished terms, so the tokenizer only has to split at spaces.
CREATE VIRTUAL TABLE `story_search_fts` USING fts5(
	search_text,
	content = 'story_search',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_insert` AFTER INSERT ON `story_search` BEGIN
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_delete` AFTER DELETE ON `story_search` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_update` AFTER UPDATE OF row_id, search_text ON `story_search` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;

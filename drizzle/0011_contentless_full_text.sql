-- The index terms of memories and messages are no longer stored in their rows: the full-text tables keep no content, and
-- a search reads the terms from the texts. A row is given its terms in `search_text`; a trigger indexes them and leaves
-- '' in their place. The rows of an older file are indexed by the next search or by `reindex`, in steps: opening the
-- file does not wait for it.
DROP TRIGGER `memories_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_update`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_update`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `messages_content`;
--> statement-breakpoint
DROP TABLE `memories_fts`;
--> statement-breakpoint
DROP TABLE `messages_fts`;
--> statement-breakpoint
CREATE VIRTUAL TABLE `memories_fts` USING fts5(
	search_text,
	content = '',
	contentless_delete = 1,
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE VIRTUAL TABLE `messages_fts` USING fts5(
	search_text,
	conversation_row_id,
	content = '',
	contentless_delete = 1,
	tokenize = "ascii"
);
--> statement-breakpoint
-- Each commit adds a segment to the index. Merging sixteen at a time instead of four rewrites it less often.
INSERT INTO messages_fts (messages_fts, rank) VALUES ('automerge', 16);
--> statement-breakpoint
-- Rows that the index lacks, or may have with other terms: from the first to the last row_id.
CREATE TABLE `search_backlog` (
	target TEXT NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (target, first, last)
);
--> statement-breakpoint
INSERT INTO search_backlog (target, first, last)
SELECT 'memories', 0, row_id FROM memories WHERE row_id = (SELECT max(row_id) FROM memories);
--> statement-breakpoint
INSERT INTO search_backlog (target, first, last)
SELECT 'messages', 0, row_id FROM messages WHERE row_id = (SELECT max(row_id) FROM messages);
--> statement-breakpoint
-- Terms are given if they are not those that stood there for other content. Without any, the next search makes them.
CREATE TRIGGER `memories_fts_insert` AFTER INSERT ON `memories` BEGIN
	DELETE FROM memories_fts WHERE rowid IN (SELECT new.row_id UNION ALL SELECT gone.row_id FROM memories_replaced AS gone
		WHERE NOT EXISTS (SELECT 1 FROM memories WHERE row_id = gone.row_id));
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM search_backlog WHERE target = 'memories' AND first = new.row_id AND last = new.row_id;
	INSERT INTO search_backlog (target, first, last) SELECT 'memories', new.row_id, new.row_id
	WHERE new.search_text = '' AND new.deleted_at IS NULL;
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
	UPDATE memories SET search_text = '' WHERE row_id = new.row_id AND search_text <> '';
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_update` AFTER UPDATE OF row_id, project, id, content, deleted_at, search_text ON `memories`
WHEN new.search_text <> '' OR new.row_id IS NOT old.row_id OR new.project IS NOT old.project OR new.content IS NOT old.content
	OR (new.deleted_at IS NULL) IS NOT (old.deleted_at IS NULL) OR EXISTS (SELECT 1 FROM memories_replaced)
BEGIN
	DELETE FROM memories_fts WHERE rowid IN (SELECT new.row_id UNION ALL SELECT old.row_id
		UNION ALL SELECT gone.row_id FROM memories_replaced AS gone
		WHERE NOT EXISTS (SELECT 1 FROM memories WHERE row_id = gone.row_id));
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, CASE WHEN new.deleted_at IS NULL
		AND (new.search_text IS NOT old.search_text OR (new.content IS old.content AND new.project IS old.project))
		THEN new.search_text ELSE '' END);
	DELETE FROM search_backlog WHERE target = 'memories' AND first = last AND first IN (new.row_id, old.row_id);
	INSERT INTO search_backlog (target, first, last) SELECT 'memories', new.row_id, new.row_id
	WHERE new.deleted_at IS NULL AND NOT (new.search_text <> ''
		AND (new.search_text IS NOT old.search_text OR (new.content IS old.content AND new.project IS old.project)));
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
	UPDATE memories SET search_text = '' WHERE row_id = new.row_id AND search_text <> '';
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_delete` AFTER DELETE ON `memories` BEGIN
	DELETE FROM memories_fts WHERE rowid = old.row_id;
	DELETE FROM search_backlog WHERE target = 'memories' AND first = old.row_id AND last = old.row_id;
	DELETE FROM memories_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_insert` AFTER INSERT ON `messages` BEGIN
	DELETE FROM messages_fts WHERE rowid IN (SELECT new.row_id UNION ALL SELECT gone.row_id FROM messages_replaced AS gone
		WHERE NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id));
	DELETE FROM conversation_tags WHERE (conversation_row_id, message_row_id) IN (
		SELECT gone.conversation_row_id, gone.row_id FROM messages_replaced AS gone
		WHERE NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id AND row_id <> new.row_id));
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags) WHERE new.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id IS NOT NULL;
	UPDATE messages SET search_text = CASE search_text WHEN '' THEN NULL ELSE '' END
	WHERE row_id = new.row_id AND search_text IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_update` AFTER UPDATE OF row_id, project, conversation_row_id, seq, id, client_id, content, search_text ON `messages`
WHEN new.search_text <> '' OR new.row_id IS NOT old.row_id OR new.conversation_row_id IS NOT old.conversation_row_id
	OR new.project IS NOT old.project OR new.content IS NOT old.content OR EXISTS (SELECT 1 FROM messages_replaced)
BEGIN
	DELETE FROM messages_fts WHERE rowid IN (SELECT new.row_id UNION ALL SELECT old.row_id
		UNION ALL SELECT gone.row_id FROM messages_replaced AS gone
		WHERE NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id));
	DELETE FROM conversation_tags WHERE (conversation_row_id, message_row_id) IN (
		SELECT gone.conversation_row_id, gone.row_id FROM messages_replaced AS gone
		WHERE gone.row_id <> old.row_id AND NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id AND row_id <> new.row_id));
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id,
		CASE WHEN new.search_text IS NOT old.search_text OR (new.content IS old.content AND new.project IS old.project)
		THEN new.search_text END, new.conversation_row_id);
	DELETE FROM messages_replaced WHERE row_id IS NOT NULL;
	UPDATE messages SET search_text = CASE WHEN new.search_text <> ''
		AND (new.search_text IS NOT old.search_text OR (new.content IS old.content AND new.project IS old.project)) THEN '' END
	WHERE row_id = new.row_id AND search_text IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_content` AFTER UPDATE OF search_text ON `messages`
WHEN new.search_text IS NULL AND old.search_text IS NOT NULL AND new.row_id IS old.row_id AND new.content IS old.content
	AND new.conversation_row_id IS old.conversation_row_id AND NOT EXISTS (SELECT 1 FROM messages_replaced)
BEGIN
	DELETE FROM messages_fts WHERE rowid = new.row_id;
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, NULL, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_delete` AFTER DELETE ON `messages` BEGIN
	DELETE FROM messages_fts WHERE rowid = old.row_id;
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id AND old.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id = old.row_id;
END;

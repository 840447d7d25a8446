-- New memories and messages may be stored without their index terms, while the backlog has a range that ends with
-- 9007199254740991: it has the rows from its first on that the full-text table lacks. A program that stores many rows opens
-- it, indexes the rows of many commits by one statement, and removes it. Until then, searches read the rows that wait.
DROP TRIGGER `memories_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_insert`;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_insert` AFTER INSERT ON `memories`
WHEN new.search_text <> '' OR EXISTS (SELECT 1 FROM memories_replaced) OR NOT EXISTS (
	SELECT 1 FROM search_backlog WHERE target = 'memories' AND last = 9007199254740991 AND first <= new.row_id
)
BEGIN
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
CREATE TRIGGER `messages_fts_insert` AFTER INSERT ON `messages`
WHEN new.search_text IS NOT '' OR new.tags <> '[]' OR EXISTS (SELECT 1 FROM messages_replaced) OR NOT EXISTS (
	SELECT 1 FROM search_backlog WHERE target = 'messages' AND last = 9007199254740991 AND first <= new.row_id
)
BEGIN
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

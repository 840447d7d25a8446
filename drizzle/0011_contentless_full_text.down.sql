-- Reverts 0011_contentless_full_text. The rows have no terms any more: run `reindex` with the version that you return to.
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
DROP TRIGGER `messages_content`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_delete`;
--> statement-breakpoint
DROP TABLE `memories_fts`;
--> statement-breakpoint
DROP TABLE `messages_fts`;
--> statement-breakpoint
DROP TABLE `search_backlog`;
--> statement-breakpoint
UPDATE `messages` SET search_text = NULL WHERE search_text = '';
--> statement-breakpoint
CREATE VIRTUAL TABLE `memories_fts` USING fts5(
	search_text,
	content = 'memories',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE VIRTUAL TABLE `messages_fts` USING fts5(
	search_text,
	conversation_row_id,
	content = 'messages',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
INSERT INTO messages_fts (messages_fts, rank) VALUES ('automerge', 16);
--> statement-breakpoint
CREATE TRIGGER `memories_fts_insert` AFTER INSERT ON `memories` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM memories_replaced AS gone
	WHERE NOT EXISTS (SELECT 1 FROM memories WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_update` AFTER UPDATE OF row_id, project, id, search_text ON `memories`
WHEN new.row_id IS NOT old.row_id OR new.search_text IS NOT old.search_text OR EXISTS (SELECT 1 FROM memories_replaced)
BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM memories_replaced AS gone
	WHERE gone.row_id <> old.row_id AND NOT EXISTS (SELECT 1 FROM memories WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_delete` AFTER DELETE ON `memories` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	DELETE FROM memories_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_insert` AFTER INSERT ON `messages` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	SELECT 'delete', gone.row_id, gone.search_text, gone.conversation_row_id FROM messages_replaced AS gone
	WHERE NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id AND row_id <> new.row_id);
	DELETE FROM conversation_tags WHERE (conversation_row_id, message_row_id) IN (
		SELECT gone.conversation_row_id, gone.row_id FROM messages_replaced AS gone
		WHERE NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id AND row_id <> new.row_id));
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags) WHERE new.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_update` AFTER UPDATE OF row_id, project, conversation_row_id, seq, id, client_id, content, search_text ON `messages`
WHEN (new.row_id IS NOT old.row_id OR new.conversation_row_id IS NOT old.conversation_row_id OR new.search_text IS NOT old.search_text
		OR (new.content IS NOT old.content AND new.checksum IS old.checksum) OR EXISTS (SELECT 1 FROM messages_replaced))
	AND NOT (new.search_text IS NULL AND old.search_text IS NOT NULL AND new.row_id IS old.row_id AND new.content IS old.content
		AND new.conversation_row_id IS old.conversation_row_id AND NOT EXISTS (SELECT 1 FROM messages_replaced))
BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	SELECT 'delete', gone.row_id, gone.search_text, gone.conversation_row_id FROM messages_replaced AS gone
	WHERE gone.row_id <> old.row_id AND NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id AND row_id <> new.row_id);
	DELETE FROM conversation_tags WHERE (conversation_row_id, message_row_id) IN (
		SELECT gone.conversation_row_id, gone.row_id FROM messages_replaced AS gone
		WHERE gone.row_id <> old.row_id AND NOT EXISTS (SELECT 1 FROM messages WHERE row_id = gone.row_id AND row_id <> new.row_id));
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
	DELETE FROM messages_replaced WHERE row_id IS NOT NULL;
	UPDATE messages SET search_text = NULL WHERE row_id = new.row_id AND search_text IS NOT NULL
		AND new.content IS NOT old.content AND new.search_text IS old.search_text AND new.checksum IS old.checksum;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_content` AFTER UPDATE OF search_text ON `messages`
WHEN new.search_text IS NULL AND old.search_text IS NOT NULL AND new.row_id IS old.row_id AND new.content IS old.content
	AND new.conversation_row_id IS old.conversation_row_id AND NOT EXISTS (SELECT 1 FROM messages_replaced)
BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, NULL, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_delete` AFTER DELETE ON `messages` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id AND old.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
INSERT INTO memories_fts (memories_fts) VALUES ('rebuild');
--> statement-breakpoint
INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');

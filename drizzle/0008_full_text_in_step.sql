-- The full-text indexes follow every kind of change. An index with external content has to be told the terms that a row
-- had, exactly once: one that is told twice, or never, is damaged. So each trigger acts only where what it indexes has
-- changed, and rows that REPLACE removes, for which SQLite fires no DELETE trigger, are noted before the statement.
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
DROP TRIGGER `messages_tags_insert`;
--> statement-breakpoint
DROP TRIGGER `messages_tags_update`;
--> statement-breakpoint
DROP TRIGGER `messages_tags_delete`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_update`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_delete`;
--> statement-breakpoint
CREATE TABLE `memories_replaced` (
	row_id INTEGER PRIMARY KEY,
	search_text TEXT NOT NULL
);
--> statement-breakpoint
CREATE TRIGGER `memories_fts_before_insert` BEFORE INSERT ON `memories`
WHEN EXISTS (SELECT 1 FROM memories_replaced)
	OR EXISTS (SELECT 1 FROM memories WHERE row_id = new.row_id)
	OR EXISTS (SELECT 1 FROM memories WHERE project = new.project AND id = new.id)
BEGIN
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
	INSERT INTO memories_replaced SELECT row_id, search_text FROM memories WHERE row_id = new.row_id OR (project = new.project AND id = new.id);
END;
--> statement-breakpoint
CREATE TRIGGER `memories_fts_before_update` BEFORE UPDATE OF row_id, project, id ON `memories`
WHEN EXISTS (SELECT 1 FROM memories_replaced)
	OR EXISTS (SELECT 1 FROM memories WHERE row_id = new.row_id AND row_id <> old.row_id)
	OR EXISTS (SELECT 1 FROM memories WHERE project = new.project AND id = new.id AND row_id <> old.row_id)
BEGIN
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
	INSERT INTO memories_replaced SELECT row_id, search_text FROM memories WHERE (row_id = new.row_id OR (project = new.project AND id = new.id)) AND row_id <> old.row_id;
END;
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
CREATE TABLE `story_search_replaced` (
	row_id INTEGER PRIMARY KEY,
	search_text TEXT NOT NULL
);
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_before_insert` BEFORE INSERT ON `story_search`
WHEN EXISTS (SELECT 1 FROM story_search_replaced)
	OR EXISTS (SELECT 1 FROM story_search WHERE row_id = new.row_id)
BEGIN
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
	INSERT INTO story_search_replaced SELECT row_id, search_text FROM story_search WHERE row_id = new.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_before_update` BEFORE UPDATE OF row_id ON `story_search`
WHEN EXISTS (SELECT 1 FROM story_search_replaced)
	OR EXISTS (SELECT 1 FROM story_search WHERE row_id = new.row_id AND row_id <> old.row_id)
BEGIN
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
	INSERT INTO story_search_replaced SELECT row_id, search_text FROM story_search WHERE (row_id = new.row_id) AND row_id <> old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_insert` AFTER INSERT ON `story_search` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM story_search_replaced AS gone
	WHERE NOT EXISTS (SELECT 1 FROM story_search WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_update` AFTER UPDATE OF row_id, search_text ON `story_search`
WHEN new.row_id IS NOT old.row_id OR new.search_text IS NOT old.search_text OR EXISTS (SELECT 1 FROM story_search_replaced)
BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM story_search_replaced AS gone
	WHERE gone.row_id <> old.row_id AND NOT EXISTS (SELECT 1 FROM story_search WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER `story_search_fts_delete` AFTER DELETE ON `story_search` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	DELETE FROM story_search_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TABLE `messages_replaced` (
	row_id INTEGER PRIMARY KEY,
	conversation_row_id INTEGER NOT NULL,
	search_text TEXT
);
--> statement-breakpoint
CREATE TRIGGER `messages_fts_before_insert` BEFORE INSERT ON `messages`
WHEN EXISTS (SELECT 1 FROM messages_replaced)
	OR EXISTS (SELECT 1 FROM messages WHERE row_id = new.row_id)
	OR EXISTS (SELECT 1 FROM messages WHERE project = new.project AND id = new.id)
	OR EXISTS (SELECT 1 FROM messages WHERE conversation_row_id = new.conversation_row_id AND seq = new.seq)
	OR EXISTS (SELECT 1 FROM messages WHERE conversation_row_id = new.conversation_row_id AND client_id = new.client_id)
BEGIN
	DELETE FROM messages_replaced WHERE row_id IS NOT NULL;
	INSERT INTO messages_replaced SELECT row_id, conversation_row_id, search_text FROM messages
	WHERE row_id = new.row_id
		OR (project = new.project AND id = new.id)
		OR (conversation_row_id = new.conversation_row_id AND seq = new.seq)
		OR (conversation_row_id = new.conversation_row_id AND client_id = new.client_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_before_update` BEFORE UPDATE OF row_id, project, conversation_row_id, seq, id, client_id ON `messages`
WHEN EXISTS (SELECT 1 FROM messages_replaced)
	OR EXISTS (SELECT 1 FROM messages WHERE row_id = new.row_id AND row_id <> old.row_id)
	OR EXISTS (SELECT 1 FROM messages WHERE project = new.project AND id = new.id AND row_id <> old.row_id)
	OR EXISTS (SELECT 1 FROM messages WHERE conversation_row_id = new.conversation_row_id AND seq = new.seq AND row_id <> old.row_id)
	OR EXISTS (SELECT 1 FROM messages WHERE conversation_row_id = new.conversation_row_id AND client_id = new.client_id AND row_id <> old.row_id)
BEGIN
	DELETE FROM messages_replaced WHERE row_id IS NOT NULL;
	INSERT INTO messages_replaced SELECT row_id, conversation_row_id, search_text FROM messages
	WHERE (row_id = new.row_id
		OR (project = new.project AND id = new.id)
		OR (conversation_row_id = new.conversation_row_id AND seq = new.seq)
		OR (conversation_row_id = new.conversation_row_id AND client_id = new.client_id)) AND row_id <> old.row_id;
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
-- Content changed by other programs, which leave the terms and the checksum as they were: the terms become null, and
-- the next search makes them. The library changes all three, though new content may have the same terms.
-- The nested UPDATE is the business of the trigger below, whether or not `recursive_triggers` is on.
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
CREATE TRIGGER `messages_tags_update` AFTER UPDATE OF row_id, project, conversation_row_id, tags ON `messages`
WHEN new.tags IS NOT old.tags OR new.row_id IS NOT old.row_id OR new.project IS NOT old.project
	OR new.conversation_row_id IS NOT old.conversation_row_id
BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
-- Indexes that earlier triggers have put out of step are made again from the terms of the rows.
INSERT INTO memories_fts (memories_fts) VALUES ('rebuild');
--> statement-breakpoint
INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');
--> statement-breakpoint
INSERT INTO story_search_fts (story_search_fts) VALUES ('rebuild');

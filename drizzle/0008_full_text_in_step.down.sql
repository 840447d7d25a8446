-- Takes 0008_full_text_in_step back: the triggers as they were before.
DROP TRIGGER `messages_tags_update`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `messages_content`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_update`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_before_update`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_before_insert`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_update`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_before_update`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_before_insert`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_update`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_insert`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_before_update`;
--> statement-breakpoint
DROP TRIGGER `memories_fts_before_insert`;
--> statement-breakpoint
DROP TABLE `messages_replaced`;
--> statement-breakpoint
DROP TABLE `story_search_replaced`;
--> statement-breakpoint
DROP TABLE `memories_replaced`;
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
CREATE TRIGGER `messages_fts_insert` AFTER INSERT ON `messages` BEGIN
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_delete` AFTER DELETE ON `messages` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_fts_update` AFTER UPDATE OF row_id, search_text, conversation_row_id ON `messages` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_content` AFTER UPDATE OF content ON `messages`
WHEN new.content IS NOT old.content AND new.search_text IS old.search_text AND new.search_text IS NOT NULL
BEGIN
	UPDATE messages SET search_text = NULL WHERE row_id = new.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_tags_insert` AFTER INSERT ON `messages` WHEN new.tags <> '[]' BEGIN
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_tags_update` AFTER UPDATE OF tags ON `messages` BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER `messages_tags_delete` AFTER DELETE ON `messages` WHEN old.tags <> '[]' BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
END;
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

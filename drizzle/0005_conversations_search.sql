-- The full-text index of messages: words, and beside them the conversation, so that one of them can be searched alone.
CREATE VIRTUAL TABLE `messages_fts` USING fts5(
	search_text,
	conversation_row_id,
	content = 'messages',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
-- Each commit adds a segment to the index. Merging sixteen at a time instead of four rewrites it less often.
INSERT INTO messages_fts (messages_fts, rank) VALUES ('automerge', 16);
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
-- Whoever changes the content without the terms made of it: the next search makes them.
CREATE TRIGGER `messages_content` AFTER UPDATE OF content ON `messages`
WHEN new.content IS NOT old.content AND new.search_text IS old.search_text AND new.search_text IS NOT NULL
BEGIN
	UPDATE messages SET search_text = NULL WHERE row_id = new.row_id;
END;
--> statement-breakpoint
-- Ids of conversations and of messages are one namespace.
CREATE TRIGGER `messages_id_taken` BEFORE INSERT ON `messages`
WHEN EXISTS (SELECT 1 FROM conversations WHERE project = new.project AND id = new.id)
BEGIN
	SELECT RAISE(ABORT, 'ID_TAKEN: conversations.project, conversations.id');
END;
--> statement-breakpoint
CREATE TRIGGER `conversations_id_taken` BEFORE INSERT ON `conversations`
WHEN EXISTS (SELECT 1 FROM messages WHERE project = new.project AND id = new.id)
BEGIN
	SELECT RAISE(ABORT, 'ID_TAKEN: messages.project, messages.id');
END;
--> statement-breakpoint
-- Of many messages stored at once only the first finds something to do.
CREATE TRIGGER `messages_touch_insert` AFTER INSERT ON `messages` BEGIN
	UPDATE conversations SET updated_at = new.updated_at WHERE row_id = new.conversation_row_id AND updated_at < new.updated_at;
END;
--> statement-breakpoint
CREATE TRIGGER `messages_touch_update` AFTER UPDATE OF updated_at ON `messages` BEGIN
	UPDATE conversations SET updated_at = new.updated_at WHERE row_id = new.conversation_row_id AND updated_at < new.updated_at;
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
CREATE TRIGGER `conversations_tags_insert` AFTER INSERT ON `conversations` WHEN new.tags <> '[]' BEGIN
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.row_id, 0 FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER `conversations_tags_update` AFTER UPDATE OF tags ON `conversations` BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.row_id AND message_row_id = 0;
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.row_id, 0 FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER `conversations_tags_delete` AFTER DELETE ON `conversations` WHEN old.tags <> '[]' BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.row_id AND message_row_id = 0;
END;

// Written from drizzle/ by scripts/embed-migrations.mjs, which `npm run db:generate` and the build run. Do not edit it.

/** The indexes that each snapshot of drizzle-kit has, as far as they differ. */
const SNAPSHOTS = [
  {"tables":{"memories":{"indexes":{"memories_id":{},"memories_time":{},"memories_type":{},"memories_source":{},"memories_session":{},"memories_content_hash":{}}},"memory_embeddings":{"indexes":{"memory_embeddings_memory":{},"memory_embeddings_model":{}}},"sessions":{"indexes":{"sessions_id":{},"sessions_time":{},"sessions_active":{}}}}},
  {"tables":{"graph_edges":{"indexes":{"graph_edges_id":{},"graph_edges_from":{},"graph_edges_to":{},"graph_edges_type":{}}},"graph_labels":{"indexes":{"graph_labels_label":{}}},"graph_nodes":{"indexes":{"graph_nodes_id":{},"graph_nodes_row":{},"graph_nodes_kind":{},"graph_nodes_name":{}}},"graph_versions":{"indexes":{}},"memories":{"indexes":{"memories_id":{},"memories_time":{},"memories_type":{},"memories_source":{},"memories_session":{},"memories_content_hash":{}}},"memory_embeddings":{"indexes":{"memory_embeddings_memory":{},"memory_embeddings_model":{}}},"sessions":{"indexes":{"sessions_id":{},"sessions_time":{},"sessions_active":{}}}}},
  {"tables":{"conversation_summaries":{"indexes":{"conversation_summaries_id":{},"conversation_summaries_date":{},"conversation_summaries_conversation":{}}},"conversation_tags":{"indexes":{"conversation_tags_tag":{},"conversation_tags_owner":{}}},"conversations":{"indexes":{"conversations_id":{},"conversations_created":{},"conversations_updated":{},"conversations_parent":{}}},"graph_edges":{"indexes":{"graph_edges_id":{},"graph_edges_from":{},"graph_edges_to":{},"graph_edges_type":{}}},"graph_labels":{"indexes":{"graph_labels_label":{}}},"graph_nodes":{"indexes":{"graph_nodes_id":{},"graph_nodes_row":{},"graph_nodes_kind":{},"graph_nodes_name":{}}},"graph_versions":{"indexes":{}},"memories":{"indexes":{"memories_id":{},"memories_time":{},"memories_type":{},"memories_source":{},"memories_session":{},"memories_content_hash":{}}},"memory_embeddings":{"indexes":{"memory_embeddings_memory":{},"memory_embeddings_model":{}}},"message_refs":{"indexes":{"message_refs_message":{},"message_refs_target":{}}},"messages":{"indexes":{"messages_id":{},"messages_seq":{},"messages_client_id":{},"messages_time":{},"messages_unindexed":{}}},"sessions":{"indexes":{"sessions_id":{},"sessions_time":{},"sessions_active":{}}}}},
  {"tables":{"conversation_summaries":{"indexes":{"conversation_summaries_id":{},"conversation_summaries_date":{},"conversation_summaries_conversation":{}}},"conversation_tags":{"indexes":{"conversation_tags_tag":{},"conversation_tags_owner":{}}},"conversations":{"indexes":{"conversations_id":{},"conversations_created":{},"conversations_updated":{},"conversations_parent":{}}},"graph_edges":{"indexes":{"graph_edges_id":{},"graph_edges_from":{},"graph_edges_to":{},"graph_edges_type":{}}},"graph_labels":{"indexes":{"graph_labels_label":{}}},"graph_nodes":{"indexes":{"graph_nodes_id":{},"graph_nodes_row":{},"graph_nodes_kind":{},"graph_nodes_name":{}}},"graph_versions":{"indexes":{}},"memories":{"indexes":{"memories_id":{},"memories_time":{},"memories_type":{},"memories_source":{},"memories_session":{},"memories_content_hash":{}}},"memory_embeddings":{"indexes":{"memory_embeddings_memory":{},"memory_embeddings_model":{}}},"message_refs":{"indexes":{"message_refs_message":{},"message_refs_target":{}}},"messages":{"indexes":{"messages_id":{},"messages_seq":{},"messages_client_id":{},"messages_time":{},"messages_unindexed":{}}},"sessions":{"indexes":{"sessions_id":{},"sessions_time":{},"sessions_active":{}}},"stories":{"indexes":{"stories_id":{},"stories_time":{},"stories_unindexed":{}}},"story_contents":{"indexes":{"story_contents_project":{}}},"story_preferences":{"indexes":{}},"story_revisions":{"indexes":{"story_revisions_revision":{},"story_revisions_content":{}}},"story_search":{"indexes":{"story_search_time":{}}},"story_secrets":{"indexes":{}},"story_sync_queue":{"indexes":{"story_sync_queue_id":{}}},"story_tags":{"indexes":{"story_tags_story":{}}}}},
  {"tables":{"conversation_summaries":{"indexes":{"conversation_summaries_id":{},"conversation_summaries_date":{},"conversation_summaries_conversation":{}}},"conversation_tags":{"indexes":{"conversation_tags_tag":{},"conversation_tags_owner":{}}},"conversations":{"indexes":{"conversations_id":{},"conversations_created":{},"conversations_updated":{},"conversations_parent":{}}},"graph_edges":{"indexes":{"graph_edges_id":{},"graph_edges_from":{},"graph_edges_to":{},"graph_edges_type":{}}},"graph_labels":{"indexes":{"graph_labels_label":{}}},"graph_nodes":{"indexes":{"graph_nodes_id":{},"graph_nodes_row":{},"graph_nodes_kind":{},"graph_nodes_name":{}}},"graph_versions":{"indexes":{}},"memories":{"indexes":{"memories_id":{},"memories_time":{},"memories_type":{},"memories_source":{},"memories_session":{}}},"memory_embeddings":{"indexes":{"memory_embeddings_memory":{},"memory_embeddings_model":{}}},"message_refs":{"indexes":{"message_refs_message":{},"message_refs_target":{}}},"messages":{"indexes":{"messages_id":{},"messages_seq":{},"messages_client_id":{},"messages_time":{},"messages_unindexed":{}}},"sessions":{"indexes":{"sessions_id":{},"sessions_time":{},"sessions_active":{}}},"stories":{"indexes":{"stories_id":{},"stories_time":{},"stories_unindexed":{}}},"story_contents":{"indexes":{"story_contents_project":{}}},"story_preferences":{"indexes":{}},"story_revisions":{"indexes":{"story_revisions_revision":{},"story_revisions_content":{}}},"story_search":{"indexes":{"story_search_time":{}}},"story_secrets":{"indexes":{}},"story_sync_queue":{"indexes":{"story_sync_queue_id":{}}},"story_tags":{"indexes":{"story_tags_story":{}}}}},
  {"tables":{"conversation_summaries":{"indexes":{"conversation_summaries_id":{},"conversation_summaries_date":{},"conversation_summaries_conversation":{}}},"conversation_tags":{"indexes":{"conversation_tags_tag":{},"conversation_tags_owner":{}}},"conversations":{"indexes":{"conversations_id":{},"conversations_created":{},"conversations_updated":{},"conversations_parent":{}}},"graph_edges":{"indexes":{"graph_edges_id":{},"graph_edges_from":{},"graph_edges_to":{},"graph_edges_type":{}}},"graph_labels":{"indexes":{"graph_labels_label":{}}},"graph_nodes":{"indexes":{"graph_nodes_id":{},"graph_nodes_row":{},"graph_nodes_kind":{},"graph_nodes_name":{}}},"graph_versions":{"indexes":{}},"memories":{"indexes":{"memories_id":{},"memories_time":{},"memories_type":{},"memories_source":{},"memories_session":{}}},"memory_embeddings":{"indexes":{"memory_embeddings_memory":{},"memory_embeddings_model":{}}},"message_refs":{"indexes":{"message_refs_message":{},"message_refs_target":{}}},"messages":{"indexes":{"messages_id":{},"messages_seq":{},"messages_client_id":{},"messages_time":{},"messages_unindexed":{}}},"sessions":{"indexes":{"sessions_id":{},"sessions_time":{},"sessions_active":{}}},"stories":{"indexes":{"stories_id":{},"stories_time":{},"stories_unindexed":{}}},"story_contents":{"indexes":{"story_contents_project":{}}},"story_preferences":{"indexes":{}},"story_revisions":{"indexes":{"story_revisions_revision":{},"story_revisions_content":{}}},"story_search":{"indexes":{"story_search_time":{}}},"story_secrets":{"indexes":{}},"story_sync_queue":{"indexes":{"story_sync_queue_id":{}}},"story_tags":{"indexes":{"story_tags_story":{}}},"vector_versions":{"indexes":{}}}},
] as const;

/** The migrations of this package, in their order. */
export const HOLDFAST_MIGRATIONS = [
  {
    tag: "0000_memories_and_sessions",
    when: 1795237702028,
    snapshot: SNAPSHOTS[0],
    sql: `CREATE TABLE \`memories\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`session_id\` text,
	\`type\` text NOT NULL,
	\`source\` text NOT NULL,
	\`content\` text NOT NULL,
	\`metadata\` text NOT NULL,
	\`embedding_row_id\` integer,
	\`created_at\` integer NOT NULL,
	\`updated_at\` integer NOT NULL,
	\`deleted_at\` integer,
	\`content_hash\` text NOT NULL,
	\`checksum\` text NOT NULL,
	\`search_text\` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`memories_id\` ON \`memories\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE INDEX \`memories_time\` ON \`memories\` (\`project\`,\`created_at\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`memories_type\` ON \`memories\` (\`project\`,\`type\`,\`created_at\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`memories_source\` ON \`memories\` (\`project\`,\`source\`,\`created_at\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`memories_session\` ON \`memories\` (\`project\`,\`session_id\`,\`created_at\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`memories_content_hash\` ON \`memories\` (\`project\`,\`content_hash\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE TABLE \`memory_embeddings\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`memory_row_id\` integer NOT NULL,
	\`project\` text NOT NULL,
	\`model\` text NOT NULL,
	\`version\` text NOT NULL,
	\`dimensions\` integer NOT NULL,
	\`vector\` blob NOT NULL,
	\`created_at\` integer NOT NULL,
	\`checksum\` text NOT NULL,
	FOREIGN KEY (\`memory_row_id\`) REFERENCES \`memories\`(\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`memory_embeddings_memory\` ON \`memory_embeddings\` (\`memory_row_id\`,\`model\`,\`version\`);--> statement-breakpoint
CREATE INDEX \`memory_embeddings_model\` ON \`memory_embeddings\` (\`project\`,\`model\`,\`version\`,\`dimensions\`);--> statement-breakpoint
CREATE TABLE \`sessions\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`started_at\` integer NOT NULL,
	\`ended_at\` integer,
	\`summary\` text,
	\`metadata\` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`sessions_id\` ON \`sessions\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE INDEX \`sessions_time\` ON \`sessions\` (\`project\`,\`started_at\`);--> statement-breakpoint
CREATE INDEX \`sessions_active\` ON \`sessions\` (\`project\`,\`started_at\`) WHERE ended_at is null;`,
    down: `-- Takes 0000_memories_and_sessions back. What it dropped comes back empty.
DROP TABLE \`memories\`;
--> statement-breakpoint
DROP TABLE \`memory_embeddings\`;
--> statement-breakpoint
DROP TABLE \`sessions\`;
`,
  },
  {
    tag: "0001_memories_search",
    when: 1795237702568,
    snapshot: SNAPSHOTS[0],
    sql: `-- The full-text index of memories. Its text is made of finished terms, so the tokenizer only has to split at spaces.
CREATE VIRTUAL TABLE \`memories_fts\` USING fts5(
	search_text,
	content = 'memories',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\` BEGIN
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_delete\` AFTER DELETE ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_update\` AFTER UPDATE OF row_id, search_text ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
-- Vectors of one model and version all have one length: the first one settles it.
CREATE TRIGGER \`memory_embeddings_dimensions\` BEFORE INSERT ON \`memory_embeddings\`
WHEN EXISTS (
	SELECT 1 FROM memory_embeddings
	WHERE project = new.project AND model = new.model AND version = new.version AND dimensions <> new.dimensions
)
BEGIN
	SELECT RAISE(ABORT, 'DIMENSION_MISMATCH');
END;
`,
    down: `DROP TRIGGER \`memory_embeddings_dimensions\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TABLE \`memories_fts\`;
`,
  },
  {
    tag: "0002_graph",
    when: 1795245699736,
    snapshot: SNAPSHOTS[1],
    sql: `CREATE TABLE \`graph_edges\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`from_row\` integer NOT NULL,
	\`to_row\` integer NOT NULL,
	\`type\` text NOT NULL,
	\`copy\` integer NOT NULL,
	\`weight\` real NOT NULL,
	\`data\` text NOT NULL,
	FOREIGN KEY (\`project\`,\`from_row\`) REFERENCES \`graph_nodes\`(\`project\`,\`row_id\`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (\`project\`,\`to_row\`) REFERENCES \`graph_nodes\`(\`project\`,\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`graph_edges_id\` ON \`graph_edges\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE UNIQUE INDEX \`graph_edges_from\` ON \`graph_edges\` (\`from_row\`,\`to_row\`,\`type\`,\`copy\`);--> statement-breakpoint
CREATE INDEX \`graph_edges_to\` ON \`graph_edges\` (\`to_row\`,\`from_row\`,\`type\`);--> statement-breakpoint
CREATE INDEX \`graph_edges_type\` ON \`graph_edges\` (\`project\`,\`type\`,\`from_row\`,\`to_row\`,\`weight\`);--> statement-breakpoint
CREATE TABLE \`graph_labels\` (
	\`project\` text NOT NULL,
	\`node_row\` integer NOT NULL,
	\`label\` text NOT NULL,
	PRIMARY KEY(\`node_row\`, \`label\`),
	FOREIGN KEY (\`project\`,\`node_row\`) REFERENCES \`graph_nodes\`(\`project\`,\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX \`graph_labels_label\` ON \`graph_labels\` (\`project\`,\`label\`,\`node_row\`);--> statement-breakpoint
CREATE TABLE \`graph_nodes\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`kind\` text NOT NULL,
	\`name\` text NOT NULL,
	\`data\` text NOT NULL,
	\`created_at\` integer NOT NULL,
	\`updated_at\` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`graph_nodes_id\` ON \`graph_nodes\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE UNIQUE INDEX \`graph_nodes_row\` ON \`graph_nodes\` (\`project\`,\`row_id\`);--> statement-breakpoint
CREATE INDEX \`graph_nodes_kind\` ON \`graph_nodes\` (\`project\`,\`kind\`,\`id\`);--> statement-breakpoint
CREATE INDEX \`graph_nodes_name\` ON \`graph_nodes\` (\`project\`,\`name\`,\`id\`);--> statement-breakpoint
CREATE TABLE \`graph_versions\` (
	\`project\` text PRIMARY KEY NOT NULL,
	\`version\` integer NOT NULL
);
`,
    down: `-- Takes 0002_graph back. What it dropped comes back empty.
DROP TABLE \`graph_edges\`;
--> statement-breakpoint
DROP TABLE \`graph_labels\`;
--> statement-breakpoint
DROP TABLE \`graph_nodes\`;
--> statement-breakpoint
DROP TABLE \`graph_versions\`;
`,
  },
  {
    tag: "0003_graph_versions",
    when: 1795245701017,
    snapshot: SNAPSHOTS[1],
    sql: `-- What the compressed rows of a graph are made of changes: the project gets another version, by whatever hand.
CREATE TRIGGER \`graph_nodes_insert\` AFTER INSERT ON \`graph_nodes\` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
CREATE TRIGGER \`graph_nodes_delete\` AFTER DELETE ON \`graph_nodes\` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (old.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
CREATE TRIGGER \`graph_nodes_update\` AFTER UPDATE OF row_id, project, id ON \`graph_nodes\` BEGIN
	INSERT INTO graph_versions (project, version)
	VALUES (old.project, random() & 9007199254740991), (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
CREATE TRIGGER \`graph_edges_insert\` AFTER INSERT ON \`graph_edges\` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
-- An edge without \`parallel\` is refused by copy 0 of its like: so where there is any edge of the kind, one has it.
CREATE TRIGGER \`graph_edges_delete\` AFTER DELETE ON \`graph_edges\` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (old.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
	UPDATE graph_edges SET copy = 0 WHERE old.copy = 0 AND row_id = (
		SELECT row_id FROM graph_edges WHERE from_row = old.from_row AND to_row = old.to_row AND type = old.type
		ORDER BY copy LIMIT 1
	);
END;
--> statement-breakpoint
CREATE TRIGGER \`graph_edges_update\` AFTER UPDATE OF project, from_row, to_row, type, weight ON \`graph_edges\` BEGIN
	INSERT INTO graph_versions (project, version)
	VALUES (old.project, random() & 9007199254740991), (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
	UPDATE graph_edges SET copy = 0 WHERE old.copy = 0 AND row_id = (
		SELECT row_id FROM graph_edges WHERE from_row = old.from_row AND to_row = old.to_row AND type = old.type
		ORDER BY copy LIMIT 1
	);
END;
`,
    down: `DROP TRIGGER \`graph_edges_update\`;
--> statement-breakpoint
DROP TRIGGER \`graph_edges_delete\`;
--> statement-breakpoint
DROP TRIGGER \`graph_edges_insert\`;
--> statement-breakpoint
DROP TRIGGER \`graph_nodes_update\`;
--> statement-breakpoint
DROP TRIGGER \`graph_nodes_delete\`;
--> statement-breakpoint
DROP TRIGGER \`graph_nodes_insert\`;
`,
  },
  {
    tag: "0004_conversations",
    when: 1795249741454,
    snapshot: SNAPSHOTS[2],
    sql: `CREATE TABLE \`conversation_summaries\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`conversation_row_id\` integer NOT NULL,
	\`id\` text NOT NULL,
	\`date\` text NOT NULL,
	\`title\` text NOT NULL,
	\`text\` text NOT NULL,
	\`created_at\` integer NOT NULL,
	FOREIGN KEY (\`conversation_row_id\`) REFERENCES \`conversations\`(\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`conversation_summaries_id\` ON \`conversation_summaries\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE INDEX \`conversation_summaries_date\` ON \`conversation_summaries\` (\`project\`,\`date\`);--> statement-breakpoint
CREATE INDEX \`conversation_summaries_conversation\` ON \`conversation_summaries\` (\`conversation_row_id\`,\`date\`);--> statement-breakpoint
CREATE TABLE \`conversation_tags\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`tag\` text NOT NULL,
	\`conversation_row_id\` integer NOT NULL,
	\`message_row_id\` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`conversation_tags_tag\` ON \`conversation_tags\` (\`project\`,\`tag\`,\`conversation_row_id\`,\`message_row_id\`);--> statement-breakpoint
CREATE INDEX \`conversation_tags_owner\` ON \`conversation_tags\` (\`conversation_row_id\`,\`message_row_id\`);--> statement-breakpoint
CREATE TABLE \`conversations\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`title\` text,
	\`tags\` text NOT NULL,
	\`metadata\` text NOT NULL,
	\`parent_row_id\` integer,
	\`prefix_seq\` integer NOT NULL,
	\`forked_from_id\` text,
	\`forked_from_seq\` integer,
	\`visible_seq\` integer NOT NULL,
	\`created_at\` integer NOT NULL,
	\`updated_at\` integer NOT NULL,
	\`deleted_at\` integer,
	\`purged_at\` integer,
	FOREIGN KEY (\`parent_row_id\`) REFERENCES \`conversations\`(\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`conversations_id\` ON \`conversations\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE INDEX \`conversations_created\` ON \`conversations\` (\`project\`,\`created_at\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`conversations_updated\` ON \`conversations\` (\`project\`,\`updated_at\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`conversations_parent\` ON \`conversations\` (\`parent_row_id\`) WHERE parent_row_id is not null;--> statement-breakpoint
CREATE TABLE \`message_refs\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`message_row_id\` integer NOT NULL,
	\`kind\` text NOT NULL,
	\`target\` text NOT NULL,
	\`score\` real,
	\`created_at\` integer NOT NULL,
	FOREIGN KEY (\`message_row_id\`) REFERENCES \`messages\`(\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`message_refs_message\` ON \`message_refs\` (\`message_row_id\`,\`kind\`,\`target\`);--> statement-breakpoint
CREATE INDEX \`message_refs_target\` ON \`message_refs\` (\`project\`,\`kind\`,\`target\`);--> statement-breakpoint
CREATE TABLE \`messages\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`conversation_row_id\` integer NOT NULL,
	\`seq\` integer NOT NULL,
	\`id\` text NOT NULL,
	\`role\` text NOT NULL,
	\`metadata\` text NOT NULL,
	\`tags\` text NOT NULL,
	\`client_id\` text,
	\`created_at\` integer NOT NULL,
	\`updated_at\` integer NOT NULL,
	\`checksum\` text NOT NULL,
	\`content\` text NOT NULL,
	\`search_text\` text,
	FOREIGN KEY (\`conversation_row_id\`) REFERENCES \`conversations\`(\`row_id\`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`messages_id\` ON \`messages\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE UNIQUE INDEX \`messages_seq\` ON \`messages\` (\`conversation_row_id\`,\`seq\`);--> statement-breakpoint
CREATE UNIQUE INDEX \`messages_client_id\` ON \`messages\` (\`conversation_row_id\`,\`client_id\`) WHERE client_id is not null;--> statement-breakpoint
CREATE INDEX \`messages_time\` ON \`messages\` (\`project\`,\`created_at\`);--> statement-breakpoint
CREATE INDEX \`messages_unindexed\` ON \`messages\` (\`project\`) WHERE search_text is null;`,
    down: `-- Takes 0004_conversations back. What it dropped comes back empty.
DROP TABLE \`conversation_summaries\`;
--> statement-breakpoint
DROP TABLE \`conversation_tags\`;
--> statement-breakpoint
DROP TABLE \`conversations\`;
--> statement-breakpoint
DROP TABLE \`message_refs\`;
--> statement-breakpoint
DROP TABLE \`messages\`;
`,
  },
  {
    tag: "0005_conversations_search",
    when: 1795249745586,
    snapshot: SNAPSHOTS[2],
    sql: `-- The full-text index of messages: words, and beside them the conversation, so that one of them can be searched alone.
CREATE VIRTUAL TABLE \`messages_fts\` USING fts5(
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
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\` BEGIN
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_delete\` AFTER DELETE ON \`messages\` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_update\` AFTER UPDATE OF row_id, search_text, conversation_row_id ON \`messages\` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
END;
--> statement-breakpoint
-- Whoever changes the content without the terms made of it: the next search makes them.
CREATE TRIGGER \`messages_content\` AFTER UPDATE OF content ON \`messages\`
WHEN new.content IS NOT old.content AND new.search_text IS old.search_text AND new.search_text IS NOT NULL
BEGIN
	UPDATE messages SET search_text = NULL WHERE row_id = new.row_id;
END;
--> statement-breakpoint
-- Ids of conversations and of messages are one namespace.
CREATE TRIGGER \`messages_id_taken\` BEFORE INSERT ON \`messages\`
WHEN EXISTS (SELECT 1 FROM conversations WHERE project = new.project AND id = new.id)
BEGIN
	SELECT RAISE(ABORT, 'ID_TAKEN: conversations.project, conversations.id');
END;
--> statement-breakpoint
CREATE TRIGGER \`conversations_id_taken\` BEFORE INSERT ON \`conversations\`
WHEN EXISTS (SELECT 1 FROM messages WHERE project = new.project AND id = new.id)
BEGIN
	SELECT RAISE(ABORT, 'ID_TAKEN: messages.project, messages.id');
END;
--> statement-breakpoint
-- Of many messages stored at once only the first finds something to do.
CREATE TRIGGER \`messages_touch_insert\` AFTER INSERT ON \`messages\` BEGIN
	UPDATE conversations SET updated_at = new.updated_at WHERE row_id = new.conversation_row_id AND updated_at < new.updated_at;
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_touch_update\` AFTER UPDATE OF updated_at ON \`messages\` BEGIN
	UPDATE conversations SET updated_at = new.updated_at WHERE row_id = new.conversation_row_id AND updated_at < new.updated_at;
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_insert\` AFTER INSERT ON \`messages\` WHEN new.tags <> '[]' BEGIN
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_update\` AFTER UPDATE OF tags ON \`messages\` BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_delete\` AFTER DELETE ON \`messages\` WHEN old.tags <> '[]' BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`conversations_tags_insert\` AFTER INSERT ON \`conversations\` WHEN new.tags <> '[]' BEGIN
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.row_id, 0 FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER \`conversations_tags_update\` AFTER UPDATE OF tags ON \`conversations\` BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.row_id AND message_row_id = 0;
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.row_id, 0 FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER \`conversations_tags_delete\` AFTER DELETE ON \`conversations\` WHEN old.tags <> '[]' BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.row_id AND message_row_id = 0;
END;
`,
    down: `DROP TRIGGER \`conversations_tags_delete\`;
--> statement-breakpoint
DROP TRIGGER \`conversations_tags_update\`;
--> statement-breakpoint
DROP TRIGGER \`conversations_tags_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_tags_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_tags_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_tags_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_touch_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_touch_insert\`;
--> statement-breakpoint
DROP TRIGGER \`conversations_id_taken\`;
--> statement-breakpoint
DROP TRIGGER \`messages_id_taken\`;
--> statement-breakpoint
DROP TRIGGER \`messages_content\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
DROP TABLE \`messages_fts\`;
`,
  },
  {
    tag: "0006_stories",
    when: 1795250209152,
    snapshot: SNAPSHOTS[3],
    sql: `CREATE TABLE \`stories\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`title\` text NOT NULL,
	\`title_is_own\` integer NOT NULL,
	\`tags\` text NOT NULL,
	\`size\` integer NOT NULL,
	\`revision\` integer NOT NULL,
	\`content_row_id\` integer NOT NULL,
	\`change_row_id\` integer NOT NULL,
	\`created_at\` integer NOT NULL,
	\`updated_at\` integer NOT NULL,
	\`deleted_at\` integer,
	\`indexed_revision\` integer DEFAULT 0 NOT NULL,
	\`checksum\` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`stories_id\` ON \`stories\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE INDEX \`stories_time\` ON \`stories\` (\`project\`,\`updated_at\`,\`change_row_id\`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX \`stories_unindexed\` ON \`stories\` (\`project\`) WHERE deleted_at is null and indexed_revision < revision;--> statement-breakpoint
CREATE TABLE \`story_contents\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`data\` text NOT NULL,
	\`size\` integer NOT NULL,
	\`checksum\` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX \`story_contents_project\` ON \`story_contents\` (\`project\`);--> statement-breakpoint
CREATE TABLE \`story_preferences\` (
	\`project\` text NOT NULL,
	\`key\` text NOT NULL,
	\`value\` text NOT NULL,
	\`scope\` text NOT NULL,
	\`updated_at\` integer NOT NULL,
	PRIMARY KEY(\`project\`, \`key\`)
);
--> statement-breakpoint
CREATE TABLE \`story_revisions\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`revision\` integer NOT NULL,
	\`content_row_id\` integer NOT NULL,
	\`created_at\` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`story_revisions_revision\` ON \`story_revisions\` (\`project\`,\`id\`,\`revision\`);--> statement-breakpoint
CREATE INDEX \`story_revisions_content\` ON \`story_revisions\` (\`content_row_id\`);--> statement-breakpoint
CREATE TABLE \`story_search\` (
	\`row_id\` integer PRIMARY KEY NOT NULL,
	\`project\` text NOT NULL,
	\`content\` text NOT NULL,
	\`search_text\` text NOT NULL,
	\`updated_at\` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX \`story_search_time\` ON \`story_search\` (\`project\`,\`updated_at\`);--> statement-breakpoint
CREATE TABLE \`story_secrets\` (
	\`project\` text NOT NULL,
	\`name\` text NOT NULL,
	\`value\` blob NOT NULL,
	\`updated_at\` integer NOT NULL,
	PRIMARY KEY(\`project\`, \`name\`)
);
--> statement-breakpoint
CREATE TABLE \`story_sync_queue\` (
	\`row_id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`project\` text NOT NULL,
	\`id\` text NOT NULL,
	\`story_id\` text NOT NULL,
	\`action\` text NOT NULL,
	\`data\` text NOT NULL,
	\`timestamp\` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`story_sync_queue_id\` ON \`story_sync_queue\` (\`project\`,\`id\`);--> statement-breakpoint
CREATE TABLE \`story_tags\` (
	\`project\` text NOT NULL,
	\`tag\` text NOT NULL,
	\`story_row_id\` integer NOT NULL,
	PRIMARY KEY(\`project\`, \`tag\`, \`story_row_id\`)
);
--> statement-breakpoint
CREATE INDEX \`story_tags_story\` ON \`story_tags\` (\`story_row_id\`);`,
    down: `-- Takes 0006_stories back. What it dropped comes back empty.
DROP TABLE \`stories\`;
--> statement-breakpoint
DROP TABLE \`story_contents\`;
--> statement-breakpoint
DROP TABLE \`story_preferences\`;
--> statement-breakpoint
DROP TABLE \`story_revisions\`;
--> statement-breakpoint
DROP TABLE \`story_search\`;
--> statement-breakpoint
DROP TABLE \`story_secrets\`;
--> statement-breakpoint
DROP TABLE \`story_sync_queue\`;
--> statement-breakpoint
DROP TABLE \`story_tags\`;
`,
  },
  {
    tag: "0007_stories_search",
    when: 1795250211395,
    snapshot: SNAPSHOTS[3],
    sql: `-- The full-text index of stories. Its text is made of finished terms, so the tokenizer only has to split at spaces.
CREATE VIRTUAL TABLE \`story_search_fts\` USING fts5(
	search_text,
	content = 'story_search',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_insert\` AFTER INSERT ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_delete\` AFTER DELETE ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_update\` AFTER UPDATE OF row_id, search_text ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
`,
    down: `DROP TRIGGER \`story_search_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_insert\`;
--> statement-breakpoint
DROP TABLE \`story_search_fts\`;
`,
  },
  {
    tag: "0008_full_text_in_step",
    when: 1796014084297,
    snapshot: SNAPSHOTS[3],
    sql: `-- The full-text indexes follow every kind of change. An index with external content has to be told the terms that a row
-- had, exactly once: one that is told twice, or never, is damaged. So each trigger acts only where what it indexes has
-- changed, and rows that REPLACE removes, for which SQLite fires no DELETE trigger, are noted before the statement.
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_content\`;
--> statement-breakpoint
DROP TRIGGER \`messages_tags_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_tags_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_tags_delete\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_delete\`;
--> statement-breakpoint
CREATE TABLE \`memories_replaced\` (
	row_id INTEGER PRIMARY KEY,
	search_text TEXT NOT NULL
);
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_before_insert\` BEFORE INSERT ON \`memories\`
WHEN EXISTS (SELECT 1 FROM memories_replaced)
	OR EXISTS (SELECT 1 FROM memories WHERE row_id = new.row_id)
	OR EXISTS (SELECT 1 FROM memories WHERE project = new.project AND id = new.id)
BEGIN
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
	INSERT INTO memories_replaced SELECT row_id, search_text FROM memories WHERE row_id = new.row_id OR (project = new.project AND id = new.id);
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_before_update\` BEFORE UPDATE OF row_id, project, id ON \`memories\`
WHEN EXISTS (SELECT 1 FROM memories_replaced)
	OR EXISTS (SELECT 1 FROM memories WHERE row_id = new.row_id AND row_id <> old.row_id)
	OR EXISTS (SELECT 1 FROM memories WHERE project = new.project AND id = new.id AND row_id <> old.row_id)
BEGIN
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
	INSERT INTO memories_replaced SELECT row_id, search_text FROM memories WHERE (row_id = new.row_id OR (project = new.project AND id = new.id)) AND row_id <> old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM memories_replaced AS gone
	WHERE NOT EXISTS (SELECT 1 FROM memories WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_update\` AFTER UPDATE OF row_id, project, id, search_text ON \`memories\`
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
CREATE TRIGGER \`memories_fts_delete\` AFTER DELETE ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	DELETE FROM memories_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TABLE \`story_search_replaced\` (
	row_id INTEGER PRIMARY KEY,
	search_text TEXT NOT NULL
);
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_before_insert\` BEFORE INSERT ON \`story_search\`
WHEN EXISTS (SELECT 1 FROM story_search_replaced)
	OR EXISTS (SELECT 1 FROM story_search WHERE row_id = new.row_id)
BEGIN
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
	INSERT INTO story_search_replaced SELECT row_id, search_text FROM story_search WHERE row_id = new.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_before_update\` BEFORE UPDATE OF row_id ON \`story_search\`
WHEN EXISTS (SELECT 1 FROM story_search_replaced)
	OR EXISTS (SELECT 1 FROM story_search WHERE row_id = new.row_id AND row_id <> old.row_id)
BEGIN
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
	INSERT INTO story_search_replaced SELECT row_id, search_text FROM story_search WHERE (row_id = new.row_id) AND row_id <> old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_insert\` AFTER INSERT ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM story_search_replaced AS gone
	WHERE NOT EXISTS (SELECT 1 FROM story_search WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM story_search_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_update\` AFTER UPDATE OF row_id, search_text ON \`story_search\`
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
CREATE TRIGGER \`story_search_fts_delete\` AFTER DELETE ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	DELETE FROM story_search_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TABLE \`messages_replaced\` (
	row_id INTEGER PRIMARY KEY,
	conversation_row_id INTEGER NOT NULL,
	search_text TEXT
);
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_before_insert\` BEFORE INSERT ON \`messages\`
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
CREATE TRIGGER \`messages_fts_before_update\` BEFORE UPDATE OF row_id, project, conversation_row_id, seq, id, client_id ON \`messages\`
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
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\` BEGIN
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
-- The nested UPDATE is the business of the trigger below, whether or not \`recursive_triggers\` is on.
CREATE TRIGGER \`messages_fts_update\` AFTER UPDATE OF row_id, project, conversation_row_id, seq, id, client_id, content, search_text ON \`messages\`
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
CREATE TRIGGER \`messages_content\` AFTER UPDATE OF search_text ON \`messages\`
WHEN new.search_text IS NULL AND old.search_text IS NOT NULL AND new.row_id IS old.row_id AND new.content IS old.content
	AND new.conversation_row_id IS old.conversation_row_id AND NOT EXISTS (SELECT 1 FROM messages_replaced)
BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, NULL, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_delete\` AFTER DELETE ON \`messages\` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id AND old.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_update\` AFTER UPDATE OF row_id, project, conversation_row_id, tags ON \`messages\`
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
`,
    down: `-- Takes 0008_full_text_in_step back: the triggers as they were before.
DROP TRIGGER \`messages_tags_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_content\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_before_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_before_insert\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_before_update\`;
--> statement-breakpoint
DROP TRIGGER \`story_search_fts_before_insert\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_before_update\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_before_insert\`;
--> statement-breakpoint
DROP TABLE \`messages_replaced\`;
--> statement-breakpoint
DROP TABLE \`story_search_replaced\`;
--> statement-breakpoint
DROP TABLE \`memories_replaced\`;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\` BEGIN
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_delete\` AFTER DELETE ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_update\` AFTER UPDATE OF row_id, search_text ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\` BEGIN
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_delete\` AFTER DELETE ON \`messages\` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_update\` AFTER UPDATE OF row_id, search_text, conversation_row_id ON \`messages\` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, new.search_text, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_content\` AFTER UPDATE OF content ON \`messages\`
WHEN new.content IS NOT old.content AND new.search_text IS old.search_text AND new.search_text IS NOT NULL
BEGIN
	UPDATE messages SET search_text = NULL WHERE row_id = new.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_insert\` AFTER INSERT ON \`messages\` WHEN new.tags <> '[]' BEGIN
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_update\` AFTER UPDATE OF tags ON \`messages\` BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
	INSERT OR IGNORE INTO conversation_tags (project, tag, conversation_row_id, message_row_id)
	SELECT new.project, value, new.conversation_row_id, new.row_id FROM json_each(new.tags);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_tags_delete\` AFTER DELETE ON \`messages\` WHEN old.tags <> '[]' BEGIN
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_insert\` AFTER INSERT ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_delete\` AFTER DELETE ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
END;
--> statement-breakpoint
CREATE TRIGGER \`story_search_fts_update\` AFTER UPDATE OF row_id, search_text ON \`story_search\` BEGIN
	INSERT INTO story_search_fts (story_search_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	INSERT INTO story_search_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
END;
`,
  },
  {
    tag: "0009_message_sent_hash",
    when: 1796017887913,
    snapshot: SNAPSHOTS[3],
    sql: `ALTER TABLE \`messages\` ADD \`sent_hash\` text;`,
    down: `-- Takes 0009_message_sent_hash back. What it dropped comes back empty.
ALTER TABLE \`messages\` DROP COLUMN \`sent_hash\`;
`,
  },
  {
    tag: "0010_fewer_index_bytes",
    when: 1796078617846,
    snapshot: SNAPSHOTS[4],
    sql: `DROP INDEX \`memories_content_hash\`;--> statement-breakpoint
DROP INDEX \`memories_source\`;--> statement-breakpoint
DROP INDEX \`memories_session\`;--> statement-breakpoint
CREATE INDEX \`memories_source\` ON \`memories\` (\`project\`,\`source\`,\`created_at\`) WHERE deleted_at is null and source <> 'unknown';--> statement-breakpoint
CREATE INDEX \`memories_session\` ON \`memories\` (\`project\`,\`session_id\`,\`created_at\`) WHERE deleted_at is null and session_id is not null;`,
    down: `-- Reverts 0010_fewer_index_bytes. Dropped tables and columns are restored empty.
DROP INDEX \`memories_source\`;
--> statement-breakpoint
DROP INDEX \`memories_session\`;
--> statement-breakpoint
CREATE INDEX \`memories_content_hash\` ON \`memories\` (\`project\`,\`content_hash\`) WHERE deleted_at is null;
--> statement-breakpoint
CREATE INDEX \`memories_source\` ON \`memories\` (\`project\`,\`source\`,\`created_at\`) WHERE deleted_at is null;
--> statement-breakpoint
CREATE INDEX \`memories_session\` ON \`memories\` (\`project\`,\`session_id\`,\`created_at\`) WHERE deleted_at is null;
`,
  },
  {
    tag: "0011_contentless_full_text",
    when: 1796079819193,
    snapshot: SNAPSHOTS[4],
    sql: `-- The index terms of memories and messages are no longer stored in their rows: the full-text tables keep no content, and
-- a search reads the terms from the texts. A row is given its terms in \`search_text\`; a trigger indexes them and leaves
-- '' in their place. The rows of an older file are indexed by the next search or by \`reindex\`, in steps: opening the
-- file does not wait for it.
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_content\`;
--> statement-breakpoint
DROP TABLE \`memories_fts\`;
--> statement-breakpoint
DROP TABLE \`messages_fts\`;
--> statement-breakpoint
CREATE VIRTUAL TABLE \`memories_fts\` USING fts5(
	search_text,
	content = '',
	contentless_delete = 1,
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE VIRTUAL TABLE \`messages_fts\` USING fts5(
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
CREATE TABLE \`search_backlog\` (
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
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\` BEGIN
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
CREATE TRIGGER \`memories_fts_update\` AFTER UPDATE OF row_id, project, id, content, deleted_at, search_text ON \`memories\`
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
CREATE TRIGGER \`memories_fts_delete\` AFTER DELETE ON \`memories\` BEGIN
	DELETE FROM memories_fts WHERE rowid = old.row_id;
	DELETE FROM search_backlog WHERE target = 'memories' AND first = old.row_id AND last = old.row_id;
	DELETE FROM memories_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\` BEGIN
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
CREATE TRIGGER \`messages_fts_update\` AFTER UPDATE OF row_id, project, conversation_row_id, seq, id, client_id, content, search_text ON \`messages\`
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
CREATE TRIGGER \`messages_content\` AFTER UPDATE OF search_text ON \`messages\`
WHEN new.search_text IS NULL AND old.search_text IS NOT NULL AND new.row_id IS old.row_id AND new.content IS old.content
	AND new.conversation_row_id IS old.conversation_row_id AND NOT EXISTS (SELECT 1 FROM messages_replaced)
BEGIN
	DELETE FROM messages_fts WHERE rowid = new.row_id;
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, NULL, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_delete\` AFTER DELETE ON \`messages\` BEGIN
	DELETE FROM messages_fts WHERE rowid = old.row_id;
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id AND old.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id = old.row_id;
END;
`,
    down: `-- Reverts 0011_contentless_full_text. The rows have no terms any more: run \`reindex\` with the version that you return to.
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`memories_fts_delete\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_update\`;
--> statement-breakpoint
DROP TRIGGER \`messages_content\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_delete\`;
--> statement-breakpoint
DROP TABLE \`memories_fts\`;
--> statement-breakpoint
DROP TABLE \`messages_fts\`;
--> statement-breakpoint
DROP TABLE \`search_backlog\`;
--> statement-breakpoint
UPDATE \`messages\` SET search_text = NULL WHERE search_text = '';
--> statement-breakpoint
CREATE VIRTUAL TABLE \`memories_fts\` USING fts5(
	search_text,
	content = 'memories',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
CREATE VIRTUAL TABLE \`messages_fts\` USING fts5(
	search_text,
	conversation_row_id,
	content = 'messages',
	content_rowid = 'row_id',
	tokenize = "ascii"
);
--> statement-breakpoint
INSERT INTO messages_fts (messages_fts, rank) VALUES ('automerge', 16);
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text)
	SELECT 'delete', gone.row_id, gone.search_text FROM memories_replaced AS gone
	WHERE NOT EXISTS (SELECT 1 FROM memories WHERE row_id = gone.row_id AND row_id <> new.row_id);
	INSERT INTO memories_fts (rowid, search_text) VALUES (new.row_id, new.search_text);
	DELETE FROM memories_replaced WHERE row_id IS NOT NULL;
END;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_update\` AFTER UPDATE OF row_id, project, id, search_text ON \`memories\`
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
CREATE TRIGGER \`memories_fts_delete\` AFTER DELETE ON \`memories\` BEGIN
	INSERT INTO memories_fts (memories_fts, rowid, search_text) VALUES ('delete', old.row_id, old.search_text);
	DELETE FROM memories_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\` BEGIN
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
CREATE TRIGGER \`messages_fts_update\` AFTER UPDATE OF row_id, project, conversation_row_id, seq, id, client_id, content, search_text ON \`messages\`
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
CREATE TRIGGER \`messages_content\` AFTER UPDATE OF search_text ON \`messages\`
WHEN new.search_text IS NULL AND old.search_text IS NOT NULL AND new.row_id IS old.row_id AND new.content IS old.content
	AND new.conversation_row_id IS old.conversation_row_id AND NOT EXISTS (SELECT 1 FROM messages_replaced)
BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	INSERT INTO messages_fts (rowid, search_text, conversation_row_id) VALUES (new.row_id, NULL, new.conversation_row_id);
END;
--> statement-breakpoint
CREATE TRIGGER \`messages_fts_delete\` AFTER DELETE ON \`messages\` BEGIN
	INSERT INTO messages_fts (messages_fts, rowid, search_text, conversation_row_id)
	VALUES ('delete', old.row_id, old.search_text, old.conversation_row_id);
	DELETE FROM conversation_tags WHERE conversation_row_id = old.conversation_row_id AND message_row_id = old.row_id AND old.tags <> '[]';
	DELETE FROM messages_replaced WHERE row_id = old.row_id;
END;
--> statement-breakpoint
INSERT INTO memories_fts (memories_fts) VALUES ('rebuild');
--> statement-breakpoint
INSERT INTO messages_fts (messages_fts) VALUES ('rebuild');
`,
  },
  {
    tag: "0012_vector_versions",
    when: 1796084227710,
    snapshot: SNAPSHOTS[5],
    sql: `CREATE TABLE \`vector_versions\` (
	\`project\` text PRIMARY KEY NOT NULL,
	\`version\` integer NOT NULL,
	\`last_row_id\` integer NOT NULL
);
`,
    down: `-- Reverts 0012_vector_versions. Dropped tables and columns are restored empty.
DROP TABLE \`vector_versions\`;
`,
  },
  {
    tag: "0013_vector_versions_in_step",
    when: 1796084244103,
    snapshot: SNAPSHOTS[5],
    sql: `-- New vectors, whose row ids are higher than all before them, are not a change: what is in memory stays right, and they are
-- added to it. Nor is a deletion, since every vector is read again before it is an answer. All other changes give the project
-- another version, by whatever hand.
UPDATE \`vector_versions\` SET version = random() & 9007199254740991;
--> statement-breakpoint
INSERT OR REPLACE INTO \`vector_versions\` (project, version, last_row_id)
SELECT project, random() & 9007199254740991, max(row_id) FROM memory_embeddings GROUP BY project;
--> statement-breakpoint
CREATE TRIGGER \`memory_embeddings_insert\` AFTER INSERT ON \`memory_embeddings\` BEGIN
	INSERT INTO vector_versions (project, version, last_row_id)
	SELECT new.project, random() & 9007199254740991, 0
	WHERE NOT EXISTS (SELECT 1 FROM vector_versions WHERE project = new.project);
	UPDATE vector_versions SET
		version = CASE WHEN new.row_id > last_row_id THEN version ELSE random() & 9007199254740991 END,
		last_row_id = max(last_row_id, new.row_id)
	WHERE project = new.project;
END;
--> statement-breakpoint
CREATE TRIGGER \`memory_embeddings_update\` AFTER UPDATE OF row_id, project, model, version, dimensions, vector ON \`memory_embeddings\` BEGIN
	INSERT INTO vector_versions (project, version, last_row_id)
	SELECT new.project, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM vector_versions WHERE project = new.project);
	UPDATE vector_versions SET version = random() & 9007199254740991, last_row_id = max(last_row_id, new.row_id)
	WHERE project IN (old.project, new.project);
END;
`,
    down: `DROP TRIGGER \`memory_embeddings_update\`;
--> statement-breakpoint
DROP TRIGGER \`memory_embeddings_insert\`;
`,
  },
  {
    tag: "0014_vector_dimensions_by_range",
    when: 1796095789462,
    snapshot: SNAPSHOTS[5],
    sql: `DROP TRIGGER \`memory_embeddings_dimensions\`;
--> statement-breakpoint
-- Vectors of one model and version all have one length: the first one settles it. \`<>\` read the index entries of all of them
-- for each new vector, which two ranges do not.
CREATE TRIGGER \`memory_embeddings_dimensions\` BEFORE INSERT ON \`memory_embeddings\`
WHEN EXISTS (
	SELECT 1 FROM memory_embeddings
	WHERE project = new.project AND model = new.model AND version = new.version AND dimensions < new.dimensions
) OR EXISTS (
	SELECT 1 FROM memory_embeddings
	WHERE project = new.project AND model = new.model AND version = new.version AND dimensions > new.dimensions
)
BEGIN
	SELECT RAISE(ABORT, 'DIMENSION_MISMATCH');
END;
`,
    down: `DROP TRIGGER \`memory_embeddings_dimensions\`;
--> statement-breakpoint
CREATE TRIGGER \`memory_embeddings_dimensions\` BEFORE INSERT ON \`memory_embeddings\`
WHEN EXISTS (
	SELECT 1 FROM memory_embeddings
	WHERE project = new.project AND model = new.model AND version = new.version AND dimensions <> new.dimensions
)
BEGIN
	SELECT RAISE(ABORT, 'DIMENSION_MISMATCH');
END;
`,
  },
  {
    tag: "0015_index_later",
    when: 1796123203882,
    snapshot: SNAPSHOTS[5],
    sql: `-- New memories and messages may be stored without their index terms, while the backlog has a range that ends with
-- 9007199254740991: it has the rows from its first on that the full-text table lacks. A program that stores many rows opens
-- it, indexes the rows of many commits by one statement, and removes it. Until then, searches read the rows that wait.
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\`
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
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\`
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
`,
    down: `-- Reverts 0015_index_later. The next search indexes the rows that wait.
DROP TRIGGER \`memories_fts_insert\`;
--> statement-breakpoint
DROP TRIGGER \`messages_fts_insert\`;
--> statement-breakpoint
CREATE TRIGGER \`memories_fts_insert\` AFTER INSERT ON \`memories\` BEGIN
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
CREATE TRIGGER \`messages_fts_insert\` AFTER INSERT ON \`messages\` BEGIN
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
`,
  },
] as const;

/** The tables and triggers that these migrations leave, by type and name. Reading them from the SQL would slow every start. */
export const HOLDFAST_OBJECTS = [
  "table conversation_summaries",
  "table conversation_tags",
  "table conversations",
  "table graph_edges",
  "table graph_labels",
  "table graph_nodes",
  "table graph_versions",
  "table memories",
  "table memories_fts",
  "table memories_fts_config",
  "table memories_fts_data",
  "table memories_fts_docsize",
  "table memories_fts_idx",
  "table memories_replaced",
  "table memory_embeddings",
  "table message_refs",
  "table messages",
  "table messages_fts",
  "table messages_fts_config",
  "table messages_fts_data",
  "table messages_fts_docsize",
  "table messages_fts_idx",
  "table messages_replaced",
  "table search_backlog",
  "table sessions",
  "table stories",
  "table story_contents",
  "table story_preferences",
  "table story_revisions",
  "table story_search",
  "table story_search_fts",
  "table story_search_fts_config",
  "table story_search_fts_data",
  "table story_search_fts_docsize",
  "table story_search_fts_idx",
  "table story_search_replaced",
  "table story_secrets",
  "table story_sync_queue",
  "table story_tags",
  "table vector_versions",
  "trigger conversations_id_taken",
  "trigger conversations_tags_delete",
  "trigger conversations_tags_insert",
  "trigger conversations_tags_update",
  "trigger graph_edges_delete",
  "trigger graph_edges_insert",
  "trigger graph_edges_update",
  "trigger graph_nodes_delete",
  "trigger graph_nodes_insert",
  "trigger graph_nodes_update",
  "trigger memories_fts_before_insert",
  "trigger memories_fts_before_update",
  "trigger memories_fts_delete",
  "trigger memories_fts_insert",
  "trigger memories_fts_update",
  "trigger memory_embeddings_dimensions",
  "trigger memory_embeddings_insert",
  "trigger memory_embeddings_update",
  "trigger messages_content",
  "trigger messages_fts_before_insert",
  "trigger messages_fts_before_update",
  "trigger messages_fts_delete",
  "trigger messages_fts_insert",
  "trigger messages_fts_update",
  "trigger messages_id_taken",
  "trigger messages_tags_update",
  "trigger messages_touch_insert",
  "trigger messages_touch_update",
  "trigger story_search_fts_before_insert",
  "trigger story_search_fts_before_update",
  "trigger story_search_fts_delete",
  "trigger story_search_fts_insert",
  "trigger story_search_fts_update",
] as const;

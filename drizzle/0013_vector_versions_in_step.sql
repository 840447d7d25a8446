-- New vectors, whose row ids are higher than all before them, are not a change: what is in memory stays right, and they are
-- added to it. Nor is a deletion, since every vector is read again before it is an answer. All other changes give the project
-- another version, by whatever hand.
UPDATE `vector_versions` SET version = random() & 9007199254740991;
--> statement-breakpoint
INSERT OR REPLACE INTO `vector_versions` (project, version, last_row_id)
SELECT project, random() & 9007199254740991, max(row_id) FROM memory_embeddings GROUP BY project;
--> statement-breakpoint
CREATE TRIGGER `memory_embeddings_insert` AFTER INSERT ON `memory_embeddings` BEGIN
	INSERT INTO vector_versions (project, version, last_row_id)
	SELECT new.project, random() & 9007199254740991, 0
	WHERE NOT EXISTS (SELECT 1 FROM vector_versions WHERE project = new.project);
	UPDATE vector_versions SET
		version = CASE WHEN new.row_id > last_row_id THEN version ELSE random() & 9007199254740991 END,
		last_row_id = max(last_row_id, new.row_id)
	WHERE project = new.project;
END;
--> statement-breakpoint
CREATE TRIGGER `memory_embeddings_update` AFTER UPDATE OF row_id, project, model, version, dimensions, vector ON `memory_embeddings` BEGIN
	INSERT INTO vector_versions (project, version, last_row_id)
	SELECT new.project, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM vector_versions WHERE project = new.project);
	UPDATE vector_versions SET version = random() & 9007199254740991, last_row_id = max(last_row_id, new.row_id)
	WHERE project IN (old.project, new.project);
END;

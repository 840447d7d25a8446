-- What the compressed rows of a graph are made of changes: the project gets another version, by whatever hand.
CREATE TRIGGER `graph_nodes_insert` AFTER INSERT ON `graph_nodes` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
CREATE TRIGGER `graph_nodes_delete` AFTER DELETE ON `graph_nodes` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (old.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
CREATE TRIGGER `graph_nodes_update` AFTER UPDATE OF row_id, project, id ON `graph_nodes` BEGIN
	INSERT INTO graph_versions (project, version)
	VALUES (old.project, random() & 9007199254740991), (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
CREATE TRIGGER `graph_edges_insert` AFTER INSERT ON `graph_edges` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
END;
--> statement-breakpoint
-- An edge without `parallel` is refused by copy 0 of its like: so where there is any edge of the kind, one has it.
CREATE TRIGGER `graph_edges_delete` AFTER DELETE ON `graph_edges` BEGIN
	INSERT INTO graph_versions (project, version) VALUES (old.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
	UPDATE graph_edges SET copy = 0 WHERE old.copy = 0 AND row_id = (
		SELECT row_id FROM graph_edges WHERE from_row = old.from_row AND to_row = old.to_row AND type = old.type
		ORDER BY copy LIMIT 1
	);
END;
--> statement-breakpoint
CREATE TRIGGER `graph_edges_update` AFTER UPDATE OF project, from_row, to_row, type, weight ON `graph_edges` BEGIN
	INSERT INTO graph_versions (project, version)
	VALUES (old.project, random() & 9007199254740991), (new.project, random() & 9007199254740991)
	ON CONFLICT (project) DO UPDATE SET version = excluded.version;
	UPDATE graph_edges SET copy = 0 WHERE old.copy = 0 AND row_id = (
		SELECT row_id FROM graph_edges WHERE from_row = old.from_row AND to_row = old.to_row AND type = old.type
		ORDER BY copy LIMIT 1
	);
END;

DROP TRIGGER `memory_embeddings_dimensions`;
--> statement-breakpoint
-- Vectors of one model and version all have one length: the first one settles it. `<>` read the index entries of all of them
-- for each new vector, which two ranges do not.
CREATE TRIGGER `memory_embeddings_dimensions` BEFORE INSERT ON `memory_embeddings`
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

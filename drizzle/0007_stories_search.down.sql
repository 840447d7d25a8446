DROP TRIGGER `story_search_fts_update`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `story_search_fts_insert`;
--> statement-breakpoint
DROP TABLE `story_search_fts`;

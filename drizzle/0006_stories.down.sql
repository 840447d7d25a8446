-- Takes 0006_stories back. What it dropped comes back empty.
DROP TABLE `stories`;
--> statement-breakpoint
DROP TABLE `story_contents`;
--> statement-breakpoint
DROP TABLE `story_preferences`;
--> statement-breakpoint
DROP TABLE `story_revisions`;
--> statement-breakpoint
DROP TABLE `story_search`;
--> statement-breakpoint
DROP TABLE `story_secrets`;
--> statement-breakpoint
DROP TABLE `story_sync_queue`;
--> statement-breakpoint
DROP TABLE `story_tags`;

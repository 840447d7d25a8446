DROP TRIGGER `conversations_tags_delete`;
--> statement-breakpoint
DROP TRIGGER `conversations_tags_update`;
--> statement-breakpoint
DROP TRIGGER `conversations_tags_insert`;
--> statement-breakpoint
DROP TRIGGER `messages_tags_delete`;
--> statement-breakpoint
DROP TRIGGER `messages_tags_update`;
--> statement-breakpoint
DROP TRIGGER `messages_tags_insert`;
--> statement-breakpoint
DROP TRIGGER `messages_touch_update`;
--> statement-breakpoint
DROP TRIGGER `messages_touch_insert`;
--> statement-breakpoint
DROP TRIGGER `conversations_id_taken`;
--> statement-breakpoint
DROP TRIGGER `messages_id_taken`;
--> statement-breakpoint
DROP TRIGGER `messages_content`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_update`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_delete`;
--> statement-breakpoint
DROP TRIGGER `messages_fts_insert`;
--> statement-breakpoint
DROP TABLE `messages_fts`;

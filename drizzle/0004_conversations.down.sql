-- Takes 0004_conversations back. What it dropped comes back empty.
DROP TABLE `conversation_summaries`;
--> statement-breakpoint
DROP TABLE `conversation_tags`;
--> statement-breakpoint
DROP TABLE `conversations`;
--> statement-breakpoint
DROP TABLE `message_refs`;
--> statement-breakpoint
DROP TABLE `messages`;

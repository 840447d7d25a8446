-- Takes 0009_message_sent_hash back. What it dropped comes back empty.
ALTER TABLE `messages` DROP COLUMN `sent_hash`;

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseLocalUrl } from "../../client/file-url.js";
import { openLocalClient } from "../../client/local/open-local.js";
import { rotateBackups } from "../../maintenance/backup.js";
import { resolveFile } from "../../maintenance/paths.js";
import { StorageError } from "../../shared/errors.js";
import { expectation } from "../../shared/expectation.js";
import { resolveStorageOptions } from "../../storage/options.js";
import { openStorage } from "../../storage/storage.js";
import type { Conversation, Message, MessageInput, NewConversation } from "./record.js";
import type { MessageRef, MessageRefInput } from "./refs.js";
import type { ConversationRepository } from "./repository.js";

export type { Conversation, Message, MessageInput, MessageRef, MessageRefInput, NewConversation };

/** A storage, one of its projects, or a transaction of either. */
export interface HasConversations {
  readonly conversations: ConversationRepository;
}

/** Makes the database of a path or URL (by default where `openStorage` would) if it is missing; resolves to its schema version. */
export async function initDb(path?: string | URL): Promise<number> {
  return migrateDb(path);
}

/** Applies the migrations that are pending, making the file if it is missing; resolves to the schema version. */
export async function migrateDb(path?: string | URL): Promise<number> {
  const storage = await openStorage(path);
  try {
    return (await storage.stats()).schemaVersion;
  } finally {
    await storage.close();
  }
}

/**
 * Makes a consistent, verified copy of a database file in `root/YYYYMMDD/HHMMSS/<file>` while others write; `root` is by
 * default the folder `backups` next to the file. Resolves to the path. Rejects with `NOT_FOUND` if there is no such file,
 * and with `NOT_SUPPORTED` for a server or a database in memory.
 */
export async function backupDb(path?: string | URL, root?: string | URL): Promise<string> {
  const options = resolveStorageOptions(path);
  const target = parseLocalUrl(options.client.url);
  if (target === undefined || target.isMemory) {
    throw new StorageError("NOT_SUPPORTED", `Only a file can be backed up, not ${options.client.url}`);
  }
  if (!existsSync(target.path)) {
    throw new StorageError("NOT_FOUND", `There is no database at ${target.path} to back up`);
  }
  const folder = root === undefined ? join(dirname(target.path), "backups") : resolveFile("root", root);
  const client = openLocalClient(options.client, target);
  try {
    return (await rotateBackups(client.pool, folder, { now: options.now })).path;
  } finally {
    await client.close();
  }
}

/** `conversations.insert` as a function. */
export async function insertConversation(
  storage: HasConversations,
  input: NewConversation = {},
): Promise<Conversation> {
  return conversationsOf(storage).insert(input);
}

/** `conversations.append` of one message as a function. */
export async function insertMessage(
  storage: HasConversations,
  conversationId: string,
  message: MessageInput,
): Promise<Message> {
  return conversationsOf(storage).append(conversationId, message);
}

/** `conversations.linkRef` as a function. */
export async function linkMessageRef(
  storage: HasConversations,
  messageId: string,
  ref: MessageRefInput,
): Promise<MessageRef> {
  return conversationsOf(storage).linkRef(messageId, ref);
}

/** `conversations.tag` as a function; resolves to all tags that the message has now. */
export async function tagMessage(storage: HasConversations, messageId: string, ...tags: string[]): Promise<string[]> {
  return conversationsOf(storage).tag(messageId, ...tags);
}

function conversationsOf(storage: HasConversations | null | undefined): ConversationRepository {
  const conversations = storage?.conversations;
  if (typeof conversations?.insert === "function") return conversations;
  throw new TypeError(expectation("storage", "an open storage, a project or a transaction", storage));
}

import { sql } from "drizzle-orm";
import { conversations, messages } from "../../schema/conversations.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { prepareStatement, selection, set, touch } from "../statements.js";
import { findConversation } from "./fork.js";
import {
  type Conversation,
  type ConversationDraft,
  checksumOfMessage,
  checksumWithSeq,
  isVisible,
  type Message,
  type MessageDraft,
  messageParts,
  messagesWithOwner,
  toMessage,
  toStoredDraft,
} from "./record.js";

const c = conversations;
const m = messages;
const placeholder = sql.placeholder;

const updateConversationRow = prepareStatement(
  () => sql`update ${c} set ${set(c.title, placeholder("title"))},
  ${set(c.tags, placeholder("tags"))}, ${set(c.metadata, placeholder("metadata"))}, ${touch(c.updatedAt, c.createdAt)}
  where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.deletedAt} is null`,
);

const stored = selection({ ...messageParts, checksum: m.checksum });
const selectStored = prepareStatement(
  () => sql`select ${stored.columns} from ${messagesWithOwner}
  where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")} and ${isVisible}`,
);
/** With the lock held, the message cannot have changed. Other programs may change it without its checksum. */
const isAsRead = sql`(${placeholder("isLocked")} or (${m.checksum} = ${placeholder("knownChecksum")}
  and ${m.metadata} = ${placeholder("knownMetadata")} and ${m.tags} = ${placeholder("knownTags")}
  and ${m.seq} <= (select ${c.visibleSeq} from ${c} where ${c.rowId} = ${m.conversationRowId})))`;
const isSame = sql`${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")} and ${isAsRead}`;
const about = sql`${set(m.metadata, placeholder("metadata"))}, ${set(m.tags, placeholder("tags"))},
  ${set(m.updatedAt, placeholder("now"))}, ${set(m.checksum, placeholder("checksum"))}`;
const updateAll = prepareStatement(
  () => sql`update ${m} set ${set(m.content, placeholder("content"))}, ${set(m.searchText, placeholder("searchText"))}, ${about}
    where ${isSame}`,
);
/** Leaves the content and its index terms, which take a while to make and to store if the content is long. */
const updateAbout = prepareStatement(() => sql`update ${m} set ${about} where ${isSame}`);

/** Columns of a message that can change; those that are missing stay. */
export type MessageChanges = Partial<Pick<MessageDraft, "content" | "metadata" | "tags">>;

/** Gives a conversation that is not deleted the columns of `changes`. Undefined where there is none. */
export async function updateConversation(
  context: RepositoryContext,
  executor: Executor,
  id: string,
  changes: Partial<Pick<ConversationDraft, "title" | "tags" | "metadata">>,
): Promise<Conversation | undefined> {
  const { project, now } = context;
  const known = await findConversation(context, executor, id);
  if (known === undefined || known.deletedAt !== null) return undefined;
  const kept = { title: known.title, tags: JSON.stringify(known.tags), metadata: JSON.stringify(known.metadata) };
  await executor.execute(updateConversationRow({ ...kept, ...changes, project, id, now: now() }));
  return findConversation(context, executor, id);
}

/**
 * Stores `changes` in a message that can be seen; new content needs its index terms. Undefined if there is none.
 *
 * The message is read without the lock. One statement then stores it, so it can share its commit with others that wait. If
 * the message has changed since it was read, the statement does nothing, and the update runs again with the lock held.
 */
export async function updateMessage(
  context: RepositoryContext,
  id: string,
  changes: MessageChanges,
  searchText?: string,
): Promise<Message | undefined> {
  return (
    (await changeMessage(context, context.executor, id, changes, searchText)) ??
    context.executor.atomically((locked) => changeMessage(context, locked, id, changes, searchText, true))
  );
}

/** One attempt of `updateMessage`. */
export async function changeMessage(
  { project, now }: RepositoryContext,
  executor: Executor,
  id: string,
  changes: MessageChanges,
  searchText: string | undefined,
  isLocked = false,
): Promise<Message | undefined> {
  const [row] = (await executor.execute(selectStored({ project, id }))).rows;
  if (row === undefined) return undefined;
  const message = toMessage(row);
  const known = toStoredDraft(row);
  const draft = { ...known, ...changes };
  const { content, metadata, tags } = draft;
  const { rowsAffected } = await executor.execute(
    (searchText === undefined ? updateAbout : updateAll)({
      project,
      id,
      content,
      searchText: searchText ?? null,
      metadata,
      tags,
      now: now(),
      checksum: checksumWithSeq(checksumOfMessage(project, message.conversationId, draft), message.seq),
      isLocked: isLocked ? 1 : 0,
      knownChecksum: row[stored.at.checksum] as string,
      knownMetadata: known.metadata,
      knownTags: known.tags,
    }),
  );
  if (rowsAffected === 0) return undefined;
  return {
    ...message,
    content,
    metadata: JSON.parse(metadata) as Record<string, unknown>,
    tags: JSON.parse(tags) as string[],
  };
}

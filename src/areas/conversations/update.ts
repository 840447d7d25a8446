import { sql } from "drizzle-orm";
import { conversations, messages } from "../../schema/conversations.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { prepareStatement, set, touch } from "../statements.js";
import { findConversation } from "./fork.js";
import {
  type Conversation,
  type ConversationDraft,
  checksumOfMessage,
  checksumWithSeq,
  isVisible,
  type Message,
  type MessageDraft,
  messageColumns,
  messagesWithOwner,
  toMessage,
  toStoredDraft,
} from "./record.js";

const c = conversations;
const m = messages;
const placeholder = sql.placeholder;

const updateConversationRow = prepareStatement(sql`update ${c} set ${set(c.title, placeholder("title"))},
  ${set(c.tags, placeholder("tags"))}, ${set(c.metadata, placeholder("metadata"))}, ${touch(c.updatedAt, c.createdAt)}
  where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.deletedAt} is null`);

const selectStored = prepareStatement(sql`select ${messageColumns} from ${messagesWithOwner}
  where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")} and ${isVisible}`);
const isId = sql`${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")}`;
const about = sql`${set(m.metadata, placeholder("metadata"))}, ${set(m.tags, placeholder("tags"))},
  ${set(m.updatedAt, placeholder("now"))}, ${set(m.checksum, placeholder("checksum"))}`;
const updateAll = prepareStatement(
  sql`update ${m} set ${set(m.content, placeholder("content"))}, ${set(m.searchText, placeholder("searchText"))}, ${about}
    where ${isId}`,
);
/** The content and its index terms stay: those of a long one take a while to make and to store. */
const updateAbout = prepareStatement(sql`update ${m} set ${about} where ${isId}`);

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

/** Gives a message that can be seen the columns of `changes`, and with a content its index terms; forks show the same row. */
export async function changeMessage(
  { project, now }: RepositoryContext,
  executor: Executor,
  id: string,
  changes: MessageChanges,
  searchText?: string,
): Promise<Message | undefined> {
  const [row] = (await executor.execute(selectStored({ project, id }))).rows;
  if (row === undefined) return undefined;
  const message = toMessage(row);
  const draft = { ...toStoredDraft(row), ...changes };
  const { content, metadata, tags } = draft;
  await executor.execute(
    (searchText === undefined ? updateAbout : updateAll)({
      project,
      id,
      content,
      searchText: searchText ?? null,
      metadata,
      tags,
      now: now(),
      checksum: checksumWithSeq(checksumOfMessage(project, message.conversationId, draft), message.seq),
    }),
  );
  return {
    ...message,
    content,
    metadata: JSON.parse(metadata) as Record<string, unknown>,
    tags: JSON.parse(tags) as string[],
  };
}

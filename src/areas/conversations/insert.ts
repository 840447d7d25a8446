import { type SQL, sql } from "drizzle-orm";
import { ALL_VISIBLE, conversations } from "../../schema/conversations.js";
import { expectArray } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { inMessage } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import { inParts, jsonRows, prepareStatement, type Statement } from "../statements.js";
import { withoutRepeated } from "./append.js";
import { insertMessages, messageRows, part, toRow } from "./message-rows.js";
import {
  CONVERSATION_KEYS,
  type Conversation,
  type ConversationDraft,
  deriveLong,
  type MessageDraft,
  type NewConversation,
  toConversationDraft,
  toMessageDraft,
} from "./record.js";

/** A checked input. */
export interface NewDraft extends ConversationDraft {
  readonly messages: readonly MessageDraft[];
}

const c = conversations;
const placeholder = sql.placeholder;
const row = sql`j.value`;

/** Many conversations that share no messages: one statement costs less than one for each. */
const insertRows = prepareStatement(
  () => sql`insert into ${c}
  (project, id, title, tags, metadata, prefix_seq, visible_seq, created_at, updated_at)
  select ${placeholder("project")}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, 0, ${ALL_VISIBLE},
    value ->> 4, max(value ->> 4, ${placeholder("now")}) from ${jsonRows("rows")}`,
);

/** Messages of many conversations, by the ids of these. */
const insertOwned = (updatedAt?: SQL) =>
  prepareStatement(
    () => sql`${insertMessages(row, part(row, "seq"), updatedAt)} from ${messageRows} as j
  cross join ${c} as owner on owner.project = ${placeholder("project")} and owner.id = ${part(row, "conversationId")} where true`,
  );
const insertNew = insertOwned();
const insertStored = insertOwned(part(row, "updatedAt"));

/** Checks an input and fills in the defaults; throws TypeError or RangeError. */
export function toNewDraft<C extends object, M extends object>(
  context: RepositoryContext,
  input: NewConversation<C, M>,
): NewDraft {
  expectKeys("a conversation", input, [...CONVERSATION_KEYS, "messages"]);
  const { messages: inputs = [], ...own } = input;
  expectArray("messages", inputs, "messages");
  const draft = toConversationDraft(context, own);
  const drafts = inputs.map((message, messageIndex) => {
    try {
      return toMessageDraft(context, message);
    } catch (error) {
      throw inMessage(error, messageIndex);
    }
  });
  return { ...draft, messages: withoutRepeated(drafts, inMessage) };
}

/** The same drafts with the derived columns of their long messages. */
export async function withDerived(project: string, drafts: readonly NewDraft[]): Promise<NewDraft[]> {
  const made: NewDraft[] = [];
  for (const draft of drafts) made.push({ ...draft, messages: await deriveLong(project, draft.id, draft.messages) });
  return made;
}

/** The record of a draft that has just been stored. */
export function draftToConversation(project: string, draft: NewDraft, now: Date): Conversation {
  const { id, title, tags, metadata, createdAt, messages } = draft;
  return {
    id,
    project,
    title,
    tags: JSON.parse(tags) as string[],
    metadata: JSON.parse(metadata) as Record<string, unknown>,
    messageCount: messages.length,
    forkedFrom: null,
    createdAt: new Date(createdAt),
    updatedAt: new Date(Math.max(createdAt, now.getTime())),
    deletedAt: null,
  };
}

/** The statements that store drafts as new conversations with their messages. */
export function insertConversations({ project, now }: RepositoryContext, drafts: readonly NewDraft[]): Statement[] {
  const time = now();
  const rows = drafts.map(({ id, title, tags, metadata, createdAt }) => [id, title, tags, metadata, createdAt]);
  const turns = drafts.flatMap(({ id, messages }) =>
    messages.map((message, index) => [...toRow(project, id, message), id, index + 1]),
  );
  return [
    ...inParts(rows, (part) => insertRows({ project, rows: JSON.stringify(part), now: time })),
    ...(turns.length === 0
      ? []
      : inParts(turns, (part) => insertNew({ project, rows: JSON.stringify(part), now: time }))),
  ];
}

/** A message of an import: its draft with the derived columns, its seq, and the time of its last change. */
export interface StoredMessage {
  readonly draft: MessageDraft;
  readonly seq: number;
  readonly updatedAt: number;
}

/** The statements that store the messages of a conversation as they were. */
export function insertStoredMessages(project: string, id: string, stored: readonly StoredMessage[]): Statement[] {
  if (stored.length === 0) return [];
  const rows = stored.map(({ draft, seq, updatedAt }) => [...toRow(project, id, draft), id, seq, updatedAt]);
  return inParts(rows, (part) => insertStored({ project, rows: JSON.stringify(part) }));
}

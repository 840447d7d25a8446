import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { conversations, messages } from "../../schema/conversations.js";
import { isLongText, searchScope, toGiven, toSearchText, toSearchTextInSlices } from "../../search/terms.js";
import { expectArray, expectOneOf, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { afterTurn } from "../../shared/timers.js";
import { expectId, MAX_NAME_CHARS, toJsonText, toMillis } from "../arguments.js";
import { checksumOf, shortened } from "../checksum.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { parseList, parseObject } from "../json.js";
import type { Metadata, RequiredMetadata } from "../metadata.js";
import { selection } from "../statements.js";

/**
 * The author of a message. The results of tool calls are `tool` messages right after the assistant's message that made
 * the calls; the calls go into its `metadata`, under any key (`toolCalls`, or `tool_calls` as in OpenAI's API).
 */
export type MessageRole = "system" | "user" | "assistant" | "tool";

/** The result of `append`. */
export interface AppendedMessage<M extends object = Metadata> extends Message<M> {
  /** Whether it is a repeat: its `clientId` was there already, and nothing was stored. Missing where it is new. */
  readonly repeated?: true;
}

/** A thread of messages. */
export interface Conversation<C extends object = Metadata> {
  readonly id: string;
  readonly project: string;
  readonly title: string | null;
  readonly tags: readonly string[];
  readonly metadata: C;
  /** How many messages it shows, those a fork shares included: the `seq` of the last. */
  readonly messageCount: number;
  /** Which conversation it was forked from, and after which message. */
  readonly forkedFrom: { readonly id: string; readonly seq: number } | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly deletedAt: Date | null;
}

/** One turn. */
export interface Message<M extends object = Metadata> {
  readonly id: string;
  /** The conversation that it was written in; forks show the same record. */
  readonly conversationId: string;
  /** Its place, from 1 without gaps. */
  readonly seq: number;
  readonly role: MessageRole;
  readonly content: string;
  readonly metadata: M;
  readonly tags: readonly string[];
  /** The name that the caller gave it, to recognize a repeated append. */
  readonly clientId: string | null;
  readonly createdAt: Date;
}

/** The input for a new conversation. */
export interface ConversationInput<C extends object = Metadata> {
  /** The id, unique in the project. @default a new UUIDv7 */
  readonly id?: string | undefined;
  /** At most 1,000 characters. @default null */
  readonly title?: string | null | undefined;
  /** The tags of the conversation. @default [] */
  readonly tags?: readonly string[] | undefined;
  /** A JSON object of your own; required if its type has required keys. @default {} */
  readonly metadata?: C | undefined;
  /** A Date or integer milliseconds. @default now */
  readonly createdAt?: Date | number | undefined;
}

interface NewConversationFields<C extends object, M extends object> extends ConversationInput<C> {
  /** In order, stored as `append` would store them. @default [] */
  readonly messages?: readonly MessageInput<M>[] | undefined;
}

/** The input for a new conversation with its first messages. */
export type NewConversation<C extends object = Metadata, M extends object = Metadata> = NewConversationFields<C, M> &
  RequiredMetadata<C>;

/** Fields to change; those left out, or undefined, stay. */
export type ConversationPatch<C extends object = Metadata> = Pick<ConversationInput<C>, "title" | "tags" | "metadata">;

interface MessageFields<M extends object> {
  /** The id, unique in the project. @default a new UUIDv7 */
  readonly id?: string | undefined;
  readonly role: MessageRole;
  /** At most `maxMessageChars` characters; may be empty. */
  readonly content: string;
  /** A JSON object of your own; required if its type has required keys. @default {} */
  readonly metadata?: M | undefined;
  /** The tags of the message. @default [] */
  readonly tags?: readonly string[] | undefined;
  /** Makes the append repeatable: a conversation stores each name once. */
  readonly clientId?: string | null | undefined;
  /** A Date or integer milliseconds. @default now */
  readonly createdAt?: Date | number | undefined;
}

/** The input for a new message. */
export type MessageInput<M extends object = Metadata> = MessageFields<M> & RequiredMetadata<M>;

/** The fields of a message that can be changed. */
export type MessagePatch<M extends object = Metadata> = Pick<Partial<MessageFields<M>>, "content" | "metadata">;

/** A checked input, as the columns of its row. */
export interface ConversationDraft {
  readonly id: string;
  readonly title: string | null;
  readonly tags: string;
  readonly metadata: string;
  readonly createdAt: number;
}

/** The checksum (without the seq), the index terms, and the hash of the message as it was sent. */
export type DerivedColumns = readonly [checksum: string, searchText: string, sentHash: string | null];

/** A checked input, as the columns of its row. The statement that stores it adds seq and conversation. */
export interface MessageDraft {
  readonly id: string;
  readonly role: MessageRole;
  readonly content: string;
  readonly metadata: string;
  readonly tags: string;
  readonly clientId: string | null;
  readonly createdAt: number;
  /** The derived columns of a long content, which take a while to make; those of others are made when they are stored. */
  readonly derived?: DerivedColumns;
}

export const ROLES: readonly MessageRole[] = ["system", "user", "assistant", "tool"];
export const MAX_TITLE_CHARS = 1000;
/** The longest summary, in characters. */
export const MAX_SUMMARY_CHARS = 1_000_000;
export const CONVERSATION_KEYS = ["id", "title", "tags", "metadata", "createdAt"];
const MESSAGE_KEYS = ["id", "role", "content", "metadata", "tags", "clientId", "createdAt"];

/** Checks an input and fills in the defaults; throws TypeError or RangeError. */
export function toConversationDraft(context: RepositoryContext, input: ConversationInput<object>): ConversationDraft {
  expectKeys("a conversation", input, CONVERSATION_KEYS);
  const { repair } = context;
  const { id = newId(), title: given = null, tags = [], metadata = {}, createdAt } = input;
  const title = repair(given);
  expectId(id);
  if (title !== null) expectText("title", title, MAX_TITLE_CHARS, 0);
  return {
    id,
    title,
    tags: toTagsText("tags", repair(tags)),
    metadata: toJsonText("metadata", repair(metadata), repair),
    createdAt: createdAt === undefined ? context.now() : toMillis("createdAt", createdAt),
  };
}

/** Checks an input and fills in the defaults; throws TypeError or RangeError. */
export function toMessageDraft(context: RepositoryContext, input: MessageInput<object>): MessageDraft {
  expectKeys("a message", input, MESSAGE_KEYS);
  const { repair } = context;
  const { id = newId(), role, metadata = {}, tags = [], clientId = null, createdAt } = input;
  const content = repair(input.content);
  expectId(id);
  expectRole("role", role);
  expectText("content", content, context.maxMessageChars, 0);
  if (clientId !== null) expectId(clientId, "clientId");
  return {
    id,
    role,
    content,
    metadata: toJsonText("metadata", repair(metadata), repair),
    tags: toTagsText("tags", repair(tags)),
    clientId,
    createdAt: createdAt === undefined ? context.now() : toMillis("createdAt", createdAt),
  };
}

export function expectRole(name: string, value: unknown): asserts value is MessageRole {
  expectOneOf(name, value, ROLES);
}

/** Distinct tags, in the order given. */
export function toTags(name: string, value: unknown): string[] {
  expectArray(name, value, "tags");
  if (value.length === 0) return [];
  for (const tag of value) expectText(name, tag, MAX_NAME_CHARS);
  return [...new Set(value as string[])];
}

function toTagsText(name: string, value: unknown): string {
  return JSON.stringify(toTags(name, value));
}

/** The columns that are derived from a draft and its conversation. A message that is indexed later has no terms yet. */
export function derivedOf(
  project: string,
  conversationId: string,
  draft: MessageDraft,
  isIndexedLater = false,
): DerivedColumns {
  if (draft.derived !== undefined) return draft.derived;
  const searchText = isIndexedLater ? "" : toGiven(toSearchText(draft.content, searchScope(project)));
  return derive(project, conversationId, draft, searchText);
}

function derive(project: string, conversationId: string, draft: MessageDraft, searchText: string): DerivedColumns {
  return [checksumOfMessage(project, conversationId, draft), searchText, sentHashOf(draft)];
}

/** The checksum of a message without its seq. */
export function checksumOfMessage(project: string, conversationId: string, draft: MessageDraft): string {
  const { id, role, content, metadata, tags, clientId, createdAt } = draft;
  return shortened(checksumOf([project, conversationId, id, role, content, metadata, tags, clientId, createdAt]));
}

/** Whether the derived columns of one of the drafts take a while to make. */
export function haveLong(drafts: readonly MessageDraft[]): boolean {
  return drafts.some(({ content }) => isLongText(content));
}

/** The same drafts with the derived columns of long contents. They are made in slices, so that the event loop goes on. */
export async function deriveLong(
  project: string,
  conversationId: string,
  drafts: readonly MessageDraft[],
): Promise<readonly MessageDraft[]> {
  const made: MessageDraft[] = [];
  for (const draft of drafts) {
    if (!isLongText(draft.content)) {
      made.push(draft);
      continue;
    }
    const searchText = toGiven(await toSearchTextInSlices(draft.content, searchScope(project)));
    made.push({ ...draft, derived: derive(project, conversationId, draft, searchText) });
    await new Promise<void>((resolve) => afterTurn(resolve));
  }
  return made;
}

/** The hash that distinguishes a repeated append from another message with the same client id. */
export function sentHashOf({ role, content, metadata, clientId }: MessageDraft): string | null {
  return clientId === null ? null : checksumOf([role, content, inOrder(metadata)]);
}

/** A JSON text with the keys of its objects in order: a client that sends a message again may change their order. */
function inOrder(json: string): string {
  if (json === "{}") return json;
  return JSON.stringify(JSON.parse(json), (_key, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  );
}

/** The checksum of a stored message: that of its values, and the seq itself. */
export function checksumWithSeq(checksum: string, seq: number): string {
  return `${checksum}.${seq}`;
}

/** Whether a stored checksum, perhaps of an earlier version, is that of a message. */
export function isChecksum(stored: unknown, checksum: string, seq: number): boolean {
  const [hash = "", end] = String(stored).split(".");
  return shortened(hash) === checksum && end === String(seq);
}

const c = conversations;
const m = messages;

/** How many messages a conversation shows; `messages_seq` gives it in one step. */
export const messageCount = sql`coalesce((select max(${m.seq}) from ${m} where ${m.conversationRowId} = ${c.rowId}), ${c.prefixSeq})`;

/** The columns that `toConversation` reads. A query may select more after them. */
export const conversationParts = {
  rowId: c.rowId,
  id: c.id,
  title: c.title,
  tags: c.tags,
  metadata: c.metadata,
  messageCount,
  forkedFromId: c.forkedFromId,
  forkedFromSeq: c.forkedFromSeq,
  createdAt: c.createdAt,
  updatedAt: c.updatedAt,
  deletedAt: c.deletedAt,
};
export const { columns: conversationColumns, at: conversationAt } = selection(conversationParts);

/** The columns that `toMessage` reads, of `messagesWithOwner`. A query may select more after them. */
export const messageParts = {
  rowId: m.rowId,
  id: m.id,
  conversationId: c.id,
  seq: m.seq,
  role: m.role,
  content: m.content,
  metadata: m.metadata,
  tags: m.tags,
  clientId: m.clientId,
  createdAt: m.createdAt,
};
const { columns, at: messageAt } = selection(messageParts);
export const messageColumns = columns;
export const messagesWithOwner = sql`${m} join ${c} on ${c.rowId} = ${m.conversationRowId}`;
/** Whether a message can be seen: its conversation is not deleted, or a fork that is not deleted shows it. */
export const isVisible = sql`${m.seq} <= ${c.visibleSeq}`;

export function toConversation(project: string, row: Row): Conversation {
  const at = conversationAt;
  const id = row[at.id] as string;
  const forkedFromId = row[at.forkedFromId] as string | null;
  const deletedAt = row[at.deletedAt];
  return {
    id,
    project,
    title: row[at.title] as string | null,
    tags: parseList(row[at.tags], "conversations", id),
    metadata: parseObject(row[at.metadata], "conversations", id),
    messageCount: Number(row[at.messageCount]),
    forkedFrom: forkedFromId === null ? null : { id: forkedFromId, seq: Number(row[at.forkedFromSeq]) },
    createdAt: new Date(Number(row[at.createdAt])),
    updatedAt: new Date(Number(row[at.updatedAt])),
    deletedAt: deletedAt === null ? null : new Date(Number(deletedAt)),
  };
}

export function toMessage(row: Row): Message {
  const at = messageAt;
  const id = row[at.id] as string;
  return {
    id,
    conversationId: row[at.conversationId] as string,
    seq: Number(row[at.seq]),
    role: row[at.role] as MessageRole,
    content: row[at.content] as string,
    metadata: parseObject(row[at.metadata], "messages", id),
    tags: parseList(row[at.tags], "messages", id),
    clientId: row[at.clientId] as string | null,
    createdAt: new Date(Number(row[at.createdAt])),
  };
}

/** The columns of a stored message as a draft. */
export function toStoredDraft(row: Row): MessageDraft {
  const at = messageAt;
  return {
    id: row[at.id] as string,
    role: row[at.role] as MessageRole,
    content: row[at.content] as string,
    metadata: row[at.metadata] as string,
    tags: row[at.tags] as string,
    clientId: row[at.clientId] as string | null,
    createdAt: Number(row[at.createdAt]),
  };
}

/** The record of a draft that has just been stored. */
export function draftToMessage(conversationId: string, seq: number, draft: MessageDraft): Message {
  return {
    id: draft.id,
    conversationId,
    seq,
    role: draft.role,
    content: draft.content,
    metadata: JSON.parse(draft.metadata) as Record<string, unknown>,
    tags: JSON.parse(draft.tags) as string[],
    clientId: draft.clientId,
    createdAt: new Date(draft.createdAt),
  };
}
